"""Finds the wanted properties of an XMP packet by scanning it: no XML parser, no entities.

An XML parser would expand entities and follow what a file names. The packets that
cameras and editors write need neither: a property stands as an attribute or as an
element, under a prefix that the packet itself declares for its namespace.
"""

import re
from collections.abc import Mapping

from media.errors import Limit
from media.facts.block import Block
from media.facts.model import Collector, text_of

PACKET_LIMIT_BYTES = 64 * 1024
_PREFIX_LIMIT = 64
_VALUE_LIMIT_BYTES = 4096
#: How often a name may stand in a packet before one place turns out to be a property.
_OCCURRENCE_LIMIT = 64

#: Group by namespace, and the properties that are kept of it.
_WANTED: Mapping[bytes, tuple[str, tuple[bytes, ...]]] = {
    b"http://ns.adobe.com/xap/1.0/": (
        "XMP-xmp",
        (b"CreateDate", b"ModifyDate", b"MetadataDate", b"CreatorTool"),
    ),
    b"http://ns.adobe.com/photoshop/1.0/": ("XMP-photoshop", (b"DateCreated",)),
    b"http://ns.adobe.com/exif/1.0/": ("XMP-exif", (b"DateTimeOriginal",)),
    b"http://ns.adobe.com/xap/1.0/mm/": ("XMP-xmpMM", (b"History",)),
    b"http://iptc.org/std/Iptc4xmpExt/2008-02-29/": ("XMP-iptcExt", (b"DigitalSourceType",)),
}
#: GB 45438-2025: whichever version of its namespace is named.
_AIGC = (b"tc260.org.cn/ns/AIGC", ("XMP-TC260", (b"AIGC",)))

#: Of these only the presence is kept: they hold lists.
_PRESENCE = frozenset({"XMP-xmpMM:History"})
_DECLARED = re.compile(rb"xmlns:([A-Za-z0-9_-]{1,32})\s{0,8}=\s{0,8}[\"']([^\"'<>]{1,200})[\"']")
_ENTITIES = ((b"&quot;", b'"'), (b"&apos;", b"'"), (b"&lt;", b"<"), (b"&gt;", b">"))


def read_xmp(block: Block, into: Collector) -> None:
    """Collect the wanted properties of the XMP packet ``block``, of 64 KB at most.

    Raises:
        LimitReached: when the read budget is spent.
    """
    if block.size > PACKET_LIMIT_BYTES:
        into.hit(Limit.BLOCK_SIZE)
    packet = block.read(0, PACKET_LIMIT_BYTES)
    for number, (prefix, namespace) in enumerate(_DECLARED.findall(packet)):
        if number == _PREFIX_LIMIT:
            into.hit(Limit.ENTRIES)
            return
        group, names = _AIGC[1] if _AIGC[0] in namespace else _WANTED.get(namespace, ("", ()))
        for name in names:
            tag = f"{group}:{name.decode()}"
            if not into.has(tag) and name in packet:
                _property(packet, prefix + b":" + name, tag, block, into)


def _property(packet: bytes, name: bytes, tag: str, block: Block, into: Collector) -> None:
    at = packet.find(name)
    for _ in range(_OCCURRENCE_LIMIT):
        if at < 0:
            return
        after = at + len(name)
        place = _content(packet, at, after)
        if place is not None:
            start, end = place
            if end - start > _VALUE_LIMIT_BYTES and tag not in _PRESENCE:
                into.hit(Limit.VALUE_SIZE)
                return
            raw = "" if tag in _PRESENCE else text_of(_plain(packet[start:end])).strip()
            if raw or tag in _PRESENCE:
                into.add(tag, raw, offset=block.locate(start), size=end - start)
                return
        at = packet.find(name, after)


def _content(packet: bytes, at: int, after: int) -> tuple[int, int] | None:
    """Where the value of the property named at ``at`` stands; None if it is another name."""
    if packet[at - 1 : at] == b"<":
        if packet[after : after + 1] not in (b">", b" ", b"\n", b"\r", b"\t", b"/"):
            return None
        closed = packet.find(b">", after)
        if closed < 0:
            return None
        resource = packet.find(b'rdf:resource="', after, closed)
        if resource >= 0:
            start = resource + 14
            end = packet.find(b'"', start, closed)
            return (start, end) if end > 0 else None
        end = packet.find(b"<", closed)
        return (closed + 1, end if end >= 0 else len(packet))
    if packet[at - 1 : at].isspace():
        rest = packet[after : after + 16].lstrip()
        if not rest.startswith(b"="):
            return None
        quote = rest[1:].lstrip()[:1]
        if quote not in (b'"', b"'") or not quote:
            return None
        start = packet.find(quote, after) + 1
        end = packet.find(quote, start)
        return (start, end) if end >= 0 else None
    return None


def _plain(raw: bytes) -> bytes:
    """The predefined entities as characters; entities that a packet declares stay as they are."""
    if b"&" in raw:
        for entity, character in _ENTITIES:
            raw = raw.replace(entity, character)
        raw = raw.replace(b"&amp;", b"&")
    return raw
