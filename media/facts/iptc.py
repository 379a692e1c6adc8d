"""Reads the dates of an IPTC record, alone or in a Photoshop resource block."""

import struct

from media.errors import Limit
from media.facts.block import FileBlock
from media.facts.model import Collector, text_of

BLOCK_LIMIT_BYTES = 64 * 1024
_RESOURCE_LIMIT = 256
_DATASET_LIMIT = 512
_IPTC = 0x0404
_WANTED = {
    55: "IPTC:DateCreated",
    60: "IPTC:TimeCreated",
    62: "IPTC:DigitalCreationDate",
    63: "IPTC:DigitalCreationTime",
}


def read_resources(block: FileBlock, into: Collector) -> None:
    """Find the IPTC record among the resources (``8BIM``) of a Photoshop block."""
    if block.size > BLOCK_LIMIT_BYTES:
        into.hit(Limit.BLOCK_SIZE)
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
            read_iptc(block.after(start), min(size, block.size - start), into)
            return
        at = start + size + (size & 1)
    into.hit(Limit.ENTRIES)


def read_iptc(block: FileBlock, size: int, into: Collector) -> None:
    """Collect the dates of record 2 (IIM 4.2) from the first ``size`` bytes of ``block``."""
    data = block.read(0, min(size, BLOCK_LIMIT_BYTES))
    at = 0
    for _ in range(_DATASET_LIMIT):
        if at + 5 > len(data) or data[at] != 0x1C:
            return
        record, number, length = struct.unpack_from(">BBH", data, at + 1)
        if length & 0x8000:
            # An extended dataset is long text; what follows it is of no use to us.
            return
        tag = _WANTED.get(number) if record == 2 else None
        if tag is not None and not into.has(tag):
            raw = data[at + 5 : at + 5 + length]
            into.add(tag, text_of(raw), offset=block.locate(at + 5), size=len(raw))
        at += 5 + length
    into.hit(Limit.ENTRIES)
