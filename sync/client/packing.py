"""Packing journal lines for the way: compressed, so that a cut keeps what arrived before it."""

from collections.abc import Iterable
from dataclasses import dataclass

import zstandard

ENCODING = "zstd"
_LEVEL = 9
#: After so many bytes what was packed can be read without what follows: a cut costs at
#: most this much, and packing in such pieces about 6 % in size.
_FLUSH_BYTES = 4096


@dataclass(frozen=True)
class Packed:
    """The first ``lines`` of what was to be packed; never none."""

    body: bytes
    lines: int


def pack(lines: Iterable[bytes], *, packed_bytes: int, plain_bytes: int, count: int) -> Packed:
    """Pack lines until one of the limits is reached; the first is taken in any case.

    Args:
        packed_bytes: size of the body to aim at; passed by one piece at most.
        plain_bytes: what the lines and their newlines may come to before packing.
        count: how many lines at most.
    """
    packer = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    body = bytearray()
    taken = plain = pending = 0
    for line in lines:
        if taken and (taken == count or plain + len(line) + 1 > plain_bytes):
            break
        body += packer.compress(line + b"\n")
        taken += 1
        plain += len(line) + 1
        pending += len(line) + 1
        if pending >= _FLUSH_BYTES:
            body += packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
            pending = 0
            if len(body) >= packed_bytes:
                break
    return Packed(bytes(body + packer.flush()), taken)
