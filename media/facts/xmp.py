"""Finds the wanted properties of an XMP packet by scanning it: no XML parser, no entities.

An XML parser would expand entities and follow what a file names. The packets that
cameras and editors write need neither: a property stands as an attribute or as an
element, under a prefix that the packet itself declares for its namespace.

A file may hold several packets and a packet a property several times: each different
value is kept, so that none can hide another.
"""

import re
from collections.abc import Mapping

from media.errors import Limit
from media.facts.block import Block
from media.facts.model import Collector, text_of

PACKET_LIMIT_BYTES = 64 * 1024
_VALUE_LIMIT_BYTES = 4096
#: How many places of a packet are looked at because a wanted name stands there.
_PLACES_LIMIT = 512
#: How many different values of one property are kept.
_VALUES_LIMIT = 4
#: A value may stand this many elements deeper than its property (``rdf:Seq``, ``rdf:li``).
_NESTED_LIMIT = 4
#: How many prefixes of one namespace are looked for.
_PREFIXES_LIMIT = 8

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

_LABELS = frozenset({"XMP-iptcExt:DigitalSourceType", "XMP-TC260:AIGC"})
#: Of these only the presence is kept: they hold lists.
_PRESENCE = frozenset({"XMP-xmpMM:History"})
_DECLARED = re.compile(rb"xmlns:([A-Za-z0-9_-]{1,32})\s{0,8}=\s{0,8}[\"']([^\"'<>]{1,200})[\"']")
_ASSIGNED = re.compile(rb"\s{0,8}=\s{0,8}([\"'])")
_RESOURCE = re.compile(rb"[\s:]resource\s{0,8}=\s{0,8}([\"'])")
_BEHIND_NAME = b">/ \n\r\t"
_CDATA = b"<![CDATA["
_ENTITY = re.compile(rb"&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|(quot|apos|lt|gt|amp));")
_ENTITIES = {b"quot": b'"', b"apos": b"'", b"lt": b"<", b"gt": b">", b"amp": b"&"}
_CHARACTERS = 0x110000
_SURROGATES = range(0xD800, 0xE000)


def read_xmp(block: Block, into: Collector) -> None:
    """Collect the wanted properties of the XMP packet ``block``, of 64 KB at most.

    Raises:
        LimitReached: when the read budget is spent.
    """
    if block.size > PACKET_LIMIT_BYTES:
        into.hit(Limit.BLOCK_SIZE)
    size = min(block.size, PACKET_LIMIT_BYTES)
    if into.affords(size):
        _Packet(block, block.read(0, size), into).read()


class _Packet:
    def __init__(self, block: Block, packet: bytes, into: Collector) -> None:
        self._block = block
        self._packet = packet
        self._into = into
        self._left = _PLACES_LIMIT

    def read(self) -> None:
        prefixes: dict[tuple[str, tuple[bytes, ...]], list[bytes]] = {}
        for prefix, namespace in _DECLARED.findall(self._packet):
            wanted = _AIGC[1] if _AIGC[0] in namespace else _WANTED.get(namespace)
            if wanted is None or prefix in prefixes.setdefault(wanted, []):
                continue
            if len(prefixes[wanted]) == _PREFIXES_LIMIT:
                self._into.hit(Limit.ENTRIES)
            else:
                prefixes[wanted].append(prefix)
        for (group, names), declared in prefixes.items():
            for name in names:
                tag = f"{group}:{name.decode()}"
                for prefix in declared:
                    self._property(tag, prefix + b":" + name)

    def _property(self, tag: str, name: bytes) -> None:
        packet = self._packet
        at = packet.find(name)
        while at >= 0:
            if self._left == 0:
                self._into.hit(Limit.ENTRIES)
                return
            self._left -= 1
            # What stands before the name tells an element from an attribute, and from others.
            before, after = packet[at - 1 : at], at + len(name)
            place = None
            if before == b"<" and packet[after : after + 1] in _BEHIND_NAME:
                place = (at, after) if tag in _PRESENCE else self._element(after)
            elif before.isspace():
                place = self._attribute(after)
            if place is not None and not self._keep(tag, *place):
                return
            at = packet.find(name, after)

    def _keep(self, tag: str, start: int, end: int) -> bool:
        """Keep one value; say whether another one of its property is looked for."""
        if tag in _PRESENCE:
            if not self._into.has(tag):
                self._into.add(tag, "", offset=self._block.locate(start), size=end - start)
            return False
        if end - start > _VALUE_LIMIT_BYTES:
            self._into.hit(Limit.VALUE_SIZE)
            return True
        raw = text_of(_plain(self._packet[start:end])).strip()
        known = self._into.raws(tag)
        if not raw or raw in known:
            return True
        if len(known) == _VALUES_LIMIT:
            if tag in _LABELS:
                self._into.hit(Limit.ENTRIES)
            return False
        self._into.add(tag, raw, offset=self._block.locate(start), size=end - start)
        return True

    def _attribute(self, after: int) -> tuple[int, int] | None:
        quote = _ASSIGNED.match(self._packet, after)
        if quote is None:
            return None
        end = self._packet.find(quote.group(1), quote.end())
        return (quote.end(), end) if end >= 0 else None

    def _element(self, after: int) -> tuple[int, int] | None:
        """The text of an element, of one of its elements, or what it names as a resource."""
        packet = self._packet
        closed = packet.find(b">", after)
        if closed < 0:
            return None
        if closed - after > _VALUE_LIMIT_BYTES:
            self._into.hit(Limit.VALUE_SIZE)
            return None
        quote = _RESOURCE.search(packet, after, closed)
        if quote is not None:
            end = packet.find(quote.group(1), quote.end(), closed)
            return (quote.end(), end) if end >= 0 else None
        if packet[closed - 1 : closed] == b"/":
            return None
        for _ in range(_NESTED_LIMIT):
            start = closed + 1
            if packet.startswith(_CDATA, start):
                start += len(_CDATA)
                end = packet.find(b"]]>", start)
                return (start, end if end >= 0 else len(packet))
            end = packet.find(b"<", start)
            if end < 0:
                return (start, len(packet))
            if packet[start:end].strip() or packet[end + 1 : end + 2] == b"/":
                return (start, end)
            closed = packet.find(b">", end)
            if closed < 0:
                return None
        return None


def _plain(raw: bytes) -> bytes:
    """The predefined entities as characters; entities that a packet declares stay as they are."""
    return _ENTITY.sub(_character, raw) if b"&" in raw else raw


def _character(found: re.Match[bytes]) -> bytes:
    hexadecimal, decimal, name = found.groups()
    if name:
        return _ENTITIES[name]
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if code >= _CHARACTERS or code in _SURROGATES:
        return found.group()
    return chr(code).encode()
