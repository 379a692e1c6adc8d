"""The messages that server and device both speak (docs/protocol.md §4.2)."""

from dataclasses import dataclass
from enum import StrEnum

from sync.evidence import canonical

API = "/api/v1"

#: DSSE-like types that keep a device's signatures for different purposes apart.
ENROLMENT_TYPE = "application/vnd.liuhen.enrolment+json"
NONCE_TYPE = "application/vnd.liuhen.token+json"


class Journal(StrEnum):
    """What became of a line's place in its chain."""

    ACCEPTED = "accepted"
    ALREADY = "already"
    FORKED = "forked"
    GAP = "gap"
    REFUSED = "refused"


class Projection(StrEnum):
    """What became of a line on the screens."""

    APPLIED = "applied"
    MERGED = "merged"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"
    NONE = "none"


class Standing(StrEnum):
    """How a device stands: a revoked one may only hand in, one told to wipe then empties itself."""

    ACTIVE = "active"
    REVOKED = "revoked"
    WIPE = "wipe"


@dataclass(frozen=True, kw_only=True)
class LineResult:
    """The two independent outcomes of one pushed line.

    ``seq`` and ``digest`` are those the line claims, ``-1`` and empty if it could
    not be read. ``code`` explains ``refused`` and ``quarantined``.
    """

    seq: int
    digest: str
    journal: Journal
    projection: Projection
    code: str = ""


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The DSSE PAE of ``payload``."""
    kind = payload_type.encode("ascii")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def enrolment_proof(*, code: str, device: str, key_id: str) -> bytes:
    """What a device signs to enrol: that it holds the key and means this code."""
    payload = canonical.dumps({"code": code, "device": device, "key_id": key_id})
    return pre_authentication_encoding(ENROLMENT_TYPE, payload)


def token_proof(*, nonce: str, key_id: str, origin: str) -> bytes:
    """What a device signs to get a token of the server named ``origin``."""
    payload = canonical.dumps({"nonce": nonce, "key_id": key_id, "origin": origin})
    return pre_authentication_encoding(NONCE_TYPE, payload)
