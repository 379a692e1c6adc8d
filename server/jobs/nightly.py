"""The work of a night: each step on its own, once after each 3:17, and again where it failed.

What has been done stands in the tables, so that a worker that was off in the night makes
up for it in the morning, and one that is started anew does nothing twice. Of several workers
one does it; another takes it up where that one died.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta, timezone

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from media.errors import MediaError
from server.db import reading, transaction
from server.failures import ServerError
from server.jobs.alone import alone
from server.models.ledger import Generation
from server.operations import feed, ledger_audit, storekeeping
from server.operations.storekeeping import REHASH, SWEEP
from server.operations.uploads import Desk
from server.services import services
from server.settings import Settings

_log = logging.getLogger(__name__)

#: When nobody is at work in China, whatever the clock of the machine is set to.
_BEGINS = time(3, 17)
_CHINA = timezone(timedelta(hours=8))
_DAY_MS = 86_400_000
_AGAIN_MS = 30 * 60_000

COMPACT, AUDIT = "compact", "audit"


class Nights:
    """What one worker has to do by night; it remembers what is done, and what to try again when."""

    def __init__(self, desk: Desk, settings: Settings) -> None:
        self._desk = desk
        self._settings = settings
        #: For which night each step was last known to be done.
        self._done: dict[str, int] = {}
        self._again_at_ms: dict[str, int] = {}
        self._steps: dict[str, Callable[[], None]] = {
            COMPACT: self._compact,
            SWEEP: self._sweep,
            # Before the originals, which may take until morning.
            AUDIT: self._audit,
            REHASH: self._rehash,
        }

    def are_due(self) -> bool:
        """Whether there is something to do now."""
        return any(True for _ in self._due())

    def perform(self) -> None:
        """Do what is due, unless another worker is at it; no failing step keeps another from it."""
        if not self.are_due():
            return
        with alone("night") as mine:
            for name in list(self._due()):
                if mine:
                    self._try(name)
                else:
                    self._again_at_ms[name] = services().now_ms() + _AGAIN_MS

    def _try(self, name: str) -> None:
        began_ms = services().now_ms()
        try:
            self._steps[name]()
        except Exception as error:
            self._note_failure(name, error, began_ms=began_ms)
        else:
            self._again_at_ms.pop(name, None)

    def _due(self) -> Iterator[str]:
        now_ms = services().now_ms()
        night_ms = begun_ms(now_ms)
        with reading() as session:
            for name in self._steps:
                waits = self._again_at_ms.get(name, 0) > now_ms
                if not (waits or self._is_done(session, name, night_ms)):
                    yield name

    def _is_done(self, session: Session, name: str, night_ms: int) -> bool:
        if self._done.get(name, 0) >= night_ms:
            return True
        installed_ms = session.scalar(select(func.min(Generation.opened_at_ms)))
        # Installed since, not some day to come: a changed row puts no night off.
        done = installed_ms is None or night_ms < installed_ms <= services().now_ms()
        if name == AUDIT:
            done = done or ledger_audit.has_run(session, since_ms=night_ms)
        elif name != COMPACT:
            done = done or storekeeping.has_run(session, name, since_ms=night_ms)
        if done:
            self._done[name] = night_ms
        return done

    def _compact(self) -> None:
        now_ms = services().now_ms()
        oldest_ms = now_ms - self._settings.feed_retention_days * _DAY_MS
        with transaction() as session:
            feed.compact(session, older_than_ms=oldest_ms, now_ms=now_ms)
        self._done[COMPACT] = begun_ms(now_ms)

    def _sweep(self) -> None:
        storekeeping.sweep(self._desk, repair=True)

    def _rehash(self) -> None:
        now_ms = services().now_ms()
        for _ in storekeeping.rehash(
            services(),
            budget_bytes=self._settings.rehash_bytes,
            before_ms=now_ms - self._settings.rehash_days * _DAY_MS,
        ):
            pass

    def _audit(self) -> None:
        for _ in ledger_audit.audit(services(), most=self._settings.audit_leaves):
            pass

    def _note_failure(self, name: str, error: Exception, *, began_ms: int) -> None:
        # SQLAlchemy has codes of its own, which say nothing here.
        code = error.code if isinstance(error, MediaError | ServerError) else ""
        _log.warning("night_failed step=%s code=%s", name, code, exc_info=not code)
        now_ms = services().now_ms()
        self._again_at_ms[name] = now_ms + _AGAIN_MS
        if name == COMPACT:
            return
        try:
            with transaction() as session:
                code = code or type(error).__name__
                if name == AUDIT:
                    ledger_audit.keep_failure(session, code, began_ms=began_ms, now_ms=now_ms)
                else:
                    storekeeping.keep_failure(session, name, code, began_ms=began_ms, now_ms=now_ms)
        except Exception:
            # Where the database is what fails, there is nowhere to write that down.
            _log.warning("night_failed step=%s unwritten", name, exc_info=True)


def begun_ms(now_ms: int) -> int:
    """When the newest night began: the last 3:17 in China."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(_CHINA)
    night = datetime.combine(now.date(), _BEGINS, _CHINA)
    if night > now:
        night -= timedelta(days=1)
    return int(night.timestamp() * 1000)
