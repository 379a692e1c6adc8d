"""What the operating system knows of its own clock: whether anything keeps it in time."""

import ctypes
import time

_TIME_ERROR = 5
_TIMEX_BYTES = 512


def now_ms() -> int:
    """The server's own clock, milliseconds UTC."""
    return time.time_ns() // 1_000_000


def synchronised() -> str:
    """``synchronised``, ``unsynchronised`` or ``unknown``, as adjtimex(2) tells.

    Receipts carry it, so that a time issued by a drifting clock says so
    (docs/evidence.md §6).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "adjtimex"):
        return "unknown"
    # A zeroed struct timex asks without changing anything; only the return value is read.
    state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state < 0:
        return "unknown"
    return "unsynchronised" if state == _TIME_ERROR else "synchronised"
