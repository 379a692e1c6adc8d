"""When our own reader or rules fail on a file: that is kept as a finding, and the item is checked.

A fault of the store, the database or the machine is not of this kind. It says nothing
about the file, and the item is tried again for as long as it takes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from media.errors import MediaError
from media.facts import READER_VERSION, Facts, Fault
from media.findings import model
from media.findings.signs import READER_FAILED
from server.operations.media_checks.examining import Compared, Read

#: So often an item is tried before the fault is kept: a fault of the moment does not come thrice.
TRIES = 3

Part = Literal["reader", "rules"]


class OwnFault(Exception):
    """A part of this program failed on one item by an exception of the type ``kind``."""

    def __init__(self, part: Part, kind: str) -> None:
        super().__init__(f"{part}: {kind}")
        self.part = part
        self.kind = kind


@contextmanager
def our_own(part: Part) -> Iterator[None]:
    """Name ``part`` as what failed, where it is neither store, database nor machine that did.

    Raises:
        OwnFault: from whatever was raised inside and has no code.
    """
    try:
        yield
    except (MediaError, SQLAlchemyError, OSError, MemoryError):
        raise
    except Exception as error:
        if getattr(error, "code", "") or _is_no_thread(error):
            raise
        raise OwnFault(part, type(error).__name__) from error


def _is_no_thread(error: Exception) -> bool:
    """Whether the machine has no thread left; Python has no type of its own for that."""
    return isinstance(error, RuntimeError) and str(error).startswith("can't start new thread")


def unread(size: int, kind: str) -> Read:
    """What stands in the place of facts where the reader fails: no type, so nothing is shown."""
    facts = Facts(
        reader_version=READER_VERSION,
        size=size,
        type=None,
        mime=None,
        values=(),
        limits_hit=(),
        faults=(Fault(code=READER_FAILED, detail=kind),),
        bytes_read=0,
    )
    return Read(facts=facts.to_json(), second="", pixels="", pictures={})


def uncompared(capture_class: str, kind: str) -> Compared:
    """What stands in the place of a comparison where the rules fail."""
    failed = model.finding("CHECK_FAILED", model.UNDECIDED, "rules", "rules:failed", kind, -1)
    hints = model.Hints(capture_class=capture_class)
    return Compared(context=model.Context(hints=hints), claims=(), found=(failed,))
