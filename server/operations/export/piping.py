"""Bytes that one thread makes while another works on them, a bounded number of pieces apart."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

_WAITING: Final = 16

Put = Callable[[bytes], None]


def produced(work: Callable[[Put], object]) -> Iterator[bytes]:
    """The pieces that ``work`` hands to its argument, in order; it runs in a thread of its own.

    Whatever ``work`` raises is raised here, so that nothing ends as if it were whole. When
    nobody asks for more, its next hand-over raises BrokenPipeError, and it is waited for.
    """
    channel: queue.Queue[bytes | BaseException | None] = queue.Queue(_WAITING)
    abandoned = threading.Event()

    def put(piece: bytes) -> None:
        if abandoned.is_set():
            raise BrokenPipeError
        channel.put(piece)

    def run() -> None:
        end: BaseException | None = None
        try:
            work(put)
        except BaseException as error:
            end = error
        if not abandoned.is_set():
            channel.put(end)

    worker = threading.Thread(target=run, name="producing", daemon=True)
    worker.start()
    try:
        while (piece := channel.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        abandoned.set()
        # Whoever waits to hand something over goes on, and learns it with the next piece.
        with channel.mutex:
            channel.queue.clear()
            channel.not_full.notify_all()
        worker.join()


def ahead(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """``pieces``, read ahead in a thread of its own."""

    def work(put: Put) -> None:
        for piece in pieces:
            put(piece)

    return produced(work)
