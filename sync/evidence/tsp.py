"""RFC 3161 time stamps: making a request, and taking an answer apart (docs/evidence.md §5.1).

Here everything is read that an answer says; nothing is verified that needs a
signature. Who believes an answer has checked it with a tool made for that.
"""

from __future__ import annotations

import calendar
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import List, Optional, Tuple

from . import der
from .der import Node, NotDer
from .errors import SyncError

#: Answers with a whole chain have some 10 KB.
MAX_BYTES = 256 << 10
#: What "a whole second" leaves open, where an authority does not state its accuracy.
ASSUMED_ACCURACY_MS = 1000

SHA256_OID = "2.16.840.1.101.3.4.2.1"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_KEY_USAGE_EXTENDED, _SUBJECT_KEY = "2.5.29.37", "2.5.29.14"
_TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
_COMMON_NAME = "2.5.4.3"
_GRANTED = (0, 1)

_UTC_TIME = re.compile(rb"\A(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z\Z")
_GENERALIZED = re.compile(rb"\A(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(?:\.(\d{1,9}))?Z\Z")


class StampMalformed(SyncError):
    """Bytes are not an RFC 3161 answer or token."""

    code = "tsp.malformed"


class StampRefused(SyncError):
    """An authority answered that it gives no stamp; ``status`` is its PKIStatus."""

    code = "tsp.refused"

    def __init__(self, status: int, words: str) -> None:
        super().__init__("status %d%s" % (status, ": " + words if words else ""))
        self.status = status


@dataclass(frozen=True)
class Signer:
    """The certificate of the key that signed a stamp, as far as it matters for one.

    ``stamps`` says whether its only purpose is to stamp times, marked critical.
    """

    name: str
    serial: int
    valid_from_ms: int
    valid_to_ms: int
    stamps: bool


@dataclass(frozen=True)
class Stamp:
    """What a time stamp says. Nothing here is verified.

    Attributes:
        hash_oid: algorithm of ``imprint``, which is the digest of what was stamped.
        gen_time_ms: the authority's time, rounded down.
        accuracy_ms: the real time is no further away, rounded up; None if not stated.
        signer: None if the certificate is not enclosed.
        token: the TimeStampToken, without the answer around it.
        certificates: those that are enclosed, in DER.
    """

    hash_oid: str
    imprint: bytes
    gen_time_ms: int
    accuracy_ms: Optional[int]
    serial: int
    policy: str
    nonce: Optional[int]
    signer: Optional[Signer]
    token: bytes
    certificates: Tuple[bytes, ...]

    @property
    def margin_ms(self) -> int:
        """How far the real time may be from ``gen_time_ms``."""
        return ASSUMED_ACCURACY_MS if self.accuracy_ms is None else self.accuracy_ms


def renewal_digest(imprint: bytes, answer: bytes) -> bytes:
    """What is stamped when an older stamp is renewed: SHA-256(its imprint ‖ its answer).

    So the newer one vouches for the older as it was received, and through it for
    the bytes that the older stands for (after RFC 4998, section 5.2).
    """
    return hashlib.sha256(imprint + answer).digest()


def build_request(imprint: bytes, *, nonce: int, hash_oid: str = SHA256_OID) -> bytes:
    """A TimeStampReq for a digest that asks for the certificate, too."""
    return der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(
            der.SEQUENCE,
            der.encode(der.SEQUENCE, der.encode_oid(hash_oid), der.encode(der.NULL)),
            der.encode(der.OCTET_STRING, imprint),
        ),
        der.encode_integer(nonce),
        der.encode(der.BOOLEAN, b"\xff"),
    )


def parse_stamp(data: bytes) -> Stamp:
    """Take a TimeStampResp apart, or a bare TimeStampToken.

    Raises:
        StampMalformed: if it is neither.
        StampRefused: if the answer holds no stamp.
    """
    if len(data) > MAX_BYTES:
        raise StampMalformed("larger than %d bytes" % MAX_BYTES)
    try:
        return _stamp(_token(der.parse(data)))
    # A list that is shorter than it must be is found by taking from it.
    except (NotDer, IndexError, ValueError) as error:
        raise StampMalformed(str(error)) from error


def _token(node: Node) -> Node:
    parts = der.expect(node, der.SEQUENCE).children()
    if parts[0].tag == der.OID:
        return node
    status_info = der.expect(parts[0], der.SEQUENCE).children()
    status = der.integer(status_info[0])
    if status not in _GRANTED:
        raise StampRefused(status, _words(status_info[1:]))
    return parts[1]


def _words(rest: List[Node]) -> str:
    texts = [
        text.content.decode("utf-8", "replace")
        for node in rest
        if node.tag == der.SEQUENCE
        for text in node.children()
    ]
    return " ".join(" ".join(texts).split())[:200]


def _stamp(token: Node) -> Stamp:
    content_type, wrapped = der.expect(token, der.SEQUENCE).children()[:2]
    if der.oid(content_type) != _SIGNED_DATA:
        raise NotDer("no signed data")
    parts = der.expect(_inside(wrapped, der.context(0)), der.SEQUENCE).children()
    kind, held = der.expect(parts[2], der.SEQUENCE).children()[:2]
    if der.oid(kind) != _TST_INFO:
        raise NotDer("signed, but no time stamp")
    info = der.parse(der.octets(_inside(held, der.context(0))))
    certificates = parts[3].children() if parts[3].tag == der.context(0) else []
    signers = der.expect(parts[-1], der.SET).children()
    if len(signers) != 1:
        raise NotDer("%d signers" % len(signers))
    signer = _find_signer(signers[0], certificates)
    enclosed = tuple(one.encoded for one in certificates if one.tag == der.SEQUENCE)
    return _tst_info(der.expect(info, der.SEQUENCE).children(), signer, token.encoded, enclosed)


def _inside(node: Node, tag: int) -> Node:
    """The one value in a constructed one."""
    found = der.expect(node, tag).children()
    if len(found) != 1:
        raise NotDer("%d values instead of one" % len(found))
    return found[0]


def _tst_info(
    parts: List[Node], signer: Optional[Signer], token: bytes, certificates: Tuple[bytes, ...]
) -> Stamp:
    if der.integer(parts[0]) != 1:
        raise NotDer("a version that is not 1")
    algorithm, imprint = der.expect(parts[2], der.SEQUENCE).children()[:2]
    gen_time_ms, rounded = _time(parts[4])
    accuracy_ms = nonce = None  # type: Optional[int]
    for part in parts[5:]:
        if part.tag == der.SEQUENCE:
            accuracy_ms = _accuracy(part) + rounded
        elif part.tag == der.INTEGER:
            nonce = der.integer(part)
    return Stamp(
        hash_oid=der.oid(der.expect(algorithm, der.SEQUENCE).children()[0]),
        imprint=der.expect(imprint, der.OCTET_STRING).content,
        gen_time_ms=gen_time_ms,
        accuracy_ms=accuracy_ms,
        serial=der.integer(parts[3]),
        policy=der.oid(parts[1]),
        nonce=nonce,
        signer=signer,
        token=token,
        certificates=certificates,
    )


def _accuracy(node: Node) -> int:
    """Accuracy in milliseconds, rounded up."""
    millis = micros = 0
    for part in node.children():
        if part.tag == der.INTEGER:
            millis += 1000 * der.integer(part)
        elif part.tag == der.context(0, constructed=False):
            millis += der.integer(Node(der.INTEGER, part.content, b""))
        elif part.tag == der.context(1, constructed=False):
            micros += der.integer(Node(der.INTEGER, part.content, b""))
    if not 0 <= millis < 1 << 40 or not 0 <= micros < 1 << 40:
        raise NotDer("an accuracy of another order")
    return millis + -(-micros // 1000)


def _find_signer(signer_info: Node, certificates: List[Node]) -> Optional[Signer]:
    sid = der.expect(signer_info, der.SEQUENCE).children()[1]
    for certificate in certificates:
        # Attribute certificates and other formats may stand beside.
        if certificate.tag != der.SEQUENCE:
            continue
        fields = der.expect(certificate.children()[0], der.SEQUENCE).children()
        if fields[0].tag == der.context(0):
            fields = fields[1:]
        serial, issuer, validity, subject = fields[0], fields[2], fields[3], fields[4]
        extensions = _extensions(fields[6:])
        if sid.tag == der.SEQUENCE:
            named = sid.children()
            known = (named[0].encoded, named[1].encoded) == (issuer.encoded, serial.encoded)
        else:
            key_ids = [
                der.parse(value).content for oid, _, value in extensions if oid == _SUBJECT_KEY
            ]
            known = sid.tag == der.context(0, constructed=False) and sid.content in key_ids
        if known:
            begin, end = der.expect(validity, der.SEQUENCE).children()[:2]
            return Signer(
                name=_name(subject),
                serial=der.integer(serial),
                valid_from_ms=_time(begin)[0],
                valid_to_ms=_time(end)[0],
                stamps=_stamps_only(extensions),
            )
    return None


def _extensions(fields: List[Node]) -> List[Tuple[str, bool, bytes]]:
    """(object identifier, critical, value) of each extension of a certificate."""
    found = []
    for field in fields:
        if field.tag != der.context(3):
            continue
        for extension in der.expect(_inside(field, field.tag), der.SEQUENCE).children():
            parts = der.expect(extension, der.SEQUENCE).children()
            critical = len(parts) == 3 and der.boolean(parts[1])
            found.append(
                (der.oid(parts[0]), critical, der.expect(parts[-1], der.OCTET_STRING).content)
            )
    return found


def _stamps_only(extensions: List[Tuple[str, bool, bytes]]) -> bool:
    for oid, critical, value in extensions:
        if oid == _KEY_USAGE_EXTENDED:
            purposes = [der.oid(purpose) for purpose in der.parse(value).children()]
            return critical and purposes == [_TIME_STAMPING]
    return False


def _name(subject: Node) -> str:
    """The last common name in a subject; empty if there is none."""
    found = ""
    for relative in der.expect(subject, der.SEQUENCE).children():
        for pair in der.expect(relative, der.SET).children():
            kind, value = pair.children()[:2]
            if der.oid(kind) == _COMMON_NAME:
                found = value.content.decode("utf-8", "replace")
    return "".join(character for character in found if character.isprintable())[:200]


def _time(node: Node) -> Tuple[int, int]:
    """Milliseconds since 1970, rounded down, and 1 if that lost something."""
    match = (_UTC_TIME if node.tag == der.UTC_TIME else _GENERALIZED).match(node.content)
    if node.tag not in (der.UTC_TIME, der.GENERALIZED_TIME) or match is None:
        raise NotDer("a time of another form")
    year, month, day, hour, minute, second = (int(match.group(place)) for place in range(1, 7))
    if node.tag == der.UTC_TIME:
        year += 1900 if year >= 50 else 2000
    try:
        seconds = calendar.timegm(datetime(year, month, day, hour, minute, second).timetuple())
    except ValueError as error:
        raise NotDer("a time that never was") from error
    fraction = (match.group(7) if node.tag == der.GENERALIZED_TIME else None) or b""
    nanos = int(fraction.ljust(9, b"0") or b"0")
    return 1000 * seconds + nanos // 1_000_000, int(nanos % 1_000_000 > 0)
