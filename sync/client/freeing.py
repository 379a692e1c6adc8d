"""Giving room back: local copies of files that the server has, proves to have, and has backed up.

Nothing goes by itself; a person asks for it. Three things must hold for each file:
every line that announces it is covered by a receipt that verifies, the server says
again now that it has the bytes, and the bytes were there before the last backup.
"""

from dataclasses import dataclass

from sync.client.api import Api
from sync.client.clock import Clock
from sync.client.errors import GenerationChanged, ReceiptInvalid
from sync.client.folder import DeviceFolder
from sync.client.outbox import SAFE, Medium, Outbox
from sync.client.trust import Enrolment, read_receipt
from sync.evidence.line import Line

_DIGESTS_AT_ONCE = 500


@dataclass(frozen=True)
class Freed:
    """Files whose local copies may go, or went: ``done`` says which."""

    sha256: tuple[str, ...]
    bytes: int
    done: bool


def note_stored(outbox: Outbox, enrolment: Enrolment, line: Line) -> None:
    """Note that what was safe when ``line`` was signed was stored before that line's entry.

    The ledger is in the order of commits: whatever the server had said before the
    line left this device stands before it, and so in every backup that holds the line.
    """
    epoch, seq = line.header.epoch, line.header.seq
    row = outbox.db.execute(
        "SELECT note FROM receipt WHERE epoch = ? AND first_seq <= ? AND last_seq >= ?",
        (epoch, seq, seq),
    ).fetchone()
    if row is None:
        return
    receipt = read_receipt(row[0], enrolment)
    with outbox.transaction() as db:
        db.execute(
            "UPDATE medium SET stored_before = ?, stored_generation = ?"
            " WHERE state = 'safe' AND (stored_before IS NULL OR stored_generation <> ?)",
            (receipt.first_index + seq - receipt.first_seq, receipt.generation, receipt.generation),
        )


class Freeing:
    """Finds the copies that may go, and lets them go."""

    def __init__(
        self,
        *,
        folder: DeviceFolder,
        outbox: Outbox,
        enrolment: Enrolment,
        api: Api,
        clock: Clock,
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._enrolment = enrolment
        self._api = api
        self._clock = clock

    def run(self, *, really: bool) -> Freed:
        """Find what may go and, if ``really``, delete those copies; lines and receipts stay.

        Raises:
            LinkError: nothing was deleted.
        """
        hello = self._api.hello()
        if hello.origin != self._enrolment.origin:
            raise GenerationChanged(self._enrolment.origin, hello.origin)
        backed_up = self._outbox.media(
            "state = 'safe' AND stored_generation = ? AND stored_before < ?",
            (hello.generation, hello.backed_up_size),
        )
        here = [medium for medium in backed_up if (self._folder.media / medium.name).exists()]
        stored = self._still_stored([medium for medium in here if self._is_receipted(medium)])
        if really:
            self._delete(stored)
        digests = tuple(medium.sha256 for medium in stored)
        return Freed(digests, sum(medium.size for medium in stored), really)

    def _is_receipted(self, medium: Medium) -> bool:
        """Whether every line that announces ``medium`` has a receipt that verifies now."""
        lines = list(
            self._outbox.lines(
                "digest IN (SELECT line FROM item WHERE sha256 = ?)", (medium.sha256,)
            )
        )
        return bool(lines) and all(
            line.state == SAFE and self._has_receipt(line.epoch, line.seq) for line in lines
        )

    def _has_receipt(self, epoch: str, seq: int) -> bool:
        notes = self._outbox.db.execute(
            "SELECT note FROM receipt WHERE epoch = ? AND first_seq <= ? AND last_seq >= ?",
            (epoch, seq, seq),
        )
        for (note,) in notes:
            try:
                receipt = read_receipt(note, self._enrolment)
            except ReceiptInvalid:
                continue
            if self._outbox.digest_at(epoch, receipt.last_seq) == receipt.last_digest:
                return True
        return False

    def _still_stored(self, media: list[Medium]) -> list[Medium]:
        kept: list[Medium] = []
        for start in range(0, len(media), _DIGESTS_AT_ONCE):
            asked = media[start : start + _DIGESTS_AT_ONCE]
            answer = self._api.lacking([medium.sha256 for medium in asked])
            missing = answer.lacking | answer.unannounced
            with self._outbox.transaction():
                # The server has lost it since: the next sync sends it again.
                for medium in asked:
                    if medium.sha256 in answer.lacking:
                        self._outbox.send_again("sha256 = ?", (medium.sha256,))
            kept += [medium for medium in asked if medium.sha256 not in missing]
        return kept

    def _delete(self, media: list[Medium]) -> None:
        # The note first: a copy that outlives it is found again, one that is gone without
        # a note would look like damage.
        now_ms = self._clock.read().wall_ms
        with self._outbox.transaction() as db:
            db.executemany(
                "UPDATE medium SET freed_at_ms = ? WHERE sha256 = ?",
                [(now_ms, medium.sha256) for medium in media],
            )
        for medium in media:
            (self._folder.media / medium.name).unlink(missing_ok=True)
