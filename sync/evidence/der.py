"""Reading the little of BER and writing the little of DER (X.690) that time stamps need.

Authorities wrap what they sign in BER, some with lengths that only an end mark
tells. Everything has bounds, and what is neither raises :class:`NotDer`: bytes
that a stranger sent cannot do more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

from .errors import SyncError

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTF8_STRING, UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x0C, 0x17, 0x18, 0x30, 0x31

_MAX_CHILDREN = 4096
_MAX_INTEGER_BYTES = 64
_MAX_DEPTH = 32
_INDEFINITE, _END = 0x80, b"\x00\x00"


class NotDer(SyncError):
    """Bytes are neither DER nor BER, or more of it than anything here needs."""

    code = "tsp.not_der"


def context(number: int, *, constructed: bool = True) -> int:
    """The tag ``[number]``."""
    return 0x80 | (0x20 if constructed else 0) | number


@dataclass(frozen=True)
class Node:
    """One value: its tag, its content, and its whole encoding."""

    tag: int
    content: bytes
    encoded: bytes

    def children(self) -> List["Node"]:
        """The values inside a constructed one.

        Raises:
            NotDer.
        """
        if not self.tag & 0x20:
            raise NotDer("a value that holds no others")
        found = []  # type: List[Node]
        at = 0
        while at < len(self.content):
            if len(found) == _MAX_CHILDREN:
                raise NotDer("more than %d values in one" % _MAX_CHILDREN)
            node, at = _read(self.content, at, 0)
            found.append(node)
        return found


def parse(data: bytes) -> Node:
    """The one value that ``data`` is.

    Raises:
        NotDer: also if something follows it.
    """
    node, end = _read(data, 0, 0)
    if end != len(data):
        raise NotDer("something follows the value")
    return node


def _read(data: bytes, at: int, depth: int) -> Tuple[Node, int]:
    start = at
    if len(data) - at < 2:
        raise NotDer("cut off")
    tag, length, at = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise NotDer("a tag of several bytes")
    if length == _INDEFINITE:
        end = _find_end(data, at, tag, depth)
        return Node(tag, data[at:end], data[start : end + 2]), end + 2
    if length > _INDEFINITE:
        count = length & 0x7F
        if count > 4 or len(data) - at < count:
            raise NotDer("a length of another form")
        length, at = int.from_bytes(data[at : at + count], "big"), at + count
    if len(data) - at < length:
        raise NotDer("cut off")
    end = at + length
    return Node(tag, data[at:end], data[start:end]), end


def _find_end(data: bytes, at: int, tag: int, depth: int) -> int:
    """Where the end mark of a value without a length stands."""
    if not tag & 0x20 or depth == _MAX_DEPTH:
        raise NotDer("a length of another form")
    while data[at : at + 2] != _END:
        _, at = _read(data, at, depth + 1)
    return at


def expect(node: Node, tag: int) -> Node:
    """``node``, if it has this tag.

    Raises:
        NotDer.
    """
    if node.tag != tag:
        raise NotDer("tag %#04x instead of %#04x" % (node.tag, tag))
    return node


def octets(node: Node) -> bytes:
    """The bytes of an OCTET STRING, in one piece or in several.

    Raises:
        NotDer.
    """
    if node.tag != OCTET_STRING | 0x20:
        return expect(node, OCTET_STRING).content
    return b"".join(expect(piece, OCTET_STRING).content for piece in node.children())


def integer(node: Node) -> int:
    """The number in an INTEGER.

    Raises:
        NotDer: also for one that nobody would write.
    """
    data = expect(node, INTEGER).content
    if not 1 <= len(data) <= _MAX_INTEGER_BYTES:
        raise NotDer("a number of %d bytes" % len(data))
    # The first nine bits of a shortest number are not all the same.
    if len(data) > 1 and data[0] == (0xFF if data[1] & 0x80 else 0):
        raise NotDer("a number that is not the shortest")
    return int.from_bytes(data, "big", signed=True)


def boolean(node: Node) -> bool:
    """The truth in a BOOLEAN.

    Raises:
        NotDer.
    """
    data = expect(node, BOOLEAN).content
    if data not in (b"\x00", b"\xff"):
        raise NotDer("neither true nor false")
    return data == b"\xff"


def oid(node: Node) -> str:
    """An OBJECT IDENTIFIER with dots.

    Raises:
        NotDer.
    """
    data = expect(node, OID).content
    if not 1 <= len(data) <= _MAX_INTEGER_BYTES or data[-1] & 0x80:
        raise NotDer("an object identifier of another form")
    numbers, number, fresh = [], 0, True
    for byte in data:
        if fresh and byte == 0x80:
            raise NotDer("an object identifier that is not the shortest")
        number, fresh = number << 7 | byte & 0x7F, not byte & 0x80
        if fresh:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(value) for value in (first, numbers[0] - 40 * first, *numbers[1:]))


def encode(tag: int, *parts: bytes) -> bytes:
    """A value with this tag and ``parts`` as its content."""
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def encode_integer(value: int) -> bytes:
    """A number that is not negative, as an INTEGER."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def encode_oid(text: str) -> bytes:
    """An OBJECT IDENTIFIER given with dots."""
    first, second, *rest = (int(part) for part in text.split("."))
    data = b""
    for number in (40 * first + second, *rest):
        digits = [number & 0x7F]
        while number >= 0x80:
            number >>= 7
            digits.append(0x80 | number & 0x7F)
        data += bytes(reversed(digits))
    return encode(OID, data)
