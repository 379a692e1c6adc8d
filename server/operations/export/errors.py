"""Why a package could not be made; each is an ``alarm`` leaf of the ledger."""

from collections.abc import Sequence

from server.failures import ServerError
from server.operations.export.gate import Defect


class ExportFailed(ServerError):
    """Base of the reasons why no package is made; ``item_id`` is empty if no item is to blame."""

    code = "package.failed"
    item_id = ""


class SourceMissing(ExportFailed):
    """An original that the database says is stored is not in the store."""

    code = "package.source_missing"

    def __init__(self, item_id: str, sha256: str) -> None:
        super().__init__(f"item {item_id}, SHA-256 {sha256}")
        self.item_id = item_id
        self.sha256 = sha256


class SourceDamaged(ExportFailed):
    """The store gave other bytes for an original than those that were taken in."""

    code = "package.source_damaged"

    def __init__(self, item_id: str, sha256: str, found: str) -> None:
        super().__init__(f"item {item_id}, SHA-256 {sha256}, found {found}")
        self.item_id = item_id
        self.sha256 = sha256
        self.found = found


class PackageRejected(ExportFailed):
    """Our own verifier does not pass the package that was just made."""

    code = "package.rejected"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PackageDefective(ServerError):
    """The evidence has defects, and nobody said why it should leave all the same."""

    code = "package.defective"

    def __init__(self, inspection_id: str, defects: Sequence[Defect]) -> None:
        super().__init__("; ".join(f"{defect.code} {defect.count}" for defect in defects))
        self.inspection_id = inspection_id
        self.defects = tuple(defects)


class PageNotSet(ExportFailed):
    """A page of the package could not be set as PDF."""

    code = "package.page_not_set"

    def __init__(self, title: str, reason: str) -> None:
        super().__init__(f"{title}: {reason}")
        self.title = title
        self.reason = reason
