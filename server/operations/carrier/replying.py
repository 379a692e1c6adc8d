"""The reply to a carrier: the answers that the same requests would have got over the network."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from server.failures import Invalid
from server.operations import feed, generations, ledger, outcomes, uploads
from server.operations.carrier.opening import Counter, Opened
from sync.carrier.manifest import EpochRange, Manifest, ReplyManifest, seal_reply
from sync.carrier.members import Source, whole
from sync.carrier.writing import SPLIT_BYTES, CarrierWriter
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.errors import SyncError
from sync.evidence.note import parse_note

_DIGESTS = 500


def write_reply(counter: Counter, opened: Opened, place: Path) -> Path:
    """Write the reply to ``opened`` into a new folder in ``place`` and return that.

    It may be written any number of times, and says how things stand now.

    Raises:
        CarrierUnwritable: there is no reply; the carrier stays taken.
    """
    parts, manifest = counter.services, opened.manifest
    with counter.desk.write() as session:
        checkpoint = ledger.sign_checkpoint(session, parts.ledger_signer, now_ms=parts.now_ms())
        generation = ledger.current_generation(session)
        origin, number, note = generation.origin, generation.number, checkpoint.note
        size = checkpoint.size
    reply = secrets.token_hex(16)
    with CarrierWriter(place, "reply", reply, recipient=manifest.reply_to) as writer:
        answers = _answers(counter, opened, origin=origin, note=note, size=size)
        written = writer.pack(answers, split=SPLIT_BYTES)
        answer = ReplyManifest(
            reply=reply,
            answers=manifest.carrier,
            manifest=opened.digest,
            origin=origin,
            generation=number,
            device=manifest.device,
            server_ms=parts.now_ms(),
            parts=written,
        )
        writer.finish(seal_reply(answer, parts.receipt_signer.sign))
    return writer.path


def _answers(
    counter: Counter, opened: Opened, *, origin: str, note: str, size: int
) -> Iterator[Source]:
    """All answers, in the order in which the device needs them; each is read when it is written."""
    read, manifest, device = counter.desk.read, opened.manifest, opened.device
    with read() as session:
        proof = _consistency(session, manifest, origin=origin, size=size)
        endorsements = generations.endorsements(session)
    keys = {
        "ledger_key": counter.services.ledger_signer.verifier_key,
        "endorsements": list(endorsements),
    }
    yield _json("ledger.json", {"checkpoint": note, **keys, **proof})
    for epoch in manifest.epochs:
        yield from _standings(counter, device.id, epoch)
    digests = [medium.sha256 for medium in manifest.media]
    for number, start in enumerate(range(0, len(digests), _DIGESTS), start=1):
        asked = digests[start : start + _DIGESTS]
        with read() as session:
            lacking = uploads.lacking(session, asked, organization_id=device.organization_id)
        yield _json(f"media/{number}.json", {"asked": asked, **asdict(lacking)})
    # A revoked device may hand in what it holds, but learns nothing new.
    if not device.revoked:
        yield from _outcomes(counter, device.id, manifest.outcomes)
        yield from _feed(counter, opened)


def _consistency(session: Session, manifest: Manifest, *, origin: str, size: int) -> dict[str, Any]:
    """The proof from the carrier's checkpoint; without path where there can be none.

    The device judges: a checkpoint that it verified and this ledger lacks is a fork.
    """
    try:
        known = parse_checkpoint(parse_note(manifest.checkpoint).text)
    except SyncError:
        return {"first": 0, "second": size, "path": []}
    path: list[bytes] = []
    if known.origin == origin and 0 < known.size < size:
        generation = ledger.current_generation(session).number
        path = ledger.consistency_proof(session, generation, first=known.size, second=size)
    return {"first": known.size, "second": size, "path": [node.hex() for node in path]}


def _standings(counter: Counter, device_id: str, epoch: EpochRange) -> Iterator[Source]:
    since: int | None = epoch.first_seq
    while since is not None:
        with counter.desk.read() as session:
            standing = outcomes.read_standing(session, device_id, epoch.epoch, since=since)
        answer = {name: value for name, value in asdict(standing).items() if value is not None}
        yield _json(f"journal/{epoch.epoch}/{since}.json", answer)
        since = standing.next_since


def _outcomes(counter: Counter, device_id: str, cursor: str) -> Iterator[Source]:
    for number in count(1):
        with counter.desk.read() as session:
            try:
                page = outcomes.read_changes(session, device_id, since=cursor)
            except Invalid:
                # The cursor of another generation: every change is told again from the start.
                page = outcomes.read_changes(session, device_id, since="")
        yield _json(f"outcomes/{number}.json", asdict(page))
        if not page.more:
            return
        cursor = page.cursor


def _feed(counter: Counter, opened: Opened) -> Iterator[Source]:
    cursor = opened.manifest.cursor
    for number in count(1):
        with counter.desk.read() as session:
            try:
                page = feed.read_page(
                    session,
                    device_id=opened.device.id,
                    organization_id=opened.device.organization_id,
                    cursor=cursor,
                )
            except Invalid:
                # No cursor of ours: the device asks again over the network or from the start.
                return
            content = page.to_json()
        yield whole(f"feed/{number}.json", content)
        if not page.more:
            return
        cursor = page.cursor


def _json(name: str, value: dict[str, Any]) -> Source:
    return whole(name, json.dumps(value, ensure_ascii=False).encode())
