"""The records inside a package: case index, keys, custody events and proofs, as canonical JSON.

``record_reading`` reads them back strictly: exactly these fields, of these
types. What is only for readers goes into the free ``about`` objects.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

from . import canonical
from .encoding import to_b64url
from .interval import Interval
from .package import ChainName

Object = Dict[str, Any]

ENCLOSED, WITHHELD, MISSING, ERASED = "enclosed", "withheld", "missing", "erased"
DISPOSITIONS = (ENCLOSED, WITHHELD, MISSING, ERASED)


@dataclass(frozen=True)
class LinePlace:
    """Where a journal line stands."""

    chain: ChainName
    seq: int

    def to_json(self) -> Object:
        return {**_chain_json(self.chain), "seq": self.seq}


@dataclass(frozen=True)
class ChainHead:
    """A chain as far as the package holds it: ``next_seq`` lines, the last of digest ``head``."""

    chain: ChainName
    next_seq: int
    head: str

    def to_json(self) -> Object:
        return {**_chain_json(self.chain), "next_seq": self.next_seq, "head": self.head}


@dataclass(frozen=True)
class IndexItem:
    """One evidence item of the case, whether its bytes are in the package or not.

    Attributes:
        disposition: ``enclosed`` (with ``file``), ``withheld``, ``missing`` or
            ``erased`` by law (each with ``reason``).
        line: the journal line that announced it.
        discarded: the journal line that discarded it, if one did.
        interval: proven bounds of ``line``; None where the server never took it in.
        about: title, fact to prove, place and whatever else a reader wants.
    """

    item: str
    sha256: str
    size: int
    media_type: str
    capture_class: str
    officer: str
    state: str
    disposition: str
    line: LinePlace
    file: str = ""
    reason: str = ""
    discarded: Optional[LinePlace] = None
    interval: Optional[Interval] = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> Object:
        value = {
            "item": self.item,
            "sha256": self.sha256,
            "size": self.size,
            "media_type": self.media_type,
            "class": self.capture_class,
            "officer": self.officer,
            "state": self.state,
            "disposition": self.disposition,
            "file": self.file,
            "reason": self.reason,
            "line": self.line.to_json(),
            "about": dict(self.about),
        }  # type: Object
        if self.discarded is not None:
            value["discarded"] = self.discarded.to_json()
        if self.interval is not None:
            value["interval"] = _interval_json(self.interval)
        return value


@dataclass(frozen=True)
class IndexOfficer:
    """An officer who investigated, with the person behind the certificate."""

    officer: str
    person: str
    name: str
    certificate_no: str

    def to_json(self) -> Object:
        return {
            "officer": self.officer,
            "person": self.person,
            "name": self.name,
            "certificate_no": self.certificate_no,
        }


@dataclass(frozen=True)
class CaseIndex:
    """The table of contents of a case: *all* items, all chains, at one size of the ledger.

    ``inspection`` is an object with at least ``id``; ``devices`` are objects with
    at least ``device``; ``announced`` are the digests of all items, sorted.
    """

    inspection: Mapping[str, Any]
    exported_at_ms: int
    origin: str
    generation: int
    ledger_size: int
    chains: Tuple[ChainHead, ...]
    items: Tuple[IndexItem, ...]
    officers: Tuple[IndexOfficer, ...]
    devices: Tuple[Mapping[str, Any], ...]
    announced: Tuple[str, ...]

    def to_bytes(self) -> bytes:
        return canonical.dumps(
            {
                "v": 1,
                "inspection": dict(self.inspection),
                "exported_at_ms": self.exported_at_ms,
                "ledger": {
                    "origin": self.origin,
                    "generation": self.generation,
                    "size": self.ledger_size,
                },
                "chains": [chain.to_json() for chain in self.chains],
                "items": [item.to_json() for item in self.items],
                "officers": [officer.to_json() for officer in self.officers],
                "devices": [dict(device) for device in self.devices],
                "announced": list(self.announced),
            }
        )


@dataclass(frozen=True)
class DeviceKeyRecord:
    """A device's public key and the ledger index of the ``enrol`` event that let it in."""

    device: str
    key_id: str
    spki: bytes
    enrolled_index: int

    def to_json(self) -> Object:
        return {
            "device": self.device,
            "key_id": self.key_id,
            "spki": to_b64url(self.spki),
            "enrolled_index": self.enrolled_index,
        }


@dataclass(frozen=True)
class Keys:
    """``proofs/keys.json``; ``ledger`` and ``receipt`` are C2SP verifier keys."""

    devices: Tuple[DeviceKeyRecord, ...]
    ledger: str
    receipt: str

    def to_bytes(self) -> bytes:
        devices = [device.to_json() for device in self.devices]
        return canonical.dumps(
            {"v": 1, "devices": devices, "ledger": self.ledger, "receipt": self.receipt}
        )


@dataclass(frozen=True)
class CustodyEvent:
    """A ledger event with the salt that ties it to its leaf; ``event`` are canonical bytes."""

    generation: int
    index: int
    salt: bytes
    event: bytes
    #: What ``event`` says, where reading it has found out already.
    parsed: Optional[Object] = field(default=None, repr=False, compare=False)

    def to_bytes(self) -> bytes:
        """One line of ``data/custody.ndjson``, without the newline."""
        return b'{"event":%s,"generation":%d,"index":%d,"salt":"%s"}' % (
            self.event,
            self.generation,
            self.index,
            self.salt.hex().encode("ascii"),
        )

    @property
    def entry(self) -> bytes:
        """The 32 bytes that the ledger holds: the salted commitment (docs/evidence.md §5)."""
        return hashlib.sha256(self.salt + self.event).digest()

    @property
    def body(self) -> Object:
        """The event; its bytes were found canonical before, so they need not be again."""
        value: Object = self.parsed or json.loads(self.event.decode("utf-8"))
        return value


@dataclass(frozen=True)
class InclusionRecord:
    """The proof that ``entry`` is leaf ``index`` under the package's checkpoint."""

    index: int
    entry: bytes
    path: Tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        path = [node.hex() for node in self.path]
        return canonical.dumps({"index": self.index, "leaf": self.entry.hex(), "path": path})


@dataclass(frozen=True)
class ConsistencyRecord:
    """The proof that the package's checkpoint grew out of an anchor in the journal."""

    size: int
    root: bytes
    path: Tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        path = [node.hex() for node in self.path]
        return canonical.dumps({"size": self.size, "root": self.root.hex(), "path": path})


def receipt_record(note: str) -> bytes:
    """One line of ``proofs/receipts.ndjson``, without the newline."""
    return canonical.dumps({"note": note})


def ndjson(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _chain_json(chain: ChainName) -> Object:
    return {"device": chain.device, "epoch": chain.epoch, "branch": chain.branch}


def _interval_json(interval: Interval) -> Object:
    value: Object = {
        "not_after_ms": interval.not_after_ms,
        "not_after_index": interval.not_after_index,
    }
    if interval.not_before_ms is not None and interval.not_before_index is not None:
        value["not_before_ms"] = interval.not_before_ms
        value["not_before_index"] = interval.not_before_index
    if interval.outside is not None:
        bounds = vars(interval.outside)
        value["outside"] = {name: end for name, end in bounds.items() if end is not None}
    return value
