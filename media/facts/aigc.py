"""Finds labels of generated content (GB 45438-2025): a JSON object under the name ``AIGC``.

Some writers leave the name out; then the members must be those of a label, since ``Label``
alone is a word that cameras and shops use for other things too.
"""

import json
import re
from itertools import islice

from media.facts.model import Collector, text_of

TAG = "AIGC:Label"
#: A label is about 300 bytes.
LABEL_LIMIT_BYTES = 4096

#: The name, and between it and the object only what JSON or a container puts there.
_NAMED = re.compile(rb"AIGC[\"'\\\s\0:=]{0,16}(?=\{)")
_MEMBER = re.compile(rb"[\"']Label\\?[\"']\s{0,8}:")
_OTHER_MEMBERS = (
    b"ContentProducer",
    b"ProduceID",
    b"ReservedCode1",
    b"ContentPropagator",
    b"PropagateID",
    b"ReservedCode2",
)
_OTHERS_NEEDED = 2
#: How often the name may stand in a value before one place turns out to be a label.
_NAMES_LIMIT = 4
_BRACE = re.compile(rb"[{}]")
_BRACES_LIMIT = 64
_NOT_ZERO = re.compile(rb"[^\0]", re.DOTALL)
_ESCAPED = re.compile(rb"\{\s*\\\"")
_SIXTEEN_BITS = re.compile(rb"A\0I\0G\0C|L\0a\0b\0e\0l")
_BYTE_ORDER_MARK = re.compile(rb"\xff\xfe|\xfe\xff")
_JSON = json.JSONDecoder(strict=False)


def note_label(data: bytes, into: Collector, *, offset: int, named: bool = False) -> None:
    """Keep the JSON of a label that stands in ``data``, a value of at most 4 KB of the file.

    ``named`` says that the value itself bears the name: a chunk, box or key called ``AIGC``.
    """
    wide = _SIXTEEN_BITS.search(data)
    if wide is not None:
        _wide_label(data, wide.start(), into, offset, named)
        return
    if not named and b"AIGC" not in data and b"Label" not in data:
        return
    place = _place(data, named) if into.affords(len(data)) else None
    if place is not None:
        start, end = place
        raw = data[start:end]
        if _ESCAPED.match(raw):
            # The object stands as text in a member of an outer one.
            raw = raw.replace(b'\\"', b'"').replace(b"\\\\", b"\\")
        _keep(text_of(raw), into, offset + start, end - start)


def _wide_label(data: bytes, at: int, into: Collector, offset: int, named: bool) -> None:
    """As ``note_label`` for text of 16 bits a character, as EXIF and ID3 have it too.

    At ``at`` stands the byte of a character of ASCII that is not zero. Where no mark says which
    of the two comes first, characters begin at even places.
    """
    if not into.affords(len(data)):
        return
    mark = _BYTE_ORDER_MARK.search(data, 0, at)
    little = mark.group() == b"\xff\xfe" if mark is not None else at % 2 == 0
    skip = at % 2 if little else (at + 1) % 2
    units = data[skip : skip + (len(data) - skip & ~1)]
    low, high = (0, 1) if little else (1, 0)
    narrow = bytearray(units[low::2])
    for beyond in _NOT_ZERO.finditer(units[high::2]):
        narrow[beyond.start()] = 0x3F
    place = _place(bytes(narrow), named)
    if place is not None:
        start, end = place
        raw = units[2 * start : 2 * end].decode("utf-16-le" if little else "utf-16-be", "replace")
        _keep(raw, into, offset + skip + 2 * start, 2 * (end - start))


def _keep(raw: str, into: Collector, offset: int, size: int) -> None:
    if raw not in into.raws(TAG):
        into.add(TAG, raw, offset=offset, size=size)


def _place(data: bytes, named: bool) -> tuple[int, int] | None:
    """Where the object of a label stands."""
    starts = [name.end() for name in islice(_NAMED.finditer(data), _NAMES_LIMIT)]
    if named and not starts:
        starts = [data.find(b"{")]
    for start in starts:
        end = _end(data, start) if start >= 0 else start
        if b"Label" in data[start:end]:
            return start, end
    member = _MEMBER.search(data)
    start = -1 if member is None else data.rfind(b"{", 0, member.start())
    if start < 0:
        return None
    end = _end(data, start)
    others = sum(other in data[start:end] for other in _OTHER_MEMBERS)
    return (start, end) if others >= _OTHERS_NEEDED else None


def _end(data: bytes, start: int) -> int:
    """Behind the object that begins at ``start``; the end of ``data`` if it has none."""
    try:
        return _JSON.raw_decode(data.decode("latin-1"), start)[1]
    except (ValueError, RecursionError):
        pass
    depth = 0
    for brace in islice(_BRACE.finditer(data, start), _BRACES_LIMIT):
        depth += 1 if brace.group() == b"{" else -1
        if depth == 0:
            return brace.end()
    return len(data)
