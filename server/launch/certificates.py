"""Local certificates: a name-constrained authority for phones, and the store's own."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.launch.errors import CertificateUnusable
from server.launch.installation import write_private

ROOT_DAYS = 3650
#: iOS refuses server certificates that run for more than 398 days.
LEAF_DAYS = 397
RENEW_DAYS = 60

_EVERY_ADDRESS = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Authority:
    """A certificate authority with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Leaf:
    """An end certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_authority(
    common_name: str, *, now: datetime.datetime, dns_name: str | None = None
) -> Authority:
    """A root for ten years that can sign no further authority.

    With ``dns_name`` it is good for that name alone (critical name constraints,
    RFC 5280 §4.2.1.10): whoever steals its key can impersonate nothing else.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        _builder(name, name, key, now=now, until=now + datetime.timedelta(days=ROOT_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    if dns_name is not None:
        constraints = x509.NameConstraints(
            permitted_subtrees=[x509.DNSName(dns_name)],
            # Permitting a DNS name says nothing about addresses: those are excluded as well.
            excluded_subtrees=[x509.IPAddress(network) for network in _EVERY_ADDRESS],
        )
        builder = builder.add_extension(constraints, critical=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def issue(
    authority: Authority, name: str, *, now: datetime.datetime, days: int, client: bool = False
) -> Leaf:
    """A server certificate for DNS ``name``, with ``client`` also good as a client's."""
    key = ec.generate_private_key(ec.SECP256R1())
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH]
    if client:
        purposes.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    until = min(now + datetime.timedelta(days=days), authority.certificate.not_valid_after_utc)
    certificate = (
        _builder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]),
            authority.certificate.subject,
            key,
            now=now,
            until=until,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return Leaf(certificate, key)


def ensure_local(folder: Path, dns_name: str, *, now: datetime.datetime) -> Path:
    """Make or renew the local authority and its certificate in ``folder``; return the root.

    The root stays as long as it lives, since every phone has to be told of a new
    one. The leaf is renewed when it has less than 60 days left.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root_path, root_key_path = folder / "root.pem", folder / "root.key"
    leaf_path, leaf_key_path = folder / "leaf.pem", folder / "leaf.key"
    if not (root_path.exists() and root_key_path.exists()):
        authority = new_authority(f"Liuhen 留痕 {dns_name}", now=now, dns_name=dns_name)
        write_private(root_key_path, key_pem(authority.key))
        write_private(root_path, authority.certificate.public_bytes(_PEM))
        leaf_path.unlink(missing_ok=True)
    if not leaf_path.exists() or days_left(leaf_path, now=now) < RENEW_DAYS:
        authority = _load_authority(root_path, root_key_path)
        leaf = issue(authority, dns_name, now=now, days=LEAF_DAYS)
        # Key first: a server that reads between the two writes finds a pair that
        # does not match and refuses that one connection, never a foreign certificate.
        write_private(leaf_key_path, key_pem(leaf.key))
        write_private(
            leaf_path,
            leaf.certificate.public_bytes(_PEM) + authority.certificate.public_bytes(_PEM),
        )
    return root_path


def check_bureau(
    certificate_path: Path, key_path: Path, dns_name: str, *, now: datetime.datetime
) -> int:
    """Check the bureau's own certificate; return the days it has left.

    Raises:
        CertificateUnusable: unreadable, expired, not for ``dns_name``, or of another key.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateUnusable(certificate_path, reason=str(error)) from error
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateUnusable(key_path, reason=str(error)) from error
    if key.public_key() != certificate.public_key():
        raise CertificateUnusable(key_path, reason="key does not belong to the certificate")
    if certificate.not_valid_after_utc <= now:
        raise CertificateUnusable(certificate_path, reason="expired")
    if not _names(certificate, dns_name):
        raise CertificateUnusable(certificate_path, reason=f"not issued for {dns_name}")
    return (certificate.not_valid_after_utc - now).days


def days_left(path: Path, *, now: datetime.datetime) -> int:
    """Whole days until the (first) certificate in ``path`` expires."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return (certificate.not_valid_after_utc - now).days


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER in pairs with colons, as phones show it."""
    return ":".join(f"{byte:02X}" for byte in certificate.fingerprint(hashes.SHA256()))


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Unencrypted PKCS #8 PEM."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    now: datetime.datetime,
    until: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A phone whose clock is a little slow must not find it "not yet valid".
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load_authority(certificate_path: Path, key_path: Path) -> Authority:
    key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateUnusable(key_path, reason="not an elliptic-curve key")
    return Authority(x509.load_pem_x509_certificate(certificate_path.read_bytes()), key)


def _names(certificate: x509.Certificate, dns_name: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return False
    parent = "*." + dns_name.partition(".")[2]
    return any(name.lower() in (dns_name, parent) for name in names)
