"""Finds labels of generated content (GB 45438-2025): JSON text with the name ``AIGC``."""

from media.facts.model import Collector, text_of

TAG = "AIGC:Label"
#: A label is about 300 bytes.
LABEL_LIMIT_BYTES = 4096


def note_label(data: bytes, into: Collector, *, offset: int) -> None:
    """Keep the JSON of a label that stands in ``data``, a value of at most 4 KB of the file."""
    if into.has(TAG) or (b"AIGC" not in data and b'"Label"' not in data):
        return
    start = data.find(b"{", max(data.find(b"AIGC"), 0))
    if start < 0:
        return
    end = _end(data, start)
    raw = data[start:end]
    inner = raw.find(b"{", 1)
    if b'"AIGC"' in raw[: inner + 1] and inner > 0:
        # Some writers put the label into an object under its name.
        start, end = start + inner, start + _end(raw, inner)
        raw = data[start:end]
    if b"Label" in raw:
        into.add(TAG, text_of(raw), offset=offset + start, size=len(raw))


def _end(data: bytes, start: int) -> int:
    """Behind the brace that closes the one at ``start``; the end of ``data`` if none does."""
    depth = 0
    for at in range(start, len(data)):
        if data[at] == 0x7B:
            depth += 1
        elif data[at] == 0x7D:
            depth -= 1
            if depth == 0:
                return at + 1
    return len(data)
