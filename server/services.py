"""What the edges hand to operations: settings, store, signers and the clock, made once."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app

from media.s3 import S3Store
from media.store import Store
from server import clock
from server.settings import Settings
from server.signing import NoteSigner, Signer, ask_for_key, load_key, load_signer
from sync.carrier.keys import CarrierKey
from sync.carrier.keys import load_key as load_carrier_key
from sync.carrier.manifest import recipient_text

LEDGER_KEY = "ledger.pem"
#: The key that takes over, while both sign; and the public halves of those that did once.
NEXT_LEDGER_KEY = "ledger-next.pem"
RETIRED_LEDGER_KEYS = "ledger-retired.txt"
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
    #: Public keys that signed for this ledger once, oldest first.
    retired_keys: tuple[bytes, ...] = ()
    now_ms: Callable[[], int] = clock.now_ms
    clock_state: Callable[[], str] = clock.synchronised

    @property
    def ledger_keys(self) -> tuple[bytes, ...]:
        """The public keys under which checkpoints of this ledger are, or were, signed."""
        return (*self.ledger_signer.public_keys, *self.retired_keys)

    def carrier_note(self, origin: str) -> str:
        """To whom carriers for the ledger ``origin`` are encrypted, signed by the receipt key."""
        return self.receipt_signer.sign(recipient_text(origin, self.carrier_key.recipient))


def open_services(settings: Settings, *, origin: str) -> Services:
    """Open the store, the carrier key and both signing keys, named after the ledger's ``origin``.

    Raises:
        OSError, ValueError, SignerFailed: if a key cannot be used.
    """
    return Services(
        settings=settings,
        store=S3Store(settings.s3_address),
        ledger_signer=open_ledger_signer(settings, origin),
        receipt_signer=load_signer(settings.secrets_dir / RECEIPT_KEY, receipt_name(origin)),
        carrier_key=load_carrier_key(settings.secrets_dir / CARRIER_KEY),
        retired_keys=retired_keys(settings),
    )


def open_ledger_signer(settings: Settings, origin: str) -> NoteSigner:
    """The ledger's key, with the next one beside it while they overlap.

    Raises:
        OSError, ValueError, SignerFailed: if a key cannot be used.
    """
    following = next_ledger_key(settings)
    return NoteSigner(
        origin, present_ledger_key(settings), () if following is None else (following,)
    )


def present_ledger_key(settings: Settings) -> Signer:
    if settings.ledger_signer:
        return ask_for_key(settings.ledger_signer)
    return load_key(settings.secrets_dir / LEDGER_KEY)


def next_ledger_key(settings: Settings) -> Signer | None:
    """The key that is to take over; None while there is no such change."""
    if settings.ledger_next_signer:
        return ask_for_key(settings.ledger_next_signer)
    path = settings.secrets_dir / NEXT_LEDGER_KEY
    return load_key(path) if path.exists() else None


def retired_keys(settings: Settings) -> tuple[bytes, ...]:
    path = settings.secrets_dir / RETIRED_LEDGER_KEYS
    rows = path.read_text("ascii").split() if path.exists() else ()
    return tuple(bytes.fromhex(row) for row in rows)


def receipt_name(origin: str) -> str:
    """The key name under which the receipts of the ledger ``origin`` are signed."""
    return f"{origin}/receipt"


def install(app: Flask, services: Services) -> None:
    app.extensions[_EXTENSION] = services


def services() -> Services:
    """The services of the current application."""
    installed: Services = current_app.extensions[_EXTENSION]
    return installed
