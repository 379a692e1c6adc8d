"""A SHA-256 and CRC-32 of a stream that outlive the process which began them.

An upload may be resumed by another process after a crash. hashlib cannot save
its state, but libcrypto's ``SHA256_CTX`` is a plain struct of the standard's own
variables; they are kept here in a form of our own, independent of byte order.
Where libcrypto cannot be reached that way, or does not behave as expected, the
state is simply not kept and the caller reads the stored bytes once more
(docs/protocol.md §7).
"""

import _hashlib
import ctypes
import hashlib
import struct
import zlib
from collections.abc import Iterable
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from media.errors import MediaError

_BLOCK = 64
# Tag, eight chaining words, number of bytes hashed; the bytes of the unfinished block follow.
_SAVED = struct.Struct(">4s8IQ")
_TAG = b"S256"


class HashStateUnusable(MediaError):
    """A saved hash state cannot be continued here; the bytes must be read again."""

    code = "media.hash_state_unusable"


@dataclass(frozen=True)
class DigestState:
    """How far a running digest has come.

    Attributes:
        size: bytes seen.
        crc32: of those bytes.
        sha256: the saved state, or None where it could not be saved.
    """

    size: int = 0
    crc32: int = 0
    sha256: bytes | None = None


START = DigestState()


class _Sha256(Protocol):
    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class RunningDigest:
    """SHA-256 and CRC-32 of everything given to :meth:`update`, from ``state`` on."""

    def __init__(self, state: DigestState = START) -> None:
        """Continue from ``state``.

        Raises:
            HashStateUnusable: if ``state`` was saved without its SHA-256, by
                another format, or libcrypto is out of reach here.
        """
        self.size = state.size
        self.crc32 = state.crc32
        self._sha256: _Sha256
        if carries_state():
            self._sha256 = _Libcrypto()
            if state.size:
                self._sha256.restore(state)
        elif state.size:
            raise HashStateUnusable("libcrypto is out of reach")
        else:
            self._sha256 = hashlib.sha256()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self._sha256.update(data)
        self.crc32 = zlib.crc32(data, self.crc32)
        self.size += len(data)

    def hexdigest(self) -> str:
        """SHA-256 of what was seen; more may follow."""
        return self._sha256.hexdigest()

    def state(self) -> DigestState:
        saved = self._sha256.save() if isinstance(self._sha256, _Libcrypto) else None
        return DigestState(size=self.size, crc32=self.crc32, sha256=saved)


def sha256_of(pieces: Iterable[bytes]) -> str:
    """SHA-256 in hex of bytes that come piece by piece, as an object of the store does."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


class _Context(ctypes.Structure):
    """``SHA256_CTX`` of openssl/sha.h, unchanged since 0.9.8."""

    _fields_ = (
        ("h", ctypes.c_uint32 * 8),
        ("bits_low", ctypes.c_uint32),
        ("bits_high", ctypes.c_uint32),
        ("data", ctypes.c_ubyte * _BLOCK),
        ("num", ctypes.c_uint),
        ("md_len", ctypes.c_uint),
    )


class _Libcrypto:
    def __init__(self) -> None:
        self._library = _library()
        self._context = _Context()
        self._library.SHA256_Init(ctypes.byref(self._context))

    def update(self, data: bytes | bytearray | memoryview) -> None:
        size = len(data)
        if isinstance(data, bytes):
            self._library.SHA256_Update(ctypes.byref(self._context), data, size)
            return
        if isinstance(data, memoryview) and data.readonly:
            self.update(bytes(data))
            return
        # Writable memory is hashed where it lies; the pointer lives no longer than this call.
        at = (ctypes.c_char * size).from_buffer(data)
        self._library.SHA256_Update(ctypes.byref(self._context), at, size)

    def hexdigest(self) -> str:
        # Final overwrites the context, so that it works on a copy.
        copy = _Context.from_buffer_copy(self._context)
        digest = ctypes.create_string_buffer(32)
        self._library.SHA256_Final(digest, ctypes.byref(copy))
        return digest.raw.hex()

    def save(self) -> bytes:
        context = self._context
        size = ((context.bits_high << 32) | context.bits_low) // 8
        return _SAVED.pack(_TAG, *context.h, size) + bytes(context.data[: context.num])

    def restore(self, state: DigestState) -> None:
        saved = state.sha256
        if saved is None or len(saved) < _SAVED.size or saved[:4] != _TAG:
            raise HashStateUnusable("no saved state of a known format")
        _, *words, size = _SAVED.unpack_from(saved)
        rest = saved[_SAVED.size :]
        if size != state.size or len(rest) != size % _BLOCK:
            raise HashStateUnusable(f"saved after {size} bytes, expected {state.size}")
        context = self._context
        context.h[:] = words
        context.bits_low = size * 8 & 0xFFFF_FFFF
        context.bits_high = size * 8 >> 32
        context.data[: len(rest)] = list(rest)
        context.num = len(rest)


@cache
def carries_state() -> bool:
    """Whether a state can be saved here: libcrypto is found and agrees with hashlib.

    The struct is not promised by libcrypto's authors, so its behaviour is
    tried once per process instead of trusted.
    """
    try:
        return _agrees_with_hashlib()
    except (OSError, AttributeError):
        return False


def _agrees_with_hashlib() -> bool:
    message = bytes(range(256)) * 3
    for cut in (0, 1, 63, 64, 65, 300, len(message)):
        first = _Libcrypto()
        first.update(message[:cut])
        then = _Libcrypto()
        then.restore(DigestState(size=cut, sha256=first.save()))
        then.update(bytearray(message[cut:]))
        if then.hexdigest() != hashlib.sha256(message).hexdigest():
            return False
    return True


@cache
def _library() -> ctypes.CDLL:
    """The libcrypto that hashlib itself is linked with, else the system's.

    Raises:
        OSError: if there is none.
        AttributeError: if it lacks the functions.
    """
    path = getattr(_hashlib, "__file__", None) or find_library("crypto")
    if path is None:
        raise OSError("no libcrypto")
    library = ctypes.CDLL(path)
    for function in (library.SHA256_Init, library.SHA256_Update, library.SHA256_Final):
        function.restype = ctypes.c_int
    library.SHA256_Init.argtypes = [ctypes.c_void_p]
    library.SHA256_Update.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    library.SHA256_Final.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    return library
