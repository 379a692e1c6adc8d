"""What should be stamped now, by whom (docs/evidence.md §5.1).

A checkpoint is worth a stamp when something happened since the last one; that a stamp
was taken in is nothing that happened, or the ledger would never come to rest.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.authorities import Authority
from server.models.inspections import EvidencePackage
from server.models.ledger import Checkpoint, Generation, LedgerEvent
from server.models.stamps import TimeStamp
from server.operations import ledger
from server.operations.export.request import READY
from server.settings import Settings
from sync.evidence import tsp
from sync.evidence.stamp_event import stamped_text

_DAY_MS = 86_400_000
#: What clocks, authorities and witnesses said: it gives none of them a reason to speak again.
_STAMP = "stamp"
#: So many packages of one kind of wish in a round; the rest come in the next.
_PACKAGES = 20


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A stamp that is wanted: for a checkpoint (``covers``) or a package, new or a renewal."""

    imprint: bytes
    covers: tuple[int, int] | None = None
    package_id: str | None = None
    renews: str = ""


def wishes(
    session: Session, authority: Authority, settings: Settings, *, now_ms: int
) -> Iterator[Wish]:
    """What ``authority`` should stamp now, the newest checkpoint first."""
    yield from _checkpoint(session, authority, settings, now_ms=now_ms)
    yield from _packages(session, authority)
    yield from _ending_checkpoints(session, authority, settings, now_ms=now_ms)
    yield from _ending_packages(session, authority, settings, now_ms=now_ms)


def package_wish(session: Session, package_id: str) -> Wish | None:
    """The first stamp of a finished package; None if it is not finished."""
    row = session.get(EvidencePackage, package_id)
    if row is None or row.state != READY or row.sha256 is None:
        return None
    return Wish(imprint=bytes.fromhex(row.sha256), package_id=row.id)


def checkpoint_of(session: Session, covers: tuple[int, int]) -> tuple[str, int, str]:
    """Origin, size and root of one of our checkpoints."""
    row = session.get_one(Checkpoint, covers)
    return session.get_one(Generation, row.generation).origin, row.size, row.root


def _checkpoint(
    session: Session, authority: Authority, settings: Settings, *, now_ms: int
) -> Iterator[Wish]:
    newest = ledger.newest_checkpoint(session)
    if newest is None:
        return
    last = session.execute(
        select(TimeStamp.covers_size, TimeStamp.received_at_ms)
        .where(
            TimeStamp.authority == authority.name,
            TimeStamp.covers_generation == newest.generation,
            TimeStamp.renews == "",
        )
        .order_by(TimeStamp.covers_size.desc(), TimeStamp.received_at_ms.desc())
        .limit(1)
    ).first()
    if last and last.received_at_ms > now_ms - 1000 * settings.tsa_interval_s:
        return
    covered = last.covers_size if last else 0
    happened = session.scalar(
        select(LedgerEvent.index)
        .where(
            LedgerEvent.generation == newest.generation,
            LedgerEvent.index >= covered,
            LedgerEvent.index < newest.size,
            LedgerEvent.kind != _STAMP,
        )
        .limit(1)
    )
    if happened is not None:
        covers = (newest.generation, newest.size)
        text = stamped_text(checkpoint_of(session, covers))
        yield Wish(imprint=hashlib.sha256(text).digest(), covers=covers)


def _packages(session: Session, authority: Authority) -> Iterator[Wish]:
    stamped = select(TimeStamp.package_id).where(
        TimeStamp.authority == authority.name, TimeStamp.package_id.is_not(None)
    )
    rows = session.execute(
        select(EvidencePackage.id, EvidencePackage.sha256)
        .where(
            EvidencePackage.state == READY,
            EvidencePackage.sha256.is_not(None),
            EvidencePackage.id.not_in(stamped),
        )
        .order_by(EvidencePackage.requested_at_ms.desc(), EvidencePackage.id)
        .limit(_PACKAGES)
    )
    for package_id, sha256 in rows:
        yield Wish(imprint=bytes.fromhex(sha256 or ""), package_id=package_id)


def _ending_checkpoints(
    session: Session, authority: Authority, settings: Settings, *, now_ms: int
) -> Iterator[Wish]:
    """The newest stamped checkpoint of each generation; it contains all that came before it."""
    largest = session.execute(
        select(TimeStamp.covers_generation, func.max(TimeStamp.covers_size))
        .where(TimeStamp.authority == authority.name, TimeStamp.covers_generation.is_not(None))
        .group_by(TimeStamp.covers_generation)
        .order_by(TimeStamp.covers_generation)
    ).all()
    for generation, size in largest:
        stamps = session.scalars(
            select(TimeStamp).where(
                TimeStamp.authority == authority.name,
                TimeStamp.covers_generation == generation,
                TimeStamp.covers_size == size,
            )
        ).all()
        # While the authority still signs with the same certificate, nothing is gained: one
        # question a day finds out when it does not.
        asked_ms = max(stamp.received_at_ms for stamp in stamps)
        if _ends(stamps, settings, now_ms=now_ms) and asked_ms <= now_ms - _DAY_MS:
            yield _renewal(stamps)


def _ending_packages(
    session: Session, authority: Authority, settings: Settings, *, now_ms: int
) -> Iterator[Wish]:
    """Packages whose stamps end soon, once the authority has been seen with a later certificate."""
    of_authority = TimeStamp.authority == authority.name
    latest = session.scalar(select(func.max(TimeStamp.expires_at_ms)).where(of_authority))
    ending = session.scalars(
        select(TimeStamp.package_id)
        .where(of_authority, TimeStamp.package_id.is_not(None))
        .group_by(TimeStamp.package_id)
        .having(
            func.max(TimeStamp.expires_at_ms) < now_ms + _DAY_MS * settings.tsa_renew_days,
            func.max(TimeStamp.expires_at_ms) < (latest or 0),
        )
        .order_by(TimeStamp.package_id)
        .limit(_PACKAGES)
    ).all()
    for package_id in ending:
        yield _renewal(
            session.scalars(
                select(TimeStamp).where(of_authority, TimeStamp.package_id == package_id)
            ).all()
        )


def _ends(stamps: Sequence[TimeStamp], settings: Settings, *, now_ms: int) -> bool:
    return max(stamp.expires_at_ms for stamp in stamps) < now_ms + _DAY_MS * settings.tsa_renew_days


def _renewal(stamps: Sequence[TimeStamp]) -> Wish:
    """A stamp over the newest of ``stamps``, which are about one thing."""
    newest = max(stamps, key=lambda stamp: (stamp.generation, stamp.ledger_index))
    covers = None
    if newest.covers_generation is not None and newest.covers_size is not None:
        covers = (newest.covers_generation, newest.covers_size)
    return Wish(
        imprint=tsp.renewal_digest(bytes.fromhex(newest.imprint), newest.answer),
        covers=covers,
        package_id=newest.package_id,
        renews=newest.sha256,
    )
