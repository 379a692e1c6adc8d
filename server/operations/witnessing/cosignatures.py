"""Cosignatures as rows and leaves: what witnesses have said, and what none has seen yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from server.models.ledger import Checkpoint, Generation, LedgerEvent
from server.models.witnesses import WitnessCosignature, WitnessState
from server.operations import ledger
from sync.evidence.cosignature import Cosignature, CosignerKey
from sync.evidence.policy import Policy, Witness

NETWORK, FILE = "network", "file"
_STAMP = "stamp"
#: Where a quorum fails to come together for long, nobody searches years for it.
_LOOKED_AT = 2000


@dataclass(frozen=True, kw_only=True)
class Witnessed:
    """A checkpoint with the cosignatures that are kept for it; ``note`` bears them all."""

    generation: int
    size: int
    root: str
    note: str
    signers: Sequence[CosignerKey]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How far one witness of the policy is known to have seen the present ledger."""

    witness: Witness
    #: Of the newest checkpoint that it cosigned; 0 and None before the first.
    size: int
    time_s: int | None
    came_by: str
    failures: int
    code: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """What the policy's witnesses have seen of the present ledger, and what they have not."""

    witnesses: Sequence[Seen]
    #: Up to which size a quorum has cosigned, and when the last of it did.
    size: int
    time_s: int | None
    #: Events since, stamps aside, and the server's time of the first of them.
    unseen: int
    since_ms: int | None


def keep(
    session: Session,
    checkpoint: Checkpoint,
    cosignature: Cosignature,
    *,
    came_by: str,
    now_ms: int,
) -> bool:
    """Keep ``cosignature`` under ``checkpoint`` and as a leaf; False if it is kept already."""
    key = cosignature.key
    place = (checkpoint.generation, checkpoint.size, key.name, key.key_hash.hex())
    # The head is taken before the look, so that two who bring one line keep it once.
    head = ledger.lock_head(session)
    if session.get(WitnessCosignature, place) is not None:
        return False
    origin = session.get_one(Generation, checkpoint.generation).origin
    event = ledger.Event(
        kind=_STAMP,
        actor={"witness": key.name},
        subject={
            "witness": str(key),
            "checkpoint": {"origin": origin, "size": checkpoint.size, "root": checkpoint.root},
        },
        snapshot={"time_s": cosignature.time_s, "line": cosignature.line},
    )
    generation = head.generation
    index = ledger.append_events(session, [event], now_ms=now_ms, head=head)
    session.add(
        WitnessCosignature(
            covers_generation=checkpoint.generation,
            covers_size=checkpoint.size,
            name=key.name,
            key_hash=key.key_hash.hex(),
            time_s=cosignature.time_s,
            line=cosignature.line,
            came_by=came_by,
            received_at_ms=now_ms,
            generation=generation,
            ledger_index=index,
        )
    )
    session.flush()
    return True


def with_cosignatures(session: Session, note: str, *, generation: int, size: int) -> str:
    """``note`` with the lines of every witness that cosigned this checkpoint."""
    lines = session.scalars(
        select(WitnessCosignature.line)
        .where(
            WitnessCosignature.covers_generation == generation,
            WitnessCosignature.covers_size == size,
        )
        .order_by(WitnessCosignature.name, WitnessCosignature.key_hash)
    )
    return note + "".join(lines)


def cosigned_note(session: Session) -> str:
    """The newest checkpoint with the cosignatures that exist for it; empty before the first."""
    newest = ledger.newest_checkpoint(session)
    if newest is None:
        return ""
    return with_cosignatures(session, newest.note, generation=newest.generation, size=newest.size)


def newest_witnessed(
    session: Session, policy: Policy, *, generation: int, before: int | None = None
) -> Witnessed | None:
    """The newest checkpoint that a quorum cosigned, else the newest that any witness did.

    Only what became a leaf of ``generation`` below ``before`` counts, so that one
    state of the ledger always gives one answer.
    """
    rows = session.execute(
        select(
            WitnessCosignature.covers_size,
            WitnessCosignature.name,
            WitnessCosignature.key_hash,
            WitnessCosignature.line,
        )
        .where(
            WitnessCosignature.covers_generation == generation,
            WitnessCosignature.generation == generation,
            *([] if before is None else [WitnessCosignature.ledger_index < before]),
        )
        .order_by(
            WitnessCosignature.covers_size.desc(),
            WitnessCosignature.name,
            WitnessCosignature.key_hash,
        )
        .limit(_LOOKED_AT)
    )
    known = {(key.name, key.key_hash.hex()): key for key in policy.cosigners}
    found: dict[int, list[tuple[CosignerKey, str]]] = {}
    best: int | None = None
    for size, name, key_hash, line in rows:
        if best is not None and size != best and policy.is_met_by(_keys(found[best])):
            break
        key = known.get((name, key_hash))
        if key is None:
            continue
        found.setdefault(size, []).append((key, line))
        if policy.is_met_by(_keys(found[size])):
            best = size
    if not found:
        return None
    size = max(found) if best is None else best
    checkpoint = session.get_one(Checkpoint, (generation, size))
    return Witnessed(
        generation=generation,
        size=size,
        root=checkpoint.root,
        note=checkpoint.note + "".join(line for _, line in found[size]),
        signers=_keys(found[size]),
    )


def exposure(session: Session, policy: Policy) -> Exposure:
    """Who witnessed the present ledger how far, and what nobody outside has seen yet."""
    generation = ledger.current_generation(session).number
    seen = _all_seen(session, policy, generation)
    size, time_s = _quorum(policy, seen)
    unseen, since_ms = session.execute(
        select(func.count(), func.min(LedgerEvent.at_ms)).where(
            LedgerEvent.generation == generation,
            LedgerEvent.index >= size,
            LedgerEvent.kind != _STAMP,
        )
    ).one()
    return Exposure(witnesses=seen, size=size, time_s=time_s, unseen=unseen, since_ms=since_ms)


def quorum_size(session: Session, policy: Policy, generation: int) -> tuple[int, int | None]:
    """Up to which size of ``generation`` a quorum has cosigned, and when the last of it did."""
    return _quorum(policy, _all_seen(session, policy, generation))


def confirmed_size(session: Session, key: CosignerKey, generation: int) -> int:
    """The largest tree of ``generation`` that ``key`` is known to have cosigned."""
    return (
        session.scalar(
            select(func.max(WitnessCosignature.covers_size)).where(
                WitnessCosignature.covers_generation == generation,
                WitnessCosignature.name == key.name,
                WitnessCosignature.key_hash == key.key_hash.hex(),
            )
        )
        or 0
    )


def has_news(session: Session, generation: int, *, since: int, until: int) -> bool:
    """Whether anything but stamps stands in leaves ``since`` to ``until``.

    A cosignature comes back as a stamp: were that news, the next would be asked
    for because of the last, for ever.
    """
    news = exists().where(
        LedgerEvent.generation == generation,
        LedgerEvent.index >= since,
        LedgerEvent.index < until,
        LedgerEvent.kind != _STAMP,
    )
    return bool(session.scalar(select(news)))


def _all_seen(session: Session, policy: Policy, generation: int) -> list[Seen]:
    return [_seen(session, witness, generation) for witness in policy.witnesses]


def _seen(session: Session, witness: Witness, generation: int) -> Seen:
    name, key_hash = witness.key.name, witness.key.key_hash.hex()
    newest = session.scalar(
        select(WitnessCosignature)
        .where(
            WitnessCosignature.covers_generation == generation,
            WitnessCosignature.name == name,
            WitnessCosignature.key_hash == key_hash,
        )
        .order_by(WitnessCosignature.covers_size.desc())
        .limit(1)
    )
    state = session.get(WitnessState, (name, key_hash))
    return Seen(
        witness=witness,
        size=newest.covers_size if newest else 0,
        time_s=newest.time_s if newest else None,
        came_by=newest.came_by if newest else "",
        failures=state.failures if state else 0,
        code=state.code if state else "",
        detail=state.detail if state else "",
    )


def _quorum(policy: Policy, seen: Sequence[Seen]) -> tuple[int, int | None]:
    """The largest size that a quorum saw: whoever saw more saw that, too."""
    for size in sorted({one.size for one in seen if one.size}, reverse=True):
        signers = [one for one in seen if one.size >= size]
        if policy.is_met_by(one.witness.key for one in signers):
            return size, max(one.time_s or 0 for one in signers)
    return 0, None


def _keys(lines: Sequence[tuple[CosignerKey, str]]) -> list[CosignerKey]:
    return [key for key, _ in lines]
