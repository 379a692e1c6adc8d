"""Writing the device's journal: one signed line at a time, durable before the next is built."""

import os
import sqlite3
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sync.client.clock import Clock
from sync.client.keys import DeviceKey
from sync.client.local import fold
from sync.client.outbox import Outbox
from sync.evidence import acts
from sync.evidence.encoding import to_b64url
from sync.evidence.line import SALT_BYTES, Line, build_line

Alongside = Callable[[sqlite3.Connection], None]


class Journal:
    """The only writer of lines (docs/protocol.md §4.1)."""

    def __init__(self, outbox: Outbox, key: DeviceKey, device: str, clock: Clock) -> None:
        self._outbox = outbox
        self._key = key
        self._clock = clock
        self.device = device

    def append(self, act: Mapping[str, Any], *, alongside: Alongside | None = None) -> Line:
        """Sign ``act`` as the next line; on return it is behind an fsync.

        ``alongside`` writes what must be true if and only if the line exists.

        Raises:
            LineTooLong, NotCanonical: nothing was written.
        """
        with self._outbox.transaction() as db:
            line = self._write(act)
            if alongside is not None:
                alongside(db)
        return line

    def open_epoch(
        self, reason: str, more: Mapping[str, Any], *, alongside: Alongside | None = None
    ) -> Line:
        """Begin a new epoch with its first line, which carries the key and the ``reason``."""
        act = {
            "type": acts.EPOCH_OPENED,
            "spki": to_b64url(self._key.spki),
            "reason": reason,
            **more,
        }
        with self._outbox.transaction() as db:
            if alongside is not None:
                alongside(db)
            self._outbox.open_epoch(uuid.uuid4().hex, reason)
            return self._write(act)

    def _write(self, act: Mapping[str, Any]) -> Line:
        body = {**_composed(dict(act)), "salt": os.urandom(SALT_BYTES).hex()}
        # The head is read under the write lock: two lines can never claim one place.
        head = self._outbox.head()
        line = build_line(
            [body],
            device=self.device,
            epoch=head.epoch,
            seq=head.next_seq,
            prev=head.digest,
            t=self._clock.read(),
            key_id=self._key.key_id,
            sign=self._key.sign,
            anchor=self._outbox.anchor(),
        )
        self._outbox.insert_line(
            head.epoch, head.next_seq, line.digest, line.to_bytes(), act["type"]
        )
        fold(self._outbox.db, line, body)
        return line


def _composed(value: Any) -> Any:
    """``value`` with every text in NFC, which is a producer's duty (docs/protocol.md §4.1)."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list | tuple):
        return [_composed(item) for item in value]
    if isinstance(value, dict):
        return {key: _composed(item) for key, item in value.items()}
    return value
