"""Time-stamping authorities of our own: real openssl behind HTTP on 127.0.0.1."""

import os
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sync.evidence import der, tsp

_CONFIG = """[tsa]
default_tsa = plain
[plain]
serial = {folder}/serial
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.55555.3
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
{certs}
"""


@dataclass
class Authority:
    """One authority with a root of its own.

    ``chained`` encloses more than the signer's certificate, which openssl writes in another
    order than DER asks for. ``answer`` is what its HTTP side calls; tests put worse in its place.
    """

    folder: Path
    name: str = "示例授时"
    valid_from: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(days=1))
    valid_to: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(days=365))
    chained: bool = False
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING
    asked: list = field(default_factory=list)

    def __post_init__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        root_key, root = _certificate(f"{self.name} Root", self)
        self._root_key, self._root = root_key, root
        self.root = self.folder / "root.pem"
        self.root.write_bytes(root.public_bytes(Encoding.PEM))
        self.new_signer(self.valid_from, self.valid_to)
        certs = f"certs = {self.folder}/more.pem" if self.chained else ""
        if self.chained:
            # Longer than the signer's, so that it would have to stand behind it.
            _, more = _certificate("A", self, issuer=(root_key, root))
            (self.folder / "more.pem").write_bytes(
                more.public_bytes(Encoding.PEM) + self.root.read_bytes()
            )
        (self.folder / "tsa.cnf").write_text(_CONFIG.format(folder=self.folder, certs=certs))
        self.answer = self.stamp

    def new_signer(self, valid_from, valid_to):
        """Sign with a new key and a certificate for that time."""
        self.valid_from, self.valid_to = valid_from, valid_to
        key, certificate = _certificate(
            f"{self.name} Signer", self, issuer=(self._root_key, self._root)
        )
        (self.folder / "signer.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (self.folder / "signer.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )

    def stamp(self, request):
        """The answer of ``openssl ts -reply``, with the time of this machine."""
        asked = self.folder / f"asked-{threading.get_ident()}.tsq"
        asked.write_bytes(request)
        return _openssl(
            "ts", "-reply", "-config", self.folder / "tsa.cnf", "-section", "plain",
            "-queryfile", asked,
        )  # fmt: skip

    def stamp_at(self, request, at_ms, *, serial=77, imprint=None, nonce=None):
        """An answer that states the time ``at_ms``, signed by openssl as CMS."""
        query = der.parse(request).children()
        digest = query[1].children()[1].content if imprint is None else imprint
        asked_nonce = der.integer(query[2]) if nonce is None else nonce
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
        text = (
            moment.strftime("%Y%m%d%H%M%S") + f".{at_ms % 1000:03d}".rstrip("0").rstrip(".") + "Z"
        )
        info = der.encode(
            der.SEQUENCE,
            der.encode_integer(1),
            der.encode_oid("1.3.6.1.4.1.55555.3"),
            der.encode(
                der.SEQUENCE,
                der.encode(der.SEQUENCE, der.encode_oid(tsp.SHA256_OID), der.encode(der.NULL)),
                der.encode(der.OCTET_STRING, digest),
            ),
            der.encode_integer(serial),
            der.encode(der.GENERALIZED_TIME, text.encode()),
            der.encode(der.SEQUENCE, der.encode_integer(1)),
            der.encode_integer(asked_nonce),
        )
        content = self.folder / f"info-{threading.get_ident()}.der"
        content.write_bytes(info)
        token = _openssl(
            "cms", "-sign", "-binary", "-nodetach", "-cades", "-md", "sha256", "-nosmimecap",
            "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-signer", self.folder / "signer.pem",
            "-inkey", self.folder / "signer.key", "-in", content, "-outform", "DER",
        )  # fmt: skip
        status = der.encode(der.SEQUENCE, der.encode_integer(0))
        return der.encode(der.SEQUENCE, status, token)

    @contextmanager
    def serving(self):
        """Serve over HTTP while the block runs; gives the URL."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = self.rfile.read(int(self.headers["Content-Length"]))
                authority.asked.append((self.headers["Content-Type"], request))
                answer = authority.answer(request)
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                self.send_response(status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _certificate(name, authority, issuer=None):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by_key, by = issuer or (key, None)
    is_ca = issuer is None
    wide = timedelta(days=36_500)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC) if is_ca else authority.valid_from)
        .not_valid_after(datetime(2000, 1, 1, tzinfo=UTC) + wide if is_ca else authority.valid_to)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by_key.public_key()), critical=False
        )
    )
    if is_ca:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        builder = builder.add_extension(
            x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True
        )
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([authority.purpose]), critical=True)
    return key, builder.sign(by_key, hashes.SHA256())


def _openssl(*arguments):
    done = subprocess.run(
        ["openssl", *map(str, arguments)],
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def in_ber(answer):
    """The same answer as some authorities write it: no lengths, what is signed in two pieces."""
    status, token = der.parse(answer).children()
    kind, wrapped = token.children()
    version, algorithms, content, *rest = wrapped.children()[0].children()
    inner_kind, inner = content.children()
    signed = inner.children()[0].content
    pieces = [der.encode(der.OCTET_STRING, part) for part in (signed[:50], signed[50:])]
    octets = _endless(der.context(0), _endless(der.OCTET_STRING | 0x20, *pieces))
    encapsulated = _endless(der.SEQUENCE, inner_kind.encoded, octets)
    parts = [version.encoded, algorithms.encoded, encapsulated, *(one.encoded for one in rest)]
    signed_data = _endless(der.context(0), _endless(der.SEQUENCE, *parts))
    token = _endless(der.SEQUENCE, kind.encoded, signed_data)
    return _endless(der.SEQUENCE, status.encoded, token)


def _endless(tag, *parts):
    """A value whose length only its end mark tells."""
    return bytes([tag, 0x80]) + b"".join(parts) + b"\0\0"
