"""A device reduced to its key and its chain: it builds any line, also ones no client would."""

import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync import wire
from sync.evidence.chain import Head, advance
from sync.evidence.encoding import to_b64url
from sync.evidence.line import Anchor, DeviceTime, Line, build_line, key_id_of

#: A Monday morning in May 2026, in milliseconds UTC.
MORNING_MS = 1_777_856_400_000


def sign_with(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """64 bytes r‖s over ``message``."""
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class SimDevice:
    """Builds signed lines one after another; ``now_ms`` moves a second with each."""

    id: str = field(default_factory=new_id)
    epoch: str = field(default_factory=lambda: secrets.token_hex(16))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    now_ms: int = MORNING_MS
    anchor: Anchor | None = None
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.head = Head(self.id, self.epoch)

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def key_id(self) -> str:
        return key_id_of(self.spki)

    def sign(self, message: bytes) -> bytes:
        return sign_with(self.key, message)

    def enrolment(self, code: str) -> dict[str, Any]:
        """The body of a request to enrol with ``code`` as a person would type it."""
        typed = code.replace("-", "")
        proof = wire.enrolment_proof(code=typed, device=self.id, key_id=self.key_id)
        return {
            "code": code,
            "device": {"id": self.id, "kind": "phone", "serial": "S-1", "name": "测试手机"},
            "spki": to_b64url(self.spki),
            "signature": to_b64url(self.sign(proof)),
        }

    def write(self, kind: str, **fields: Any) -> Line:
        """Sign the next line of the chain with an act of ``kind``."""
        return self.write_parts({"type": kind, **fields})

    def write_parts(self, *parts: dict[str, Any]) -> Line:
        """Sign the next line of the chain with the given parts, salted."""
        line = self.forge(parts)
        self.head = advance(self.head, line)
        self.lines.append(line)
        self.now_ms += 1000
        return line

    def forge(self, parts: Any, **header: Any) -> Line:
        """Sign a line that need not follow the chain: ``header`` overrides its place."""
        place = {
            "device": self.id,
            "epoch": self.epoch,
            "seq": self.head.next_seq,
            "prev": self.head.digest,
            "t": DeviceTime(self.now_ms, 1000 + len(self.lines), "boot-1", 480),
            "key_id": self.key_id,
            "sign": self.sign,
            "anchor": self.anchor,
        }
        salted = [{"salt": secrets.token_hex(16), **part} for part in parts]
        return build_line(salted, **{**place, **header})

    def open_epoch(self) -> Line:
        return self.write("epoch.opened", spki=to_b64url(self.spki), reason="enrolled")

    def open_session(self, officer: str) -> Line:
        return self.write(
            "session.opened",
            officer=officer,
            session=new_id(),
            method="pin",
            certificate_no="示例001",
        )

    def body(self, start: int = 0) -> bytes:
        """The NDJSON of all lines from ``start``."""
        return b"".join(line.to_bytes() + b"\n" for line in self.lines[start:])
