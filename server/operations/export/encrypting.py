"""A package encrypted on its way out, to the age key of a recipient (age-encryption.org/v1)."""

import queue
import threading
from collections.abc import Iterator
from typing import Final

import pyrage

from server.failures import Invalid

_WAITING: Final = 16
_STEP = 1 << 16


def parse_recipient(text: str) -> pyrage.x25519.Recipient:
    """The public half of an age key, ``age1…``.

    Raises:
        Invalid: if it is none.
    """
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise Invalid("recipient", "an age public key, age1…") from error


def encrypted(pieces: Iterator[bytes], recipient: pyrage.x25519.Recipient) -> Iterator[bytes]:
    """The age file of ``pieces``, as they come and in constant memory.

    Whatever breaks off ``pieces`` breaks off this, so that nothing ends as if it were whole.
    """
    channel: queue.Queue[bytes | BaseException | None] = queue.Queue(_WAITING)
    abandoned = threading.Event()

    def work() -> None:
        end: BaseException | None = None
        try:
            pyrage.encrypt_io(_Reader(pieces), _Writer(channel, abandoned), [recipient])
        except BaseException as error:
            end = error
        if not abandoned.is_set():
            channel.put(end)

    worker = threading.Thread(target=work, name="encrypting", daemon=True)
    worker.start()
    try:
        while (piece := channel.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        abandoned.set()
        with channel.mutex:
            channel.queue.clear()
            channel.not_full.notify_all()
        worker.join()


class _Reader:
    """What an iterator of bytes gives, as a file to be read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, size: int = _STEP) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        given, self._rest = self._rest[:size], self._rest[size:]
        return bytes(given)


class _Writer:
    """A file that hands on what is written, unless nobody waits for it any more."""

    def __init__(
        self, channel: "queue.Queue[bytes | BaseException | None]", abandoned: threading.Event
    ) -> None:
        self._channel = channel
        self._abandoned = abandoned

    def write(self, data: bytes) -> int:
        if self._abandoned.is_set():
            raise BrokenPipeError
        self._channel.put(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""
