"""What a carrier says of itself: the manifests, their one encoding and what their signatures cover.

Pure: bytes and values in, values and bytes out (docs/protocol.md §5).
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from sync.carrier.errors import CarrierDamaged, CarrierForged
from sync.evidence import canonical
from sync.evidence.encoding import from_b64url, sha256_hex, to_b64url
from sync.evidence.errors import BadEncoding, NotCanonical, SyncError
from sync.evidence.note import VerifierKey, open_note
from sync.wire import pre_authentication_encoding

CARRIER_TYPE = "application/vnd.liuhen.carrier+json"
MANIFEST_NAME = "manifest.age"
KINDS = frozenset({"carrier", "reply"})
README_NAME = "README.txt"
#: A manifest beyond this is not read; it has room for some 200,000 files.
MANIFEST_BYTES = 64 << 20
#: What one carrier takes, so that its manifest stays readable; the rest goes into the next.
MAX_MEDIA = 100_000
MAX_PARTS = 100_000

_REPLY_TITLE = "liuhen/carrier-reply/v1"
_RECIPIENT_TITLE = "liuhen/carrier-recipient/v1"
_ID = validate.Regexp(r"[0-9a-f]{32}\Z")
_UUID = validate.Regexp(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_DIGEST = validate.Regexp(r"[0-9a-f]{64}\Z")
_RECIPIENT = r"age1[02-9ac-hj-np-z]{58}"
_SHORT = validate.Length(max=1000)
_FOLDER = re.compile(r"(carrier|reply)-([0-9a-f]{32})(\.incomplete)?\Z")

#: Signs 64 bytes r‖s over a message.
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Part:
    """One encrypted file: ``part-000001.age`` for the first, and so on."""

    size: int
    sha256: str


@dataclass(frozen=True)
class EpochRange:
    """Lines ``first_seq`` up to, not including, ``next_seq``; ``head`` digests the last of them."""

    epoch: str
    first_seq: int
    next_seq: int
    head: str


@dataclass(frozen=True)
class Medium:
    """A file whose bytes are in the carrier, as its line announced it."""

    sha256: str
    size: int
    name: str
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A device's carrier: whose, for which ledger, what is in it and how to answer.

    ``written_at_ms`` is the device's clock, a claim. ``cursor`` and ``outcomes``
    say from where feed and outcomes go on, ``checkpoint`` is the newest signed
    note that the device has verified, ``reply_to`` an age recipient of the device.
    """

    carrier: str
    origin: str
    generation: int
    device: str
    key_id: str
    written_at_ms: int
    reply_to: str
    cursor: str
    outcomes: str
    checkpoint: str
    epochs: tuple[EpochRange, ...]
    media: tuple[Medium, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class ReplyManifest:
    """The server's answer to the carrier ``answers``, whose manifest digests to ``manifest``."""

    reply: str
    answers: str
    manifest: str
    origin: str
    generation: int
    device: str
    server_ms: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class SignedManifest:
    """A manifest as read: ``signature`` (64 bytes r‖s) is to be verified over ``message``."""

    manifest: Manifest
    digest: str
    message: bytes
    signature: bytes


class _Form(Schema):
    class Meta:
        unknown = EXCLUDE


class _Number(fields.Integer):
    def __init__(self) -> None:
        super().__init__(required=True, strict=True, validate=validate.Range(0, 2**53 - 1))


def _string(rule: Any) -> fields.String:
    return fields.String(required=True, validate=rule)


class _PartForm(_Form):
    size = _Number()
    sha256 = _string(_DIGEST)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Part:
        return Part(**data)


class _EpochForm(_Form):
    epoch = _string(_ID)
    first_seq = _Number()
    next_seq = _Number()
    head = _string(_DIGEST)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> EpochRange:
        return EpochRange(**data)


class _MediumForm(_Form):
    sha256 = _string(_DIGEST)
    size = _Number()
    name = _string(validate.Length(max=200))
    media_type = _string(validate.Length(max=100))

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Medium:
        return Medium(**data)


def _many(form: type[Schema], most: int) -> Any:
    return fields.List(fields.Nested(form), required=True, validate=validate.Length(max=most))


class _ManifestForm(_Form):
    carrier = _string(_ID)
    origin = _string(_SHORT)
    generation = _Number()
    device = _string(_UUID)
    key_id = _string(_DIGEST)
    written_at_ms = _Number()
    reply_to = _string(validate.Regexp(rf"{_RECIPIENT}\Z"))
    cursor = _string(_SHORT)
    outcomes = _string(_SHORT)
    checkpoint = _string(validate.Length(max=20_000))
    epochs = _many(_EpochForm, 10_000)
    media = _many(_MediumForm, MAX_MEDIA)
    parts = _many(_PartForm, MAX_PARTS)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Manifest:
        return Manifest(**{name: _frozen(value) for name, value in data.items()})


class _ReplyForm(_Form):
    reply = _string(_ID)
    answers = _string(_ID)
    manifest = _string(_DIGEST)
    origin = _string(_SHORT)
    generation = _Number()
    device = _string(_UUID)
    server_ms = _Number()
    parts = _many(_PartForm, MAX_PARTS)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> ReplyManifest:
        return ReplyManifest(**{name: _frozen(value) for name, value in data.items()})


def part_name(number: int) -> str:
    """The name of the part ``number``, counted from 1; names never come from a manifest."""
    return f"part-{number:06}.age"


def folder_id(name: str, kind: str) -> str | None:
    """The id in the name of a complete folder of ``kind`` (``carrier`` or ``reply``)."""
    match = _FOLDER.fullmatch(name)
    return match[2] if match and match[1] == kind and not match[3] else None


def is_incomplete(name: str) -> bool:
    """Whether a folder of that name was cut off while it was written."""
    match = _FOLDER.fullmatch(name)
    return bool(match and match[3])


def digest_of(manifest: Manifest | ReplyManifest) -> str:
    """SHA-256 of the manifest's canonical bytes."""
    return sha256_hex(canonical.dumps(_plain(manifest)))


def seal_carrier(manifest: Manifest, sign: Sign) -> bytes:
    """The bytes of a carrier's manifest, signed by the device."""
    body = _plain(manifest)
    message = pre_authentication_encoding(CARRIER_TYPE, canonical.dumps(body))
    return canonical.dumps({"manifest": body, "signature": to_b64url(sign(message))})


def parse_carrier(data: bytes, path: str) -> SignedManifest:
    """A carrier's manifest, of which nothing counts before its signature has been verified.

    Raises:
        CarrierDamaged: if it is not of the form; ``path`` says of which file.
    """
    envelope, body = _open(data, path)
    manifest: Manifest = _load(_ManifestForm, body, path)
    try:
        signature = from_b64url(str(envelope.get("signature")))
    except (BadEncoding, UnicodeError) as error:
        raise CarrierDamaged(path, "no signature") from error
    encoded = canonical.encode(body)
    return SignedManifest(
        manifest=manifest,
        digest=sha256_hex(encoded),
        message=pre_authentication_encoding(CARRIER_TYPE, encoded),
        signature=signature,
    )


def seal_reply(manifest: ReplyManifest, sign: Callable[[str], str]) -> bytes:
    """The bytes of a reply's manifest; ``sign`` makes a signed note of a text."""
    return canonical.dumps({"manifest": _plain(manifest), "note": sign(_reply_text(manifest))})


def open_reply(data: bytes, path: str, key: VerifierKey) -> ReplyManifest:
    """A reply's manifest, after its note was verified with the pinned receipt ``key``.

    Raises:
        CarrierDamaged, CarrierForged.
    """
    envelope, body = _open(data, path)
    manifest: ReplyManifest = _load(_ReplyForm, body, path)
    try:
        text, _ = open_note(str(envelope.get("note")), [key])
    except SyncError as error:
        raise CarrierForged(path, "not signed by the pinned receipt key") from error
    if text != f"{_REPLY_TITLE}\n{sha256_hex(canonical.encode(body))}\n":
        raise CarrierForged(path, "signed for another manifest")
    return manifest


def recipient_text(origin: str, recipient: str) -> str:
    """What the receipt key signs of the ``recipient`` to which carriers are encrypted."""
    return f"{_RECIPIENT_TITLE}\norigin {origin}\nrecipient {recipient}\n"


def read_recipient(note: str, *, origin: str, key: VerifierKey) -> str:
    """The server's recipient out of a note that the pinned receipt ``key`` has signed.

    Raises:
        CarrierForged.
    """
    try:
        text, _ = open_note(note, [key])
    except SyncError as error:
        raise CarrierForged("recipient", "not signed by the pinned receipt key") from error
    match = re.search(rf"\nrecipient ({_RECIPIENT})\n\Z", text)
    if match is None or text != recipient_text(origin, match[1]):
        raise CarrierForged("recipient", "not a recipient of this ledger")
    return match[1]


def _reply_text(manifest: ReplyManifest) -> str:
    return f"{_REPLY_TITLE}\n{digest_of(manifest)}\n"


def _plain(manifest: Manifest | ReplyManifest) -> dict[str, Any]:
    return {"v": 1, **asdict(manifest)}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _open(data: bytes, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        envelope = canonical.loads(data)
    except NotCanonical as error:
        raise CarrierDamaged(path, str(error)) from error
    body = envelope.get("manifest") if isinstance(envelope, dict) else None
    if not isinstance(body, dict):
        raise CarrierDamaged(path, "not a manifest")
    if body.get("v") != 1:
        raise CarrierDamaged(path, "of a version that is not known here")
    return envelope, body


def _load(form: type[Schema], body: dict[str, Any], path: str) -> Any:
    try:
        return form().load(body)
    except ValidationError as error:
        members = ", ".join(sorted(map(str, error.messages_dict)))
        raise CarrierDamaged(path, f"not of the form: {members}") from error
