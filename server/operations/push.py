"""Taking journal lines in: each line's place is decided on its own (docs/protocol.md §4.2).

Parsing and signatures are checked before the transaction; then the ledger's
head is locked, so that two pushes of one journal can never interleave.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from server.models.devices import DeviceKey
from server.models.journal import (
    MAIN,
    IngestReceipt,
    JournalHead,
    JournalLine,
    JournalPart,
    LineOutcome,
    QuarantinedLine,
)
from server.models.ledger import Generation
from server.operations import ledger
from server.operations.enrolment import DeviceIdentity
from server.operations.projection import Projector, about_line
from server.signatures import verifier
from server.signing import NoteSigner
from sync.evidence import acts
from sync.evidence.encoding import from_b64url, sha256_hex
from sync.evidence.errors import BadEncoding, BadSignature, SyncError, WrongPlace
from sync.evidence.line import GENESIS, Line, check_signature, key_id_of, parse_line
from sync.evidence.receipt import Receipt
from sync.wire import Journal, LineResult, Projection


class UnknownKey(SyncError):
    """A line is signed with a key that is not enrolled for its device."""

    code = "journal.unknown_key"


class EpochNotOpened(SyncError):
    """The first line of an epoch is not its opening, or names another key."""

    code = "journal.epoch_not_opened"


@dataclass(frozen=True)
class Refused:
    """Bytes that are no line of this journal; nothing after them is looked at."""

    raw: bytes
    code: str


@dataclass(frozen=True, kw_only=True)
class PushOutcome:
    """What a push answers: a result per line looked at, and where the main chain stands."""

    results: tuple[LineResult, ...]
    receipts: tuple[str, ...]
    next_seq: int
    head: str
    wants_check: bool


@dataclass
class _Placed:
    line: Line
    branch: str
    journal: Journal


@dataclass
class _Plan:
    """The decisions over one push, in the order of its lines."""

    placed: list[_Placed] = field(default_factory=list)
    refused: Refused | None = None
    gap: bool = False


def device_keys(session: Session, device_id: str) -> dict[str, bytes]:
    """The device's public keys (SPKI DER) by key id, revoked ones included."""
    rows = session.execute(
        select(DeviceKey.key_id, DeviceKey.spki).where(DeviceKey.device_id == device_id)
    )
    return {row.key_id: row.spki for row in rows}


def read_lines(
    raws: Sequence[bytes], *, device: str, epoch: str, keys: dict[str, bytes], line_limit: int
) -> list[Line | Refused]:
    """Parse ``raws`` and check every signature, up to and including the first refusal."""
    read: list[Line | Refused] = []
    for raw in raws:
        try:
            read.append(_read_line(raw, device, epoch, keys, line_limit))
        except SyncError as error:
            read.append(Refused(raw, error.code))
            break
    return read


def append_lines(
    session: Session,
    device: DeviceIdentity,
    epoch: str,
    lines: Sequence[Line | Refused],
    *,
    signer: NoteSigner,
    clock: str,
    now_ms: int,
) -> PushOutcome:
    """Place ``lines``, keep what is new, project it, and answer for each.

    ``clock`` is what a receipt says of the server's own clock. Pushing the same
    lines again adds nothing and answers with the stored receipts.
    """
    generation = ledger.current_generation(session)
    ledger.lock_head(session)
    heads = {
        head.branch: head
        for head in session.execute(
            select(JournalHead)
            .where(JournalHead.device_id == device.id, JournalHead.epoch == epoch)
            .execution_options(populate_existing=True)
        ).scalars()
    }
    plan = _plan(session, device, epoch, lines, heads)
    newly_refused = None if _quarantined(session, device, plan.refused) else plan.refused
    fresh = [p for p in plan.placed if p.journal in (Journal.ACCEPTED, Journal.FORKED)]
    first_index = _append_to_ledger(session, device, epoch, fresh, newly_refused, now_ms)
    _store(session, device, fresh, generation.number, first_index, now_ms)
    if newly_refused is not None:
        _quarantine(
            session,
            device,
            epoch,
            newly_refused,
            generation.number,
            first_index + len(fresh),
            now_ms,
        )
    projector = Projector(session, device, now_ms=now_ms)
    projected = _project(session, projector, fresh, first_index)
    receipts = _receipts(
        session, device, epoch, fresh, generation, first_index, signer, clock, now_ms
    )
    session.flush()
    main = heads.get(MAIN)
    return PushOutcome(
        results=_results(session, plan, projected, lines),
        receipts=(*_stored_receipts(session, device, epoch, plan), *receipts),
        next_seq=main.next_seq if main else 0,
        head=main.digest if main else GENESIS,
        wants_check=projector.wants_check,
    )


def _read_line(
    raw: bytes, device: str, epoch: str, keys: dict[str, bytes], line_limit: int
) -> Line:
    line = parse_line(raw, limit=line_limit)
    header = line.header
    if (header.device, header.epoch) != (device, epoch):
        raise WrongPlace(device=header.device, epoch=header.epoch, seq=header.seq)
    spki = keys.get(line.key_id)
    if spki is None:
        raise UnknownKey(line.key_id)
    check_signature(line, verifier(spki))
    if header.seq == 0 and not _opens_epoch(line):
        raise EpochNotOpened(line.digest)
    return line


def _opens_epoch(line: Line) -> bool:
    act = line.act or {}
    try:
        return act["type"] == acts.EPOCH_OPENED and key_id_of(from_b64url(act["spki"])) == (
            line.key_id
        )
    except (KeyError, TypeError, AttributeError, BadEncoding):
        return False


def _plan(
    session: Session,
    device: DeviceIdentity,
    epoch: str,
    lines: Sequence[Line | Refused],
    heads: dict[str, JournalHead],
) -> _Plan:
    plan = _Plan()
    known = _known_digests(session, device, epoch, lines)
    for line in lines:
        if isinstance(line, Refused):
            plan.refused = line
            break
        branch = known.get(line.digest)
        if branch is not None:
            plan.placed.append(_Placed(line, branch, Journal.ALREADY))
            continue
        head = _head_before(line, heads, device, epoch)
        if head is None:
            plan.gap = True
            break
        if head.key_id != line.key_id:
            # One key for each epoch: another key may not continue its chain.
            plan.refused = Refused(line.to_bytes(), BadSignature.code)
            break
        if head not in heads.values():
            session.add(head)
            heads[head.branch] = head
        head.next_seq = line.header.seq + 1
        head.digest = line.digest
        if line.header.anchor is not None:
            head.anchor_size = max(head.anchor_size, line.header.anchor.size)
        known[line.digest] = head.branch
        journal = Journal.ACCEPTED if head.branch == MAIN else Journal.FORKED
        plan.placed.append(_Placed(line, head.branch, journal))
    return plan


def _head_before(
    line: Line, heads: dict[str, JournalHead], device: DeviceIdentity, epoch: str
) -> JournalHead | None:
    """The chain that ``line`` continues; a new branch if it diverges; None if lines are missing."""
    seq, prev = line.header.seq, line.header.prev
    for head in heads.values():
        if head.next_seq == seq and head.digest == prev:
            return head
    main = heads.get(MAIN)
    if main is None and seq == 0 and prev == GENESIS:
        branch = MAIN
    elif main is not None and seq <= main.next_seq:
        branch = line.digest
    else:
        return None
    return JournalHead(
        device_id=device.id,
        epoch=epoch,
        branch=branch,
        key_id=line.key_id,
        next_seq=seq,
        digest=prev,
        anchor_size=0,
    )


def _known_digests(
    session: Session, device: DeviceIdentity, epoch: str, lines: Sequence[Line | Refused]
) -> dict[str, str]:
    """The branch of each of ``lines`` that is stored already, by digest."""
    seqs = [line.header.seq for line in lines if isinstance(line, Line)]
    if not seqs:
        return {}
    rows = session.execute(
        select(JournalLine.digest, JournalLine.branch).where(
            JournalLine.device_id == device.id,
            JournalLine.epoch == epoch,
            JournalLine.seq >= min(seqs),
            JournalLine.seq <= max(seqs),
        )
    )
    return {row.digest: row.branch for row in rows}


def _append_to_ledger(
    session: Session,
    device: DeviceIdentity,
    epoch: str,
    fresh: Sequence[_Placed],
    refused: Refused | None,
    now_ms: int,
) -> int:
    actor = {"device": device.id, "key_id": device.key_id}
    events = [
        ledger.Event(
            kind="ingest" if placed.branch == MAIN else "branch",
            actor=actor,
            subject={
                "device": device.id,
                "epoch": epoch,
                "branch": placed.branch,
                "seq": placed.line.header.seq,
                "digest": placed.line.digest,
            },
            about=about_line(placed.line),
        )
        for placed in fresh
    ]
    if refused is not None:
        events.append(
            ledger.Event(
                kind="quarantine",
                actor=actor,
                subject={"device": device.id, "epoch": epoch, "sha256": sha256_hex(refused.raw)},
                snapshot={"code": refused.code, "size": len(refused.raw)},
                about=(f"device:{device.id}",),
            )
        )
    return ledger.append_events(session, events, now_ms=now_ms) if events else 0


def _store(
    session: Session,
    device: DeviceIdentity,
    fresh: Sequence[_Placed],
    generation: int,
    first_index: int,
    now_ms: int,
) -> None:
    if not fresh:
        return
    lines, parts = [], []
    for index, placed in enumerate(fresh, start=first_index):
        line = placed.line
        place = {
            "device_id": device.id,
            "epoch": line.header.epoch,
            "branch": placed.branch,
            "seq": line.header.seq,
        }
        lines.append(
            {
                **place,
                "digest": line.digest,
                "key_id": line.key_id,
                "header": line.header_bytes,
                "signature": line.signature,
                "received_at_ms": now_ms,
                "generation": generation,
                "ledger_index": index,
                "after_revocation": device.revoked,
            }
        )
        parts += [{**place, "number": n, "body": body} for n, body in line.parts.items()]
    session.execute(insert(JournalLine), lines)
    session.execute(insert(JournalPart), parts)


def _quarantined(session: Session, device: DeviceIdentity, refused: Refused | None) -> bool:
    """Whether the same bytes of this device are in quarantine already."""
    if refused is None:
        return False
    found = session.execute(
        select(QuarantinedLine.id).where(
            QuarantinedLine.device_id == device.id,
            QuarantinedLine.sha256 == sha256_hex(refused.raw),
        )
    )
    return found.first() is not None


def _quarantine(
    session: Session,
    device: DeviceIdentity,
    epoch: str,
    refused: Refused,
    generation: int,
    index: int,
    now_ms: int,
) -> None:
    session.add(
        QuarantinedLine(
            device_id=device.id,
            epoch=epoch,
            sha256=sha256_hex(refused.raw),
            raw=refused.raw,
            code=refused.code,
            received_at_ms=now_ms,
            generation=generation,
            ledger_index=index,
        )
    )


def _project(
    session: Session, projector: Projector, fresh: Sequence[_Placed], first_index: int
) -> dict[str, tuple[Projection, str]]:
    outcomes: dict[str, tuple[Projection, str]] = {}
    rows = []
    for index, placed in enumerate(fresh, start=first_index):
        outcome = projector.apply(placed.line, branch=placed.branch, ledger_index=index)
        outcomes[placed.line.digest] = (outcome.projection, outcome.code)
        rows.append(
            {
                "device_id": placed.line.header.device,
                "epoch": placed.line.header.epoch,
                "branch": placed.branch,
                "seq": placed.line.header.seq,
                "projection": outcome.projection.value,
                "code": outcome.code,
                "inspection_id": outcome.inspection_id,
            }
        )
    if rows:
        session.execute(insert(LineOutcome), rows)
        projector.release_waiting()
    return outcomes


def _receipts(
    session: Session,
    device: DeviceIdentity,
    epoch: str,
    fresh: Sequence[_Placed],
    generation: Generation,
    first_index: int,
    signer: NoteSigner,
    clock: str,
    now_ms: int,
) -> list[str]:
    """One signed receipt for each contiguous range of one branch."""
    notes = []
    start = 0
    while start < len(fresh):
        end = start
        while end + 1 < len(fresh) and fresh[end + 1].branch == fresh[start].branch:
            end += 1
        first, last = fresh[start].line, fresh[end].line
        receipt = Receipt(
            origin=generation.origin,
            generation=generation.number,
            device=device.id,
            epoch=epoch,
            branch=fresh[start].branch,
            first_seq=first.header.seq,
            last_seq=last.header.seq,
            last_digest=last.digest,
            first_index=first_index + start,
            server_ms=now_ms,
            clock=clock,
        )
        note = signer.sign(receipt.to_text())
        session.add(
            IngestReceipt(
                device_id=device.id,
                epoch=epoch,
                branch=receipt.branch,
                first_seq=receipt.first_seq,
                last_seq=receipt.last_seq,
                note=note,
            )
        )
        notes.append(note)
        start = end + 1
    return notes


def _stored_receipts(
    session: Session, device: DeviceIdentity, epoch: str, plan: _Plan
) -> list[str]:
    """The receipts of the lines that were here already, to the byte as first given."""
    already = [p for p in plan.placed if p.journal is Journal.ALREADY]
    if not already:
        return []
    seqs = [placed.line.header.seq for placed in already]
    rows = session.execute(
        select(IngestReceipt)
        .where(
            IngestReceipt.device_id == device.id,
            IngestReceipt.epoch == epoch,
            IngestReceipt.branch.in_({placed.branch for placed in already}),
            IngestReceipt.first_seq <= max(seqs),
            IngestReceipt.last_seq >= min(seqs),
        )
        .order_by(IngestReceipt.branch, IngestReceipt.first_seq)
    ).scalars()
    places = {(placed.branch, placed.line.header.seq) for placed in already}
    return [
        row.note
        for row in rows
        if any((row.branch, seq) in places for seq in range(row.first_seq, row.last_seq + 1))
    ]


def _results(
    session: Session,
    plan: _Plan,
    projected: dict[str, tuple[Projection, str]],
    lines: Sequence[Line | Refused],
) -> tuple[LineResult, ...]:
    results = []
    for placed in plan.placed:
        line = placed.line
        if line.digest in projected:
            projection, code = projected[line.digest]
        else:
            projection, code = _stored_outcome(session, line, placed.branch)
        results.append(
            LineResult(
                seq=line.header.seq,
                digest=line.digest,
                journal=placed.journal,
                projection=projection,
                code=code,
            )
        )
    if plan.refused is not None:
        results.append(
            LineResult(
                seq=-1,
                digest=sha256_hex(plan.refused.raw),
                journal=Journal.REFUSED,
                projection=Projection.NONE,
                code=plan.refused.code,
            )
        )
    if plan.gap:
        missing = lines[len(plan.placed)]
        assert isinstance(missing, Line)  # noqa: S101 - a refused line ends the plan before a gap
        results.append(
            LineResult(
                seq=missing.header.seq,
                digest=missing.digest,
                journal=Journal.GAP,
                projection=Projection.NONE,
                code="journal.gap",
            )
        )
    return tuple(results)


def _stored_outcome(session: Session, line: Line, branch: str) -> tuple[Projection, str]:
    row = session.get(LineOutcome, (line.header.device, line.header.epoch, branch, line.header.seq))
    return (Projection(row.projection), row.code) if row else (Projection.NONE, "")
