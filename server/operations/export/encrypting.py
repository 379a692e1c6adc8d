"""A package encrypted on its way out, to the age key of a recipient (age-encryption.org/v1)."""

from collections.abc import Iterator

import pyrage

from server.failures import Invalid
from server.operations.export.piping import Put, produced

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

    Whatever breaks off ``pieces`` breaks off this.
    """
    return produced(lambda put: pyrage.encrypt_io(_Reader(pieces), _Writer(put), [recipient]))


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
    """A file that hands on what is written."""

    def __init__(self, put: Put) -> None:
        self._put = put

    def write(self, data: bytes) -> int:
        self._put(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""
