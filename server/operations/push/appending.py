"""Keeping the lines of one push: ledger, journal, projection and receipts in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from server.failures import GenerationEnded
from server.models.base import position_of, table_of
from server.models.journal import (
    MAIN,
    IngestReceipt,
    JournalHead,
    JournalLine,
    JournalPart,
    LineOutcome,
    QuarantinedLine,
)
from server.models.ledger import Generation, LedgerHead
from server.operations import ledger
from server.operations.enrolment import DeviceIdentity
from server.operations.insert import insert_rows
from server.operations.projection import Outcome, Projector, is_uuid
from server.operations.push.parsing import Refused
from server.operations.push.placing import ChainHead, Placed, Plan, Stored, place_lines
from server.services import receipt_name
from server.signing import NoteSigner
from sync.evidence import canonical
from sync.evidence.encoding import sha256_hex
from sync.evidence.errors import SequenceGap
from sync.evidence.line import GENESIS, Line
from sync.evidence.receipt import Receipt
from sync.wire import Journal, LineResult, Projection

#: What a statement can name without harm; only a device that attacks has so many branches.
_MANY_BRANCHES = 500

_PLACE = ("device_id", "epoch", "branch", "seq")
_KEPT = (
    *("digest", "key_id", "header", "signature"),
    *("received_at_ms", "generation", "ledger_index", "after_revocation"),
)
_SAID = ("projection", "code", "inspection_id", "released")
_STANDS = ("key_id", "next_seq", "digest")

# What every push says is built once: building a statement costs more than running it.
_HEAD, _LINE = table_of(JournalHead), table_of(JournalLine)
_HEADS = select(_HEAD.c.branch, *(_HEAD.c[name] for name in _STANDS)).where(
    _HEAD.c.device_id == bindparam("device"), _HEAD.c.epoch == bindparam("of")
)
_MOVE_HEAD = (
    update(_HEAD)
    .where(
        _HEAD.c.device_id == bindparam("device"),
        _HEAD.c.epoch == bindparam("of"),
        _HEAD.c.branch == bindparam("on"),
    )
    .values({name: bindparam(name) for name in _STANDS})
)
_LINES_BETWEEN = select(_LINE.c.digest, _LINE.c.branch, _LINE.c.seq).where(
    _LINE.c.device_id == bindparam("device"),
    _LINE.c.epoch == bindparam("of"),
    _LINE.c.seq.between(bindparam("first"), bindparam("last")),
)
# With the whole key, or all the epoch is read to find a few lines of it.
_LINES_OF_BRANCHES = _LINES_BETWEEN.where(_LINE.c.branch.in_(bindparam("branches", expanding=True)))


@dataclass(frozen=True, kw_only=True)
class PushOutcome:
    """What a push answers: a result for each line looked at, and where the main chain stands.

    ``wants_check`` tells the caller to wake the worker that checks media.
    """

    results: tuple[LineResult, ...]
    receipts: tuple[str, ...]
    next_seq: int
    head: str
    wants_check: bool


@dataclass(frozen=True, kw_only=True)
class _Push:
    """One push of one device's epoch: the session, who, where and when."""

    session: Session
    ledger_head: LedgerHead
    device: DeviceIdentity
    epoch: str
    generation: Generation
    now_ms: int


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
    # 1. The ledger's head first: from here on nobody else writes.
    push = _Push(
        session=session,
        ledger_head=ledger.lock_head(session),
        device=device,
        epoch=epoch,
        generation=ledger.current_generation(session),
        now_ms=now_ms,
    )
    if signer.name != receipt_name(push.generation.origin):
        # A receipt of a generation that has ended would be kept, and never be believed.
        raise GenerationEnded(signer.name)
    # 2. Decide every line's place.
    heads = _heads(push)
    plan = place_lines(lines, heads, _known(push, lines, heads))
    fresh = [placed for placed in plan.placed if placed.fresh]
    refused = None if _is_quarantined(push, plan.refused) else plan.refused
    # 3. Keep what is new, the ledger first, since rows name their leaf.
    first_index = _append_to_ledger(push, fresh, refused)
    _keep_lines(push, fresh, first_index)
    _keep_heads(push, heads, plan)
    if refused is not None:
        _quarantine(push, refused, first_index + len(fresh))
    # 4. Show it, and confirm it.
    projector = Projector(session, device.organization_id, now_ms=now_ms)
    shown = _project(push, projector, fresh, first_index)
    receipts = _sign_receipts(push, fresh, first_index, signer=signer, clock=clock)
    main = plan.heads.get(MAIN)
    return PushOutcome(
        results=_results(push, plan, shown),
        receipts=(*_stored_receipts(push, plan), *receipts),
        next_seq=main.next_seq if main else 0,
        head=main.digest if main else GENESIS,
        wants_check=projector.wants_check,
    )


def _heads(push: _Push) -> dict[str, ChainHead]:
    rows = push.session.execute(_HEADS, {"device": push.device.id, "of": push.epoch})
    return {row.branch: ChainHead(*row) for row in rows}


def _known(
    push: _Push, lines: Iterable[Line | Refused], heads: Mapping[str, ChainHead]
) -> dict[str, Stored]:
    """Those of ``lines`` and of their predecessors that are stored already, by digest."""
    seqs = [line.header.seq for line in lines if isinstance(line, Line)]
    if not seqs:
        return {}
    wanted = {"device": push.device.id, "of": push.epoch, "first": min(seqs) - 1, "last": max(seqs)}
    rows = (
        push.session.execute(_LINES_OF_BRANCHES, {**wanted, "branches": list(heads)})
        if len(heads) <= _MANY_BRANCHES
        else push.session.execute(_LINES_BETWEEN, wanted)
    )
    return {row.digest: Stored(row.branch, row.seq) for row in rows}


def _append_to_ledger(push: _Push, fresh: Sequence[Placed], refused: Refused | None) -> int:
    actor = canonical.dumps({"device": push.device.id, "key_id": push.device.key_id})
    events = [
        ledger.Event(
            kind="ingest" if placed.branch == MAIN else "branch",
            actor=actor,
            subject=_subject(push, placed),
            about=_about(placed.line),
        )
        for placed in fresh
    ]
    if refused is not None:
        events.append(
            ledger.Event(
                kind="quarantine",
                actor=actor,
                subject={
                    "device": push.device.id,
                    "epoch": push.epoch,
                    "sha256": sha256_hex(refused.raw),
                },
                snapshot={"code": refused.code, "size": len(refused.raw)},
                about=(f"device:{push.device.id}",),
            )
        )
    if not events:
        return 0
    return ledger.append_events(push.session, events, now_ms=push.now_ms, head=push.ledger_head)


def _subject(push: _Push, placed: Placed) -> bytes:
    """A line's place in canonical JSON: digests, ids and numbers need no escape."""
    place = f'"branch":"{placed.branch}","device":"{push.device.id}"'
    digest, seq = placed.line.digest, placed.line.header.seq
    return f'{{{place},"digest":"{digest}","epoch":"{push.epoch}","seq":{seq}}}'.encode("ascii")


def _about(line: Line) -> tuple[str, ...]:
    """The item that a line names; all else that it concerns is found from its own row."""
    item = (line.act or {}).get("item")
    return (f"item:{item}",) if is_uuid(item) else ()


def _keep_lines(push: _Push, fresh: Sequence[Placed], first_index: int) -> None:
    device, epoch, generation = push.device.id, push.epoch, push.generation.number
    lines: list[tuple[object, ...]] = []
    parts: list[tuple[object, ...]] = []
    for index, placed in enumerate(fresh, start=first_index):
        line = placed.line
        place = (device, epoch, placed.branch, line.header.seq)
        kept = (line.digest, line.key_id, line.header_bytes, line.signature)
        lines.append((*place, *kept, push.now_ms, generation, index, push.device.revoked))
        parts += [(*place, number, body) for number, body in line.parts.items()]
    insert_rows(push.session, JournalLine, (*_PLACE, *_KEPT), lines)
    insert_rows(push.session, JournalPart, (*_PLACE, "number", "body"), parts)


def _keep_heads(push: _Push, before: dict[str, ChainHead], plan: Plan) -> None:
    began: list[tuple[object, ...]] = []
    moved: list[dict[str, object]] = []
    place = {"device": push.device.id, "of": push.epoch}
    for branch, head in plan.heads.items():
        if branch not in before:
            stands = (head.key_id, head.next_seq, head.digest)
            began.append((push.device.id, push.epoch, branch, *stands))
        elif before[branch] != head:
            moved.append({**place, "on": branch, **{name: getattr(head, name) for name in _STANDS}})
    insert_rows(push.session, JournalHead, ("device_id", "epoch", "branch", *_STANDS), began)
    if moved:
        push.session.execute(_MOVE_HEAD, moved)


def _is_quarantined(push: _Push, refused: Refused | None) -> bool:
    """Whether the same bytes of this device are in quarantine already."""
    if refused is None:
        return False
    found = push.session.execute(
        select(QuarantinedLine.id).where(
            QuarantinedLine.device_id == push.device.id,
            QuarantinedLine.sha256 == sha256_hex(refused.raw),
        )
    )
    return found.first() is not None


def _quarantine(push: _Push, refused: Refused, index: int) -> None:
    push.session.add(
        QuarantinedLine(
            device_id=push.device.id,
            epoch=push.epoch,
            sha256=sha256_hex(refused.raw),
            raw=refused.raw,
            code=refused.code,
            received_at_ms=push.now_ms,
            generation=push.generation.number,
            ledger_index=index,
        )
    )


def _project(
    push: _Push, projector: Projector, fresh: Sequence[Placed], first_index: int
) -> dict[str, Outcome]:
    shown = {
        placed.line.digest: projector.apply(
            placed.line,
            branch=placed.branch,
            position=position_of(push.generation.number, index),
        )
        for index, placed in enumerate(fresh, start=first_index)
    }
    projector.judge(shown)
    rows: list[tuple[object, ...]] = []
    for placed, outcome in zip(fresh, shown.values(), strict=True):
        place = (push.device.id, push.epoch, placed.branch, placed.line.header.seq)
        said = (outcome.projection.value, outcome.code, outcome.inspection_id)
        rows.append((*place, *said, False))
    insert_rows(push.session, LineOutcome, (*_PLACE, *_SAID), rows)
    if rows:
        projector.finish()
    return shown


def _sign_receipts(
    push: _Push, fresh: Sequence[Placed], first_index: int, *, signer: NoteSigner, clock: str
) -> list[str]:
    """One signed receipt for each contiguous range of one branch."""
    notes: list[str] = []
    rows: list[tuple[object, ...]] = []
    for branch, group in groupby(enumerate(fresh, start=first_index), lambda row: row[1].branch):
        indexed = list(group)
        (index, first), (_, last) = indexed[0], indexed[-1]
        receipt = Receipt(
            origin=push.generation.origin,
            generation=push.generation.number,
            device=push.device.id,
            epoch=push.epoch,
            branch=branch,
            first_seq=first.line.header.seq,
            last_seq=last.line.header.seq,
            last_digest=last.line.digest,
            first_index=index,
            server_ms=push.now_ms,
            clock=clock,
        )
        notes.append(signer.sign(receipt.to_text()))
        said = (receipt.first_seq, receipt.last_seq, notes[-1])
        rows.append((push.device.id, push.epoch, branch, *said))
    columns = ("device_id", "epoch", "branch", "first_seq", "last_seq", "note")
    insert_rows(push.session, IngestReceipt, columns, rows)
    return notes


def _stored_receipts(push: _Push, plan: Plan) -> list[str]:
    """The receipts of the lines that were here already, to the byte as first given."""
    already = [placed for placed in plan.placed if placed.journal is Journal.ALREADY]
    if not already:
        return []
    seqs = [placed.line.header.seq for placed in already]
    rows = push.session.execute(
        select(IngestReceipt)
        .where(
            IngestReceipt.device_id == push.device.id,
            IngestReceipt.epoch == push.epoch,
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


def _results(push: _Push, plan: Plan, shown: dict[str, Outcome]) -> tuple[LineResult, ...]:
    results = []
    for placed in plan.placed:
        outcome = shown.get(placed.line.digest) or _stored_outcome(push, placed)
        results.append(
            LineResult(
                seq=placed.line.header.seq,
                digest=placed.line.digest,
                journal=placed.journal,
                projection=outcome.projection,
                code=outcome.code,
            )
        )
    if plan.refused is not None:
        digest = sha256_hex(plan.refused.raw)
        results.append(_unplaced(-1, digest, Journal.REFUSED, plan.refused.code))
    if plan.gap is not None:
        line = plan.gap
        results.append(_unplaced(line.header.seq, line.digest, Journal.GAP, SequenceGap.code))
    return tuple(results)


def _unplaced(seq: int, digest: str, journal: Journal, code: str) -> LineResult:
    return LineResult(
        seq=seq, digest=digest, journal=journal, projection=Projection.NONE, code=code
    )


def _stored_outcome(push: _Push, placed: Placed) -> Outcome:
    place = (push.device.id, push.epoch, placed.branch, placed.line.header.seq)
    row = push.session.get_one(LineOutcome, place)
    return Outcome(Projection(row.projection), row.code, row.inspection_id)
