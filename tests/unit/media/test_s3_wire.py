"""Bytes on their way to an S3 address: what is said with them, and what answers mean."""

import datetime
import io
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from media.s3_address import S3Address
from media.s3_wire import Refused, Wire, headers_of
from media.store import StoreUnavailable


@pytest.fixture
def gateway():
    """Answers with ``answers`` in turn, and keeps the requests."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.server.seen.append((self.path, dict(self.headers), body))
            status, said = self.server.answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def __getattr__(self, name):
            if name.startswith("do_"):
                return self.handle_any
            raise AttributeError(name)

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.answers = [], []
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def wire(gateway, **more):
    return Wire(
        S3Address(
            endpoint=f"http://localhost:{gateway.server_port}",
            access_key="AK",
            secret_key="SK",
            bucket="evidence",
            **more,
        )
    )


def test_bytes_go_as_they_lie_in_memory_under_a_signature(gateway):
    gateway.answers = [(200, b"")]

    wire(gateway).put("media/a b", memoryview(bytearray(b"photo")), headers={"x-amz-meta": "1"})

    [(path, headers, body)] = gateway.seen
    assert (path, body) == ("/evidence/media/a%20b", b"photo")
    assert headers["Content-Length"] == "5"
    assert headers["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"
    signed = headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert "x-amz-meta" in signed.split(";")


def test_the_bucket_may_stand_before_the_host(gateway, monkeypatch):
    ask = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *more: ask("127.0.0.1", *more))
    gateway.answers = [(200, b"all")]

    assert wire(gateway, addressing="virtual").get("key", headers={}) == b"all"

    [(path, headers, _)] = gateway.seen
    assert (path, headers["Host"]) == ("/key", f"evidence.localhost:{gateway.server_port}")


def test_a_store_that_is_busy_is_asked_again_with_the_same_bytes(gateway):
    gateway.answers = [(503, b""), (500, b""), (200, b"")]

    wire(gateway).put("key", b"photo", headers={})

    assert [body for _, _, body in gateway.seen] == [b"photo"] * 3


def test_a_refusal_carries_the_name_that_s3_gives_it(gateway):
    gateway.answers = [(412, b"<Error><Code>PreconditionFailed</Code></Error>"), (404, b"nothing")]

    for status, code in ((412, "PreconditionFailed"), (404, "")):
        with pytest.raises(Refused) as refused:
            wire(gateway).put("key", b"photo", headers={})
        assert (refused.value.status, refused.value.code) == (status, code)


def test_nobody_there_is_a_store_that_cannot_be_reached(gateway):
    gateway.shutdown()
    gateway.server_close()

    with pytest.raises(StoreUnavailable):
        wire(gateway).get("key", headers={})


def test_what_boto3_is_told_by_name_goes_as_headers():
    until = datetime.datetime(2027, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)

    assert headers_of(
        {"ContentType": "a/b", "ServerSideEncryption": "AES256", "ObjectLockRetainUntilDate": until}
    ) == {
        "content-type": "a/b",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-object-lock-retain-until-date": "2027-01-02T03:04:05Z",
    }


@pytest.mark.parametrize(
    ("said", "code"),
    [(b"", "NoSuchKey"), (b"<html>not here</html>", "NoSuchKey"), (b"<Code>Other</Code>", "Other")],
)
def test_what_is_not_there_is_named_so_where_the_store_gives_no_name(gateway, said, code):
    gateway.answers = [(404, said)]

    with pytest.raises(Refused) as raised:
        wire(gateway).get("media/x", headers={})

    assert (raised.value.status, raised.value.code) == (404, code)


def test_a_write_that_is_answered_with_404_is_no_missing_object(gateway):
    gateway.answers = [(404, b"")]

    with pytest.raises(Refused) as raised:
        wire(gateway).put("media/x", b"x", headers={})

    assert raised.value.code == ""


def test_a_file_goes_with_its_length_and_again_from_where_it_stood(gateway):
    gateway.answers = [(503, b""), (200, b"")]
    file = io.BytesIO(b"head" + bytes(1_000_000))
    file.seek(4)

    wire(gateway).put("media/x", file, headers={})

    assert [len(body) for _, _, body in gateway.seen] == [1_000_000] * 2
    assert all("Transfer-Encoding" not in headers for _, headers, _ in gateway.seen)
