"""age identities: what opens a carrier, in a file of mode 0600."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage


@dataclass(frozen=True)
class CarrierKey:
    """An X25519 identity of age v1; ``recipient`` is its public half."""

    identity: Any

    @property
    def recipient(self) -> str:
        return str(self.identity.to_public())


def make_key(path: Path) -> None:
    """Make a new identity at ``path``, readable by the owner alone, never over an old one.

    Raises:
        OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{pyrage.x25519.Identity.generate()}\n")
        file.flush()
        os.fsync(file.fileno())


def load_key(path: Path) -> CarrierKey:
    """The identity at ``path``.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it holds none.
    """
    try:
        return CarrierKey(pyrage.x25519.Identity.from_str(path.read_text("ascii").strip()))
    except pyrage.IdentityError as error:
        raise ValueError(f"{path.name} holds no age identity") from error
