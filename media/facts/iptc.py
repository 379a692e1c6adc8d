"""Reads the dates of an IPTC record, alone or in a Photoshop resource block."""

import struct

from media.errors import Limit
from media.facts.block import Block
from media.facts.model import Collector, text_of

BLOCK_LIMIT_BYTES = 64 * 1024
_RESOURCE_LIMIT = 128
_DATASET_LIMIT = 512
_VALUE_LIMIT_BYTES = 4096
_IPTC = 0x0404
_EXTENDED = 0x8000
_WANTED = {
    55: "IPTC:DateCreated",
    60: "IPTC:TimeCreated",
    62: "IPTC:DigitalCreationDate",
    63: "IPTC:DigitalCreationTime",
}


def read_resources(block: Block, into: Collector) -> None:
    """Find the IPTC record among the resources (``8BIM``) of a Photoshop block."""
    if block.size > BLOCK_LIMIT_BYTES:
        into.hit(Limit.BLOCK_SIZE)
    if not into.affords(min(block.size, BLOCK_LIMIT_BYTES)):
        return
    at = 0
    for _ in range(_RESOURCE_LIMIT):
        head = block.read(at, 7)
        if len(head) < 7 or head[:4] != b"8BIM" or at > BLOCK_LIMIT_BYTES:
            return
        # A name with its length, and everything of even length.
        named = at + 6 + (1 + head[6] + 1 & ~1)
        length = block.read(named, 4)
        if len(length) < 4:
            return
        (size,) = struct.unpack(">I", length)
        start = named + 4
        if struct.unpack(">H", head[4:6])[0] == _IPTC:
            read_iptc(block.part(start, size), into)
            return
        at = start + size + (size & 1)
    into.hit(Limit.ENTRIES)


def read_iptc(block: Block, into: Collector) -> None:
    """Collect the dates of record 2 (IIM 4.2) from the first 64 KB of ``block``."""
    size = min(block.size, BLOCK_LIMIT_BYTES)
    if not into.affords(size):
        return
    data = block.read(0, size)
    at = 0
    for _ in range(_DATASET_LIMIT):
        if at + 5 > len(data) or data[at] != 0x1C:
            return
        record, number, length = struct.unpack_from(">BBH", data, at + 1)
        start = at + 5
        if length & _EXTENDED:
            # The rest says how many bytes hold the length of a long text.
            start += length ^ _EXTENDED
            length = int.from_bytes(data[at + 5 : min(start, at + 9)], "big")
        tag = _WANTED.get(number) if record == 2 else None
        if tag is not None and not into.has(tag):
            raw = data[start : start + length]
            if len(raw) > _VALUE_LIMIT_BYTES:
                into.hit(Limit.VALUE_SIZE)
            else:
                into.add(tag, text_of(raw), offset=block.locate(start), size=len(raw))
        at = start + length
    into.hit(Limit.ENTRIES)
