"""The tables; importing this package knows them all to :class:`Base`."""

from server.models import (
    audits,
    devices,
    erasure,
    handover,
    inspections,
    journal,
    ledger,
    people,
    process,
    redaction,
    sheets,
    stamps,
    traits,
    uploads,
    witnesses,
)
from server.models.base import Base

__all__ = [
    "Base",
    "audits",
    "devices",
    "erasure",
    "handover",
    "inspections",
    "journal",
    "ledger",
    "people",
    "process",
    "redaction",
    "sheets",
    "stamps",
    "traits",
    "uploads",
    "witnesses",
]
