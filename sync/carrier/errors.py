"""What can be wrong with a carrier; each error stands for one sentence of the catalogue."""

from sync.errors import SyncError


class CarrierError(SyncError):
    """Base of the errors of carriers: nothing was freed, and what was taken before stays taken."""

    code = "carrier.error"


class CarrierNotFound(CarrierError):
    """The folder holds no complete carrier of the kind that is looked for."""

    code = "carrier.not_found"

    def __init__(self, folder: str) -> None:
        super().__init__(f"no complete carrier in {folder}")
        self.folder = folder


class CarrierIncomplete(CarrierError):
    """A carrier was cut off while it was written, or its manifest or parts are missing."""

    code = "carrier.incomplete"

    def __init__(self, folder: str, lacking: str) -> None:
        super().__init__(f"{folder} lacks {lacking}")
        self.folder = folder
        self.lacking = lacking


class CarrierUnreadable(CarrierError):
    """A file cannot be decrypted with the key at hand: made for somebody else, or damaged."""

    code = "carrier.unreadable"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} cannot be decrypted with the key of this place")
        self.path = path


class CarrierDamaged(CarrierError):
    """A carrier's content is not of the form that was agreed, or not what its manifest signs."""

    code = "carrier.damaged"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class CarrierForged(CarrierError):
    """The signature over a manifest is not by a key that counts."""

    code = "carrier.forged"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class CarrierForeign(CarrierError):
    """A carrier speaks of another ledger, device or carrier than the one at hand."""

    code = "carrier.foreign"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class CarrierReplayed(CarrierError):
    """A reply that was read before; reading it again would only set things back."""

    code = "carrier.replayed"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} was read before")
        self.path = path


class CarrierUnwritable(CarrierError):
    """The place for a carrier is full, was pulled out or cannot be written."""

    code = "carrier.unwritable"

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(f"{folder}: {reason}")
        self.folder = folder
        self.reason = reason


class RecipientUnknown(CarrierError):
    """The server has not told the recipient that carriers to it are encrypted to."""

    code = "carrier.recipient_unknown"
