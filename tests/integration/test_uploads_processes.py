"""Uploads through several processes that share a database and a store, any of which may die."""

import base64
import contextlib
import hashlib
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import create_engine, text

from media.store import long_key, media_key
from media.upload import DEAD_AFTER_MS, RELEASE_WAIT_MS
from server.settings import Settings
from tests.support.bureau import TOKEN, TUS, environment, lay_out, metadata, s3_store
from tests.support.processes import OwnStore, Worker
from tests.support.webserver import WebServer

HEADERS = {**TUS, "Authorization": f"Bearer {TOKEN}"}
PATCH = {**HEADERS, "Content-Type": "application/offset+octet-stream"}
MIB = 1 << 20
#: How long an upload may stay behind its last writer, dead or alive.
LEASE_S = (DEAD_AFTER_MS + RELEASE_WAIT_MS) / 1000
PATIENCE_S = 60


@pytest.fixture
def variables(database_url, tmp_path, s3):
    return installed(tmp_path / "var", s3, database_url)


@pytest.fixture
def rows(database_url):
    """Asks the database that the processes share."""
    engine = create_engine(database_url)

    def ask(column, upload):
        with engine.connect() as connection:
            query = f"SELECT {column} FROM upload WHERE id = :id OR concat = :id"
            return connection.scalar(text(query), {"id": upload})

    yield ask
    engine.dispose()


def installed(folder, s3, database_url):
    made = environment(folder, s3, LIUHEN_DATABASE_URL=database_url)
    lay_out(Settings.from_env(made))
    return made


def create(server, data, **headers):
    said = {"Upload-Length": str(len(data)), "Upload-Metadata": metadata(data), **headers}
    answer = requests.post(server.url, headers={**HEADERS, **said}, timeout=30)
    assert answer.status_code == 201, answer.text
    return urlsplit(answer.headers["Location"]).path


def at(server, path):
    return f"http://127.0.0.1:{server.port}{path}"


def offset(server, path):
    answer = requests.head(at(server, path), headers=HEADERS, timeout=LEASE_S)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["Upload-Offset"])


def patch(server, path, data, start):
    headers = {**PATCH, "Upload-Offset": str(start)}
    return requests.patch(at(server, path), data=data, headers=headers, timeout=PATIENCE_S)


def send(server, path, data, start):
    """Append one piece; the offset after it."""
    answer = patch(server, path, data, start)
    assert answer.status_code == 204, answer.text
    return int(answer.headers["Upload-Offset"])


def finish(servers, path, data):
    """The rest in pieces that the servers take in turn."""
    reached = offset(servers[0], path)
    for number in range(100):
        if reached == len(data):
            return
        reached = send(
            servers[number % len(servers)], path, data[reached : reached + 3 * MIB], reached
        )


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_arrived(s3, path, data):
    return b"".join(s3_store(s3).stream(long_key(path.rpartition("/")[2]))) == data


def test_processes_killed_in_turn_in_the_middle_of_a_patch_lose_nothing(variables, rows, s3):
    chance = random.Random(11)
    data = os.urandom(28 * MIB)
    with WebServer(variables) as first, WebServer(variables) as second:
        path = create(first, data)
        upload = path.rpartition("/")[2]
        reached = 0
        for one, other in ((first, second), (second, first)) * 3:
            reached = send(one, path, data[reached : reached + MIB], reached)
            fence = rows("fence", upload)
            sent = data[reached : reached + 3 * MIB]
            connection = one.half_patch(path, sent, offset=reached, claimed=len(data) - reached)
            wait_for(lambda: rows("fence", upload) > fence)  # noqa: B023 - called before it changes
            time.sleep(chance.uniform(0, 0.2))
            one.kill_worker()

            now = offset(other, path)

            connection.close()
            assert reached <= now <= reached + len(sent)
            reached = now
        finish((first, second), path, data)
    assert has_arrived(s3, path, data)


def at_once(*requests_to_send):
    """The answers to requests that are sent at the same moment."""
    ready = threading.Barrier(len(requests_to_send))

    def sent(send_it):
        ready.wait()
        return send_it()

    with ThreadPoolExecutor(len(requests_to_send)) as pool:
        return list(pool.map(sent, requests_to_send))


def test_the_same_bytes_sent_to_two_processes_at_once_are_kept_once(variables, s3):
    data = os.urandom(17 * MIB)
    with WebServer(variables) as first, WebServer(variables) as second:
        path = create(first, data)
        reached = 0
        while reached < len(data):
            piece = data[reached : reached + 3 * MIB]
            answers = at_once(
                *(partial(patch, one, path, piece, reached) for one in (first, second))
            )

            assert {answer.status_code for answer in answers} <= {204, 409, 503}
            now = offset(first, path)
            assert reached <= now <= reached + len(piece)
            for answer in answers:
                assert answer.status_code != 204 or now == reached + len(piece)
            reached = now
    assert has_arrived(s3, path, data)


def test_one_photo_finished_in_two_processes_at_once_is_one_object(variables, s3):
    with WebServer(variables) as first, WebServer(variables) as second:
        for _ in range(8):
            data = os.urandom(300_000)
            digest = hashlib.sha256(data)
            paths = [create(one, data) for one in (first, second)]

            answers = at_once(
                partial(patch, first, paths[0], data, 0), partial(patch, second, paths[1], data, 0)
            )

            said = f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
            assert [answer.status_code for answer in answers] == [204, 204]
            assert {answer.headers["Repr-Digest"] for answer in answers} == {said}
            assert b"".join(s3_store(s3).stream(media_key(digest.hexdigest()))) == data


def test_a_joining_whose_process_dies_is_finished_by_a_worker_that_dies_too(variables, rows, s3):
    pieces = [os.urandom(20 * MIB), os.urandom(3 * MIB)]
    whole = b"".join(pieces)
    with WebServer(variables) as first, WebServer(variables) as second, Worker(variables) as worker:
        addresses = []
        for piece in pieces:
            addresses.append(create(first, piece, **{"Upload-Concat": "partial"}))
            send(first, addresses[-1], piece, 0)
        joining = {**HEADERS, "Upload-Metadata": metadata(whole)}
        joining["Upload-Concat"] = f"final;{' '.join(addresses)}"

        def join():
            with contextlib.suppress(requests.RequestException):
                requests.post(first.url, headers=joining, timeout=PATIENCE_S)

        client = threading.Thread(target=join)
        client.start()
        wait_for(lambda: rows("owner", "final") is not None)
        first.kill_worker()
        worker.kill()
        client.join()
        path = f"/api/v1/uploads/{rows('id', 'final')}"
        worker.start()

        def done():
            # Asking wakes the worker; nobody else goes on with it.
            answer = requests.head(at(second, path), headers=HEADERS, timeout=LEASE_S)
            return "Upload-Offset" in answer.headers

        wait_for(done)
        assert offset(second, path) == len(whole)
    assert rows("found_sha256", "final") == hashlib.sha256(whole).hexdigest()
    assert has_arrived(s3, path, whole)


def test_a_store_killed_and_started_again_has_everything_that_was_acknowledged(
    database_url, tmp_path
):
    chance = random.Random(12)
    data = os.urandom(26 * MIB)
    own = OwnStore(tmp_path / "store")
    with own as s3:
        variables = installed(tmp_path / "var", s3, database_url)
        with WebServer(variables) as server, Worker(variables) as worker:
            path = create(server, data)
            reached = 0
            for _ in range(2):
                reached = send(server, path, data[reached : reached + MIB], reached)
                rest = data[reached : reached + 9 * MIB]
                connection = server.half_patch(
                    path, rest, offset=reached, claimed=len(data) - reached
                )
                time.sleep(chance.uniform(0, 0.3))
                own.kill()
                worker.kill()
                connection.close()
                own.start()
                worker.start()

                now = offset(server, path)

                assert reached <= now <= reached + len(rest)
                reached = now
            finish((server,), path, data)
        assert has_arrived(s3, path, data)
