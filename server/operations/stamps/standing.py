"""How each authority has stamped lately, for the console and the command line."""

import shutil
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.stamps import StampAuthority, StampRequest, TimeStamp
from server.settings import Settings


@dataclass(frozen=True, kw_only=True)
class AuthorityStanding:
    """One authority of the settings: its newest stamp of a checkpoint, and what keeps it.

    ``size`` leaves of ``generation`` are stamped; the fields of the newest stamp are None where
    there is none. ``code`` is empty while it answers well. ``waiting`` requests are out as files.
    """

    name: str
    by_file: bool
    stamps: int
    gen_time_ms: int | None = None
    generation: int | None = None
    size: int | None = None
    ledger_index: int | None = None
    expires_at_ms: int | None = None
    checked_by: str = ""
    failures: int = 0
    code: str = ""
    detail: str = ""
    tried_at_ms: int = 0
    next_at_ms: int = 0
    waiting: int = 0


@dataclass(frozen=True, kw_only=True)
class StampsStanding:
    """All authorities; ``cross_checked`` says whether a second tool is here to check stamps."""

    authorities: tuple[AuthorityStanding, ...]
    cross_checked: bool


def standing(session: Session, settings: Settings) -> StampsStanding:
    return StampsStanding(
        authorities=tuple(
            _standing(session, authority.name, by_file=not authority.url)
            for authority in settings.authorities
        ),
        cross_checked=shutil.which("openssl") is not None,
    )


def _standing(session: Session, name: str, *, by_file: bool) -> AuthorityStanding:
    mine = TimeStamp.authority == name
    newest = session.scalars(
        select(TimeStamp)
        .where(mine, TimeStamp.covers_size.is_not(None))
        .order_by(TimeStamp.generation.desc(), TimeStamp.ledger_index.desc())
        .limit(1)
    ).first()
    count = session.scalar(select(func.count()).select_from(TimeStamp).where(mine)) or 0
    waiting = session.scalar(
        select(func.count()).select_from(StampRequest).where(StampRequest.authority == name)
    )
    lately = session.get(StampAuthority, name)
    said = {}
    if newest is not None:
        said = {
            "gen_time_ms": newest.gen_time_ms,
            "generation": newest.covers_generation,
            "size": newest.covers_size,
            "ledger_index": newest.ledger_index,
            "expires_at_ms": newest.expires_at_ms,
        }
    return AuthorityStanding(
        name=name,
        by_file=by_file,
        stamps=count,
        checked_by=newest.checked_by if newest is not None else "",
        failures=lately.failures if lately is not None else 0,
        code=lately.code if lately is not None else "",
        detail=lately.detail if lately is not None else "",
        tried_at_ms=lately.tried_at_ms if lately is not None else 0,
        next_at_ms=lately.next_at_ms if lately is not None else 0,
        waiting=waiting or 0,
        **said,
    )
