"""What the edges hand to operations: settings, store, signers and the clock, made once."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app

from media.s3 import S3Store
from media.store import Store
from server import clock
from server.settings import Settings
from server.signing import NoteSigner, load_signer
from sync.carrier.keys import CarrierKey, load_key
from sync.carrier.manifest import recipient_text

LEDGER_KEY = "ledger.pem"
RECEIPT_KEY = "receipt.pem"
CARRIER_KEY = "carrier.key"
_EXTENSION = "liuhen"


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts of the running program that are not rows."""

    settings: Settings
    store: Store
    ledger_signer: NoteSigner
    receipt_signer: NoteSigner
    carrier_key: CarrierKey
    now_ms: Callable[[], int] = clock.now_ms
    clock_state: Callable[[], str] = clock.synchronised

    @property
    def ledger_keys(self) -> tuple[bytes, ...]:
        """The public keys under which checkpoints of this ledger are, or were, signed."""
        return (self.ledger_signer.public_key,)

    def carrier_note(self, origin: str) -> str:
        """To whom carriers for the ledger ``origin`` are encrypted, signed by the receipt key."""
        return self.receipt_signer.sign(recipient_text(origin, self.carrier_key.recipient))


def open_services(settings: Settings, *, origin: str) -> Services:
    """Open the store, the carrier key and both signing keys, named after the ledger's ``origin``.

    Raises:
        OSError, ValueError: if a key cannot be read.
    """
    return Services(
        settings=settings,
        store=S3Store(settings.s3_address),
        ledger_signer=load_signer(settings.secrets_dir / LEDGER_KEY, origin),
        receipt_signer=load_signer(settings.secrets_dir / RECEIPT_KEY, receipt_name(origin)),
        carrier_key=load_key(settings.secrets_dir / CARRIER_KEY),
    )


def receipt_name(origin: str) -> str:
    """The key name under which the receipts of the ledger ``origin`` are signed."""
    return f"{origin}/receipt"


def install(app: Flask, services: Services) -> None:
    app.extensions[_EXTENSION] = services


def services() -> Services:
    """The services of the current application."""
    installed: Services = current_app.extensions[_EXTENSION]
    return installed
