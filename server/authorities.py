"""The time-stamping authorities that an administrator names in a file (docs/operations.md).

One section for each, as in::

    [national]
    url = https://tsa.example.cn/stamp
    ca = national-root.pem
"""

import configparser
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_KEYS = frozenset({"url", "ca", "untrusted"})
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Authority:
    """An authority, and by which certificates its stamps are believed.

    Without ``url`` requests and answers travel as files. ``roots`` and ``untrusted``
    are PEM; the second helps to find a way from a signer to a root.
    """

    name: str
    url: str
    roots: str
    untrusted: str = ""


def read_authorities(path: Path) -> tuple[Authority, ...]:
    """The authorities that the file names, in its order.

    Raises:
        ValueError: with what is wrong.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_text(path))
    except configparser.Error as error:
        raise ValueError(" ".join(str(error).split())) from error
    return tuple(_authority(name, dict(parser[name]), path.parent) for name in parser.sections())


def _authority(name: str, values: dict[str, str], folder: Path) -> Authority:
    if not _NAME.fullmatch(name):
        raise ValueError(f"[{name}] must be of a-z, 0-9 and hyphens, 32 at most")
    if unknown := values.keys() - _KEYS:
        raise ValueError(f"[{name}] knows no {', '.join(sorted(unknown))}")
    url = values.get("url", "")
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError(f"[{name}] url must begin with http:// or https://")
    if not values.get("ca"):
        raise ValueError(f"[{name}] lacks ca, the file with the authority's root certificate")
    untrusted = values.get("untrusted")
    return Authority(
        name=name,
        url=url,
        roots=_certificates(name, folder / values["ca"]),
        untrusted=_certificates(name, folder / untrusted) if untrusted else "",
    )


def _certificates(name: str, path: Path) -> str:
    text = _text(path)
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise ValueError(f"[{name}] {path} holds no certificates in PEM") from error
    if not found:
        raise ValueError(f"[{name}] {path} holds no certificate")
    return text


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}") from error
