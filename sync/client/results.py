"""What the device's acts return: frozen values, as commands print them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sync.evidence.line import Line
from sync.templates import Gap


@dataclass(frozen=True)
class Place:
    """A line's place in the journal, as commands report it."""

    epoch: str
    seq: int
    digest: str


@dataclass(frozen=True)
class Position:
    """A fix as signed: degrees × 10⁷, centimetres, and the fix's own time if known."""

    lat_e7: int
    lon_e7: int
    acc_cm: int | None = None
    fix_ms: int | None = None

    def to_json(self) -> dict[str, int]:
        value = {"lat": self.lat_e7, "lon": self.lon_e7, "acc": self.acc_cm, "fix_ms": self.fix_ms}
        return {name: number for name, number in value.items() if number is not None}


@dataclass(frozen=True)
class Opened:
    """An inspection that was opened; ``confirmed`` maps officer to method."""

    inspection: str
    confirmed: Mapping[str, str]
    place: Place


@dataclass(frozen=True)
class Captured:
    """An evidence item whose bytes are in the folder and whose line is signed."""

    item: str
    sha256: str
    size: int
    media_type: str
    place: Place


@dataclass(frozen=True)
class Kept:
    """An item of this device as it stands: ``safe`` once the server has its bytes."""

    item: str
    title: str
    name: str
    sha256: str
    discarded: bool
    safe: bool


@dataclass(frozen=True)
class Saved:
    """A revision of a record: ``changed`` are the ids of the fields that it carries."""

    record: str
    changed: tuple[str, ...]
    place: Place


@dataclass(frozen=True)
class Unchanged:
    """Every value given stands in the record already; no line was written."""

    record: str


@dataclass(frozen=True)
class Lacking:
    """A gap of one record, which has no id if there is no such record at all."""

    record: str
    title: Mapping[str, str]
    gap: Gap


@dataclass(frozen=True)
class Sealed:
    """What the seal lists, by number."""

    inspection: str
    revisions: int
    media: int
    heads: int
    place: Place


def place_of(line: Line) -> Place:
    return Place(line.header.epoch, line.header.seq, line.digest)
