"""Following the server's ledger into its next generation (docs/evidence.md §5).

A restored backup goes on under a new name. A device believes the new name only
if the key it pinned signed it, and if a leaf of that ledger says from which one
it took over. What was seen of the old one stays here as proof.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sync.client.answers import Life
from sync.client.api import Api
from sync.client.errors import GenerationChanged, LedgerForked, LedgerRestored, LinkError
from sync.client.folder import DeviceFolder
from sync.client.outbox import Outbox
from sync.client.trust import (
    Enrolment,
    anchor_of,
    raise_alarm,
    read_checkpoint,
    read_kept_checkpoint,
)
from sync.evidence import canonical
from sync.evidence.checkpoint import Checkpoint, parse_checkpoint
from sync.evidence.encoding import sha256_hex
from sync.evidence.errors import SyncError
from sync.evidence.merkle import leaf_hash, verify_consistency, verify_inclusion
from sync.evidence.note import parse_note, parse_verifier_key
from sync.evidence.succession import successors


@dataclass(frozen=True, kw_only=True)
class Successor:
    """A generation that is believed: how it is pinned, and the leaf that says where it began."""

    enrolment: Enrolment
    checkpoint: str
    event: Mapping[str, Any]


def follow(
    folder: DeviceFolder, outbox: Outbox, enrolment: Enrolment, api: Api, *, origin: str
) -> tuple[Enrolment, LinkError]:
    """Pin the generation that calls itself ``origin``; with what there is to say about it.

    Lines and receipts stay as they are; whatever the restored server lacks it
    asks for when lines are pushed.

    Raises:
        GenerationChanged: if it is not proved; nothing is changed then.
        LinkError: if the server cannot be asked.
    """
    lives = api.generations()
    successor = believe(enrolment, lives, origin=origin)
    kept_note = outbox.meta("checkpoint")
    kept = read_kept_checkpoint(kept_note, enrolment)
    api.speak_to(origin)
    problem = _compare(folder, kept_note, kept, enrolment, successor, api)
    _keep_notice(folder, kept_note, lives, successor)
    with outbox.transaction():
        outbox.remember("enrolment", asdict(successor.enrolment))
        checkpoint = read_checkpoint(successor.checkpoint, successor.enrolment)
        outbox.remember_checkpoint(successor.checkpoint, anchor_of(checkpoint))
    return successor.enrolment, problem


def believe(enrolment: Enrolment, lives: Sequence[Life], *, origin: str) -> Successor:
    """The generation ``origin``, if each one on the way from ours to it is proved.

    Raises:
        GenerationChanged
    """
    ours, found = {enrolment.origin}, None
    for life in lives:
        if life.restore is None or life.origin in ours:
            continue
        pinned = _pinned(enrolment, life, lives)
        try:
            event = _proved(life, pinned)
            names = _names(event)
        except (SyncError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise GenerationChanged(enrolment.origin, life.origin) from error
        if ours & names:
            ours.add(life.origin)
            found = Successor(enrolment=pinned, checkpoint=life.checkpoint, event=event)
    if found is None or found.enrolment.origin != origin:
        raise GenerationChanged(enrolment.origin, origin)
    return found


def renew_key(enrolment: Enrolment, lives: Sequence[Life]) -> Enrolment:
    """``enrolment`` under the key by which our ledger signs now, if ours leads to it.

    It stays as it is where that is not proved.
    """
    endorsements = [note for life in lives for note in life.endorsements]
    for life in lives:
        if life.origin == enrolment.origin:
            return under_key(enrolment, life.ledger_key, endorsements)
    return enrolment


def _takes_over(
    enrolment: Enrolment, text: str, endorsements: Sequence[str], *, origin: str
) -> bool:
    """Whether the key ``text`` is ours, or one that ours named, directly or by others."""
    try:
        key = parse_verifier_key(text)
        ours = [parse_verifier_key(enrolment.ledger_key)]
    except SyncError:
        return False
    reached = {one.public_key for one in successors(ours, endorsements)}
    return key.name == origin and key.public_key in reached


def under_key(enrolment: Enrolment, key: str, endorsements: Sequence[str]) -> Enrolment:
    """``enrolment`` under the ledger key ``key``, if ours leads to it; else as it is."""
    leads = _takes_over(enrolment, key, endorsements, origin=enrolment.origin)
    if key == enrolment.ledger_key or not leads:
        return enrolment
    earlier = (*enrolment.earlier_ledger_keys, enrolment.ledger_key)
    return replace(enrolment, ledger_key=key, earlier_ledger_keys=earlier)


def _pinned(enrolment: Enrolment, life: Life, lives: Sequence[Life]) -> Enrolment:
    """``enrolment`` under the name of ``life``; its keys must be ours, or lead from ours."""
    try:
        receipts = parse_verifier_key(life.receipt_key)
    except SyncError as error:
        raise GenerationChanged(enrolment.origin, life.origin) from error
    known = parse_verifier_key(enrolment.receipt_key).public_key
    same = (receipts.name, receipts.public_key) == (f"{life.origin}/receipt", known)
    endorsements = [note for one in lives for note in one.endorsements]
    leads = _takes_over(enrolment, life.ledger_key, endorsements, origin=life.origin)
    if not same or not leads:
        raise GenerationChanged(enrolment.origin, life.origin)
    earlier = (enrolment.origin, enrolment.generation, enrolment.receipt_key)
    return replace(
        enrolment,
        origin=life.origin,
        generation=life.generation,
        ledger_key=life.ledger_key,
        receipt_key=life.receipt_key,
        earlier=(*enrolment.earlier, earlier),
    )


def _proved(life: Life, pinned: Enrolment) -> Mapping[str, Any]:
    """The ``restore`` event that is the first leaf of ``life``."""
    assert life.restore is not None  # noqa: S101 - the caller has looked
    head = read_checkpoint(life.checkpoint, pinned)
    raw = life.restore.event.encode()
    entry = bytes.fromhex(sha256_hex(bytes.fromhex(life.restore.salt) + raw))
    path = [bytes.fromhex(node) for node in life.restore.path]
    verify_inclusion(leaf_hash(entry), index=0, size=head.size, path=path, root=head.root)
    event: Mapping[str, Any] = canonical.loads(raw)
    if event["kind"] != "restore":
        raise ValueError(event["kind"])
    ended = event["subject"]
    if type(ended["size"]) is not int or ended["size"] < 0 or type(ended["root"]) is not str:
        raise ValueError("subject")
    return event


def _names(event: Mapping[str, Any]) -> set[str]:
    """The ledgers that a ``restore`` event takes over from, or says to have lost."""
    known = event["snapshot"].get("known", [])
    return {event["subject"]["origin"], *(row["origin"] for row in known)}


def _compare(
    folder: DeviceFolder,
    kept_note: str,
    kept: Checkpoint,
    enrolment: Enrolment,
    successor: Successor,
    api: Api,
) -> LinkError:
    """Whether what we saw of the old ledger is in what was taken over, is lost, or was rewritten.

    Evidence goes out in any case: a second copy elsewhere harms nobody, silence might.
    """
    ended, now = successor.event["subject"], successor.enrolment.generation
    if ended["origin"] != kept.origin or kept.size > ended["size"]:
        taken = ended["size"] if ended["origin"] == kept.origin else 0
        return LedgerRestored(generation=now, lost=kept.size - taken)
    path = api.consistency(kept.size, ended["size"], generation=enrolment.generation)
    try:
        verify_consistency(
            first=kept.size,
            second=ended["size"],
            first_root=kept.root,
            second_root=bytes.fromhex(ended["root"]),
            path=path,
        )
    except (SyncError, ValueError) as error:
        return LedgerForked(
            raise_alarm(folder, kept_note, successor.checkpoint, enrolment, reason=str(error))
        )
    return LedgerRestored(generation=now, lost=0)


def _keep_notice(
    folder: DeviceFolder, kept_note: str, lives: Sequence[Life], successor: Successor
) -> None:
    """Keep what was last seen of the old ledger beside what the new one says about it."""
    folder.notices.mkdir(mode=0o700, exist_ok=True)
    size = parse_checkpoint(parse_note(kept_note).text).size
    target = folder.notices / f"generation-{successor.enrolment.generation}-{size}.json"
    proof = {"kept": kept_note, "generations": [asdict(life) for life in lives]}
    target.write_text(json.dumps(proof, indent=1, ensure_ascii=False), "utf-8")
