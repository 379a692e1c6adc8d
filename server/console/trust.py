"""The one plain page on which a phone learns to trust the local authority; no login needed."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Blueprint, Response, abort, render_template

from server.services import services
from server.settings import Settings
from sync import catalogue

blueprint = Blueprint("trust", __name__, template_folder="templates")

_SYSTEMS = ("harmony", "android", "ios")


@dataclass(frozen=True, kw_only=True)
class Root:
    """What the page says of the authority's certificate."""

    certificate: x509.Certificate
    #: SHA-256 of the DER in colon-separated pairs of capitals, as phones show it.
    fingerprint: str
    expires: datetime


@blueprint.get("/trust")
def trust() -> str:
    """Fingerprint, downloads and the steps for each kind of phone, Chinese first."""
    settings = services().settings
    return render_template(
        "trust.html",
        settings=settings,
        root=read_root(settings),
        systems=_SYSTEMS,
        languages=catalogue.LANGUAGES,
        say=catalogue.text,
    )


@blueprint.get("/trust/liuhen-root.crt")
def root_der() -> Response:
    """The root in DER, which phones offer to install."""
    return _download(Encoding.DER, "application/x-x509-ca-cert", "liuhen-root.crt")


@blueprint.get("/trust/liuhen-root.pem")
def root_pem() -> Response:
    """The root in PEM, for computers and the device client."""
    return _download(Encoding.PEM, "application/x-pem-file", "liuhen-root.pem")


def read_root(settings: Settings) -> Root | None:
    """The local authority's certificate; None where there is none to trust."""
    path = settings.tls_root_path
    if path is None or not path.exists():
        return None
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    digest = certificate.fingerprint(hashes.SHA256())
    return Root(
        certificate=certificate,
        fingerprint=":".join(f"{byte:02X}" for byte in digest),
        expires=certificate.not_valid_after_utc,
    )


def _download(encoding: Encoding, content_type: str, name: str) -> Response:
    root = read_root(services().settings)
    if root is None:
        abort(404)
    answer = Response(root.certificate.public_bytes(encoding), content_type=content_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer
