"""Writing the device's journal: one signed line at a time, durable before the next is built."""

import os
import sqlite3
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sync.client.clock import Clock
from sync.client.errors import NotEnrolled
from sync.client.keys import DeviceKey
from sync.client.local import fold
from sync.client.outbox import Outbox
from sync.evidence import acts
from sync.evidence.encoding import to_b64url
from sync.evidence.line import SALT_BYTES, Line, build_line

Alongside = Callable[[sqlite3.Connection], None]


class Journal:
    """The only writer of lines (docs/protocol.md §4.1); refuses until it has a key."""

    def __init__(self, outbox: Outbox, clock: Clock, folder: Path) -> None:
        self._outbox = outbox
        self._clock = clock
        self._folder = folder
        self._signer: tuple[DeviceKey, str] | None = None

    def sign_with(self, key: DeviceKey, device: str) -> None:
        """Write as ``device``, signed with ``key``, from now on."""
        self._signer = key, device

    @property
    def device(self) -> str:
        return self._need_signer()[1]

    def append(
        self,
        act: Mapping[str, Any],
        *,
        apart: Mapping[str, Any] | None = None,
        alongside: Alongside | None = None,
    ) -> Line:
        """Sign ``act`` as the next line; on return it is behind an fsync.

        Each field of ``apart`` becomes a part of its own, so that it can be withheld
        or erased alone (docs/protocol.md §4.1). ``alongside`` writes what must be true
        if and only if the line exists.

        Raises:
            NotEnrolled, LineTooLong, NotCanonical: nothing was written.
        """
        with self._outbox.transaction() as db:
            line = self._write(act, apart or {})
            if alongside is not None:
                alongside(db)
        return line

    def open_epoch(
        self, reason: str, more: Mapping[str, Any], *, alongside: Alongside | None = None
    ) -> Line:
        """Begin a new epoch with its first line, which carries the key and the ``reason``."""
        act = {
            "type": acts.EPOCH_OPENED,
            "spki": to_b64url(self._need_signer()[0].spki),
            "reason": reason,
            **more,
        }
        with self._outbox.transaction() as db:
            if alongside is not None:
                alongside(db)
            self._outbox.open_epoch(uuid.uuid4().hex, reason)
            return self._write(act, {})

    def _need_signer(self) -> tuple[DeviceKey, str]:
        if self._signer is None:
            raise NotEnrolled(str(self._folder))
        return self._signer

    def _write(self, act: Mapping[str, Any], apart: Mapping[str, Any]) -> Line:
        key, device = self._need_signer()
        body = _salted(act)
        fields = [_salted({"field": name, "value": apart[name]}) for name in sorted(apart)]
        # The head is read under the write lock: two lines can never claim one place.
        head = self._outbox.head()
        line = build_line(
            [body, *fields],
            device=device,
            epoch=head.epoch,
            seq=head.next_seq,
            prev=head.digest,
            t=self._clock.read(),
            key_id=key.key_id,
            sign=key.sign,
            anchor=self._outbox.anchor(),
        )
        self._outbox.insert_line(
            head.epoch, head.next_seq, line.digest, line.to_bytes(), act["type"]
        )
        fold(self._outbox.db, line, body)
        return line


def _salted(part: Mapping[str, Any]) -> dict[str, Any]:
    return {**in_normal_form(dict(part)), "salt": os.urandom(SALT_BYTES).hex()}


def in_normal_form(value: Any) -> Any:
    """``value`` with every text in NFC, which is a producer's duty (docs/protocol.md §4.1)."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list | tuple):
        return [in_normal_form(item) for item in value]
    if isinstance(value, dict):
        return {key: in_normal_form(item) for key, item in value.items()}
    return value
