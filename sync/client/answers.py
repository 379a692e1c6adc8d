"""What the server may answer: shapes checked at the border, unknown fields ignored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from sync import divergence, wire
from sync.client.windows import SendWindow
from sync.evidence.errors import BadEncoding
from sync.wire import Journal, LineResult, Projection

_DIGEST = validate.Regexp(r"[0-9a-f]{64}\Z")
_NATURAL = validate.Range(0, 2**53)
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d\Z"


@dataclass(frozen=True, kw_only=True)
class Limits:
    push_lines: int
    push_bytes: int
    media_bytes: int


@dataclass(frozen=True, kw_only=True)
class Hello:
    """``server_ms`` is the server's clock when it answered."""

    server_ms: int
    origin: str
    generation: int
    limits: Limits
    checkpoint: str
    backed_up_size: int
    carrier: str
    #: When recordings may be sent; empty: always.
    windows: tuple[SendWindow, ...]
    #: Whether the server has room for recordings.
    recordings: bool


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """The keys to pin, as C2SP verifier keys, and the first checkpoint."""

    device_id: str
    key_id: str
    organization: dict[str, str]
    origin: str
    generation: int
    receipt_key: str
    ledger_key: str
    carrier: str
    checkpoint: str
    enrolled_index: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a chain stands at the server; ``next_since`` asks for more of what it answered."""

    next_seq: int
    head: str
    receipts: list[str]
    results: list[LineResult]
    next_since: int | None


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of a line; ``decision`` and ``reason`` are a reviewer's, or empty."""

    epoch: str
    seq: int
    digest: str
    projection: Projection
    code: str
    decision: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class FatePage:
    outcomes: list[Fate]
    cursor: str
    more: bool


@dataclass(frozen=True, kw_only=True)
class Pushed:
    results: list[LineResult]
    receipts: list[str]
    next_seq: int
    checkpoint: str


@dataclass(frozen=True, kw_only=True)
class FeedPage:
    documents: list[dict[str, Any]]
    cursor: str
    more: bool
    reset: bool


@dataclass(frozen=True, kw_only=True)
class Digest:
    """The server's sums of what this device holds at a cursor (sync.divergence)."""

    bits: int
    count: int
    sums: str
    reset: bool


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What to put, and the marks of what is not this device's (any more) as it stands."""

    documents: list[dict[str, Any]]
    gone: list[str]
    more: bool


@dataclass(frozen=True)
class Lacking:
    """Of the digests asked about: no bytes here; and no journal line here that names them."""

    lacking: frozenset[str]
    unannounced: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Restore:
    """The first leaf of a later generation: canonical event, salt and audit path in hex."""

    event: str
    salt: str
    path: list[str]


@dataclass(frozen=True, kw_only=True)
class Life:
    """One generation of the server's ledger; ``restore`` is None for the first."""

    generation: int
    origin: str
    ledger_key: str
    receipt_key: str
    checkpoint: str
    restore: Restore | None
    #: Notes by which one ledger key names the next.
    endorsements: Sequence[str] = ()


class _Answer(Schema):
    class Meta:
        unknown = EXCLUDE


class _WindowSchema(_Answer):
    begin = fields.String(required=True, data_key="from", validate=validate.Regexp(_CLOCK))
    end = fields.String(required=True, data_key="to", validate=validate.Regexp(_CLOCK))
    kbit_s = fields.Integer(strict=True, load_default=0, validate=_NATURAL)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> SendWindow:
        return SendWindow(**data)


class _RoomSchema(_Answer):
    recordings = fields.Boolean(load_default=True)


class _LimitsSchema(_Answer):
    push_lines = fields.Integer(required=True, strict=True, validate=validate.Range(1))
    push_bytes = fields.Integer(required=True, strict=True, validate=validate.Range(1))
    media_bytes = fields.Integer(required=True, strict=True, validate=validate.Range(0))
    windows = fields.List(fields.Nested(_WindowSchema), load_default=list)


class HelloSchema(_Answer):
    server_ms = fields.Integer(required=True, strict=True, validate=_NATURAL)
    origin = fields.String(required=True)
    generation = fields.Integer(required=True, strict=True)
    limits = fields.Nested(_LimitsSchema, required=True)
    carrier = fields.String(load_default="")
    checkpoint = fields.String(required=True)
    backed_up_size = fields.Integer(strict=True, validate=_NATURAL, load_default=0)

    room = fields.Nested(_RoomSchema, load_default=dict)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Hello:
        limits, room = data.pop("limits"), data.pop("room")
        windows = tuple(limits.pop("windows"))
        return Hello(
            **data,
            limits=Limits(**limits),
            windows=windows,
            recordings=room.get("recordings", True),
        )


class _OrganizationSchema(_Answer):
    id = fields.String(required=True)
    name = fields.String(required=True)


class EnrolledSchema(_Answer):
    device_id = fields.String(required=True)
    key_id = fields.String(required=True)
    organization = fields.Nested(_OrganizationSchema, required=True)
    origin = fields.String(required=True)
    generation = fields.Integer(required=True, strict=True)
    receipt_key = fields.String(required=True)
    ledger_key = fields.String(required=True)
    carrier = fields.String(load_default="")
    checkpoint = fields.String(required=True)
    enrolled_index = fields.Integer(required=True, strict=True, validate=_NATURAL)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Enrolled:
        return Enrolled(**data)


class NonceSchema(_Answer):
    nonce = fields.String(required=True)


class TokenSchema(_Answer):
    token = fields.String(required=True)
    standing = fields.Enum(wire.Standing, by_value=True, load_default=wire.Standing.ACTIVE)


class _LineResultSchema(_Answer):
    seq = fields.Integer(required=True, strict=True)
    digest = fields.String(required=True)
    journal = fields.Enum(Journal, by_value=True, required=True)
    projection = fields.Enum(Projection, by_value=True, required=True)
    code = fields.String(load_default="")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> LineResult:
        return LineResult(**data)


class PushedSchema(_Answer):
    results = fields.List(fields.Nested(_LineResultSchema), required=True)
    receipts = fields.List(fields.String(), required=True)
    next_seq = fields.Integer(required=True, strict=True, validate=_NATURAL)
    checkpoint = fields.String(load_default="")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Pushed:
        return Pushed(**data)


class StandingSchema(_Answer):
    next_seq = fields.Integer(required=True, strict=True, validate=_NATURAL)
    head = fields.String(required=True, validate=_DIGEST)
    receipts = fields.List(fields.String(), load_default=list)
    results = fields.List(fields.Nested(_LineResultSchema), load_default=list)
    next_since = fields.Integer(strict=True, validate=_NATURAL, load_default=None, allow_none=True)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Standing:
        return Standing(**data)


class _FateSchema(_Answer):
    epoch = fields.String(required=True)
    seq = fields.Integer(required=True, strict=True, validate=_NATURAL)
    digest = fields.String(required=True, validate=_DIGEST)
    projection = fields.Enum(Projection, by_value=True, required=True)
    code = fields.String(load_default="")
    decision = fields.String(load_default="")
    reason = fields.String(load_default="")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Fate:
        return Fate(**data)


class FatePageSchema(_Answer):
    outcomes = fields.List(fields.Nested(_FateSchema), required=True)
    cursor = fields.String(required=True)
    more = fields.Boolean(required=True)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> FatePage:
        return FatePage(**data)


class _DocumentSchema(_Answer):
    op = fields.String(required=True, validate=validate.OneOf(("put", "tombstone", "evict")))
    kind = fields.String(required=True)
    id = fields.String(required=True)
    body = fields.Dict(keys=fields.String(), load_default=dict)


class FeedSchema(_Answer):
    documents = fields.List(fields.Nested(_DocumentSchema), required=True)
    cursor = fields.String(required=True)
    more = fields.Boolean(required=True)
    reset = fields.Boolean(load_default=False)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> FeedPage:
        return FeedPage(**data)


class _RestoreSchema(_Answer):
    event = fields.String(required=True)
    salt = fields.String(required=True, validate=_DIGEST)
    path = fields.List(fields.String(validate=_DIGEST), required=True)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Restore:
        return Restore(**data)


class _LifeSchema(_Answer):
    generation = fields.Integer(required=True, strict=True, validate=_NATURAL)
    origin = fields.String(required=True)
    ledger_key = fields.String(required=True)
    receipt_key = fields.String(required=True)
    checkpoint = fields.String(required=True)
    restore = fields.Nested(_RestoreSchema, required=True, allow_none=True)
    # An older server knows of no other key than its first.
    endorsements = fields.List(fields.String(), load_default=list)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Life:
        return Life(**data)


class LineageSchema(_Answer):
    generations = fields.List(fields.Nested(_LifeSchema), required=True)


class LedgerStandingSchema(_Answer):
    behind = fields.Boolean(required=True)


class DigestSchema(_Answer):
    bits = fields.Integer(
        required=True, strict=True, validate=validate.Range(0, divergence.MAX_BITS)
    )
    count = fields.Integer(required=True, strict=True, validate=_NATURAL)
    sums = fields.String(required=True)
    reset = fields.Boolean(load_default=False)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Digest:
        try:
            divergence.decode_sums(data["sums"], data["bits"])
        except BadEncoding as error:
            raise ValidationError(str(error), "sums") from error
        return Digest(**data)


class RepairSchema(_Answer):
    documents = fields.List(fields.Nested(_DocumentSchema), required=True)
    gone = fields.List(fields.String(), required=True)
    more = fields.Boolean(required=True)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Repair:
        return Repair(**data)


class ConsistencySchema(_Answer):
    path = fields.List(fields.String(validate=_DIGEST), required=True)


class InclusionSchema(ConsistencySchema):
    """The entry of a leaf, with the path that leads from it to a root."""

    entry = fields.String(validate=_DIGEST, required=True)


class LackingSchema(_Answer):
    lacking = fields.List(fields.String(validate=_DIGEST), required=True)
    unannounced = fields.List(fields.String(validate=_DIGEST), required=True)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Lacking:
        return Lacking(frozenset(data["lacking"]), frozenset(data["unannounced"]))


class CarriedLedgerSchema(ConsistencySchema):
    """A consistency proof out of a carrier's reply, with the checkpoint that it leads to."""

    checkpoint = fields.String(required=True)
    #: By which key it is signed, and how that comes from earlier ones.
    ledger_key = fields.String(load_default="")
    endorsements = fields.List(fields.String(), load_default=list)


class CarriedLackingSchema(_Answer):
    """What is lacking of the digests that a carrier brought; unlike online it repeats them."""

    asked = fields.List(fields.String(validate=_DIGEST), required=True)
    lacking = fields.List(fields.String(validate=_DIGEST), required=True)
    unannounced = fields.List(fields.String(validate=_DIGEST), required=True)
