"""The shapes of the device API; the OpenAPI document is generated from these schemas."""

import unicodedata
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load, validate

from server.operations.enrolment import NewDevice
from sync.evidence.encoding import from_b64url
from sync.evidence.errors import BadEncoding
from sync.wire import Journal, Projection, Standing

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
DIGEST_PATTERN = r"^[0-9a-f]{64}$"


class Text(fields.String):
    """Text without control characters, of which PostgreSQL cannot keep U+0000 at all."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
            raise self.make_error("invalid")
        return text


class Base64Url(fields.String):
    """Bytes in unpadded base64url."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return from_b64url(text)
        except (BadEncoding, UnicodeError) as error:
            raise self.make_error("invalid") from error


def digest_field(**kwargs: Any) -> fields.String:
    """A SHA-256 in lowercase hex."""
    # The length too: "$" lets a newline pass.
    return fields.String(
        validate=[validate.Length(equal=64), validate.Regexp(DIGEST_PATTERN)], **kwargs
    )


class Body(Schema):
    """A request body: fields of later versions are ignored, not refused."""

    class Meta:
        unknown = EXCLUDE


class WindowSchema(Schema):
    begin = fields.String(data_key="from", metadata={"description": "HH:MM"})
    end = fields.String(data_key="to", metadata={"description": "HH:MM, over midnight if earlier"})
    kbit_s = fields.Integer(metadata={"description": "0: no bound"})


class LimitsSchema(Schema):
    line_bytes = fields.Integer()
    push_lines = fields.Integer()
    push_bytes = fields.Integer()
    media_bytes = fields.Integer()
    json_depth = fields.Integer()
    feed_page = fields.Integer()
    digests = fields.Integer()
    windows = fields.List(
        fields.Nested(WindowSchema),
        metadata={"description": "when recordings may be sent, China's time; empty: always"},
    )


class RoomSchema(Schema):
    free_bytes = fields.Integer(allow_none=True)
    days_left = fields.Integer(allow_none=True)
    recordings = fields.Boolean(metadata={"description": "whether audio and video are taken"})


class HelloSchema(Schema):
    server_ms = fields.Integer(metadata={"description": "server clock, ms UTC"})
    clock = fields.String(metadata={"description": "synchronised, unsynchronised or unknown"})
    origin = fields.String()
    generation = fields.Integer()
    limits = fields.Nested(LimitsSchema)
    room = fields.Nested(RoomSchema)
    journal_versions = fields.List(fields.String())
    backed_up_size = fields.Integer(metadata={"description": "ledger size of the last backup"})
    carrier = fields.String(metadata={"description": "signed note: to whom carriers go"})
    checkpoint = fields.String(metadata={"description": "newest signed checkpoint"})


class DeviceSchema(Body):
    id = fields.String(
        required=True, validate=[validate.Length(equal=36), validate.Regexp(UUID_PATTERN)]
    )
    kind = fields.String(
        required=True, validate=validate.OneOf(("phone", "dock", "body_recorder", "computer"))
    )
    serial = Text(required=True, validate=validate.Length(1, 200))
    name = Text(required=True, validate=validate.Length(1, 200))


class EnrolmentSchema(Body):
    code = Text(required=True, validate=validate.Length(1, 100))
    device = fields.Nested(DeviceSchema, required=True)
    spki = Base64Url(required=True, validate=validate.Length(1, 200))
    signature = Base64Url(required=True, validate=validate.Length(64, 64))

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> tuple[str, NewDevice]:
        device = data["device"]
        return data["code"], NewDevice(
            device_id=device["id"],
            kind=device["kind"],
            serial=device["serial"],
            name=device["name"],
            spki=data["spki"],
            signature=data["signature"],
        )


class OrganizationSchema(Schema):
    id = fields.String()
    name = fields.String()


class EnrolledSchema(Schema):
    device_id = fields.String()
    key_id = fields.String()
    organization = fields.Nested(OrganizationSchema)
    origin = fields.String()
    generation = fields.Integer()
    receipt_key = fields.String(metadata={"description": "C2SP verifier key of receipts"})
    ledger_key = fields.String(metadata={"description": "C2SP verifier key of checkpoints"})
    carrier = fields.String(metadata={"description": "signed note: to whom carriers go"})
    checkpoint = fields.String()
    enrolled_index = fields.Integer()
    server_ms = fields.Integer()


class NonceRequestSchema(Body):
    key_id = digest_field(required=True)


class NonceSchema(Schema):
    nonce = fields.String()
    expires_at_ms = fields.Integer()
    server_ms = fields.Integer()


class TokenRequestSchema(Body):
    key_id = digest_field(required=True)
    nonce = Text(required=True, validate=validate.Length(1, 64))
    signature = Base64Url(required=True, validate=validate.Length(64, 64))


class TokenSchema(Schema):
    token = fields.String()
    expires_at_ms = fields.Integer()
    standing = fields.Enum(Standing, by_value=True)


class LineResultSchema(Schema):
    seq = fields.Integer()
    digest = fields.String()
    journal = fields.Enum(Journal, by_value=True)
    projection = fields.Enum(Projection, by_value=True)
    code = fields.String()


class PushAnswerSchema(Schema):
    results = fields.List(fields.Nested(LineResultSchema))
    receipts = fields.List(fields.String())
    next_seq = fields.Integer()
    head = fields.String()
    checkpoint = fields.String()


class JournalQuerySchema(Body):
    since = fields.Integer(load_default=None, validate=validate.Range(0, 2**53))


class JournalHeadSchema(Schema):
    """``receipts``, ``results`` and ``next_since`` are filled only where ``since`` was asked."""

    next_seq = fields.Integer()
    head = fields.String()
    receipts = fields.List(fields.String())
    results = fields.List(fields.Nested(LineResultSchema))
    next_since = fields.Integer(allow_none=True)


class OutcomesQuerySchema(Body):
    since = fields.String(load_default="", validate=validate.Length(max=200))
    limit = fields.Integer(load_default=500, validate=validate.Range(1, 500))


class ChangeSchema(Schema):
    epoch = fields.String()
    branch = fields.String()
    seq = fields.Integer()
    digest = fields.String()
    projection = fields.Enum(Projection, by_value=True)
    code = fields.String()
    decision = fields.String(validate=validate.OneOf(("", "released", "kept")))
    reason = fields.String(metadata={"description": "a reviewer's word; empty without a decision"})


class ChangesSchema(Schema):
    outcomes = fields.List(fields.Nested(ChangeSchema))
    cursor = fields.String()
    more = fields.Boolean()


class FeedQuerySchema(Body):
    cursor = Text(load_default="", validate=validate.Length(max=400))
    limit = fields.Integer(load_default=500, validate=validate.Range(1, 500))


class DocumentSchema(Schema):
    op = fields.String(validate=validate.OneOf(("put", "tombstone", "evict")))
    kind = fields.String()
    id = fields.String()
    body = fields.Dict()


class FeedSchema(Schema):
    documents = fields.List(fields.Nested(DocumentSchema))
    cursor = fields.String()
    more = fields.Boolean()
    reset = fields.Boolean()


class DigestQuerySchema(Body):
    cursor = Text(required=True, validate=validate.Length(max=400))


class DigestSchema(Schema):
    bits = fields.Integer(metadata={"description": "there are 2^bits buckets"})
    count = fields.Integer()
    sums = fields.String(metadata={"description": "eight bytes each, unpadded base64url"})
    reset = fields.Boolean()


class BucketsSchema(Body):
    bits = fields.Integer(required=True, strict=True, validate=validate.Range(0, 12))
    buckets = fields.Dict(
        required=True,
        keys=fields.Integer(validate=validate.Range(0, 4095)),
        values=fields.List(
            fields.String(validate=[validate.Length(equal=16), validate.Regexp(r"^[0-9a-f]{16}$")]),
            validate=validate.Length(max=5000),
        ),
        validate=validate.Length(1, 64),
    )


class RepairSchema(Schema):
    documents = fields.List(fields.Nested(DocumentSchema))
    gone = fields.List(fields.String())
    more = fields.Boolean()


class ConsistencyQuerySchema(Body):
    first = fields.Integer(required=True, validate=validate.Range(0, 2**53))
    second = fields.Integer(required=True, validate=validate.Range(0, 2**53))
    generation = fields.Integer(load_default=None, validate=validate.Range(1, 2**31 - 1))


class ConsistencySchema(Schema):
    first = fields.Integer()
    second = fields.Integer()
    path = fields.List(fields.String())


class ProofQuerySchema(Body):
    index = fields.Integer(required=True, validate=validate.Range(0, 2**53))
    generation = fields.Integer(load_default=None, validate=validate.Range(1, 2**31 - 1))


class InclusionQuerySchema(Body):
    index = fields.Integer(required=True, validate=validate.Range(0, 2**53))
    size = fields.Integer(required=True, validate=validate.Range(1, 2**53))
    generation = fields.Integer(load_default=None, validate=validate.Range(1, 2**31 - 1))


class InclusionSchema(Schema):
    index = fields.Integer()
    size = fields.Integer()
    entry = fields.String()
    path = fields.List(fields.String())


class CheckpointSchema(Schema):
    checkpoint = fields.String(metadata={"description": "newest, with the witnesses' lines"})
    witnessed = fields.String(metadata={"description": "newest that a quorum cosigned, or any"})


class CheckpointSeenSchema(Body):
    # A note with the lines of a hundred witnesses is longer than most.
    checkpoint = fields.String(required=True, validate=validate.Length(1, 32_768))


class LedgerStandingSchema(Schema):
    behind = fields.Boolean(metadata={"description": "whether the ledger takes no entries now"})


class RestoreSchema(Schema):
    event = fields.String(metadata={"description": "canonical JSON of the leaf of index 0"})
    salt = fields.String()
    size = fields.Integer()
    path = fields.List(fields.String())


class GenerationSchema(Schema):
    generation = fields.Integer()
    origin = fields.String()
    ledger_key = fields.String()
    receipt_key = fields.String()
    checkpoint = fields.String(metadata={"description": "the generation's newest"})
    restore = fields.Nested(RestoreSchema, allow_none=True)
    endorsements = fields.List(
        fields.String(), metadata={"description": "notes by which a ledger key names the next"}
    )


class LineageSchema(Schema):
    generations = fields.List(fields.Nested(GenerationSchema))


class ProblemSchema(Schema):
    """RFC 9457."""

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    code = fields.String(metadata={"description": "permanent; see docs/errors.md"})
    detail = fields.String()
