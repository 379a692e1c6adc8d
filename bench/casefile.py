"""A case of many items, as if they had been pushed and uploaded: what benchmarks export."""

import hashlib
import os
import zlib

from media.store import Store
from server.db import transaction
from server.models.uploads import MediaObject
from server.operations import export, ledger
from server.operations.export.asked import Asked
from tests.support.simdevice import new_id
from tests.support.world import World

_BATCH = 500


def capture(world: World, store: Store, count: int, size: int) -> str:
    """Journal and store ``count`` items, in a second inspection of the same device."""
    device = world.on_patrol()
    contents = [os.urandom(size) for _ in range(count)]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    for number, sha256 in enumerate(digests):
        device.write(
            "media.captured",
            officer=world.officers[0],
            inspection=device.inspection,
            item=new_id(),
            sha256=sha256,
            size=size,
            media_type="image/jpeg",
            title=f"照片 {number}",
            **{"class": "B"},
        )
    for start in range(0, len(device.lines), _BATCH):
        body = b"".join(line.to_bytes() + b"\n" for line in device.lines[start : start + _BATCH])
        if world.push(device, body).status_code != 200:
            raise SystemExit("a push failed")
    with world.app.app_context():
        for start in range(0, count, _BATCH):
            _store(world, store, contents[start : start + _BATCH], digests[start : start + _BATCH])
    inspection: str = device.inspection
    return inspection


def _store(world: World, store: Store, contents: list[bytes], digests: list[str]) -> None:
    """As if the uploads had come in: object, row and ``verify`` leaf of each."""
    with transaction() as session:
        for content, sha256 in zip(contents, digests, strict=True):
            key = f"media/{sha256[:2]}/{sha256}"
            store.put_once(key, content, size=len(content), sha256=sha256)
            session.add(
                MediaObject(
                    sha256=sha256,
                    size=len(content),
                    crc32=zlib.crc32(content),
                    key=key,
                    status="stored",
                    stored_at_ms=world.now_ms,
                )
            )
        ledger.append_events(
            session,
            [
                ledger.Event(
                    kind="verify",
                    actor={"server": "bench"},
                    subject={"sha256": sha256, "size": len(content)},
                    about=(f"media:{sha256}",),
                )
                for content, sha256 in zip(contents, digests, strict=True)
            ],
            now_ms=world.now_ms,
        )


def ask(world: World, inspection: str) -> str:
    """Ask for a package of the case; answers its id."""
    with transaction() as session:
        return export.request_package(
            session,
            inspection_id=inspection,
            person_id=world.persons[0],
            reason="benchmark",
            asked=Asked(despite="benchmark"),
            now_ms=world.now_ms,
        )
