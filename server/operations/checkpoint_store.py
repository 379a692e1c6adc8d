"""Signed checkpoints in the object store: outside the database, beside the originals.

The first of each day is kept for good, and locked where the bucket has Object Lock; of the
others the newest few, since each proves all before it. So there are some hundred objects
for each year, however often the ledger is signed (docs/evidence.md §5).
"""

import contextlib
import hashlib
import re
from datetime import UTC, datetime

from media.store import DAY_PREFIX, NEWEST_PREFIX, ObjectDiffers, Store
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.note import parse_note

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
#: How many of the newest stay: enough for whoever puts one back to have to find them all.
_NEWEST = 10


class CheckpointStore:
    """Writes checkpoints into ``store``; one for a process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._published = ""
        self._days: set[str] = set()

    def publish(self, note: str, *, now_ms: int) -> bool:
        """Write ``note`` unless it is the one that was written last; whether it was written.

        Raises:
            StoreUnavailable: if the store does not take it; it is tried again at the next call.
        """
        if note == self._published:
            return False
        head = parse_checkpoint(parse_note(note).text)
        ledger = _UNSAFE.sub("_", head.origin)
        newest = f"{NEWEST_PREFIX}{ledger}/"
        self._put(f"{newest}{head.size:016d}", note)
        day = datetime.fromtimestamp(now_ms / 1000, UTC).date().isoformat()
        key = f"{DAY_PREFIX}{ledger}/{day}"
        if key not in self._days:
            self._put(key, note)
            self._days = {key}
        self._published = note
        older = [found.key for found in self._store.list(newest)][:-_NEWEST]
        self._store.delete_tails(older)
        return True

    def _put(self, key: str, note: str) -> None:
        data = note.encode()
        # Another sequencer, or this one before it was started again, may have written it.
        with contextlib.suppress(ObjectDiffers):
            self._store.put_once(key, data, size=len(data), sha256=hashlib.sha256(data).hexdigest())
