"""One journal line: the unit of evidence, its exact bytes, digest and signature input.

A line's parts can be withheld or erased while chain and signatures still
verify, because the signature covers only the header, which carries the digest
of each part (docs/protocol.md §4.1).
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import canonical
from .encoding import from_b64url, from_hex, sha256_hex, to_b64url
from .errors import (
    BadEncoding,
    BadSignature,
    LineMalformed,
    LineTooLong,
    NotCanonical,
    PartMismatch,
    SyncError,
)

#: Format and algorithm suite in one name, so that SM2/SM3 can join without a new format.
VERSION = "1.p256.sha256"
PAYLOAD_TYPE = "application/vnd.liuhen.journal+json"
GENESIS = "0" * 64
MAX_LINE_BYTES = 65_536
MAX_PARTS = 64
SALT_BYTES = 16

_PAE_START = b"DSSEv1 %d %s " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode("ascii"))
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P256_HALF = _P256_ORDER // 2
_UUID = re.compile(r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_EPOCH = re.compile(r"\A[0-9a-f]{32}\Z")
_DIGEST = re.compile(r"\A[0-9a-f]{64}\Z")
_PART_NUMBER = re.compile(r"\A(?:0|[1-9][0-9]{0,2})\Z")
_BOOT = re.compile(r"\A[!-~]{1,64}\Z")
_HEADER_KEYS = frozenset(("v", "device", "epoch", "seq", "prev", "t", "parts"))
_TIME_KEYS = frozenset(("wall_ms", "mono_ms", "boot", "tz_min"))
_ANCHOR_KEYS = frozenset(("origin", "size", "root"))

# Everything behind the parts as nearly every line has it: the header's members in
# canonical order, with values that need no escape and could not be spelled otherwise.
_USUAL_TAIL = re.compile(
    rb"""
    ,"e":(?P<header>\{
        (?:"anchor":\{"origin":"(?P<origin>[ !#-\[\]-~]{1,255})",
            "root":"(?P<root>[0-9a-f]{64})","size":(?P<size>0|[1-9][0-9]{0,14})\},)?
        "device":"(?P<device>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
        "epoch":"(?P<epoch>[0-9a-f]{32})",
        "parts":\["(?P<parts>[0-9a-f]{64}(?:","[0-9a-f]{64}){0,63})"\],
        "prev":"(?P<prev>[0-9a-f]{64})",
        "seq":(?P<seq>0|[1-9][0-9]{0,14}),
        "t":\{"boot":"(?P<boot>[!#-\[\]-~]{1,64})",
            "mono_ms":(?P<mono>0|[1-9][0-9]{0,14}),
            "tz_min":(?P<zone>0|-?[1-9][0-9]{0,14}),
            "wall_ms":(?P<wall>0|-?[1-9][0-9]{0,14})\},
        "v":"1\.p256\.sha256"\}),
    "k":"(?P<key_id>[0-9a-f]{64})",
    "s":"(?P<signature>[0-9A-Za-z_-]{85}[AQgw])"\}\Z
    """,
    re.VERBOSE,
)


class Codec(NamedTuple):
    """Parsing and encoding of canonical JSON: this package's own, or a faster pair.

    What ``parse`` takes and ``encode`` gives again to the byte must be canonical
    and have the same value as here; what they refuse is looked at again.
    """

    parse: Callable[..., Any]
    encode: Callable[[Any], bytes]


_OWN = Codec(canonical.parse, canonical.encode)

#: Checks ``signature`` (64 bytes, r‖s) over ``message``; returns whether it verifies.
Verify = Callable[[bytes, bytes], bool]
#: Signs ``message`` and returns 64 bytes r‖s; high S is brought low here.
Sign = Callable[[bytes], bytes]


class DeviceTime(NamedTuple):
    """What the device's clocks said; a claim, never an order (docs/protocol.md §4.2).

    ``wall_ms`` is UTC, ``mono_ms`` counts from ``boot``, ``tz_min`` is the zone
    the device was set to, in minutes east of UTC.
    """

    wall_ms: int
    mono_ms: int
    boot: str
    tz_min: int

    def to_json(self) -> Dict[str, Any]:
        return {
            "wall_ms": self.wall_ms,
            "mono_ms": self.mono_ms,
            "boot": self.boot,
            "tz_min": self.tz_min,
        }


@dataclass(frozen=True)
class Anchor:
    """A checkpoint of the server's ledger that the device had seen when it wrote the line."""

    origin: str
    size: int
    root: str

    def to_json(self) -> Dict[str, Any]:
        return {"origin": self.origin, "size": self.size, "root": self.root}


class Header(NamedTuple):
    """The signed part of a line: its place, its predecessor, its time, its parts' digests."""

    device: str
    epoch: str
    seq: int
    prev: str
    t: DeviceTime
    parts: Tuple[str, ...]
    anchor: Optional[Anchor] = None

    def to_json(self) -> Dict[str, Any]:
        value = {
            "v": VERSION,
            "device": self.device,
            "epoch": self.epoch,
            "seq": self.seq,
            "prev": self.prev,
            "t": self.t.to_json(),
            "parts": list(self.parts),
        }  # type: Dict[str, Any]
        if self.anchor is not None:
            value["anchor"] = self.anchor.to_json()
        return value


@dataclass(frozen=True)
class Line:
    """A parsed line. ``parts`` maps a part's number to its canonical bytes.

    A line as pushed has all its parts; a line in a package may lack some.
    ``header_bytes`` are the exact bytes of ``e`` that the signature covers.
    """

    header: Header
    header_bytes: bytes
    key_id: str
    signature: bytes
    parts: Mapping[int, bytes] = field(repr=False)
    digest: str
    #: The act ``b[0]``, or None where it is withheld.
    act: Optional[Dict[str, Any]] = field(repr=False, compare=False)

    @property
    def place(self) -> Tuple[str, str, int]:
        return self.header.device, self.header.epoch, self.header.seq

    def to_bytes(self) -> bytes:
        """The line as it was pushed, without a newline; needs every part."""
        bodies = [self.parts[number] for number in range(len(self.header.parts))]
        return b'{"b":[%s],%s' % (b",".join(bodies), self.signed_bytes()[1:])

    def to_package_bytes(self, disclosed: Sequence[int]) -> bytes:
        """The line as a package carries it: only ``disclosed`` parts, by number."""
        shown = {str(number): canonical.loads(self.parts[number]) for number in disclosed}
        return b'{"b":%s,%s' % (canonical.dumps(shown), self.signed_bytes()[1:])

    def signed_bytes(self) -> bytes:
        """``{e,k,s}``: what the next line's ``prev`` covers."""
        return signed_bytes(self.header_bytes, self.key_id, self.signature)


def signed_bytes(header_bytes: bytes, key_id: str, signature: bytes) -> bytes:
    return b'{"e":%s,"k":"%s","s":"%s"}' % (
        header_bytes,
        key_id.encode("ascii"),
        to_b64url(signature).encode("ascii"),
    )


def pre_authentication_encoding(header_bytes: bytes) -> bytes:
    """The DSSE PAE of a header: binds the signature to its type (DSSE protocol.md)."""
    return b"%s%d %s" % (_PAE_START, len(header_bytes), header_bytes)


def build_line(
    parts: Sequence[Mapping[str, Any]],
    *,
    device: str,
    epoch: str,
    seq: int,
    prev: str,
    t: DeviceTime,
    key_id: str,
    sign: Sign,
    anchor: Optional[Anchor] = None,
    limit: int = MAX_LINE_BYTES,
) -> Line:
    """Build and sign one line; ``parts[0]`` is the act, each part carries its ``salt``.

    Raises:
        NotCanonical, LineMalformed, LineTooLong: as :func:`parse_line` would.
    """
    bodies = [canonical.dumps(dict(part)) for part in parts]
    digests = tuple(sha256_hex(body) for body in bodies)
    header = Header(device, epoch, seq, prev, t, digests, anchor)
    header_bytes = canonical.dumps(header.to_json())
    signature = _low_s(sign(pre_authentication_encoding(header_bytes)))
    signed = signed_bytes(header_bytes, key_id, signature)
    raw = b'{"b":[%s],%s' % (b",".join(bodies), signed[1:])
    return parse_line(raw, limit=limit)


def parse_line(raw: bytes, *, limit: int = MAX_LINE_BYTES, codec: Codec = _OWN) -> Line:
    """Parse one pushed line (no newline) and check everything but its signature and place.

    Raises:
        LineTooLong, NotCanonical, LineMalformed, PartMismatch.
    """
    if len(raw) > limit:
        raise LineTooLong(size=len(raw), limit=limit)
    return _parse_usual(raw, codec) or parse_any_line(raw)


def _parse_usual(raw: bytes, codec: Codec) -> Optional[Line]:
    """The line where its bytes show at once that all is right; None where they do not.

    Pushing is mostly this. It refuses nothing: whatever it does not recognise,
    :func:`parse_any_line` looks at, and says what is wrong.
    """
    end = raw.rfind(b'],"e":{')
    tail = _USUAL_TAIL.match(raw, end + 1) if end >= 6 and raw.startswith(b'{"b":[') else None
    if tail is None:
        return None
    header, key_id, signature = _usual_header(tail)
    if not _in_range(signature):
        return None
    try:
        values = codec.parse(raw[5 : end + 1], max_depth=canonical.MAX_DEPTH - 1)
        parts = _bodies(dict(enumerate(values)), header, codec.encode)
    except SyncError:
        return None
    # Both halves are canonical by themselves, and so is the line that they make.
    if len(parts) != len(header.parts) or b",".join(parts.values()) != raw[6:end]:
        return None
    digest = sha256_hex(b"{" + raw[end + 2 :])
    return Line(header, tail.group("header"), key_id, signature, parts, digest, values[0])


def _usual_header(tail: "re.Match[bytes]") -> Tuple[Header, str, bytes]:
    """Header, key id and signature from what :data:`_USUAL_TAIL` has found."""
    _, origin, root, size, device, epoch, parts, prev, seq, *time, key_id, signature = tail.groups()
    boot, mono, zone, wall = time
    header = Header(
        device=device.decode(),
        epoch=epoch.decode(),
        seq=int(seq),
        prev=prev.decode(),
        t=DeviceTime(int(wall), int(mono), boot.decode(), int(zone)),
        parts=tuple(parts.decode().split('","')),
        anchor=Anchor(origin.decode(), int(size), root.decode()) if origin else None,
    )
    return header, key_id.decode(), urlsafe_b64decode(signature + b"==")


def parse_any_line(raw: bytes) -> Line:
    """Like :func:`parse_line` for bytes of any form within the limit, one check after another.

    Raises:
        NotCanonical, LineMalformed, PartMismatch.
    """
    value = canonical.parse(raw)
    if not isinstance(value, dict) or not isinstance(value.get("b"), list):
        canonical.loads(raw)
        raise LineMalformed("b", "must be a list of parts")
    parts = dict(enumerate(value["b"]))
    line = _line(value, parts)
    if len(parts) != len(line.header.parts):
        raise LineMalformed("parts", "as many digests as parts")
    # Every piece has been encoded once; together they must be the line, or it was not canonical.
    if line.to_bytes() != raw:
        raise NotCanonical("not the canonical encoding")
    return line


def parse_package_line(raw: bytes) -> Line:
    """Parse one line of a package, where ``b`` maps disclosed part numbers to parts.

    Raises:
        NotCanonical, LineMalformed, PartMismatch.
    """
    return _parse_usual_package(raw) or parse_any_package_line(raw)


def parse_any_package_line(raw: bytes) -> Line:
    """Like :func:`parse_package_line`, one check after another.

    Raises:
        NotCanonical, LineMalformed, PartMismatch.
    """
    value = canonical.loads(raw)
    if not isinstance(value, dict) or not isinstance(value.get("b"), dict):
        raise LineMalformed("b", "must map part numbers to parts")
    if not all(_PART_NUMBER.match(number) for number in value["b"]):
        raise LineMalformed("b", "part numbers are plain integers")
    parts = {int(number): part for number, part in value["b"].items()}
    return _line(value, parts)


def _parse_usual_package(raw: bytes) -> Optional[Line]:
    """Like :func:`_parse_usual` for a package's line that shows the act alone, or nothing."""
    end = raw.rfind(b'},"e":{')
    tail = _USUAL_TAIL.match(raw, end + 1) if raw.startswith(b'{"b":{') else None
    shown = raw[5 : end + 1]
    if tail is None or not (shown == b"{}" or shown.startswith(b'{"0":{')):
        return None
    header, key_id, signature = _usual_header(tail)
    if not _in_range(signature):
        return None
    bodies: Dict[int, bytes] = {}
    act: Optional[Dict[str, Any]] = None
    if shown != b"{}":
        # By itself it must be canonical too, so no second part can hide behind it.
        body = shown[5:-1]
        try:
            act = canonical.loads(body, max_depth=canonical.MAX_DEPTH - 2)
            _check_part(0, act)
        except SyncError:
            return None
        if sha256_hex(body) != header.parts[0]:
            return None
        bodies[0] = body
    digest = sha256_hex(b"{" + raw[end + 2 :])
    return Line(header, tail.group("header"), key_id, signature, bodies, digest, act)


def parse_header(header_bytes: bytes) -> Header:
    """Parse the canonical bytes of one header.

    Raises:
        NotCanonical, LineMalformed.
    """
    return _header(canonical.loads(header_bytes))


def check_signature(line: Line, verify: Verify) -> None:
    """Check the line's signature with ``verify``, which is bound to the line's key.

    Raises:
        BadSignature: if it does not verify.
    """
    if not verify(pre_authentication_encoding(line.header_bytes), line.signature):
        raise BadSignature(key_id=line.key_id)


def key_id_of(spki: bytes) -> str:
    """The id of a public key: SHA-256 of its SubjectPublicKeyInfo DER, in hex."""
    return sha256_hex(spki)


def _line(value: Dict[str, Any], parts: Mapping[int, Any]) -> Line:
    if set(value) != {"b", "e", "k", "s"}:
        raise LineMalformed("line", "exactly b, e, k and s")
    key_id = value["k"]
    if not isinstance(key_id, str) or not _DIGEST.match(key_id):
        raise LineMalformed("k", "a SHA-256 in lowercase hex")
    header = _header(value["e"])
    header_bytes = canonical.encode(value["e"])
    signature = _signature(value["s"])
    bodies = _bodies(parts, header, canonical.encode)
    digest = sha256_hex(signed_bytes(header_bytes, key_id, signature))
    return Line(header, header_bytes, key_id, signature, bodies, digest, parts.get(0))


def _bodies(
    parts: Mapping[int, Any], header: Header, encode: Callable[[Any], bytes]
) -> Dict[int, bytes]:
    """The canonical bytes of each of ``parts``, which must be what the header names."""
    bodies = {}
    for number, part in parts.items():
        if not 0 <= number < len(header.parts):
            raise LineMalformed("parts", "as many digests as parts")
        body = encode(part)
        _check_part(number, part)
        if sha256_hex(body) != header.parts[number]:
            raise PartMismatch(part=number)
        bodies[number] = body
    return bodies


def _check_part(number: int, part: Any) -> None:
    if not isinstance(part, dict):
        raise LineMalformed("b", "each part is an object")
    try:
        from_hex(part.get("salt", ""), size=SALT_BYTES)
    except (BadEncoding, TypeError) as error:
        raise LineMalformed("b", "each part has a salt of 16 bytes in hex") from error
    kind = part.get("type")
    if number == 0 and not (isinstance(kind, str) and 0 < len(kind) <= 64):
        raise LineMalformed("b", "the act has a type")


def _header(value: Any) -> Header:
    if not isinstance(value, dict) or set(value) - {"anchor"} != _HEADER_KEYS:
        raise LineMalformed("e", "exactly the header's fields")
    if value["v"] != VERSION:
        raise LineMalformed("v", "an unknown version")
    _match(value, "device", _UUID)
    _match(value, "epoch", _EPOCH)
    _match(value, "prev", _DIGEST)
    _natural(value, "seq")
    parts = value["parts"]
    if not isinstance(parts, list) or not 1 <= len(parts) <= MAX_PARTS:
        raise LineMalformed("parts", "between 1 and %d digests" % MAX_PARTS)
    for part in parts:
        if not isinstance(part, str) or not _DIGEST.match(part):
            raise LineMalformed("parts", "SHA-256 digests in lowercase hex")
    return Header(
        device=value["device"],
        epoch=value["epoch"],
        seq=value["seq"],
        prev=value["prev"],
        t=_time(value["t"]),
        parts=tuple(parts),
        anchor=_anchor(value["anchor"]) if "anchor" in value else None,
    )


def _time(value: Any) -> DeviceTime:
    if not isinstance(value, dict) or set(value) != _TIME_KEYS:
        raise LineMalformed("t", "exactly wall_ms, mono_ms, boot and tz_min")
    for name in ("wall_ms", "tz_min"):
        if type(value[name]) is not int:
            raise LineMalformed("t." + name, "an integer")
    _natural(value, "mono_ms")
    _match(value, "boot", _BOOT)
    return DeviceTime(value["wall_ms"], value["mono_ms"], value["boot"], value["tz_min"])


def _anchor(value: Any) -> Anchor:
    if not isinstance(value, dict) or set(value) != _ANCHOR_KEYS:
        raise LineMalformed("anchor", "exactly origin, size and root")
    if not isinstance(value["origin"], str) or not 0 < len(value["origin"]) <= 255:
        raise LineMalformed("anchor.origin", "a name")
    _natural(value, "size")
    _match(value, "root", _DIGEST)
    return Anchor(value["origin"], value["size"], value["root"])


def _match(value: Dict[str, Any], name: str, pattern: "re.Pattern[str]") -> None:
    if not isinstance(value[name], str) or not pattern.match(value[name]):
        raise LineMalformed(name, "not of the required form")


def _natural(value: Dict[str, Any], name: str) -> None:
    if type(value[name]) is not int or value[name] < 0:
        raise LineMalformed(name, "a whole number from 0")


def _signature(text: Any) -> bytes:
    if not isinstance(text, str):
        raise LineMalformed("s", "64 bytes in base64url")
    try:
        signature = from_b64url(text)
    except BadEncoding as error:
        raise LineMalformed("s", "unpadded base64url") from error
    if len(signature) != 64:
        raise LineMalformed("s", "64 bytes in base64url")
    if not _in_range(signature):
        raise LineMalformed("s", "r and s in range, s in the lower half")
    return signature


def _in_range(signature: bytes) -> bool:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    # Only the low of the two equivalent S values, so that nobody can respell a line.
    return 0 < r < _P256_ORDER and 0 < s <= _P256_HALF


def _low_s(signature: bytes) -> bytes:
    s = int.from_bytes(signature[32:], "big")
    if s <= _P256_HALF:
        return signature
    return signature[:32] + (_P256_ORDER - s).to_bytes(32, "big")
