"""One journal line looked at again: its signature, its chain and its ledger proof, checked now."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.devices import DeviceKey
from server.models.inspections import OfficerSession
from server.models.journal import MAIN, JournalLine, JournalPart
from server.models.ledger import Checkpoint
from server.operations import ledger
from server.operations.intervals import interval_of
from server.operations.revocation import came_after, revoked_before
from server.signatures import verifier
from sync.evidence import canonical, merkle
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.encoding import sha256_hex
from sync.evidence.errors import SyncError
from sync.evidence.interval import Interval
from sync.evidence.line import (
    GENESIS,
    DeviceTime,
    parse_header,
    pre_authentication_encoding,
    signed_bytes,
)
from sync.evidence.note import VerifierKey, open_note


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """The line before or after: where it stands and what kind of act it is, no more.

    Its text may belong to another case.
    """

    seq: int
    digest: str
    act_type: str


@dataclass(frozen=True, kw_only=True)
class ChainPlace:
    """A line's place in its device's journal, and what holds of it when checked now.

    ``follows`` is whether ``prev`` is the digest of the line before.
    """

    device_id: str
    epoch: str
    branch: str
    seq: int
    prev: str
    digest: str
    key_id: str
    time: DeviceTime
    received_at_ms: int
    signature_holds: bool
    digest_holds: bool
    text_holds: bool
    follows: bool
    after_revocation: bool
    session_method: str
    before: Neighbour | None
    after: Neighbour | None


@dataclass(frozen=True, kw_only=True)
class LedgerPlace:
    """A line's leaf and its audit path to the newest checkpoint.

    ``proved`` is False where no signed checkpoint covers the leaf yet (``size``
    is 0 then) or where the path does not lead to the signed root.
    """

    generation: int
    index: int
    entry: str
    path: tuple[str, ...]
    size: int
    root: str
    note: str
    signed_at_ms: int
    committed: bool
    proved: bool


@dataclass(frozen=True, kw_only=True)
class LineView:
    """Everything that a page shows of one line."""

    chain: ChainPlace
    ledger: LedgerPlace
    interval: Interval


def read_line(session: Session, place: tuple[str, str, str, int], *, key: VerifierKey) -> LineView:
    """Check the line at ``place`` (device, epoch, branch, seq) again.

    ``key`` is the ledger's own: a checkpoint that does not bear its signature
    proves nothing.
    """
    row = session.get_one(JournalLine, place)
    return LineView(
        chain=_chain(session, row),
        ledger=_ledger(session, row, key),
        interval=interval_of(session, row),
    )


def _chain(session: Session, row: JournalLine) -> ChainPlace:
    header = parse_header(row.header)
    text = session.get(JournalPart, (row.device_id, row.epoch, row.branch, row.seq, 0))
    before, after = _line_at(session, row, row.seq - 1), _line_at(session, row, row.seq + 1)
    key = session.get_one(DeviceKey, row.key_id)
    officer = canonical.loads(text.body).get("officer") if text else None
    return ChainPlace(
        device_id=row.device_id,
        epoch=row.epoch,
        branch=row.branch,
        seq=row.seq,
        prev=header.prev,
        digest=row.digest,
        key_id=row.key_id,
        time=header.t,
        received_at_ms=row.received_at_ms,
        signature_holds=verifier(key.spki)(pre_authentication_encoding(row.header), row.signature),
        digest_holds=row.digest == sha256_hex(signed_bytes(row.header, row.key_id, row.signature)),
        text_holds=text is not None and sha256_hex(text.body) == header.parts[0],
        follows=header.prev == (before.digest if before else GENESIS),
        after_revocation=came_after(row, revoked_before(session, [row.key_id])),
        session_method=_session_method(session, row, officer),
        before=_neighbour(session, before),
        after=_neighbour(session, after),
    )


def _line_at(session: Session, row: JournalLine, seq: int) -> JournalLine | None:
    """The line at ``seq`` of the row's chain; a branch continues the main chain below its root."""
    return session.execute(
        select(JournalLine)
        .where(
            JournalLine.device_id == row.device_id,
            JournalLine.epoch == row.epoch,
            JournalLine.branch.in_({row.branch, MAIN} if seq < row.seq else {row.branch}),
            JournalLine.seq == seq,
        )
        .order_by(JournalLine.branch.desc())
        .limit(1)
    ).scalar_one_or_none()


def _neighbour(session: Session, row: JournalLine | None) -> Neighbour | None:
    if row is None:
        return None
    text = session.get(JournalPart, (row.device_id, row.epoch, row.branch, row.seq, 0))
    act_type = canonical.loads(text.body)["type"] if text else ""
    return Neighbour(seq=row.seq, digest=row.digest, act_type=act_type)


def _session_method(session: Session, row: JournalLine, officer: object) -> str:
    """How the officer had unlocked the device; empty if no session was open."""
    found = session.execute(
        select(OfficerSession.method)
        .where(
            OfficerSession.device_id == row.device_id,
            OfficerSession.epoch == row.epoch,
            OfficerSession.officer_id == officer,
            OfficerSession.opened_seq < row.seq,
            OfficerSession.closed_seq.is_(None) | (OfficerSession.closed_seq >= row.seq),
        )
        .order_by(OfficerSession.opened_seq.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found or ""


def _ledger(session: Session, row: JournalLine, key: VerifierKey) -> LedgerPlace:
    entry = ledger.leaf_entry(session, row.generation, row.ledger_index)
    checkpoint = session.execute(
        select(Checkpoint)
        .where(Checkpoint.generation == row.generation, Checkpoint.size > row.ledger_index)
        .order_by(Checkpoint.size.desc())
        .limit(1)
    ).scalar_one_or_none()
    path: list[bytes] = []
    proved = False
    if checkpoint is not None:
        path = ledger.inclusion_proof(
            session, row.generation, index=row.ledger_index, size=checkpoint.size
        )
        proved = _proves(checkpoint, entry, row.ledger_index, path, key)
    return LedgerPlace(
        generation=row.generation,
        index=row.ledger_index,
        entry=entry.hex(),
        path=tuple(node.hex() for node in path),
        size=checkpoint.size if checkpoint else 0,
        root=checkpoint.root if checkpoint else "",
        note=checkpoint.note if checkpoint else "",
        signed_at_ms=checkpoint.signed_at_ms if checkpoint else 0,
        committed=_committed(session, row, entry),
        proved=proved,
    )


def _proves(
    checkpoint: Checkpoint, entry: bytes, index: int, path: list[bytes], key: VerifierKey
) -> bool:
    """Whether the audit path leads to the root of a checkpoint that the ledger's key signed."""
    try:
        text, _ = open_note(checkpoint.note, [key])
        head = parse_checkpoint(text)
        merkle.verify_inclusion(
            merkle.leaf_hash(entry), index=index, size=head.size, path=path, root=head.root
        )
    except SyncError:
        return False
    return True


def _committed(session: Session, row: JournalLine, entry: bytes) -> bool:
    """Whether the leaf's entry is the salted digest of an event that names this very line."""
    events = ledger.events_at(session, row.generation, [row.ledger_index])
    return any(
        sha256_hex(event.salt + event.event) == entry.hex()
        and canonical.loads(event.event)["subject"].get("digest") == row.digest
        for event in events
    )
