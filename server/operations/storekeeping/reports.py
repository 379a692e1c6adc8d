"""What a run over the store found, as it is kept, shown and printed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from server.models.uploads import StoreCheck
from server.operations import ledger
from sync.evidence.encoding import sha256_hex

SWEEP, REHASH = "sweep", "rehash"
#: More doubts than this are counted, not listed.
LISTED = 1000


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Something that is not as it should be; ``kind`` is one of

    - ``missing``: a row names an object that the store does not have;
    - ``changed``: an object's bytes have another digest than the row says;
    - ``size``: its length differs;
    - ``unadopted``: no row names an object, and ``--repair`` was not asked for;
    - ``misnamed``: an object without a row has not the digest of its name;
    - ``duplicate``: an object without a row holds bytes that are kept under another name;
    - ``unreadable``: the store did not give it; it is tried again.
    """

    kind: str
    key: str
    sha256: str = ""
    found: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run: ``objects`` and ``bytes`` were looked at; ``done`` counts what was tidied up."""

    kind: str
    repair: bool
    began_at_ms: int
    objects: int
    bytes: int
    #: What was, or without ``repair`` would be, done: ``expired``, ``tails``, ``multiparts``.
    done: Mapping[str, int]
    adopted: tuple[str, ...]
    doubts: tuple[Doubt, ...]

    def to_json(self) -> str:
        plain: dict[str, Any] = {
            **asdict(self),
            "adopted": list(self.adopted[:LISTED]),
            "adopted_count": len(self.adopted),
            "doubts": [asdict(doubt) for doubt in self.doubts[:LISTED]],
            "doubt_count": len(self.doubts),
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
            snapshot={"doubts": _by_kind(report.doubts)},
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


def _by_kind(doubts: Sequence[Doubt]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for doubt in doubts:
        counts[doubt.kind] = counts.get(doubt.kind, 0) + 1
    return counts


def _media(doubts: Sequence[Doubt]) -> tuple[str, ...]:
    named = (doubt.sha256 for doubt in doubts[:LISTED] if doubt.sha256)
    return tuple(f"media:{sha256}" for sha256 in dict.fromkeys(named))
