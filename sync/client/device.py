"""One device in one folder: the library face of the client, behind every ``liuhen`` command.

with Device.open(folder) as device:
    device.enrol(server="https://…", code="…", name="…", serial="…")
    opened = device.open_inspection([officer_a, officer_b], task=task)
    device.capture(Path("photo.jpg"), opened.inspection, fact_to_prove="…")
    device.seal(opened.inspection)
    report = device.sync()
"""

import sqlite3
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sync.carrier.writing import SPLIT_BYTES
from sync.client import enrolling, peers
from sync.client.api import Api
from sync.client.carrier import Written, write_carrier
from sync.client.carrier_replies import Replies, RepliesRead
from sync.client.clock import Clock, SystemClock
from sync.client.docking import Docking, Imported, Progress
from sync.client.documents import Documents
from sync.client.errors import AlreadyEnrolled, FolderDamaged, LinkError, NotEnrolled
from sync.client.folder import DeviceFolder
from sync.client.freeing import Freed, Freeing
from sync.client.journal import Journal
from sync.client.keys import DeviceKey, load_key
from sync.client.link import Link
from sync.client.outbox import Outbox
from sync.client.recovery import Recovery
from sync.client.results import Place
from sync.client.sessions import Method, Session, Sessions
from sync.client.sheets import Sheets
from sync.client.status import Status, read_status
from sync.client.syncing import Synchroniser, SyncReport
from sync.client.trust import Enrolment
from sync.client.wiping import erase, refuse_wiped
from sync.shortcode import FullHead


class Device(Sheets):
    """A device folder that this process alone works in, until ``close``.

    Beside the acts of an inspection (see :class:`~sync.client.fieldwork.Fieldwork`) it enrols, logs
    officers in, imports cards and syncs. ``documents`` and ``enrolment`` are for
    reading; ``enrolment`` is None until the folder is enrolled.
    """

    def __init__(self, folder: DeviceFolder, clock: Clock, stack: ExitStack) -> None:
        outbox = _open_outbox(folder)
        stack.callback(outbox.close)
        self.documents = Documents(outbox)
        journal = Journal(outbox, clock, folder.path)
        self._login = Sessions(outbox, journal, self.documents)
        super().__init__(folder, outbox, journal, self.documents, self._login)
        self._clock = clock
        self._stack = stack
        self.enrolment: Enrolment | None = None
        stored = outbox.meta("enrolment")
        if stored is not None:
            self.enrolment = Enrolment(**stored)
            journal.sign_with(_load_key(folder, self.enrolment), self.enrolment.device)
        folder.tidy(outbox.names())

    @classmethod
    def open(cls, folder: Path, *, clock: Clock | None = None) -> "Device":
        """Open the device in ``folder``, making the folder if there is none.

        Raises:
            FolderBusy: if another process works in it.
            FolderDamaged: if its parts contradict each other.
            DeviceWiped: if it was told to empty itself.
        """
        place = DeviceFolder(folder)
        with ExitStack() as stack:
            try:
                place.create()
            except OSError as error:
                raise FolderDamaged(str(folder), error.strerror or str(error)) from error
            stack.enter_context(place.locked())
            refuse_wiped(place)
            device = cls(place, clock or SystemClock(), stack)
            device._stack = stack.pop_all()
        return device

    def close(self) -> None:
        """Let go of the folder."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def enrol(
        self,
        *,
        server: str,
        code: str,
        name: str = "",
        serial: str = "",
        kind: str = "dock",
        authority: Path | None = None,
    ) -> Enrolment:
        """Enrol with a one-time ``code``, pin the server's keys, open the first epoch.

        ``authority`` is a PEM file with the certificate authority to trust in
        place of the system's; ``kind`` is phone, dock, body_recorder or computer.
        Officers, tasks and templates are pulled right after; where that fails the
        enrolment stands and the next sync brings them.

        Raises:
            AlreadyEnrolled: a folder is one device for good.
            EnrolmentUnclear: if a reply was lost and the code is spent.
            LinkError: nothing was enrolled.
        """
        if self.enrolment is not None:
            raise AlreadyEnrolled(str(self._folder.path), self.enrolment.server)
        enrolling.enrol(
            self._folder,
            self._outbox,
            self._clock,
            server=server,
            code=code,
            name=name,
            serial=serial,
            kind=kind,
            authority=authority,
            begin=self._begin,
        )
        # Whatever happens now, the enrolment stands; the next sync brings the documents.
        with suppress(LinkError):
            self.pull()
        return self.need_enrolment()

    def need_enrolment(self) -> Enrolment:
        """The enrolment.

        Raises:
            NotEnrolled.
        """
        if self.enrolment is None:
            raise NotEnrolled(str(self._folder.path))
        return self.enrolment

    def login(self, officer: str, *, method: Method = "none", pin: str = "") -> Session:
        """Open a session for ``officer`` (id or certificate number).

        Raises:
            UnknownDocument, AmbiguousOfficer, WrongPin, PinTooShort.
        """
        return self._login.open(officer, method=method, pin=pin)

    def logout(self, officer: str) -> None:
        """Close the officer's session.

        Raises:
            NoSession: if they are not logged in.
        """
        self._login.close(officer)

    def hand_over(
        self, leaving: str, taking: str, *, method: Method = "none", pin: str = ""
    ) -> Session:
        """Close one officer's session and open the next officer's; see :class:`Sessions`."""
        return self._login.hand_over(leaving, taking, method=method, pin=pin)

    def head(self) -> FullHead:
        """Where this device's journal stands, for a fellow's device to note.

        Raises:
            NothingWritten.
        """
        return peers.own_head(self._outbox, self._journal)

    def note_head(
        self, said: str, *, device: str | None = None, inspection: str | None = None
    ) -> Place:
        """Note a fellow device's head, typed or scanned; see :func:`peers.note_head`."""
        return peers.note_head(
            self._outbox, self._journal, said, device=device, inspection=inspection
        )

    def sessions(self) -> list[Session]:
        """The open sessions, oldest first."""
        return self._login.current()

    def has_pin(self, officer: str) -> bool:
        """Whether the officer has set a PIN on this device."""
        return self._login.has_pin(officer)

    def import_folder(
        self,
        source: Path,
        *,
        officer: str | None = None,
        inspection: str | None = None,
        progress: Progress | None = None,
    ) -> Imported:
        """Import a recorder's card or folder; see :meth:`Docking.import_folder`."""
        docking = Docking(self._folder, self._outbox, self._journal, self._login, self)
        return docking.import_folder(
            source, officer=officer, inspection=inspection, progress=progress
        )

    def status(self) -> Status:
        """What is safe, what is not, and what is amiss."""
        return read_status(self._folder.path)

    def pull(self) -> int:
        """Pull documents alone; returns how many came.

        Raises:
            NotEnrolled, LinkError.
        """
        with ExitStack() as stack:
            return self._synchroniser(stack).pull()

    def sync(
        self, progress: Progress | None = None, *, check: bool = False, all_now: bool = False
    ) -> SyncReport:
        """Sync once; everything that went wrong stands in the report.

        With ``all_now`` recordings are sent also outside the hours that the server gave.

        With ``check`` the whole local copy is compared with the server's, which is
        else done once a day.

        ``progress`` is told a stage (``push`` or ``upload``), what is done of it
        and the total, in lines or bytes.

        Raises:
            NotEnrolled.
        """
        with ExitStack() as stack:
            report = self._synchroniser(stack).run(progress, check=check, all_now=all_now)
        if report.wiped:
            erase(self._folder, self._outbox, self.need_enrolment(), self._clock)
            return report
        # A restored server goes on under another name.
        self.enrolment = Enrolment(**self._outbox.meta("enrolment"))
        return report

    def write_carrier(
        self, place: Path, *, split: int = SPLIT_BYTES, since_ms: int | None = None
    ) -> Written:
        """Write everything without receipt as an encrypted folder; see :func:`write_carrier`.

        Raises:
            NotEnrolled, CarrierError.
        """
        enrolment = self.need_enrolment()
        self._recovery().go_on()
        return write_carrier(
            self._folder,
            self._outbox,
            enrolment,
            _load_key(self._folder, enrolment),
            self._clock,
            place,
            split=split,
            since_ms=since_ms,
        )

    def read_replies(self, place: Path) -> RepliesRead:
        """Read the server's replies to carriers in ``place``; see :class:`Replies`.

        Raises:
            NotEnrolled, CarrierError, GenerationChanged.
        """
        replies = Replies(
            self._folder, self._outbox, self.documents, self._recovery(), self.need_enrolment()
        )
        try:
            return replies.read_all(place)
        finally:
            self.enrolment = Enrolment(**self._outbox.meta("enrolment"))

    def _recovery(self) -> Recovery:
        return Recovery(self._outbox, self._journal, self._login)

    def free(self, *, really: bool = False) -> Freed:
        """Find, and if ``really`` delete, copies of files that are safe without this device.

        Raises:
            NotEnrolled.
            LinkError: nothing was deleted.
        """
        with ExitStack() as stack:
            freeing = Freeing(
                folder=self._folder,
                outbox=self._outbox,
                enrolment=self.need_enrolment(),
                api=self._api(stack),
                clock=self._clock,
            )
            return freeing.run(really=really)

    def _api(self, stack: ExitStack) -> Api:
        enrolment = self.need_enrolment()
        authority = self._folder.authority
        link = Link(
            enrolment.server, self._clock, authority=authority if authority.exists() else None
        )
        stack.callback(link.close)
        return Api(link, load_key(self._folder.key), enrolment.origin)

    def _synchroniser(self, stack: ExitStack) -> Synchroniser:
        enrolment = self.need_enrolment()
        return Synchroniser(
            folder=self._folder,
            outbox=self._outbox,
            journal=self._journal,
            documents=self.documents,
            sessions=self._login,
            enrolment=enrolment,
            api=self._api(stack),
            clock=self._clock,
        )

    def _begin(self, enrolment: Enrolment, key: DeviceKey, checkpoint: str) -> None:
        self._journal.sign_with(key, enrolment.device)
        self._journal.open_epoch(
            "enrolled",
            {},
            alongside=lambda _: enrolling.keep(self._outbox, enrolment, checkpoint),
        )
        self.enrolment = enrolment


def _open_outbox(folder: DeviceFolder) -> Outbox:
    try:
        return Outbox(folder.database)
    except sqlite3.Error as error:
        raise FolderDamaged(str(folder.path), str(error)) from error


def _load_key(folder: DeviceFolder, enrolment: Enrolment) -> DeviceKey:
    try:
        key = load_key(folder.key)
    except (OSError, ValueError) as error:
        raise FolderDamaged(str(folder.path), f"key.pem: {error}") from error
    if key.key_id != enrolment.key_id:
        raise FolderDamaged(str(folder.path), "key.pem is another key")
    return key
