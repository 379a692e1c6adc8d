"""Whether a time stamp is believed: by two tools that do not know each other, wherever both can.

One is rfc3161-client, which cannot read answers whose certificates stand in another
order than DER asks for, and which twice took one authority for another; the other is
``openssl ts``. Each says yes, no, or that it cannot tell. A stamp needs one yes and no no.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from rfc3161_client import PKIStatus, VerificationError, VerifierBuilder, decode_timestamp_response

from server.authorities import Authority
from server.operations.stamps.errors import (
    AnswerElsewhere,
    AnswerUnusable,
    StampUnchecked,
    StampUntrusted,
    ToolsDisagree,
)
from sync.evidence import tsp
from sync.evidence.errors import SyncError
from sync.evidence.tsp import Signer, Stamp

CLIENT, OPENSSL = "rfc3161-client", "openssl"

_TIMEOUT_S = 30
_GOOD, _BAD = "Verification: OK", "Verification: FAILED"


@dataclass(frozen=True, kw_only=True)
class Believed:
    """A stamp that was verified, its signer, and which tools did."""

    stamp: Stamp
    signer: Signer
    answer: bytes
    checked_by: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.answer).hexdigest()


def check(answer: bytes, *, imprint: bytes, nonce: int, authority: Authority) -> Believed:
    """Believe ``answer`` to the request with this imprint and nonce, or say why not.

    Raises:
        AnswerUnusable, AnswerElsewhere, StampUntrusted, ToolsDisagree, StampUnchecked
    """
    try:
        stamp = tsp.parse_stamp(answer)
    except SyncError as error:
        raise AnswerUnusable(f"{error.code}: {error}") from error
    if (stamp.hash_oid, stamp.imprint) != (tsp.SHA256_OID, imprint):
        raise AnswerElsewhere("over other bytes than were sent")
    if stamp.nonce != nonce:
        raise AnswerElsewhere("with another nonce than was sent")
    signer = stamp.signer
    if signer is None:
        raise StampUntrusted("the signer's certificate is not enclosed")
    if not signer.stamps:
        raise StampUntrusted(f"{signer.name} may sign other things than time stamps")
    if not signer.valid_from_ms <= stamp.gen_time_ms <= signer.valid_to_ms:
        raise StampUntrusted(f"the certificate of {signer.name} is not valid at that time")
    said = {
        CLIENT: _ask_client(answer, imprint=imprint, nonce=nonce, authority=authority),
        OPENSSL: _ask_openssl(
            answer,
            request=tsp.build_request(imprint, nonce=nonce),
            authority=authority,
            at_s=stamp.gen_time_ms // 1000,
        ),
    }
    believers = tuple(tool for tool, word in said.items() if word == _YES)
    doubters = {tool: word for tool, word in said.items() if word not in (_YES, None)}
    told = "; ".join(f"{tool}: {word}" for tool, word in doubters.items())
    if believers and doubters:
        raise ToolsDisagree(f"{', '.join(believers)} believes it; {told}")
    if doubters:
        raise StampUntrusted(told)
    if not believers:
        raise StampUnchecked("neither rfc3161-client nor openssl can check it here")
    return Believed(stamp=stamp, signer=signer, answer=answer, checked_by=believers)


_YES = ""


def _ask_client(answer: bytes, *, imprint: bytes, nonce: int, authority: Authority) -> str | None:
    """Empty for yes, why not, or None if it cannot read the answer."""
    try:
        response = decode_timestamp_response(answer)
        # It knows no other way of granting, though RFC 3161 does.
        if response.status != PKIStatus.GRANTED:
            return None
    except ValueError:
        return None
    verifier = VerifierBuilder(
        roots=x509.load_pem_x509_certificates(authority.roots.encode()),
        intermediates=(
            x509.load_pem_x509_certificates(authority.untrusted.encode())
            if authority.untrusted
            else []
        ),
        nonce=nonce,
    ).build()
    try:
        verifier.verify(response, imprint)
    except (VerificationError, ValueError) as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return _YES


def _ask_openssl(answer: bytes, *, request: bytes, authority: Authority, at_s: int) -> str | None:
    """Empty for yes, why not, or None if there is no openssl that can do this."""
    program = shutil.which("openssl")
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="liuhen-stamp-") as name:
        folder = Path(name)
        (folder / "request.tsq").write_bytes(request)
        (folder / "answer.tsr").write_bytes(answer)
        (folder / "roots.pem").write_text(authority.roots, encoding="utf-8")
        command = [program, "ts", "-verify", "-queryfile", "request.tsq", "-in", "answer.tsr"]
        # By the stamp's own time: that its certificate ends later changes nothing about it.
        command += ["-CAfile", "roots.pem", "-attime", str(at_s)]
        if authority.untrusted:
            (folder / "untrusted.pem").write_text(authority.untrusted, encoding="utf-8")
            command += ["-untrusted", "untrusted.pem"]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={"PATH": os.environ.get("PATH", "")},
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    told = (done.stdout + done.stderr).decode("utf-8", "replace")
    if done.returncode == 0 and _GOOD in told:
        return _YES
    return told.rsplit(":", 1)[-1].strip()[:200] or _BAD if _BAD in told else None
