"""Where a store is and what it is asked for: plain values, so that settings can hold them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Addressing = Literal["path", "virtual"]
Algorithm = Literal["AES256", "aws:kms"]
LockMode = Literal["GOVERNANCE", "COMPLIANCE"]


@dataclass(frozen=True)
class Encryption:
    """What the store is asked to encrypt objects with; ``key_id`` only for ``aws:kms``."""

    algorithm: Algorithm
    key_id: str | None = None


@dataclass(frozen=True)
class Retention:
    """How long Object Lock keeps an original, and whether a privileged user may lift it."""

    mode: LockMode
    days: int


@dataclass(frozen=True, kw_only=True)
class S3Address:
    """Where a bucket is, who we are there, and what is asked for each object.

    Attributes:
        addressing: the bucket's name in the path, or in front of the host's name.
        ca_bundle: PEM of the authorities to trust for HTTPS; None for the usual ones.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str = "us-east-1"
    addressing: Addressing = "path"
    ca_bundle: Path | None = None
    encryption: Encryption | None = None
    retention: Retention | None = None
