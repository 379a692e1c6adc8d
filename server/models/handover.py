"""What passes between bureaus: receipts for our packages, and packages that others made."""

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis, Name, Uuid


class PackageReceipt(Base):
    """A recipient's signed receipt for a package, as a scan or file; ``key`` is its object."""

    __tablename__ = "package_receipt"
    __table_args__ = (UniqueConstraint("package_id", "sha256"),)

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    package_id: Mapped[Uuid] = mapped_column(ForeignKey("evidence_package.id"))
    #: The digest of the ZIP that was handed over.
    package_sha256: Mapped[Digest]
    sha256: Mapped[Digest]
    size: Mapped[Big]
    media_type: Mapped[str] = mapped_column(String(100))
    key: Mapped[str] = mapped_column("store_key", String(200))
    recipient: Mapped[Name]
    received_by: Mapped[Name]
    #: When the receipt says that the package was received; Beijing time as it was typed.
    received_at_ms: Mapped[Millis]
    note: Mapped[Body]
    entered_by: Mapped[Uuid] = mapped_column(ForeignKey("person.id"))
    entered_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class ForeignPackage(Base):
    """Another bureau's package as foreign evidence, apart from every journal of ours."""

    __tablename__ = "foreign_package"
    __table_args__ = (UniqueConstraint("organization_id", "sha256"),)

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"))
    sha256: Mapped[Digest]
    size: Mapped[Big]
    name: Mapped[Name]
    key: Mapped[str] = mapped_column("store_key", String(200))
    #: What the verifier said when it was taken in: ``PASS`` or ``FAIL``, and every claim as JSON.
    verdict: Mapped[str] = mapped_column(String(8))
    claims: Mapped[Body]
    #: The ledger keys that were brought from outside, as JSON; with none it was "as enclosed".
    outside_keys: Mapped[Body]
    #: Why it was kept although it does not verify.
    kept_because: Mapped[Body]
    #: The package's own table of contents, as it stands in it; empty where it has none to read.
    case_index: Mapped[Body]
    imported_by: Mapped[Uuid] = mapped_column(ForeignKey("person.id"))
    imported_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]
