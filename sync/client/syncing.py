"""One sync, as numbered steps: contact, clock, feed, journal, fates, ledger, media.

Nothing local is ever freed. A step that fails says so in the report and costs
the later ones only where they need it.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import assert_never

from sync.client import diverging, fates, freeing, stuck
from sync.client.answers import Hello
from sync.client.api import Api
from sync.client.carrier import remember_recipient
from sync.client.clock import Clock
from sync.client.documents import Documents
from sync.client.errors import (
    CaptivePortal,
    CheckpointInvalid,
    LedgerForked,
    LineStuck,
    LinkError,
    ServerRefused,
    ServerUnavailable,
    Unreachable,
    Untrusted,
)
from sync.client.folder import DeviceFolder
from sync.client.generation import follow, renew_key
from sync.client.journal import Journal
from sync.client.link import TRIES
from sync.client.outbox import KEPT, M_KEPT, REFUSED, STRANDED, Outbox
from sync.client.pushing import Done, Pusher, RefusedAt, Stuck
from sync.client.recovery import Recovery
from sync.client.sessions import Sessions
from sync.client.trust import Enrolment, LedgerWatch, read_checkpoint
from sync.client.uploading import Held, Rules, Uploader
from sync.client.wiping import is_handed_in, is_wiping, say_farewell
from sync.evidence import acts

PINGS = 5
#: Each refused line costs one epoch; more than a few in one sync is a fault, not bad luck.
_EPOCHS_AT_ONCE = 5
_COMPARED_AT = "documents_compared_ms"
_COMPARED_EVERY_MS = 24 * 3600 * 1000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Offset:
    """How far the server's clock is ahead of ours, ± ``error_ms``.

    When the server's clock showed ``server_ms``, ours showed ``wall_ms`` and ``mono_ms``.
    """

    offset_ms: int
    error_ms: int
    server_ms: int
    wall_ms: int
    mono_ms: int


@dataclass
class SyncReport:
    """What one sync did and what it left; ``problems`` are in the order they were met."""

    documents: int = 0
    documents_repaired: int = 0
    lines_safe: int = 0
    lines_unsent: int = 0
    lines_quarantined: int = 0
    media_safe: int = 0
    media_unsent: int = 0
    alarms: tuple[str, ...] = ()
    offset: Offset | None = None
    held: Held = field(default_factory=Held)
    wiped: bool = False
    wipe_waits: bool = False
    problems: list[LinkError] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything is at the server and nothing is amiss."""
        return not (self.lines_unsent or self.media_unsent or self.alarms or self.problems)


class Synchroniser:
    """Runs the steps over the parts of one device."""

    def __init__(
        self,
        *,
        folder: DeviceFolder,
        outbox: Outbox,
        journal: Journal,
        documents: Documents,
        sessions: Sessions,
        enrolment: Enrolment,
        api: Api,
        clock: Clock,
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._journal = journal
        self._documents = documents
        self._enrolment = enrolment
        self._api = api
        self._clock = clock
        self._recovery = Recovery(outbox, journal, sessions)
        self._watch = LedgerWatch(folder, outbox, enrolment, api.consistency, api.tree_root)

    def run(
        self, progress: Progress | None = None, *, check: bool = False, all_now: bool = False
    ) -> SyncReport:
        """Sync once; whatever goes wrong on the way stands in the report.

        With ``all_now`` recordings do not wait for their hours. ``check`` compares the
        whole local copy with the server's, which is else done daily.
        """
        report = SyncReport()
        try:
            self._steps(report, progress, check=check, all_now=all_now)
        except LinkError as error:
            report.problems.append(error)
        self._count(report)
        stuck.remember(self._outbox, report.problems[0] if report.problems else None)
        return report

    def _steps(
        self, report: SyncReport, progress: Progress | None, *, check: bool, all_now: bool
    ) -> None:
        # 1. Is it our server, and how far apart are the clocks?
        hello, report.offset = self._contact(report)
        self._renew_key(hello.checkpoint)
        # 2. Its ledger must begin with what it showed us before.
        self._see(report, hello.checkpoint)
        remember_recipient(self._outbox, self._enrolment, hello.carrier)
        # 3. The comparison of clocks is itself evidence.
        compared = self._journal.append(
            {
                "type": acts.CLOCK_COMPARED,
                "server_ms": report.offset.server_ms,
                "offset_ms": report.offset.offset_ms,
                "error_ms": report.offset.error_ms,
                "wall_ms": report.offset.wall_ms,
                "mono_ms": report.offset.mono_ms,
            }
        )
        # 4. Documents come down. A revoked device gets none, but may still hand in what it has.
        self._attempt(report, lambda: self._pull(report))
        if check or self._is_due():
            self._attempt(report, lambda: self._compare(report))
        # 5. Lines go up.
        pusher = Pusher(self._outbox, self._api, self._enrolment, hello.limits)
        self._push(pusher, report, progress)
        freeing.note_stored(self._outbox, self._enrolment, compared)
        self._attempt(report, lambda: fates.learn(self._outbox, self._api))
        # 6. The checkpoint that came back covers more than the first.
        if pusher.checkpoint:
            self._see(report, pusher.checkpoint)
        # 7. Media of receipted lines follow.
        rules = Rules(hello, self._clock, report.offset.mono_ms, all_now=all_now)
        report.held = Uploader(self._folder.media, self._outbox, self._api, rules).run(progress)
        # 8. What is not ours any more goes, now that nothing here may need it.
        self._let_go()
        # 9. A device that is lost empties itself, once everything is handed in.
        if self._api.wipe_wanted or is_wiping(self._outbox):
            self._wipe(pusher, report)

    def _wipe(self, pusher: Pusher, report: SyncReport) -> None:
        """Hand in one last line that says so; with its receipt, everything may go."""
        if not is_handed_in(self._outbox):
            report.wipe_waits = True
            return
        if not is_wiping(self._outbox):
            say_farewell(self._outbox, self._journal)
            self._push(pusher, report, None)
        report.wiped = is_handed_in(self._outbox)

    def pull(self) -> int:
        """Pull documents alone; returns how many came.

        Raises:
            LinkError.
        """
        report = SyncReport()
        self._pull(report)
        return report.documents

    def _contact(self, report: SyncReport) -> tuple[Hello, Offset]:
        """The quickest of several pings bounds the offset best: its error is half its way."""
        best: tuple[Hello, Offset] | None = None
        for _ in range(PINGS):
            sent = self._clock.read()
            try:
                hello = self._api.hello(tries=TRIES if best is None else 1)
            except (Unreachable, ServerUnavailable):
                if best is None:
                    raise
                continue
            way_ms = max(0, self._clock.read().mono_ms - sent.mono_ms)
            if hello.origin != self._enrolment.origin:
                self._follow(report, hello.origin)
            # Both clocks count whole milliseconds, so half the way and two of them bound the error.
            wall_ms, mono_ms = sent.wall_ms + way_ms // 2, sent.mono_ms + way_ms // 2
            offset = Offset(
                offset_ms=hello.server_ms - wall_ms,
                error_ms=way_ms // 2 + 2,
                server_ms=hello.server_ms,
                wall_ms=wall_ms,
                mono_ms=mono_ms,
            )
            if best is None or offset.error_ms < best[1].error_ms:
                best = hello, offset
        assert best is not None  # noqa: S101 - PINGS is at least one
        return best

    def _renew_key(self, note: str) -> None:
        """Go on with another key of our ledger, if the one we know names it."""
        try:
            read_checkpoint(note, self._enrolment)
        except CheckpointInvalid:
            renewed = renew_key(self._enrolment, self._api.generations())
        else:
            return
        if renewed == self._enrolment:
            return
        self._enrolment = renewed
        with self._outbox.transaction():
            self._outbox.remember("enrolment", asdict(renewed))
        self._watch = LedgerWatch(
            self._folder, self._outbox, renewed, self._api.consistency, self._api.tree_root
        )

    def _follow(self, report: SyncReport, origin: str) -> None:
        """Go on with a ledger that proves to have taken over from ours."""
        self._enrolment, said = follow(
            self._folder, self._outbox, self._enrolment, self._api, origin=origin
        )
        self._watch = LedgerWatch(
            self._folder,
            self._outbox,
            self._enrolment,
            self._api.consistency,
            self._api.tree_root,
        )
        self._recovery.leave_for_new_generation()
        report.problems.append(said)

    def _pull(self, report: SyncReport) -> None:
        while True:
            page = self._api.feed(self._outbox.meta("cursor") or "")
            self._documents.take(page)
            report.documents += len(page.documents)
            if not page.more:
                return

    def _is_due(self) -> bool:
        """Whether the last comparison is a day ago, by a clock that may have been set back."""
        last = self._outbox.meta(_COMPARED_AT) or 0
        return abs(self._clock.read().wall_ms - last) >= _COMPARED_EVERY_MS

    def _compare(self, report: SyncReport) -> None:
        report.documents_repaired = diverging.repair(
            self._documents, self._api, self._outbox.meta("cursor") or ""
        )
        if not self._outbox.meta("cursor"):
            self._pull(report)
        with self._outbox.transaction():
            self._outbox.remember(_COMPARED_AT, self._clock.read().wall_ms)

    def _let_go(self) -> None:
        """Purge evicted documents, unless work of this device still waits to be handed in."""
        waiting = self._outbox.count(
            "SELECT EXISTS (SELECT 1 FROM line WHERE state IN (?, ?, ?))"
            " OR EXISTS (SELECT 1 FROM medium WHERE state = ?)",
            *(KEPT, REFUSED, STRANDED, M_KEPT),
        )
        if not waiting:
            with self._outbox.transaction():
                self._documents.let_go()

    def _push(self, pusher: Pusher, report: SyncReport, progress: Progress | None) -> None:
        self._recovery.go_on()
        left: list[LinkError] = []
        for _ in range(_EPOCHS_AT_ONCE):
            left = [
                e for epoch in self._outbox.epochs() for e in self._end(pusher, epoch, progress)
            ]
            if not self._recovery.go_on():
                break
        report.problems.extend(left)

    def _end(self, pusher: Pusher, epoch: str, progress: Progress | None) -> list[LinkError]:
        """Push one epoch; what only a person can settle is returned."""
        match pusher.push_epoch(epoch, progress):
            case Done():
                return []
            case RefusedAt(seq, code) as refused:
                if seq == 0:
                    # A new epoch would be refused like this one: its key is not known there.
                    return [LineStuck(epoch, seq, code)]
                self._recovery.mark(epoch, refused)
                return []
            case Stuck(next_seq):
                return [LineStuck(epoch, next_seq, "journal.gap")]
            case other:
                assert_never(other)

    def _see(self, report: SyncReport, note: str) -> None:
        try:
            self._watch.see(note)
        except LedgerForked as error:
            # The server may not know that it went back: what we saw tells it.
            with suppress(LinkError):
                self._api.show_checkpoint(self._outbox.meta("checkpoint"))
            # Evidence still goes out: a second copy elsewhere harms nobody, silence might.
            if error.alarm not in {getattr(known, "alarm", None) for known in report.problems}:
                report.problems.append(error)
        except ServerRefused as error:
            # A server that shows a checkpoint and no proof for it is not believed, but told.
            if error.problem not in {getattr(known, "problem", None) for known in report.problems}:
                report.problems.append(error)

    def _attempt(self, report: SyncReport, step: Callable[[], None]) -> None:
        try:
            step()
        except (Unreachable, Untrusted, CaptivePortal):
            raise
        except LinkError as error:
            if not (isinstance(error, ServerRefused) and error.status == 403):
                report.problems.append(error)

    def _count(self, report: SyncReport) -> None:
        count = self._outbox.count
        report.lines_safe = count("SELECT COUNT(*) FROM line WHERE state = 'safe'")
        report.lines_unsent = count(
            "SELECT COUNT(*) FROM line WHERE state NOT IN ('safe', 'restated')"
        )
        report.lines_quarantined = count(
            "SELECT COUNT(*) FROM line WHERE projection = 'quarantined' AND state = 'safe'"
        )
        report.media_safe = count("SELECT COUNT(*) FROM medium WHERE state = 'safe'")
        report.media_unsent = count("SELECT COUNT(*) FROM medium WHERE state <> 'safe'")
        report.alarms = tuple(self._folder.alarmed())
