"""How a package is checked: by our own verifier before it leaves, by anybody with openssl."""

from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from media import findings
from server.operations.export.case import CaseState
from server.operations.export.chains import Chain
from server.operations.export.errors import PackageRejected
from sync import catalogue
from sync.evidence import note, package
from sync.evidence.line import pre_authentication_encoding
from sync.evidence.package import PackageFile
from sync.evidence.standalone import build as build_verifier
from sync.evidence.texts import load_texts
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from sync.evidence.web_page import build as build_page

_HALF = 32
#: What a device's own word about the ledger makes fail.
_OF_ANCHORS = ("journal.anchor_unproved", "journal.anchor_shrinks", "journal.inconsistent")


def verify(archive: Path, ledger_key: str, *, anchors_told: bool = False) -> str:
    """Run the verifier over a finished ZIP with our key as the trusted one.

    Returns the verdict: ``PASS``, or ``FAIL`` where nothing is wrong but that a device claims
    to have seen another ledger and ``anchors_told``: else one device could keep every case
    that it had a part in from ever leaving.

    Raises:
        PackageRejected: naming the first claim that fails.
    """
    result = verify_package(
        str(archive), Options(ledger_keys=(note.parse_verifier_key(ledger_key),))
    )
    for claim in result.claims:
        if claim.verdict is Verdict.FAIL and not (anchors_told and claim.code in _OF_ANCHORS):
            raise PackageRejected(f"{claim.code}: {claim.text(load_texts(), 'zh')}")
    return result.verdict.value


def verify_files(case: CaseState, ledger_key: str) -> Iterator[PackageFile]:
    """The stand-alone verifier, its page, VERIFY.txt, and what its openssl commands read.

    For each journal: the bytes that its last line's signature covers, that
    signature and the device's key in the forms that openssl takes.
    """
    yield PackageFile.of(package.VERIFIER, build_verifier(_rules()))
    yield PackageFile.of(package.VERIFY_PAGE, build_page())
    text = catalogue.text("report.verify_text", "zh") + catalogue.text("report.verify_text", "en")
    yield PackageFile.of(package.VERIFY_TEXT, text.encode("utf-8"))
    ledger = Ed25519PublicKey.from_public_bytes(note.parse_verifier_key(ledger_key).public_key)
    yield PackageFile.of(
        "verify/ledger-key.pem",
        ledger.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )
    keys = {device.key_id: device.spki for device in case.devices}
    for number, chain in enumerate(case.chains, start=1):
        name = f"verify/journal-{number}"
        yield PackageFile.of(f"{name}.pem", _pem(keys[chain.key_id]))
        yield PackageFile.of(f"{name}.sig", _der(chain))
        yield PackageFile.of(f"{name}.txt", pre_authentication_encoding(chain.head_header))


def _rules() -> dict[str, str]:
    """The sources of the rules, so that the stand-alone verifier can compute findings again."""
    folder = Path(findings.__file__).parent
    sources = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.py"))}
    package_itself = {"media": "", "media.findings": sources.pop("__init__")}
    return package_itself | {f"media.findings.{name}": text for name, text in sources.items()}


def _pem(spki: bytes) -> bytes:
    key = load_der_public_key(spki)
    if not isinstance(key, EllipticCurvePublicKey):
        raise PackageRejected("a device key that is no P-256 key")
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _der(chain: Chain) -> bytes:
    r, s = chain.head_signature[:_HALF], chain.head_signature[_HALF:]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
