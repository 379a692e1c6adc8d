"""From pushed bytes to lines whose form, key and signature are right; no lock is held yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.devices import DeviceKey
from server.quickjson import CODEC
from server.signatures import verifier
from sync.evidence import acts
from sync.evidence.encoding import from_b64url
from sync.evidence.errors import BadEncoding, SyncError, WrongPlace
from sync.evidence.line import Line, check_signature, key_id_of, parse_line


class UnknownKey(SyncError):
    """A line is signed with a key that is not enrolled for its device."""

    code = "journal.unknown_key"


class EpochNotOpened(SyncError):
    """The first line of an epoch is not its opening, or names another key."""

    code = "journal.epoch_not_opened"


@dataclass(frozen=True)
class Refused:
    """Bytes that are no line of this journal; nothing after them is looked at."""

    raw: bytes
    code: str


def device_keys(session: Session, device_id: str) -> dict[str, bytes]:
    """The device's public keys (SPKI DER) by key id, revoked ones included."""
    rows = session.execute(
        select(DeviceKey.key_id, DeviceKey.spki).where(DeviceKey.device_id == device_id)
    )
    return {row.key_id: row.spki for row in rows}


def parse_lines(
    raws: Sequence[bytes],
    *,
    device: str,
    epoch: str,
    keys: Mapping[str, bytes],
    line_limit: int,
) -> list[Line | Refused]:
    """Parse ``raws`` and check every signature, up to and including the first refusal."""
    # First all the text, then all the arithmetic: each evicts the other from the processor's
    # caches, and taking turns costs a quarter more.
    parsed: list[Line | Refused] = []
    for raw in raws:
        try:
            parsed.append(_parse(raw, device, epoch, line_limit))
        except SyncError as error:
            parsed.append(Refused(raw, error.code))
            break
    for number, line in enumerate(parsed):
        if isinstance(line, Refused):
            break
        try:
            _check_key(line, keys)
        except SyncError as error:
            return [*parsed[:number], Refused(raws[number], error.code)]
    return parsed


def _parse(raw: bytes, device: str, epoch: str, line_limit: int) -> Line:
    line = parse_line(raw, limit=line_limit, codec=CODEC)
    header = line.header
    if (header.device, header.epoch) != (device, epoch):
        raise WrongPlace(device=header.device, epoch=header.epoch, seq=header.seq)
    return line


def _check_key(line: Line, keys: Mapping[str, bytes]) -> None:
    spki = keys.get(line.key_id)
    if spki is None:
        raise UnknownKey(line.key_id)
    check_signature(line, verifier(spki))
    if line.header.seq == 0 and not _opens_epoch(line):
        raise EpochNotOpened(line.digest)


def _opens_epoch(line: Line) -> bool:
    act = line.act or {}
    try:
        spki = from_b64url(act["spki"])
    except (KeyError, TypeError, AttributeError, BadEncoding):
        return False
    return act["type"] == acts.EPOCH_OPENED and key_id_of(spki) == line.key_id
