"""Clients that nobody here wrote, unmodified, against the running server."""

import base64
import hashlib
import os
import sqlite3
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests
from tusclient.client import TusClient

from media.store import long_key, media_key
from server.db import db, reading
from server.models.devices import Device
from server.settings import Settings
from tests.support import javascript
from tests.support.bureau import (
    TOKEN,
    TUS,
    Bureau,
    environment,
    lay_out,
    s3_store,
    upload_app,
)
from tests.support.webserver import WebServer

MIB = 1 << 20
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def s3(any_s3):
    """Each of the stores that we run against, whatever LIUHEN_TEST_STORE says."""
    return any_s3


@pytest.fixture(scope="module")
def server(tmp_path_factory, s3):
    made = environment(tmp_path_factory.mktemp("served"), s3)
    lay_out(Settings.from_env(made))
    with WebServer(made) as running:
        yield running


@pytest.fixture(scope="module")
def modules():
    return javascript.install()


@pytest.fixture
def recording(tmp_path):
    """A file that becomes an object of parts."""
    file = tmp_path / "recording.mp4"
    file.write_bytes(os.urandom(19 * MIB + 7))
    return file


@pytest.fixture
def browser(server, modules, tmp_path):
    """Starts a scenario of tus-js-client."""

    def start(scenario, file, metadata=None):
        return javascript.start(
            modules,
            "tus_scenario.cjs",
            scenario,
            endpoint=server.url,
            token=TOKEN,
            file=str(file),
            metadata={"filename": "录像.mp4"} if metadata is None else metadata,
            storage=str(tmp_path / "urls.json"),
        )

    return start


def look(url):
    return requests.head(url, headers={**TUS, **BEARER}, timeout=30)


def has_arrived(s3, url, data):
    """Whether the server says so, with the digest, and the store has the bytes."""
    answer = look(url)
    digest = hashlib.sha256(data).digest()
    said = f"sha-256=:{base64.b64encode(digest).decode()}:"
    if (answer.headers.get("Upload-Offset"), answer.headers.get("Repr-Digest")) != (
        str(len(data)),
        said,
    ):
        return False
    single = len(data) <= 16 * MIB
    upload = urlsplit(url).path.rpartition("/")[2]
    key = media_key(digest.hex()) if single else long_key(upload)
    return b"".join(s3_store(s3).stream(key)) == data


def await_bytes_of_an_open_upload(server):
    """Wait until some, but not all, bytes of an upload are acknowledged."""
    begun = "SELECT count(*) FROM upload WHERE status = 'open' AND byte_offset BETWEEN 1 AND length"
    deadline = time.monotonic() + 30
    with closing(sqlite3.connect(f"{server.environment['LIUHEN_DATA']}/liuhen.sqlite")) as database:
        while database.execute(begun).fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize(
    "scenario", ["plain", "one_request", "only_post", "parallel", "deferred", "deferred_body_first"]
)
def test_tus_js_client_uploads(browser, s3, recording, scenario):
    data = recording.read_bytes()

    result = javascript.result_of(browser(scenario, recording))

    assert has_arrived(s3, result["url"], data)


def test_tus_js_client_is_told_when_the_bytes_are_not_those_it_announced(browser, tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"another photo")
    process = browser("plain", file, {"sha256": hashlib.sha256(b"photo").hexdigest()})

    _, complaint = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "response code: 460" in complaint


@pytest.fixture
def here_already(server, recording):
    """The metadata of a file that was announced, and that the server has."""
    data = recording.read_bytes()
    app = upload_app(Settings.from_env(server.environment))
    with app.app_context():
        with reading() as session:
            device = session.query(Device).one()
            parties = device.organization_id, device.id
        Bureau(app, *parties).announce(data)
        db.engine.dispose()
    metadata = {"sha256": hashlib.sha256(data).hexdigest(), "filename": "录像.mp4"}
    uploader(server, recording, metadata=metadata).upload()
    return metadata


@pytest.mark.parametrize(
    ("scenario", "requests"), [("plain", ["POST", "PATCH"]), ("one_request", ["POST"])]
)
def test_tus_js_client_is_done_at_once_with_what_is_here_already(
    browser, s3, recording, here_already, scenario, requests
):
    result = javascript.result_of(browser(scenario, recording, here_already))

    assert result["requests"] == requests
    assert "Repr-Digest" in look(result["url"]).headers


def test_tuspy_is_done_at_once_with_what_is_here_already(
    server, recording, here_already, monkeypatch
):
    sent, patch = [], requests.patch

    def counted(url, *, data, **more):
        sent.append(len(data))
        return patch(url, data=data, **more)

    monkeypatch.setattr(requests, "patch", counted)
    sender = TusClient(server.url, headers=dict(BEARER)).uploader(
        str(recording), chunk_size=MIB, metadata=here_already
    )

    sender.upload()

    assert (sender.offset, sent) == (recording.stat().st_size, [MIB])
    assert "Repr-Digest" in look(sender.url).headers


@pytest.mark.parametrize("scenario", ["resumed", "parallel_resumed"])
def test_tus_js_client_goes_on_where_it_stopped(browser, s3, recording, scenario):
    data = recording.read_bytes()

    result = javascript.result_of(browser(scenario, recording))

    assert has_arrived(s3, result["url"], data)
    assert result["bytesSent"] < len(data)


def test_tus_js_client_goes_on_after_the_server_was_killed(server, browser, s3, recording):
    data = recording.read_bytes()
    process = browser("plain", recording)
    await_bytes_of_an_open_upload(server)
    server.kill_worker()

    result = javascript.result_of(process)

    assert has_arrived(s3, result["url"], data)


def test_tus_js_client_gives_an_upload_up(browser, recording):
    result = javascript.result_of(browser("terminated", recording))

    assert look(result["url"]).status_code == 410


def uploader(server, file, **more):
    return TusClient(server.url, headers=dict(BEARER)).uploader(
        str(file), chunk_size=MIB, retries=3, retry_delay=1, **more
    )


@pytest.mark.parametrize("upload_checksum", [False, True])
@pytest.mark.parametrize("announced", [False, True])
def test_tuspy_uploads(server, s3, recording, upload_checksum, announced):
    data = recording.read_bytes()
    metadata = {"sha256": hashlib.sha256(data).hexdigest(), "filename": "录像.mp4"}
    sender = uploader(
        server,
        recording,
        metadata=metadata if announced else {},
        upload_checksum=upload_checksum,
    )

    sender.upload()

    assert has_arrived(s3, sender.url, data)


def test_tuspy_goes_on_after_a_connection_that_broke(server, s3, recording):
    data = recording.read_bytes()
    first = uploader(server, recording)
    first.upload(stop_at=3 * MIB)
    path = urlsplit(first.url).path
    server.half_patch(
        path, data[3 * MIB : 4 * MIB + 5], offset=3 * MIB, claimed=len(data) - 3 * MIB
    ).close()

    second = uploader(server, recording, url=first.url)

    assert 3 * MIB <= second.offset <= 4 * MIB + 5
    second.upload()
    assert has_arrived(s3, second.url, data)
