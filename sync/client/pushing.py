"""Pushing the journal: lines in order, receipts checked, and going on past a refused line."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from sync.client.answers import Limits, Pushed
from sync.client.api import Api
from sync.client.errors import ReceiptInvalid, ServerRefused, ServerUnavailable, Unreachable
from sync.client.outbox import (
    KEPT,
    M_KEPT,
    M_SAFE,
    M_UPLOADED,
    SAFE,
    KeptLine,
    Outbox,
)
from sync.client.trust import Enrolment, read_receipt
from sync.evidence.encoding import sha256_hex
from sync.evidence.receipt import Receipt
from sync.wire import Journal, LineResult, Projection

#: How many lines that were quarantined are asked about again in one sync.
_ASKED_AGAIN = 200
_FIRST_BATCH = 200
_SMALLEST_BATCH = 10
_FAILURES = 5

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Done:
    """Everything of the epoch has been answered for."""


@dataclass(frozen=True)
class RefusedAt:
    """The server refused the line at ``seq``; nothing after it in its epoch can follow."""

    seq: int
    code: str


@dataclass(frozen=True)
class Stuck:
    """The server lacks lines before ``next_seq`` that this device does not have either."""

    next_seq: int


Ending = Done | RefusedAt | Stuck


class Pusher:
    """Sends what the server has no receipt for; every call may be repeated."""

    def __init__(self, outbox: Outbox, api: Api, enrolment: Enrolment, limits: Limits) -> None:
        self._outbox = outbox
        self._api = api
        self._enrolment = enrolment
        self._limits = limits
        self._ceiling = limits.push_lines
        self._size = min(_FIRST_BATCH, limits.push_lines)
        self.checkpoint = ""

    def push_epoch(self, epoch: str, progress: Progress | None = None) -> Ending:
        """Push one epoch's lines until each has a receipt or the server refuses one.

        Raises:
            LinkError: if the server is gone, or answers what cannot be believed.
        """
        seq = self._start(epoch)
        total = self._outbox.head(epoch).next_seq
        failures = 0
        while seq < total:
            if progress is not None:
                progress("push", seq, total)
            batch = self._batch(epoch, seq)
            if not batch:
                break
            try:
                answer = self._api.push(self._enrolment.device, epoch, [x.raw for x in batch])
            except (Unreachable, ServerUnavailable, ServerRefused) as error:
                failures += 1
                self._shrink(error, len(batch), failures)
                continue
            failures = 0
            self._size = min(self._size * 2, self._ceiling)
            ending, answered = self._take(epoch, batch, answer)
            if not isinstance(ending, Done):
                return ending
            seq = batch[0].seq + answered
            if answered == 0:
                # A gap: the server was restored from a backup and asks for older lines.
                if answer.next_seq >= batch[0].seq:
                    return Stuck(answer.next_seq)
                seq = answer.next_seq
        if progress is not None:
            progress("push", total, total)
        return Done()

    def ask_again(self) -> None:
        """Learn whether lines that were quarantined are shown by now: repeat and read."""
        waiting = list(
            self._outbox.lines(
                "projection = ? AND state = ?",
                (Projection.QUARANTINED.value, SAFE),
                limit=_ASKED_AGAIN,
            )
        )
        for run in _runs(waiting):
            answer = self._api.push(self._enrolment.device, run[0].epoch, [x.raw for x in run])
            self._take(run[0].epoch, run, answer)

    def _start(self, epoch: str) -> int:
        """The first line without receipt, or an earlier one if the server fell behind."""
        head = self._api.journal_head(self._enrolment.device, epoch)
        total = self._outbox.head(epoch).next_seq
        own = self._outbox.digest_at(epoch, head.next_seq - 1) if head.next_seq else None
        if head.next_seq < total and (head.next_seq == 0 or own == head.head):
            self._doubt(epoch, head.next_seq)
        first = self._outbox.first_unsafe(epoch)
        return total if first is None else first

    def _doubt(self, epoch: str, seq: int) -> None:
        """Count lines from ``seq`` on as unsent: a server restored from a backup lost them.

        Their receipts stay, and prove that it once had them.
        """
        with self._outbox.transaction() as db:
            db.execute(
                "UPDATE medium SET state = ?, upload = '' WHERE state IN (?, ?) AND sha256 IN"
                " (SELECT item.sha256 FROM item JOIN line ON line.digest = item.line"
                "  WHERE line.epoch = ? AND line.seq >= ? AND line.state = ?)",
                (M_KEPT, M_SAFE, M_UPLOADED, epoch, seq, SAFE),
            )
            db.execute(
                "UPDATE line SET state = ? WHERE epoch = ? AND seq >= ? AND state = ?",
                (KEPT, epoch, seq, SAFE),
            )

    def _batch(self, epoch: str, seq: int) -> list[KeptLine]:
        batch: list[KeptLine] = []
        size = 0
        lines = self._outbox.lines(
            "line.epoch = ? AND seq >= ? AND seq < ? AND state IN (?, ?)",
            (epoch, seq, seq + self._size, KEPT, SAFE),
        )
        for line in lines:
            size += len(line.raw) + 1
            if batch and size > self._limits.push_bytes:
                break
            batch.append(line)
        return batch

    def _shrink(
        self, error: Unreachable | ServerUnavailable | ServerRefused, sent: int, failures: int
    ) -> None:
        """Send less at once over a bad link; give up after a while."""
        too_large = isinstance(error, ServerRefused) and error.status == 413
        if too_large and sent > 1:
            self._ceiling = self._size = sent // 2
            return
        if isinstance(error, ServerRefused) or failures >= _FAILURES:
            raise error
        self._size = max(min(_SMALLEST_BATCH, self._size), self._size // 2)
        self._api.link.wait(failures, error.retry_after)

    def _take(self, epoch: str, batch: Sequence[KeptLine], answer: Pushed) -> tuple[Ending, int]:
        """Write down what became of ``batch``; how many of its lines have a place now."""
        self.checkpoint = answer.checkpoint or self.checkpoint
        receipts = [(note, read_receipt(note, self._enrolment)) for note in answer.receipts]
        placed, ending = _match(batch, answer.results)
        confirmed = self._confirmed(epoch, [receipt for _, receipt in receipts])
        missing = [line.seq for line, _ in placed if line.seq not in confirmed]
        if missing:
            raise ReceiptInvalid(f"none for seq {missing[0]}")
        with self._outbox.transaction() as db:
            for note, receipt in receipts:
                db.execute(
                    "INSERT OR IGNORE INTO receipt VALUES (?, ?, ?, ?, ?)",
                    (note, epoch, receipt.branch, receipt.first_seq, receipt.last_seq),
                )
            for line, result in placed:
                self._settle(line, result)
        return ending, len(placed)

    def _confirmed(self, epoch: str, receipts: Sequence[Receipt]) -> set[int]:
        """The ``seq`` of lines that receipts vouch for.

        A receipt names its last line only. If that one is ours, the chain binds
        those before it, whether or not this batch held them.
        """
        confirmed: set[int] = set()
        for receipt in receipts:
            if receipt.epoch != epoch:
                raise ReceiptInvalid("for another epoch")
            if self._outbox.digest_at(epoch, receipt.last_seq) != receipt.last_digest:
                raise ReceiptInvalid(f"not about our line {receipt.last_seq}")
            confirmed.update(range(receipt.first_seq, receipt.last_seq + 1))
        return confirmed

    def _settle(self, line: KeptLine, result: LineResult) -> None:
        # "already" says nothing about the branch: what was learnt before stays.
        journal = line.journal if result.journal is Journal.ALREADY else result.journal.value
        self._outbox.db.execute(
            "UPDATE line SET state = ?, journal = ?, projection = ?, code = ?"
            " WHERE epoch = ? AND seq = ?",
            (
                SAFE,
                journal or result.journal.value,
                result.projection.value,
                result.code,
                line.epoch,
                line.seq,
            ),
        )


def _match(
    batch: Sequence[KeptLine], results: Sequence[LineResult]
) -> tuple[list[tuple[KeptLine, LineResult]], Ending]:
    """Pair lines with results, in order; a result about anything else is not believed."""
    placed: list[tuple[KeptLine, LineResult]] = []
    for line, result in zip(batch, results, strict=False):
        match result.journal:
            case Journal.ACCEPTED | Journal.ALREADY | Journal.FORKED:
                if (result.seq, result.digest) != (line.seq, line.digest):
                    raise ReceiptInvalid("an answer about other lines")
                placed.append((line, result))
            case Journal.REFUSED:
                if result.digest != sha256_hex(line.raw):
                    raise ReceiptInvalid("a refusal of other bytes")
                return placed, RefusedAt(line.seq, result.code)
            case Journal.GAP:
                return placed, Done()
            case _:
                assert_never(result.journal)
    if not results:
        raise ReceiptInvalid("no line was answered for")
    return placed, Done()


def _runs(lines: Sequence[KeptLine]) -> Iterator[list[KeptLine]]:
    """``lines`` as runs of neighbours in one epoch."""
    run: list[KeptLine] = []
    for line in lines:
        if run and (line.epoch, line.seq) != (run[-1].epoch, run[-1].seq + 1):
            yield run
            run = []
        run.append(line)
    if run:
        yield run
