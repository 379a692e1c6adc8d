"""Taking a stamp into the ledger, byte for byte, and remembering how an authority answers."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.authorities import Authority
from server.models.inspections import EvidencePackage
from server.models.stamps import StampAuthority, TimeStamp
from server.operations import ledger
from server.operations.stamps.checking import Believed
from server.operations.stamps.errors import StampError
from server.operations.stamps.wishes import Wish, checkpoint_of
from sync.evidence.stamp_event import StampEvent

_SERVER = {"server": "stamps"}
_MAX_DETAIL = 500
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 60_000, 3_600_000


def keep(
    session: Session, authority: Authority, wish: Wish, believed: Believed, *, now_ms: int
) -> TimeStamp:
    """Append the ``stamp`` leaf and keep the answer; the row that is there, if it came before."""
    # The counter comes before every row.
    ledger.lock_head(session)
    there = session.get(TimeStamp, believed.sha256)
    if there is not None:
        return there
    event = _event(session, authority, wish, believed)
    index = ledger.append(
        session,
        "stamp",
        actor=_SERVER,
        subject=event.subject(),
        snapshot=event.snapshot(),
        now_ms=now_ms,
        about=(f"package:{wish.package_id}",) if wish.package_id else (),
    )
    generation, size = wish.covers or (None, None)
    row = TimeStamp(
        sha256=believed.sha256,
        authority=authority.name,
        covers_generation=generation,
        covers_size=size,
        package_id=wish.package_id,
        renews=wish.renews,
        imprint=event.imprint,
        gen_time_ms=event.gen_time_ms,
        margin_ms=event.margin_ms,
        expires_at_ms=event.expires_at_ms,
        serial=event.serial,
        checked_by=",".join(event.checked_by),
        roots="\n".join(filter(None, (authority.roots, authority.untrusted))),
        answer=believed.answer,
        received_at_ms=now_ms,
        generation=ledger.current_generation(session).number,
        ledger_index=index,
    )
    session.add(row)
    session.flush()
    return row


def _event(session: Session, authority: Authority, wish: Wish, believed: Believed) -> StampEvent:
    stamp, package = believed.stamp, None
    if wish.package_id is not None:
        sha256 = session.get_one(EvidencePackage, wish.package_id).sha256
        package = (wish.package_id, sha256 or "")
    return StampEvent(
        authority=authority.name,
        checkpoint=checkpoint_of(session, wish.covers) if wish.covers else None,
        package=package,
        answer=believed.sha256,
        imprint=stamp.imprint.hex(),
        gen_time_ms=stamp.gen_time_ms,
        margin_ms=stamp.margin_ms,
        serial=f"{stamp.serial:x}",
        policy=stamp.policy,
        expires_at_ms=believed.signer.valid_to_ms,
        checked_by=believed.checked_by,
        renews=wish.renews,
    )


def tell_other_time(
    session: Session,
    row: TimeStamp,
    *,
    asked_at_ms: int,
    tolerance_ms: int,
    now_ms: int,
) -> None:
    """Raise an alarm if our clock and the authority's lie apart, unless they did so before."""
    early = asked_at_ms - (row.gen_time_ms + row.margin_ms)
    late = row.gen_time_ms - row.margin_ms - row.received_at_ms
    apart_ms = max(early, late)
    if apart_ms <= tolerance_ms:
        return
    before = session.execute(
        select(TimeStamp.gen_time_ms, TimeStamp.received_at_ms)
        .where(TimeStamp.authority == row.authority, TimeStamp.sha256 != row.sha256)
        .order_by(TimeStamp.generation.desc(), TimeStamp.ledger_index.desc())
        .limit(1)
    ).first()
    if before is not None and abs(before.gen_time_ms - before.received_at_ms) > tolerance_ms:
        return
    ledger.append(
        session,
        "alarm",
        actor=_SERVER,
        subject={"authority": row.authority},
        snapshot={"act": "other_time", "answer": row.sha256, "apart_ms": apart_ms},
        now_ms=now_ms,
    )


def note_success(session: Session, name: str, *, now_ms: int) -> None:
    row = _standing(session, name)
    row.failures, row.code, row.detail = 0, "", ""
    row.tried_at_ms = row.next_at_ms = now_ms


def note_failure(session: Session, name: str, error: StampError, *, now_ms: int) -> None:
    """Remember why, and when to ask again; a bad stamp is an ``alarm``, once in a row."""
    alarming = error.code not in ("stamp.unreachable", "stamp.unchecked")
    if alarming:
        ledger.lock_head(session)
    row = _standing(session, name)
    detail = str(error)[:_MAX_DETAIL]
    if alarming and row.code != error.code:
        ledger.append(
            session,
            "alarm",
            actor=_SERVER,
            subject={"authority": name},
            snapshot={"act": "stamp_refused", "code": error.code, "detail": detail},
            now_ms=now_ms,
        )
    pause_ms = min(_FIRST_PAUSE_MS << min(row.failures, 10), _LONGEST_PAUSE_MS)
    row.failures += 1
    row.code, row.detail = error.code, detail
    row.tried_at_ms, row.next_at_ms = now_ms, now_ms + pause_ms


def _standing(session: Session, name: str) -> StampAuthority:
    row = session.get(StampAuthority, name)
    if row is None:
        row = StampAuthority(name=name, failures=0, code="", detail="", tried_at_ms=0, next_at_ms=0)
        session.add(row)
    return row
