"""What a run over the store found, as it is kept, shown and printed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.uploads import StoreCheck
from server.operations import ledger
from sync.evidence.encoding import sha256_hex

SWEEP, REHASH = "sweep", "rehash"
#: In ``done`` of a re-hash: how many a sweep had named, which alone are no night's run.
DOUBTED = "doubted"
#: More doubts than this are counted, not listed.
LISTED = 1000


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Something that is not as it should be; ``kind`` is one of

    - ``missing``: a row names an object that the store does not have;
    - ``changed``: an object's bytes have another digest than the row says;
    - ``size``: its length differs;
    - ``unadopted``: no row names an object, and ``--repair`` was not asked for;
    - ``misnamed``: an object without a row has not the digest of its name, or of its upload;
    - ``duplicate``: an object without a row holds bytes that are kept under another name;
    - ``stray``: no row names an object that was set aside;
    - ``unreadable``: the store did not give it; it is tried again;
    - ``undeleted``: the store does not let go of what uploads have left over.
    """

    kind: str
    key: str
    sha256: str = ""
    found: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run, or a slice of it: ``objects`` and ``bytes`` were looked at.

    All slices of a run say when the run began.
    """

    kind: str
    repair: bool
    began_at_ms: int
    objects: int
    bytes: int
    #: What was, or without ``repair`` would be, tidied up: ``expired``, ``tails``, ``multiparts``.
    done: Mapping[str, int] = field(default_factory=dict)
    #: Objects that are no evidence, and known: ``quarantined``, ``under_way``, ``duplicates``.
    beside: Mapping[str, int] = field(default_factory=dict)
    adopted: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    #: Why the run was broken off, as an error's code; empty if it was not.
    failed: str = ""

    def to_json(self) -> str:
        plain: dict[str, Any] = {
            **asdict(self),
            "adopted": list(self.adopted[:LISTED]),
            "adopted_count": len(self.adopted),
            "doubts": [asdict(doubt) for doubt in self.doubts[:LISTED]],
            "doubt_count": len(self.doubts),
            "doubt_kinds": by_kind(self.doubts),
        }
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def keep_report(session: Session, report: Report, *, now_ms: int) -> StoreCheck:
    """Add the run to the ledger and to the table; doubts are an ``alarm`` as well."""
    body = report.to_json()
    kind = "rehash" if report.kind == REHASH else "verify"
    index = ledger.append(
        session,
        kind,
        actor={"server": "store"},
        subject={"store": report.kind},
        snapshot={
            "report": sha256_hex(body.encode()),
            "objects": report.objects,
            "bytes": report.bytes,
            "doubts": len(report.doubts),
            **({"failed": report.failed} if report.failed else {}),
        },
        about=("store",),
        now_ms=now_ms,
    )
    if report.doubts:
        ledger.append(
            session,
            "alarm",
            actor={"server": "store"},
            subject={"store": report.kind},
            snapshot={"doubts": by_kind(report.doubts)},
            about=("store", *_media(report.doubts)),
            now_ms=now_ms,
        )
    row = StoreCheck(
        kind=report.kind,
        began_at_ms=report.began_at_ms,
        ended_at_ms=now_ms,
        objects=report.objects,
        bytes=report.bytes,
        report=body,
        generation=ledger.current_generation(session).number,
        ledger_index=index,
    )
    session.add(row)
    return row


def keep_failure(session: Session, kind: str, code: str, *, began_ms: int, now_ms: int) -> None:
    """Note that a run was broken off, with the ``code`` of the reason; once while it goes on so."""
    ledger.lock_head(session)
    newest = newest_rows(session, kind, 1)
    if newest and json.loads(newest[0].report)["failed"] == code:
        return
    report = Report(kind=kind, repair=False, began_at_ms=began_ms, objects=0, bytes=0, failed=code)
    keep_report(session, report, now_ms=now_ms)


def newest_rows(
    session: Session, kind: str, most: int | None = None, *, since_ms: int = 0
) -> Sequence[StoreCheck]:
    """The newest runs and slices of that kind, the newest first, of runs begun since then.

    What a sweep had read again alone is no run, and not among them.
    """
    return list(islice(_of_runs(session, kind, since_ms), most))


def _of_runs(session: Session, kind: str, since_ms: int) -> Iterator[StoreCheck]:
    rows = session.scalars(
        select(StoreCheck)
        .where(StoreCheck.kind == kind, StoreCheck.began_at_ms >= since_ms)
        .order_by(StoreCheck.id.desc())
        .execution_options(yield_per=100)
    )
    with rows:
        for row in rows:
            if not ledger.is_report(row.report, _MEMBERS):
                # Somebody has been at it: that keeps no page and no night from the others.
                continue
            if DOUBTED not in json.loads(row.report)["done"]:
                yield row


_MEMBERS = frozenset(one.name for one in fields(Report)) | {"doubt_count", "doubt_kinds"}


def by_kind(doubts: Sequence[Doubt]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for doubt in doubts:
        counts[doubt.kind] = counts.get(doubt.kind, 0) + 1
    return counts


def _media(doubts: Sequence[Doubt]) -> tuple[str, ...]:
    named = (doubt.sha256 for doubt in doubts[:LISTED] if doubt.sha256)
    return tuple(f"media:{sha256}" for sha256 in dict.fromkeys(named))
