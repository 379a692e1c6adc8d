"""What a device notes of what is beside it: the server's clock, a fellow's journal, its own end."""

from sqlalchemy.orm import Session

from server.models.devices import ClockOffset, Device
from server.models.journal import PeerHead
from server.operations.projection.act import Act, NotShown, is_uuid, within
from sync import shortcode
from sync.evidence.canonical import MAX_INTEGER
from sync.evidence.encoding import from_hex
from sync.evidence.errors import BadEncoding


def compare_clock(session: Session, act: Act) -> None:
    """Project ``clock.compared``: one more point of the device's clock history.

    What the clocks said when measuring counts; where the act leaves it out, what
    they said in the line, which is written at once.
    """
    if act.body["error_ms"] < 0:
        raise NotShown("projection.malformed_act")
    said = act.header.t
    wall_ms, mono_ms = (within(act.body.get(name), MAX_INTEGER) for name in ("wall_ms", "mono_ms"))
    session.add(
        ClockOffset(
            device_id=act.header.device,
            server_ms=act.body["server_ms"],
            offset_ms=act.body["offset_ms"],
            error_ms=act.body["error_ms"],
            epoch=act.header.epoch,
            seq=act.header.seq,
            wall_ms=said.wall_ms if wall_ms is None else wall_ms,
            mono_ms=said.mono_ms if mono_ms is None else mono_ms,
            boot=said.boot,
        )
    )


def note_peer(session: Session, act: Act, now_ms: int) -> None:
    """Project ``peer.head``: how far another journal went when somebody looked."""
    body = act.body
    typed = body.get("code")
    device, inspection = body.get("device"), body.get("inspection")
    if body["seq"] < 0 or (device is not None and not is_uuid(device)):
        raise NotShown("projection.malformed_act")
    if typed is not None and not _is_code(typed):
        raise NotShown("projection.malformed_act")
    if typed is None:
        _need_hex(body["epoch"], 16)
        _need_hex(body["head"], 32)
    session.add(
        PeerHead(
            line_digest=act.digest,
            observer_id=act.header.device,
            inspection_id=inspection if is_uuid(inspection) else None,
            device_id=device,
            epoch=body["epoch"] if typed is None else None,
            seq=body["seq"],
            head=body["head"] if typed is None else None,
            code=typed,
            position=act.position,
            noted_at_ms=now_ms,
        )
    )


def note_wiped(session: Session, act: Act, now_ms: int) -> None:
    """Project ``device.wiped``: the last line of a device that emptied itself."""
    device = session.get_one(Device, act.header.device)
    if device.wiped_at_ms is None:
        device.wiped_at_ms = now_ms


def _is_code(code: str) -> bool:
    return len(code) == shortcode.CODE_LENGTH and set(code) <= set(shortcode.ALPHABET)


def _need_hex(text: str, size: int) -> None:
    try:
        from_hex(text, size=size)
    except BadEncoding as error:
        raise NotShown("projection.malformed_act") from error
