"""Where the bytes of an upload come from: a request, or pieces that are put together."""

from typing import Protocol


class Body(Protocol):
    """The body of a request as it comes in.

    ``expected`` is its Content-Length, None if it does not say. Then ``cut`` tells, after
    the last byte, whether it broke off there.
    """

    expected: int | None
    cut: bool

    def read_into(self, view: memoryview) -> int:
        """Wait for bytes; 0 at the end, when the connection is cut, or after ``interrupt``."""

    def ready(self, wait_s: float) -> bool:
        """Whether ``read_into`` will answer at once; False also where that cannot be known."""

    def interrupt(self) -> None:
        """Make ``read_into`` return what has arrived, then 0. May come from any thread."""

    def finish(self) -> None:
        """No more will be read: ``interrupt`` has no effect from now on."""


class NoBody:
    """A request without bytes."""

    expected: int | None = 0
    cut = False

    def read_into(self, view: memoryview) -> int:
        return 0

    def ready(self, wait_s: float) -> bool:
        return True

    def interrupt(self) -> None:
        return

    def finish(self) -> None:
        return
