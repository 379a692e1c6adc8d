"""Pushing the journal: lines in order, receipts checked, and going on past a refused line."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from sync.client.answers import Limits, Pushed, Standing
from sync.client.api import Api
from sync.client.errors import ReceiptInvalid, ServerRefused, ServerUnavailable, Unreachable
from sync.client.outbox import (
    KEPT,
    M_SAFE,
    M_UPLOADED,
    SAFE,
    KeptLine,
    Outbox,
)
from sync.client.pace import Pace
from sync.client.packing import pack
from sync.client.trust import Enrolment, read_receipt
from sync.evidence.encoding import sha256_hex
from sync.evidence.line import GENESIS
from sync.evidence.receipt import Receipt
from sync.wire import Journal, LineResult, Projection

#: Cuts in a row that brought nothing forward, before this sync leaves it to the next one.
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
        self._pace = Pace(limits.push_bytes)
        self._most_lines = limits.push_lines
        self.checkpoint = ""

    def push_epoch(self, epoch: str, progress: Progress | None = None) -> Ending:
        """Push one epoch's lines until each has a receipt or the server refuses one.

        After a cut the server is asked where it stands and for what its lost answer
        said, so that nothing that arrived is sent again.

        Raises:
            LinkError: if the server is gone, or answers what cannot be believed.
        """
        seq = self._stand(epoch)
        total = self._outbox.head(epoch).next_seq
        failures = 0
        while seq < total:
            if progress is not None:
                progress("push", seq, total)
            batch, body = self._batch(epoch, seq)
            if not batch:
                break
            began = self._now_ms()
            try:
                answer = self._api.push(self._enrolment.device, epoch, body)
            except (Unreachable, ServerUnavailable) as error:
                failures += 1
                if failures >= _FAILURES:
                    raise
                self._api.link.wait(failures, error.retry_after)
                before, seq = seq, self._stand(epoch)
                self._pace.failed(some_arrived=seq > before)
                if seq > before:
                    failures = 0
                continue
            except ServerRefused as error:
                if error.status != 413 or len(batch) == 1:
                    raise
                self._most_lines = len(batch) // 2
                continue
            failures = 0
            self._pace.went(len(body), self._now_ms() - began)
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

    def _now_ms(self) -> int:
        return self._api.link.clock.read().mono_ms

    def _stand(self, epoch: str) -> int:
        """The first line to send: without receipt, or lost by a server that fell behind.

        What the server's chain holds of ours is taken in with its stored receipts.
        """
        total = self._outbox.head(epoch).next_seq
        first = self._outbox.first_unsafe(epoch)
        since: int | None = total if first is None else first
        doubted = False
        while since is not None:
            standing = self._api.standing(self._enrolment.device, epoch, since)
            behind = standing.next_seq < total
            own = self._outbox.digest_at(epoch, standing.next_seq - 1) or GENESIS
            if behind and not doubted and own == standing.head:
                self._doubt(epoch, standing.next_seq)
                doubted = True
            take_standing(self._outbox, self._enrolment, epoch, standing)
            since = standing.next_since
        first = self._outbox.first_unsafe(epoch)
        return total if first is None else first

    def _doubt(self, epoch: str, seq: int) -> None:
        """Count lines from ``seq`` on as unsent: a server restored from a backup lost them.

        Their receipts stay, and prove that it once had them.
        """
        with self._outbox.transaction() as db:
            self._outbox.send_again(
                "state IN (?, ?) AND sha256 IN"
                " (SELECT item.sha256 FROM item JOIN line ON line.digest = item.line"
                "  WHERE line.epoch = ? AND line.seq >= ? AND line.state = ?)",
                (M_SAFE, M_UPLOADED, epoch, seq, SAFE),
            )
            db.execute(
                "UPDATE line SET state = ? WHERE epoch = ? AND seq >= ? AND state = ?",
                (KEPT, epoch, seq, SAFE),
            )

    def _batch(self, epoch: str, seq: int) -> tuple[list[KeptLine], bytes]:
        """The lines to send next, and the same packed to what the link carries in a while."""
        lines = list(
            self._outbox.lines(
                "line.epoch = ? AND seq >= ? AND seq < ? AND state IN (?, ?)",
                (epoch, seq, seq + self._most_lines, KEPT, SAFE),
            )
        )
        packed = pack(
            (line.raw for line in lines),
            packed_bytes=self._pace.bytes,
            plain_bytes=self._limits.push_bytes,
            count=self._most_lines,
        )
        return lines[: packed.lines], packed.body

    def _take(self, epoch: str, batch: Sequence[KeptLine], answer: Pushed) -> tuple[Ending, int]:
        """Write down what became of ``batch``; how many of its lines have a place now."""
        self.checkpoint = answer.checkpoint or self.checkpoint
        receipts = [(note, read_receipt(note, self._enrolment)) for note in answer.receipts]
        placed, ending = _match(batch, answer.results)
        confirmed: set[int] = set()
        for _, receipt in receipts:
            if not _is_ours(self._outbox, epoch, receipt):
                raise ReceiptInvalid(f"not about our line {receipt.last_seq}")
            confirmed.update(range(receipt.first_seq, receipt.last_seq + 1))
        missing = [line.seq for line, _ in placed if line.seq not in confirmed]
        if missing:
            raise ReceiptInvalid(f"none for seq {missing[0]}")
        with self._outbox.transaction() as db:
            for note, receipt in receipts:
                _keep_receipt(db, note, receipt)
            for line, result in placed:
                _settle(db, line, result)
        return ending, len(placed)


def take_standing(outbox: Outbox, enrolment: Enrolment, epoch: str, standing: Standing) -> None:
    """Take in receipts whose answers were lost; what is not about our lines says nothing.

    Raises:
        ReceiptInvalid: if one is not signed by the pinned key, for this device.
    """
    told = {(result.seq, result.digest): result for result in standing.results}
    with outbox.transaction() as db:
        for note in standing.receipts:
            receipt = read_receipt(note, enrolment)
            on_chain = receipt.branch or receipt.last_seq < standing.next_seq
            if not (on_chain and _is_ours(outbox, epoch, receipt)):
                continue
            _keep_receipt(db, note, receipt)
            waiting = list(
                outbox.lines(
                    "line.epoch = ? AND seq BETWEEN ? AND ? AND state = ?",
                    (epoch, receipt.first_seq, receipt.last_seq, KEPT),
                )
            )
            for line in waiting:
                plain = LineResult(
                    seq=line.seq,
                    digest=line.digest,
                    journal=Journal.FORKED if receipt.branch else Journal.ACCEPTED,
                    projection=Projection.APPLIED,
                )
                _settle(db, line, told.get((line.seq, line.digest), plain))


def _is_ours(outbox: Outbox, epoch: str, receipt: Receipt) -> bool:
    """Whether ``receipt`` is about our lines of ``epoch``.

    A receipt names its last line only. If that one is ours, the chain binds
    those before it, whether or not they were sent together.
    """
    own = outbox.digest_at(epoch, receipt.last_seq)
    return receipt.epoch == epoch and own == receipt.last_digest


def _keep_receipt(db: sqlite3.Connection, note: str, receipt: Receipt) -> None:
    db.execute(
        "INSERT OR IGNORE INTO receipt VALUES (?, ?, ?, ?, ?)",
        (note, receipt.epoch, receipt.branch, receipt.first_seq, receipt.last_seq),
    )


def _settle(db: sqlite3.Connection, line: KeptLine, result: LineResult) -> None:
    # "already" says nothing about the branch: what was learnt before stays.
    journal = line.journal if result.journal is Journal.ALREADY else result.journal.value
    db.execute(
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
