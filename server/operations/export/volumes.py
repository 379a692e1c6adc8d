"""A package cut into volumes for discs: plain pieces that any system joins again.

``X.zip.001``, ``X.zip.002`` … joined in order are the ZIP to the byte; its own digest,
signature and time stamps stand for the whole.
"""

from dataclasses import dataclass
from typing import Final

#: Bytes that fit onto a disc beside its file system, by the disc's name.
DISCS: Final[dict[str, int]] = {
    "cd": 650_000_000,
    "dvd": 4_000_000_000,
    "bd": 24_000_000_000,
}


@dataclass(frozen=True, kw_only=True)
class Volume:
    """One piece of a package: ``size`` bytes from ``offset`` on; ``number`` counts from 1."""

    number: int
    offset: int
    size: int

    def name(self, package: str) -> str:
        """The file name under which it leaves."""
        return f"{package}.{self.number:03}"


def volumes(size: int, volume_bytes: int) -> list[Volume]:
    """The pieces of ``size`` bytes, each of ``volume_bytes`` but the last."""
    return [
        Volume(number=number, offset=offset, size=min(volume_bytes, size - offset))
        for number, offset in enumerate(range(0, size, volume_bytes), start=1)
    ]
