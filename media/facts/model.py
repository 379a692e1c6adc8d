"""What was read from one file, as it stands there: raw text and where it stands."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from media.errors import Limit, LimitReached, MediaError

READER_VERSION = "liuhen-2"

#: How much the parsers of metadata blocks are given of one file, however often it says to.
WORK_LIMIT_BYTES = 2 * 1024 * 1024
#: What a block costs at least: a thousand empty ones are work too.
_LEAST_WORK_BYTES = 32 * 1024
_FAULT_LIMIT = 64
_EXIF_GROUPS = ("IFD0:", "ExifIFD:", "GPS:")


class Format(NamedTuple):
    """A format's name and media type."""

    type: str
    mime: str


class Value(NamedTuple):
    """One value of a file, not interpreted.

    ``tag`` is group and name as forensic tools print them (``ExifIFD:DateTimeOriginal``).
    ``raw`` is the stored text, or the numbers of a binary value, fractions as ``a/b``.
    The stored bytes are the ``size`` bytes of the file from ``offset``.
    """

    tag: str
    raw: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a part of the file could not be read; ``code`` is that of a ``MediaError``."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that one version of the reader found in one file (docs/evidence.md §7).

    ``type`` is the name of the format (``JPEG``, ``MP4``) and ``mime`` its media type, both
    from the content alone; both are None when no known format was recognised. ``values`` stand
    in the order in which they were found.
    """

    reader_version: str
    size: int
    type: str | None
    mime: str | None
    values: tuple[Value, ...]
    limits_hit: tuple[str, ...]
    faults: tuple[Fault, ...]
    bytes_read: int

    def to_dict(self) -> dict[str, Any]:
        """As plain data: the form in which facts are stored and given to the findings.

        Without null, so that it has a canonical form; an unknown type is the empty text.
        """
        return {
            "bytes_read": self.bytes_read,
            "faults": [{"code": fault.code, "detail": fault.detail} for fault in self.faults],
            "limits_hit": list(self.limits_hit),
            "mime": self.mime or "",
            "reader_version": self.reader_version,
            "size": self.size,
            "type": self.type or "",
            "values": [
                {"offset": value.offset, "raw": value.raw, "size": value.size, "tag": value.tag}
                for value in self.values
            ],
        }

    def to_json(self) -> str:
        """Deterministic JSON: the same file gives the same bytes on every machine."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        return cls(
            reader_version=stored["reader_version"],
            size=stored["size"],
            type=stored["type"] or None,
            mime=stored["mime"] or None,
            values=tuple(Value(**value) for value in stored["values"]),
            limits_hit=tuple(stored["limits_hit"]),
            faults=tuple(Fault(**fault) for fault in stored["faults"]),
            bytes_read=stored["bytes_read"],
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of ``to_json``."""
        return cls.from_dict(json.loads(text))


class Collector:
    """Gathers values, limits and faults while a file is walked, and what finding more may cost.

    Of a picture it also keeps what tells where that ends: ``metadata_end`` of a JPEG as far as
    it was walked, ``scan_at``, where its compressed data begin (-1 if they were not reached),
    ``pictures``, how many it says to hold, and ``ends_at`` of a format that states its length.
    """

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.type: str | None = None
        self.mime: str | None = None
        self.metadata_end = 0
        self.scan_at = -1
        self.pictures = 1
        self.ends_at = -1
        self._tags: set[str] = set()
        self._limits: dict[str, None] = {}
        self._faults: dict[Fault, None] = {}
        self._work_left = WORK_LIMIT_BYTES

    def add(self, tag: str, raw: str, *, offset: int, size: int) -> None:
        self.values.append(Value(tag, raw, offset, size))
        self._tags.add(tag)

    def has(self, tag: str) -> bool:
        return tag in self._tags

    def has_exif(self) -> bool:
        """Whether any value of an EXIF block was found."""
        return any(tag.startswith(_EXIF_GROUPS) for tag in self._tags)

    def raws(self, tag: str) -> list[str]:
        """Every text that was found for ``tag`` so far."""
        if tag not in self._tags:
            return []
        return [value.raw for value in self.values if value.tag == tag]

    def affords(self, size: int) -> bool:
        """Whether a block of ``size`` bytes may be parsed; if not, that is a limit hit."""
        self._work_left -= max(size, _LEAST_WORK_BYTES)
        if self._work_left < 0:
            self.hit(Limit.WORK)
        return self._work_left >= 0

    def hit(self, limit: Limit) -> None:
        self._limits[limit.value] = None

    def fault(self, error: MediaError) -> None:
        """Note ``error``; a limit is listed as a limit, everything else as a fault."""
        if isinstance(error, LimitReached):
            self.hit(error.limit)
        elif len(self._faults) < _FAULT_LIMIT:
            self._faults[Fault(code=error.code, detail=str(error))] = None
        else:
            self.hit(Limit.FAULTS)

    def facts(self, *, size: int, bytes_read: int) -> Facts:
        return Facts(
            reader_version=READER_VERSION,
            size=size,
            type=self.type,
            mime=self.mime,
            values=tuple(self.values),
            limits_hit=tuple(self._limits),
            faults=tuple(self._faults),
            bytes_read=bytes_read,
        )


def text_of(data: bytes) -> str:
    """Stored text as a string: up to the first NUL, UTF-8 if it is, else byte for byte.

    Nothing is lost by the second case: the value says where its bytes stand.
    """
    data = data.partition(b"\0")[0]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
