"""What an audit of the ledger found, as it is kept, shown and printed."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import LedgerBehind
from server.models.audits import LedgerAudit
from server.operations import generations, ledger
from sync import catalogue
from sync.evidence.encoding import sha256_hex

#: More doubts than this are counted, not listed.
LISTED = 1000
#: So many are named in the ledger itself, where an ``alarm`` must stay short.
_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Something that is not as it should be; ``place`` says where.

    Of the tree (``tree.Misfit``): ``event``, ``leaf``, ``node``, ``leaf_missing``,
    ``node_missing``, ``below``. Besides:

    - ``event_missing``: an event is gone without a lawful basis;
    - ``event_row``: what stands beside the event in its row contradicts it;
    - ``time``: an event is earlier than the one before it;
    - ``surplus``: a row stands where the ledger has no place for it;
    - ``head``: the counter row does not end the tree that is stored;
    - ``line``, ``line_missing``: a journal line is not the one that its event names, or is gone;
    - ``part``, ``part_missing``: so for the text of a line;
    - ``unlisted``: an event is not listed under ``found``, which it is about;
    - ``original``: the row of an original that was received is gone without a lawful basis;
    - ``case``: a journal line counts to another case than its text names, or to none;
    - ``erasure``: more counts as lawfully erased in ``place`` than the ledger accounts for;
    - ``checkpoint``: a stored checkpoint is not what our key signed, or contradicts itself;
    - ``rewritten``: our key signed other leaves: those of ``place`` are not the ones of then;
    - ``behind``: a checkpoint signed a longer ledger than there is;
    - ``restored``: a generation does not begin where the one before it ended;
    - ``outside``: a checkpoint of ours that is kept outside is not contained in the ledger;
    - ``unsigned``: what is kept outside as our checkpoint is none that our key signed.
    """

    kind: str
    generation: int
    place: str
    found: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One slice: the leaves from ``start`` to ``end`` of ``generation``, and what was compared.

    All slices of a run say when the run began. The last slice of a walk is ``whole``, the
    last of a run is ``done``.
    """

    began_at_ms: int
    generation: int = 0
    start: int = 0
    end: int = 0
    leaves: int = 0
    lines: int = 0
    checkpoints: int = 0
    outside: int = 0
    #: The size of the last checkpoint that the leaves lead to.
    sound: int = 0
    #: Up to which package in the store checkpoints were compared in this round.
    packages_after: str = ""
    whole: bool = False
    done: bool = False
    doubts: tuple[Doubt, ...] = ()
    #: Why the run was broken off, as an error's code; empty if it was not.
    failed: str = ""

    def to_json(self) -> str:
        plain: dict[str, Any] = {
            **asdict(self),
            "doubts": [asdict(doubt) for doubt in self.doubts[:LISTED]],
            "doubt_count": len(self.doubts),
            "doubt_kinds": by_kind(self.doubts),
        }
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def keep_report(session: Session, report: Report, *, now_ms: int) -> LedgerAudit:
    """Add the slice to the ledger and to the table; doubts are an ``alarm`` as well.

    A ledger that takes no entries, since the database is behind, keeps the row alone.
    """
    body = report.to_json()
    generation, index = None, None
    try:
        index = ledger.append_events(session, _events(report, body), now_ms=now_ms)
        generation = ledger.current_generation(session).number
    except LedgerBehind:
        # The report is what says so: it must not be lost for want of a place in the ledger.
        pass
    row = LedgerAudit(
        began_at_ms=report.began_at_ms,
        ended_at_ms=now_ms,
        report=body,
        generation=generation,
        ledger_index=index,
    )
    session.add(row)
    session.flush()
    return row


def keep_failure(session: Session, code: str, *, began_ms: int, now_ms: int) -> None:
    """Note that a run was broken off, with the ``code`` of the reason; once while it goes on so."""
    ledger.hold_head(session)
    newest = newest_rows(session, 1)
    if newest and json.loads(newest[0].report)["failed"] == code:
        return
    before = resume_at(session)
    report = Report(
        began_at_ms=began_ms,
        generation=before.generation,
        start=before.end,
        end=before.end,
        sound=before.sound,
        packages_after=before.packages_after,
        failed=code,
    )
    keep_report(session, report, now_ms=now_ms)


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """Where the next slice begins; generation 0 is the very first."""

    generation: int = 0
    end: int = 0
    sound: int = 0
    packages_after: str = ""


def resume_at(session: Session) -> Resumed:
    """Where the last slice ended; a whole walk is followed by one from the start.

    So is a report that its leaf does not bear out: a row of the table alone is nobody's word.
    """
    rows = newest_rows(session, 1)
    if not rows or rows[0].ledger_index is None or not _is_borne_out(session, rows[0]):
        return Resumed()
    last = json.loads(rows[0].report)
    if last["whole"]:
        return Resumed(packages_after=last["packages_after"])
    return Resumed(
        **{name: last[name] for name in ("generation", "end", "sound", "packages_after")}
    )


def after(report: Report) -> Resumed:
    """Where the slice after ``report`` begins, in the same run."""
    return Resumed(
        generation=report.generation,
        end=report.end,
        sound=report.sound,
        packages_after=report.packages_after,
    )


def _is_borne_out(session: Session, row: LedgerAudit) -> bool:
    if row.generation is None or row.ledger_index is None:
        # Where the ledger takes no entries there is no leaf to ask for.
        return generations.standing(session).behind
    return ledger.bears_out(session, row.generation, row.ledger_index, row.report)


def has_run(session: Session, *, since_ms: int) -> bool:
    """Whether the last run that began since then came to its end, as its leaf bears out."""
    rows = session.scalars(
        select(LedgerAudit)
        .where(LedgerAudit.began_at_ms >= since_ms)
        .order_by(LedgerAudit.id.desc())
    )
    # When it began says the report: the column beside it is not in the leaf.
    reports = (
        json.loads(row.report)
        for row in rows
        if ledger.is_report(row.report, _MEMBERS) and _is_borne_out(session, row)
    )
    last = next((one for one in reports if one["began_at_ms"] >= since_ms), None)
    return last is not None and bool(last["done"])


def newest_rows(session: Session, most: int) -> Sequence[LedgerAudit]:
    rows = session.scalars(select(LedgerAudit).order_by(LedgerAudit.id.desc()).limit(most))
    return [row for row in rows if ledger.is_report(row.report, _MEMBERS)]


_MEMBERS = frozenset(one.name for one in fields(Report)) | {"doubt_count", "doubt_kinds"}


def by_kind(doubts: Sequence[Doubt]) -> dict[str, int]:
    return dict(Counter(doubt.kind for doubt in doubts))


def summary(report: Mapping[str, Any], lang: str) -> list[str]:
    """What a kept report says, without its doubts."""
    told = [
        catalogue.text(
            "ledger.audit",
            lang,
            **{name: report[name] for name in ("generation", "start", "end", "lines")},
            checkpoints=report["checkpoints"],
            outside=report["outside"],
            doubts=report["doubt_count"],
        )
    ]
    if report["whole"]:
        told.append(catalogue.text("ledger.audit_whole", lang))
    return told


def sentence(doubt: Mapping[str, Any], lang: str) -> str:
    """One doubt of a kept report."""
    return catalogue.text(
        f"ledger.doubt.{doubt['kind']}",
        lang,
        place=doubt["place"],
        generation=doubt["generation"],
        found=doubt["found"],
    )


def _events(report: Report, body: str) -> list[ledger.Event]:
    server, subject = {"server": "audit"}, {"ledger": "audit"}
    snapshot: dict[str, Any] = {
        "report": sha256_hex(body.encode()),
        "generation": report.generation,
        "start": report.start,
        "end": report.end,
        "doubts": len(report.doubts),
    }
    if report.failed:
        snapshot["failed"] = report.failed
    events = [
        ledger.Event(
            kind="verify", actor=server, subject=subject, snapshot=snapshot, about=("ledger",)
        )
    ]
    if report.doubts:
        named = [f"{doubt.kind} {doubt.place}" for doubt in report.doubts[:_NAMED]]
        events.append(
            ledger.Event(
                kind="alarm",
                actor=server,
                subject=subject,
                snapshot={"doubts": by_kind(report.doubts), "first": named},
                about=("ledger",),
            )
        )
    return events
