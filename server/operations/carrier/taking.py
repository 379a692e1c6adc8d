"""Taking a carrier in: its lines are pushed, its media uploaded, part by part."""

import re
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from media.errors import MediaError
from media.store import StoreUnavailable
from media.upload import DigestMismatch, UploadGone
from media.upload_headers import Metadata
from server.failures import NotFound
from server.operations import ledger, push, uploads
from server.operations.carrier.opening import Counter, Opened
from server.operations.uploads.desk import UploadState, load
from sync.carrier.errors import CarrierDamaged
from sync.carrier.manifest import MANIFEST_NAME, Medium, part_name
from sync.carrier.members import Member
from sync.carrier.reading import PartState, check_part, opened_part, strangers
from sync.wire import Journal, Projection

_JOURNAL = re.compile(r"journal/([0-9a-f]{32})/\d{1,16}\.ndjson")
_MEDIUM = re.compile(r"media/([0-9a-f]{64})/(\d{1,16})")

#: Of a member at once, so that a large one is never whole in memory.
_STEP = 256 << 10


@dataclass
class Taken:
    """What became of a carrier; numbers count what this run has found or done.

    Attributes:
        lines: that were looked at, of which ``fresh`` were not here before.
        stopped: epoch and code, where no further line of an epoch had a place.
        media: that are here now.
        failed: digest and code of media that are not what they were announced to be,
            or cannot be taken.
        missing, damaged, waiting: numbers of parts that are not on this disk, are not
            as signed, or are kept until an earlier one comes.
        ignored: names that belong to no carrier.
    """

    carrier: str
    device: str
    revoked: bool
    lines: int = 0
    fresh: int = 0
    quarantined: int = 0
    stopped: dict[str, str] = field(default_factory=dict)
    media: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    wants_check: bool = False

    @property
    def complete(self) -> bool:
        """Whether every part was there and nothing of it waits."""
        return not (self.missing or self.damaged or self.waiting)


def take_carrier(counter: Counter, opened: Opened, *, person_id: str) -> Taken:
    """Take in what is there of a carrier, in the name of the administrator ``person_id``.

    Taking it again, or after a crash in the middle, adds only what is missing.

    Raises:
        CarrierDamaged: if what the device has signed is not of the form.
        StoreUnavailable: the store failed; what was taken before stays taken.
        OSError: if a waiting part cannot be kept.
    """
    manifest = opened.manifest
    _note(counter, opened, person_id=person_id)
    run = _Run(counter, opened)
    unused: list[tuple[int, Path]] = []
    for number, part in enumerate(manifest.parts, start=1):
        there = opened.folder / part_name(number)
        kept = counter.shelf.part(manifest.carrier, number)
        states = {path: check_part(path, part) for path in (there, kept)}
        sound = next((p for p, state in states.items() if state is PartState.PRESENT), None)
        if sound is None:
            is_damaged = states[there] is PartState.DAMAGED
            (run.taken.damaged if is_damaged else run.taken.missing).append(number)
        elif not run.take_part(sound):
            unused.append((number, sound))
    if run.taken.missing or run.taken.damaged:
        _keep(counter, opened, [path for _, path in unused])
        run.taken.waiting = [number for number, _ in unused]
    else:
        counter.shelf.clear(manifest.carrier)
    run.taken.ignored = strangers(opened.folder, len(manifest.parts))
    return run.taken


def _note(counter: Counter, opened: Opened, *, person_id: str) -> None:
    """Let the ledger say, once, that this carrier was brought and by whom it was taken."""
    manifest, about = opened.manifest, f"carrier:{opened.digest}"
    with counter.desk.write() as session:
        ledger.lock_head(session)
        if ledger.events_about(session, [about]):
            return
        ledger.append(
            session,
            "media",
            actor={"person": person_id},
            subject={"device": manifest.device, "carrier": manifest.carrier},
            snapshot={
                "act": "carrier_taken",
                "manifest": opened.digest,
                "key_id": manifest.key_id,
                "after_revocation": opened.device.revoked,
                "lines": sum(e.next_seq - e.first_seq for e in manifest.epochs),
                "media": len(manifest.media),
                "parts": len(manifest.parts),
            },
            about=(f"device:{manifest.device}", about),
            now_ms=counter.services.now_ms(),
        )


def _keep(counter: Counter, opened: Opened, parts: list[Path]) -> None:
    """Keep what an earlier part is waited for, and the manifest for discs that lack it."""
    carrier = opened.manifest.carrier
    manifest = opened.folder / MANIFEST_NAME
    if manifest.exists():
        counter.shelf.keep(carrier, manifest)
    for path in parts:
        counter.shelf.keep(carrier, path)


class _Run:
    """One run over one carrier; lines are gathered to batches as large as a push may be."""

    def __init__(self, counter: Counter, opened: Opened) -> None:
        self._counter = counter
        self._opened = opened
        self._media = {medium.sha256: medium for medium in opened.manifest.media}
        self._epoch = ""
        self._batch: list[bytes] = []
        self._size = 0
        manifest = opened.manifest
        self.taken = Taken(
            carrier=manifest.carrier, device=manifest.device, revoked=opened.device.revoked
        )

    def take_part(self, path: Path) -> bool:
        """Take the members of one part; False if some of it must wait for an earlier part."""
        used = True
        with opened_part(path, self._counter.services.carrier_key) as members:
            for member in members:
                if match := _JOURNAL.fullmatch(member.name):
                    self._take_lines(match[1], member)
                elif match := _MEDIUM.fullmatch(member.name):
                    self._flush()
                    used = self._take_piece(match[1], int(match[2]), member) and used
                else:
                    raise CarrierDamaged(str(path), "a member that is neither journal nor medium")
        self._flush()
        gaps = set(self.taken.stopped.values())
        return used and "journal.gap" not in gaps

    def _take_lines(self, epoch: str, member: Member) -> None:
        settings = self._counter.services.settings
        if epoch != self._epoch:
            self._flush()
            self._epoch = epoch
        for raw in member.lines(settings.push_limit_bytes):
            if (
                len(self._batch) == settings.push_limit_lines
                or self._size + len(raw) > settings.push_limit_bytes
            ):
                self._flush()
            self._batch.append(raw)
            self._size += len(raw) + 1

    def _flush(self) -> None:
        """Push what was gathered; behind a line without a place nothing of its epoch follows."""
        raws, self._batch, self._size = self._batch, [], 0
        if not raws or self._epoch in self.taken.stopped:
            return
        parts, device = self._counter.services, self._opened.device
        lines = push.parse_lines(
            raws,
            device=device.id,
            epoch=self._epoch,
            keys=self._opened.keys,
            line_limit=parts.settings.line_limit_bytes,
        )
        with self._counter.desk.write() as session:
            outcome = push.append_lines(
                session,
                device,
                self._epoch,
                lines,
                signer=parts.receipt_signer,
                clock=parts.clock_state(),
                now_ms=parts.now_ms(),
            )
        self.taken.wants_check |= outcome.wants_check
        for result in outcome.results:
            match result.journal:
                case Journal.REFUSED | Journal.GAP:
                    self.taken.stopped[self._epoch] = result.code
                    continue
                case Journal.ACCEPTED | Journal.FORKED:
                    self.taken.fresh += 1
                case Journal.ALREADY:
                    pass
            self.taken.lines += 1
            self.taken.quarantined += result.projection is Projection.QUARANTINED

    def _take_piece(self, sha256: str, offset: int, member: Member) -> bool:
        """Append a piece of a file to its upload; False if what comes before it is not here yet."""
        medium = self._media.get(sha256)
        # What the device found damaged while it wrote is in the parts but not in the manifest.
        if medium is None or sha256 in self.taken.failed:
            return True
        try:
            state = self._upload(medium)
            if state.status == "open":
                if state.offset < offset:
                    return False
                state = self._append(state, offset, member)
        except StoreUnavailable:
            raise
        except MediaError as error:
            # One file that cannot be taken costs only itself.
            self.taken.failed[sha256] = error.code
            return True
        if state.status == "quarantined":
            self.taken.failed[sha256] = DigestMismatch.code
        elif state.status == "stored" and offset + member.size == medium.size:
            self.taken.media += 1
            self.taken.wants_check = True
        return True

    def _append(self, state: UploadState, offset: int, member: Member) -> UploadState:
        end = offset + member.size
        if end <= state.offset and member.size:
            return state
        left = state.offset - offset
        while left > 0:
            left -= len(member.read(min(left, 1 << 16)))
        body = _Piece(member, end - state.offset)
        return uploads.receive(
            self._counter.desk, state.id, body, given=state.offset, checksum=None
        )

    def _upload(self, medium: Medium) -> UploadState:
        """The upload of this file out of this carrier: found again however often it is taken."""
        desk, device = self._counter.desk, self._opened.device
        for attempt in count():
            name = f"{self._opened.digest}/{medium.sha256}/{attempt}"
            upload_id = str(uuid5(NAMESPACE_URL, name))
            try:
                with desk.read() as session:
                    state = load(session, upload_id)
                if state.status in ("stored", "quarantined"):
                    return state
                return uploads.look(desk, upload_id, organization_id=device.organization_id)
            except NotFound:
                return uploads.begin(
                    desk,
                    Metadata(
                        sha256=medium.sha256,
                        filename=_printable(medium.name),
                        filetype=_printable(medium.media_type),
                    ),
                    length=medium.size,
                    device_id=device.id,
                    organization_id=device.organization_id,
                    upload_id=upload_id,
                )
            except UploadGone:
                continue
        raise AssertionError("unreachable: the loop returns or raises")


class _Piece:
    """A member as the body of a PATCH."""

    cut = False

    def __init__(self, member: Member, expected: int) -> None:
        self.expected: int | None = expected
        self._member = member

    def read_into(self, view: memoryview) -> int:
        data = self._member.read(min(len(view), _STEP))
        view[: len(data)] = data
        return len(data)

    def ready(self, wait_s: float) -> bool:
        return True

    def interrupt(self) -> None:
        """Bytes from a disk come at once; there is nothing to wake up."""

    def finish(self) -> None:
        """Nothing waits for the member."""


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
