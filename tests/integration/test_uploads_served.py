"""Uploads through gunicorn into every store: cut, stalled, killed, and from two processes."""

import base64
import hashlib
import os
import random
import socket
import sqlite3
import struct
import time
from urllib.parse import urlsplit

import pytest
import requests

from server.settings import Settings
from tests.support.bureau import TOKEN, TUS, environment, lay_out, metadata, s3_store
from tests.support.webserver import WebServer

HEADERS = {**TUS, "Authorization": f"Bearer {TOKEN}"}
PATCH = {**HEADERS, "Content-Type": "application/offset+octet-stream"}
MIB = 1 << 20


@pytest.fixture(scope="module")
def s3(any_s3):
    return any_s3


@pytest.fixture(scope="module")
def variables(tmp_path_factory, s3):
    made = environment(tmp_path_factory.mktemp("served"), s3)
    lay_out(Settings.from_env(made))
    return made


@pytest.fixture(scope="module")
def server(variables):
    with WebServer(variables) as running:
        yield running


@pytest.fixture(scope="module")
def second(variables):
    """Another process on the same database and store."""
    with WebServer(variables) as running:
        yield running


@pytest.fixture
def taken_up(variables):
    """Waits until a process has begun to write an upload."""

    def wait(path):
        database = sqlite3.connect(f"{variables['LIUHEN_DATA']}/liuhen.sqlite")
        upload = path.rpartition("/")[2]
        deadline = time.monotonic() + 10
        fence = 0
        while not fence:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            (fence,) = database.execute(
                "SELECT fence FROM upload WHERE id = ?", (upload,)
            ).fetchone()
        database.close()

    return wait


def create(server, data):
    answer = requests.post(
        server.url,
        headers={**HEADERS, "Upload-Length": str(len(data)), "Upload-Metadata": metadata(data)},
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    return urlsplit(answer.headers["Location"]).path


def at(server, path):
    return f"http://127.0.0.1:{server.port}{path}"


def offset(server, path):
    answer = requests.head(at(server, path), headers=HEADERS, timeout=30)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["Upload-Offset"])


def append(server, path, data, start, **more):
    return requests.patch(
        at(server, path),
        data=data,
        headers={**PATCH, "Upload-Offset": str(start), **more},
        timeout=60,
    )


def read_answer(stream):
    """The status of the next answer on a connection, read to its end."""
    status, length = int(stream.readline().split()[1]), 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    stream.read(length)
    return status


def finish(server, path, data, *, pieces=64 * MIB):
    at_byte = offset(server, path)
    while at_byte < len(data):
        answer = append(server, path, data[at_byte : at_byte + pieces], at_byte)
        assert answer.status_code == 204, answer.text
        at_byte = int(answer.headers["Upload-Offset"])


def stored(s3, data, path):
    """The bytes in the store, under their digest or as the object of the upload."""
    digest = hashlib.sha256(data).hexdigest()
    single = len(data) <= 16 * MIB
    key = f"media/{digest[:2]}/{digest}" if single else f"media/long/{path.rpartition('/')[2]}"
    return b"".join(s3_store(s3).stream(key))


def reset(connection):
    """Cut a connection the hard way: RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("arrived", [1, 700_000, 8 * MIB, 11 * MIB + 3])
@pytest.mark.parametrize("cut", [socket.socket.close, reset])
def test_a_patch_cut_in_the_middle_keeps_every_byte_that_arrived(
    server, s3, taken_up, arrived, cut
):
    data = os.urandom(18 * MIB)
    path = create(server, data)

    connection = server.half_patch(path, data[:arrived], offset=0, claimed=len(data))
    taken_up(path)
    if cut is reset:
        # RST throws away what the other side has not read yet: that did not arrive.
        time.sleep(0.5)
    cut(connection)

    assert offset(server, path) == arrived
    finish(server, path, data)
    assert stored(s3, data, path) == data


def test_a_small_photo_cut_in_the_middle_goes_on_where_it_stood(server, s3, taken_up):
    data = os.urandom(3 * MIB)
    path = create(server, data)

    connection = server.half_patch(path, data[: 2 * MIB], offset=0, claimed=len(data))
    taken_up(path)
    connection.close()

    assert offset(server, path) == 2 * MIB
    finish(server, path, data)
    assert stored(s3, data, path) == data


def test_a_stalled_writer_is_relieved_within_a_second(server, s3, taken_up):
    waits = []
    for _ in range(8):
        data = os.urandom(2 * MIB)
        path = create(server, data)
        stalled = server.half_patch(path, data[:MIB], offset=0, claimed=len(data))
        taken_up(path)
        time.sleep(random.uniform(0.1, 0.6))

        began = time.monotonic()
        assert offset(server, path) == MIB
        waits.append(time.monotonic() - began)

        finish(server, path, data)
        stalled.close()
        assert stored(s3, data, path) == data
    assert sorted(waits)[-2] < 1.0, waits


def test_a_writer_stalled_in_one_process_is_relieved_through_another(server, second, s3, taken_up):
    data = os.urandom(20 * MIB)
    path = create(server, data)
    stalled = server.half_patch(path, data[: 9 * MIB], offset=0, claimed=len(data))
    taken_up(path)
    time.sleep(0.5)

    began = time.monotonic()
    assert offset(second, path) == 9 * MIB
    assert time.monotonic() - began < 1.5

    finish(second, path, data)
    stalled.close()
    assert stored(s3, data, path) == data


def test_two_processes_take_turns_on_one_upload(server, second, s3):
    data = os.urandom(10 * MIB)
    path = create(server, data)
    for number, start in enumerate(range(0, len(data), MIB)):
        turn = (server, second)[number % 2]
        answer = append(turn, path, data[start : start + MIB], start)
        assert answer.status_code == 204, answer.text
    assert stored(s3, data, path) == data


def test_a_killed_server_loses_no_acknowledged_byte(server, s3, taken_up):
    chance = random.Random(7)
    data = os.urandom(96 * MIB)
    path = create(server, data)
    acknowledged, sent, sent_twice = 0, 0, 0
    for _ in range(4):
        sender = server.pour(path, data[acknowledged:], offset=acknowledged)
        taken_up(path)
        time.sleep(chance.uniform(0.1, 0.4))
        server.kill_worker()
        arrived = acknowledged + sender.stop()

        now = offset(server, path)

        assert acknowledged <= now <= arrived
        sent, sent_twice = sent + arrived - acknowledged, max(sent_twice, arrived - now)
        acknowledged = now
    finish(server, path, data)
    # Of far more that was under way no more is lost than a part and what the system holds.
    assert sent > 16 * MIB >= sent_twice
    assert stored(s3, data, path) == data


def test_a_server_killed_while_it_commits_ends_with_one_whole_object(server, s3):
    chance = random.Random(8)
    for size in (300_000, 17 * MIB, 300_000):
        data = os.urandom(size)
        path = create(server, data)
        connection = server.half_patch(path, data, offset=0, claimed=size)
        time.sleep(chance.uniform(0.0, 0.2))
        server.kill_worker()
        connection.close()

        finish(server, path, data)

        assert stored(s3, data, path) == data


def test_the_connection_serves_further_requests_after_an_upload(server):
    data = os.urandom(MIB)
    path = create(server, data)
    with requests.Session() as session:
        for start in range(0, MIB, MIB // 4):
            answer = session.patch(
                at(server, path),
                data=data[start : start + MIB // 4],
                headers={**PATCH, "Upload-Offset": str(start)},
                timeout=30,
            )
            assert (answer.status_code, answer.headers["Connection"]) == (204, "keep-alive")


def test_a_refused_body_takes_nothing_from_the_next_request(server):
    path = create(server, b"x" * 1000)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        answers = connection.makefile("rb")
        for _ in range(5):
            lines = {**PATCH, "Host": "127.0.0.1", "Upload-Offset": "7", "Content-Length": "300"}
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            connection.sendall(f"PATCH {path} HTTP/1.1\r\n{head}\r\n".encode() + b"x" * 300)
            refused = read_answer(answers)
            # gunicorn has taken up the connection again by then.
            time.sleep(0.05)
            connection.sendall(b"OPTIONS /api/v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

            assert (refused, read_answer(answers)) == (409, 204)


def test_a_body_in_chunks_without_a_length_is_taken_too(server, s3):
    data = os.urandom(2 * MIB)
    path = create(server, data)

    answer = append(server, path, (data[n : n + 100_000] for n in range(0, len(data), 100_000)), 0)

    assert answer.status_code == 204
    assert stored(s3, data, path) == data


def test_a_body_in_chunks_that_is_too_long_is_refused_whole(server):
    data = os.urandom(100_000)
    path = create(server, data)

    answer = append(server, path, (piece for piece in (data, b"more")), 0)

    assert (answer.status_code, answer.json()["code"]) == (413, "media.too_large")
    assert offset(server, path) == 0


def half_chunked(server, path, data, *, last_size=70_001, **headers):
    """Send a PATCH in chunks, the last one said to be of ``last_size``; the open socket."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    lines = {**PATCH, "Host": "x", "Upload-Offset": "0", "Transfer-Encoding": "chunked", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    whole = [data[n : n + 70_001] for n in range(0, len(data), 70_001)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in whole[:-1])
    connection.sendall(f"PATCH {path} HTTP/1.1\r\n{head}\r\n".encode() + chunks)
    connection.sendall(b"%x\r\n%b" % (last_size, whole[-1]))
    return connection


@pytest.mark.parametrize("arrived", [1, 9 * MIB])
@pytest.mark.parametrize("ending", ["cut", "stalled"])
def test_a_body_in_chunks_that_breaks_off_keeps_every_byte_that_arrived(
    server, s3, taken_up, arrived, ending
):
    data = os.urandom(18 * MIB)
    path = create(server, data)

    connection = half_chunked(server, path, data[:arrived])
    taken_up(path)
    if ending == "cut":
        connection.close()

    assert offset(server, path) == arrived
    finish(server, path, data)
    connection.close()
    assert stored(s3, data, path) == data


def test_a_whole_body_in_chunks_whose_end_never_comes_is_stored(server, s3, taken_up):
    data = os.urandom(MIB)
    path = create(server, data)

    connection = half_chunked(server, path, data, last_size=len(data) % 70_001)
    connection.sendall(b"\r\n")
    taken_up(path)

    assert offset(server, path) == MIB
    assert stored(s3, data, path) == data
    connection.close()


def test_a_checksummed_body_in_chunks_that_is_cut_keeps_its_beginning(server, taken_up):
    data = os.urandom(MIB)
    path = create(server, data)
    checksum = base64.b64encode(hashlib.sha1(data).digest()).decode()

    connection = half_chunked(
        server, path, data[: MIB // 2], **{"Upload-Checksum": f"sha1 {checksum}"}
    )
    taken_up(path)
    connection.close()

    assert offset(server, path) == MIB // 2


def test_a_body_without_any_length_brings_nothing_and_harms_nothing(server):
    path = create(server, b"0123456789")
    lines = {**PATCH, "Host": "x", "Upload-Offset": "0"}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(f"PATCH {path} HTTP/1.1\r\n{head}\r\n0123456789\r\n".encode())
        answers = connection.makefile("rb")

        # What has no length is no body (RFC 9112 §6.3): it is taken for the next request.
        assert (read_answer(answers), read_answer(answers)) == (204, 400)
    assert offset(server, path) == 0


def test_a_checksummed_piece_cut_in_the_middle_keeps_its_beginning(server, taken_up):
    data = os.urandom(MIB)
    path = create(server, data)
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()

    connection = socket.create_connection(("127.0.0.1", server.port))
    lines = [f"PATCH {path} HTTP/1.1", "Host: x", f"Upload-Checksum: sha256 {checksum}"]
    lines += [f"{name}: {value}" for name, value in PATCH.items()]
    lines += ["Upload-Offset: 0", f"Content-Length: {MIB}", "", ""]
    connection.sendall("\r\n".join(lines).encode() + data[: MIB // 2])
    taken_up(path)
    connection.close()

    assert offset(server, path) == MIB // 2
