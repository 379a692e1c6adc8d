"""Uploads whose senders fall silent: what the others notice, and when they are gone."""

import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import requests

from bench.uploadrig import Rig, Sample, ours
from bench.webserver import serving

_SENT = 1 << 20
_QUESTIONS = 100
_RESUMED = 40


def measure(rig: Rig, count: int) -> dict[str, object]:
    """``count`` PATCHes of which only the first MiB comes; asked meanwhile, and resumed."""
    _ask_many(rig)
    before = rig.web.memory_kib()
    halves = [_half(rig) for _ in range(count)]
    quiet = time.monotonic()
    # Longer than it takes to tell a stalled sender from a slow one.
    time.sleep(3)
    growth = rig.web.memory_kib() - before
    waits = _ask_many(rig)
    with ThreadPoolExecutor(count) as pool:
        freed = list(pool.map(lambda half: _freed(half[1], quiet), halves))
    with serving(rig.env) as second:
        offsets = [_resume(rig, second.url) for _ in range(_RESUMED)]
    return {
        "stalled": count,
        "bytes_sent_each": _SENT,
        "memory_kib_each": round(growth / count),
        "others_ms_p95": _p95(waits),
        "freed_after_s_max": round(max(freed), 1),
        "offset_ms_p95": _p95(offsets),
    }


def _half(rig: Rig) -> tuple[str, socket.socket]:
    """A new upload and the connection on which its PATCH has stalled."""
    sender, sample = ours(rig), Sample(8 << 20)
    connection = sender.connect()
    place = sender.create(connection, sample)
    connection.close()
    address = urlsplit(rig.web.url)
    stalled = socket.create_connection((address.hostname or "", address.port or 0), timeout=120)
    lines = [
        f"PATCH {place} HTTP/1.1",
        f"Host: {address.netloc}",
        *(f"{name}: {value}" for name, value in rig.headers.items()),
        "Tus-Resumable: 1.0.0",
        "Content-Type: application/offset+octet-stream",
        "Upload-Offset: 0",
        f"Content-Length: {sample.size}",
        "\r\n",
    ]
    stalled.sendall("\r\n".join(lines).encode())
    for buffer in sample.piece(0, _SENT):
        stalled.sendall(buffer)
    return place, stalled


def _freed(stalled: socket.socket, quiet: float) -> float:
    """Seconds after the last byte until the server answered and so let its thread go."""
    stalled.recv(65_536)
    stalled.close()
    return time.monotonic() - quiet


def _resume(rig: Rig, other: str) -> float:
    """Milliseconds until another process knows the offset of an upload that has stalled here."""
    place, stalled = _half(rig)
    time.sleep(0.7)
    began = time.monotonic()
    answer = requests.head(
        f"{other}{place}", headers={**rig.headers, "Tus-Resumable": "1.0.0"}, timeout=30
    )
    waited = (time.monotonic() - began) * 1000
    stalled.close()
    if answer.headers.get("Upload-Offset") != str(_SENT):
        raise SystemExit(f"{answer.status_code}: {answer.headers}")
    return waited


def _ask_many(rig: Rig) -> list[float]:
    waits = []
    with requests.Session() as session:
        for number in range(_QUESTIONS):
            began = time.monotonic()
            if number % 2:
                session.get(f"{rig.web.url}/health", timeout=60).raise_for_status()
            else:
                session.post(
                    f"{rig.web.url}/api/v1/media/lacking",
                    json={"digests": ["0" * 64]},
                    headers=rig.headers,
                    timeout=60,
                ).raise_for_status()
            waits.append((time.monotonic() - began) * 1000)
    return waits


def _p95(values: list[float]) -> float:
    return round(statistics.quantiles(values, n=20)[18], 1)
