"""One sign of life for a whole process, and its ear for requests to let go of an upload.

A thread runs only while something is being received. It writes one heartbeat row,
however many uploads there are, and reads which of them another request wants.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from server.models.uploads import ProcessHeartbeat, Upload
from server.operations.uploads.desk import (
    UPLOAD,
    Tenure,
    Transaction,
    database_now_ms,
)
from server.operations.upsert import upsert

BEAT_S = 0.3
# With the time to put away what had come, a silent sender's thread is free within 30 s.
IDLE_LIMIT_S = 25.0
# A connection that was cut may still have bytes under way to us, and those have
# arrived soon: a wanted writer goes on while they flow, but not for long.
_QUIET_S = 0.1
_DRAIN_S = 1.0
_HASTE_S = 0.05
_LINGER_S = 3.0
# A sign of life of so long ago is as good as one of now: it counts for DEAD_AFTER_MS.
_FRESH_S = 0.5

_HELD = select(UPLOAD.c.id, UPLOAD.c.fence, UPLOAD.c.release_wanted).where(
    UPLOAD.c.owner == bindparam("process")
)

_log = logging.getLogger(__name__)


class Heart:
    """The heartbeat of this process. ``write`` and ``read`` must work in any thread."""

    def __init__(
        self,
        *,
        write: Transaction,
        read: Transaction,
        beat_s: float = BEAT_S,
        idle_limit_s: float = IDLE_LIMIT_S,
    ) -> None:
        # Made again after a fork, or two workers would vouch for one another's uploads.
        self._identity = (os.getpid(), str(uuid4()))
        self._write = write
        self._read = read
        self._beat_s = beat_s
        self._idle_limit_s = idle_limit_s
        self._lock = threading.Lock()
        self._tenures: list[Tenure] = []
        self._abandoned: set[tuple[str, int]] = set()
        self._thread: threading.Thread | None = None
        self._beaten_at: float | None = None

    @property
    def process_id(self) -> str:
        """The name under which this process holds uploads; another after a restart."""
        if self._identity[0] != os.getpid():
            self._identity = (os.getpid(), str(uuid4()))
            self._tenures, self._thread, self._beaten_at = [], None, None
        return self._identity[1]

    def beat(self, session: Session) -> None:
        """Write the sign of life in this transaction, unless there is a fresh one."""
        process_id = self.process_id
        if self._beaten_at is None or time.monotonic() - self._beaten_at > _FRESH_S:
            self._beat(session, process_id)

    def _beat(self, session: Session, process_id: str) -> None:
        # Two threads of one process may both bring its first beat.
        now_ms = database_now_ms(session)
        upsert(session, ProcessHeartbeat, [{"process_id": process_id, "beaten_at_ms": now_ms}])

    @contextmanager
    def hold(self, upload_id: str, fence: int, interrupt: Callable[[], None]) -> Iterator[Tenure]:
        """Stay alive for one upload. ``interrupt`` is called when it must be let go.

        The caller keeps ``reading_since`` up to date.
        """
        tenure = Tenure(upload_id, fence, interrupt)
        with self._lock:
            self._tenures.append(tenure)
        try:
            self._wake()
            yield tenure
        finally:
            with self._lock:
                self._tenures.remove(tenure)

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="upload-heart", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        empty_since: float | None = None
        while True:
            now = time.monotonic()
            with self._lock:
                tenures = list(self._tenures)
                if tenures:
                    empty_since = None
                elif empty_since is None:
                    empty_since = now
                elif now - empty_since > _LINGER_S:
                    self._thread = None
                    return
            try:
                self._round(tenures)
            except Exception:
                # Whatever is short now, the database or file descriptors, may be there again in
                # the next round; without this thread no stalled sender would ever be let go.
                # Meanwhile others take our uploads over; their fence keeps that safe.
                _log.exception("upload_heartbeat_failed process=%s", self.process_id)
            hurried = any(tenure.wanted_since and not tenure.ended for tenure in tenures)
            time.sleep(_HASTE_S if hurried else self._beat_s)

    def _round(self, tenures: list[Tenure]) -> None:
        if not tenures:
            return
        now = time.monotonic()
        with self._write() as session:
            self._beat(session, self.process_id)
        # Only what is committed counts, and from before it was written.
        self._beaten_at = now
        with self._read() as session:
            rows = session.execute(_HELD, {"process": self.process_id}).all()
        wanted = {(row.id, row.fence): row.release_wanted for row in rows}
        self._give_up(wanted.keys() - {(t.upload_id, t.fence) for t in tenures})
        now = time.monotonic()
        for tenure in tenures:
            place = (tenure.upload_id, tenure.fence)
            waiting_s = 0.0 if tenure.reading_since is None else now - tenure.reading_since
            if place not in wanted:
                # Fenced off: nothing more can be written.
                self._end(tenure, "released")
            elif wanted[place]:
                tenure.wanted_since = tenure.wanted_since or now
                if waiting_s > _QUIET_S or now - tenure.wanted_since > _DRAIN_S:
                    self._end(tenure, "released")
            elif waiting_s > self._idle_limit_s:
                self._end(tenure, "stalled")

    def _give_up(self, unheld: set[tuple[str, int]]) -> None:
        """Free uploads that are ours by name but that no request holds.

        A request that failed between claim and release left them; as long as this
        process beats for others nobody could take them over. Seen twice, since a
        claim comes a moment before its hold.
        """
        for upload_id, fence in unheld & self._abandoned:
            with self._write() as session:
                session.execute(
                    update(Upload)
                    .where(Upload.id == upload_id, Upload.fence == fence)
                    .values(owner=None, fence=fence + 1, release_wanted=False)
                    .execution_options(synchronize_session=False)
                )
        self._abandoned = unheld

    def _end(self, tenure: Tenure, reason: str) -> None:
        if not tenure.ended:
            tenure.ended = reason
            tenure.interrupt()
