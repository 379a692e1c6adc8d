"""A push that is cut on the way to the real web process: what arrived of it is kept."""

import gzip
import random
import shutil
import socket
import struct
import time
import zlib
from itertools import pairwise

import pytest
import requests
import zstandard

from server.models.journal import JournalLine
from sync.client.packing import pack
from tests.support.bureau import environment
from tests.support.simdevice import new_id
from tests.support.webserver import WebServer
from tests.support.world import make_world

LINES = 40
#: How many of these lines fill a piece that is packed together.
PIECE_LINES = 6


@pytest.fixture(scope="module")
def served(sqlite_template, tmp_path_factory):
    """A world, and the address of the web process over its database."""
    folder = tmp_path_factory.mktemp("cut")
    shutil.copyfile(sqlite_template, folder / "world.sqlite")
    url = f"sqlite:///{folder / 'world.sqlite'}"
    world = make_world(url, folder / "var")
    world.now_ms = time.time_ns() // 1_000_000
    variables = environment(folder / "var", LIUHEN_DATABASE_URL=url)
    with WebServer(variables, "server.launch.wsgi:application") as server:
        yield world, server.port


def device_with_notes(world):
    device = world.on_patrol()
    while len(device.lines) < LINES:
        device.write(
            "note.added",
            officer=world.officers[0],
            inspection=device.inspection,
            text=f"现场检查发现排放口有泡沫{new_id()}" * 5,
        )
    return device


def packed(device, encoding):
    match encoding:
        case "identity":
            return device.body()
        case "gzip":
            return gzip.compress(device.body())
        case _:
            raws = [line.to_bytes() for line in device.lines]
            return pack(raws, packed_bytes=1 << 20, plain_bytes=1 << 20, count=1000).body


def readable(body, encoding):
    """The complete lines in a beginning of a packed body."""
    match encoding:
        case "gzip":
            body = zlib.decompressobj(31).decompress(body)
        case "zstd":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body.count(b"\n")


def send_beginning(port, device, encoding, body, length, *, reset):
    """Announce ``body``, send ``length`` bytes of it and vanish, politely or with a reset."""
    path = f"/api/v1/journal/{device.id}/{device.epoch}"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\n"
    head += f"Authorization: {device.headers['Authorization']}\r\n"
    head += f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + body[:length])
        if reset:
            # Let what was sent arrive: a reset would otherwise overtake it in our own kernel.
            time.sleep(0.05)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass


def standing(port, device):
    url = f"http://127.0.0.1:{port}/api/v1/journal/{device.id}/{device.epoch}"
    return requests.get(url, headers=device.headers, timeout=10).json()


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_the_complete_lines_of_a_body_cut_anywhere_are_committed(served, encoding):
    world, port = served
    device = device_with_notes(world)
    body = packed(device, encoding)
    places = sorted(random.Random(3).sample(range(1, len(body)), 6))

    for number, place in enumerate([0, *places, len(body) - 1]):
        send_beginning(port, device, encoding, body, place, reset=number % 2)
        arrived = readable(body[:place], encoding)
        deadline = time.monotonic() + 10
        while standing(port, device)["next_seq"] < arrived and time.monotonic() < deadline:
            time.sleep(0.02)
        assert standing(port, device)["next_seq"] == arrived

    rows = world.rows(JournalLine, device_id=device.id)
    assert [row.digest for row in rows] == [line.digest for line in device.lines[: len(rows)]]


def test_a_cut_costs_one_piece_of_what_the_client_packed_at_most(served):
    world, _ = served
    device = device_with_notes(world)
    body = packed(device, "zstd")

    whole = [readable(body[:place], "zstd") for place in range(len(body) + 1)]
    steps = {later - earlier for earlier, later in pairwise(whole)}

    assert max(steps) <= PIECE_LINES
    assert whole[-1] == LINES
