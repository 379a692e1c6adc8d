"""The patrol itself: two officers' devices, a morning without a network, then one sync each."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from server.demo import bureau, recording, scenes
from server.demo.bureau import Bureau
from sync.client.device import Device
from sync.client.results import Captured, Place, Position
from sync.client.syncing import SyncReport

_ZONE_MIN = 480
_DAY_MS = 86_400_000
_FRAMES = 4
_ACCURACY_CM = 600


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """Where a device folder is to be, and the one-time code that enrols it."""

    folder: Path
    code: str
    name: str
    serial: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Patrol:
    """What the patrol left behind; ``items`` maps a short name to the item's id."""

    inspection: str
    items: Mapping[str, str]
    reports: tuple[SyncReport, SyncReport]


def go_on_patrol(
    house: Bureau, server: str, first: Invitation, second: Invitation, drawings: Path
) -> Patrol:
    """Enrol both devices, inspect without the server, and sync each once."""
    with Device.open(first.folder) as phone, Device.open(second.folder) as recorder:
        for device, invitation in ((phone, first), (recorder, second)):
            device.enrol(
                server=server,
                code=invitation.code,
                name=invitation.name,
                serial=invitation.serial,
                kind=invitation.kind,
            )
        # From here to the sync nothing speaks to the server.
        inspection, items = _inspect(house, phone, recorder, drawings)
        return Patrol(inspection=inspection, items=items, reports=(recorder.sync(), phone.sync()))


def _inspect(
    house: Bureau, phone: Device, recorder: Device, drawings: Path
) -> tuple[str, dict[str, str]]:
    officer, colleague = house.officers
    pins = {who: f"{secrets.randbelow(10**6):06d}" for who in house.officers}
    began_ms = _now_ms()
    inspection = phone.open_inspection(
        house.officers, task=house.task_id, purpose="日常检查", method="pin", pins=pins
    ).inspection
    recorder.open_inspection(
        house.officers, task=house.task_id, method="pin", pins=pins, inspection=inspection
    )
    phone.mark_step(inspection, "arrival", officer=officer)
    filmed = _record(recorder, inspection, drawings, colleague).item
    for step in ("certificates_shown", "rights_told"):
        recorder.mark_step(inspection, step, item=filmed, officer=colleague)
    items = {
        "recording": filmed,
        "outfall": _photograph(phone, inspection, drawings, "outfall", officer).item,
        "gauge": _photograph(phone, inspection, drawings, "gauge", officer).item,
        "yard": _photograph(phone, inspection, drawings, "yard", colleague).item,
        "pocket": _photograph(phone, inspection, drawings, "pocket", officer).item,
    }
    phone.discard(items["pocket"], "收起手机时误触快门，画面无内容", officer=officer)
    phone.mark_step(inspection, "inspected", item=items["outfall"], officer=officer)
    record = phone.save_record(
        inspection, bureau.FORM, _first_fields(began_ms), officer=officer
    ).record
    recorder.save_record(
        inspection, bureau.FORM, _second_fields(), record=record, officer=colleague
    )
    note = recorder.note(inspection, "执法记录仪全程开启", officer=colleague)
    phone.mark_step(inspection, "left", officer=officer)
    _exchange_heads(phone, recorder, note)
    phone.seal(inspection, officer=officer)
    return inspection, items


def _exchange_heads(phone: Device, recorder: Device, seen: Place) -> None:
    """The phone notes where the other journal stands, so that neither can be cut unseen."""
    device = recorder.need_enrolment().device
    phone.peer_head(device=device, epoch=seen.epoch, seq=seen.seq, head=seen.digest)


#: Of each photo: scene, caption, title, fact to prove, shift of the camera's clock.
_PHOTOS = {
    "outfall": (scenes.outfall, "outfall", "雨水排口（演示）", "雨水排口正在排水，水体浑浊", 0),
    # The camera's date is a day behind; only its GPS knows better. The findings say so.
    "gauge": (scenes.gauge_board, "gauge", "在线监测柜（演示）", "在线监测设备正在运行", -_DAY_MS),
    "yard": (scenes.storage_yard, "yard", "原料堆场（演示）", "堆场存放桶装原料五桶", 0),
    "pocket": (scenes.nothing, "pocket", "误拍（演示）", "", 0),
}


def _photograph(
    device: Device, inspection: str, drawings: Path, name: str, officer: str
) -> Captured:
    scene, caption, title, fact, shift_ms = _PHOTOS[name]
    device.open_camera(inspection, officer=officer)
    now_ms = _now_ms()
    camera = scenes.CameraTime(
        at_ms=now_ms + shift_ms,
        zone_min=_ZONE_MIN,
        fix_at_ms=now_ms,
        lat_e7=bureau.LAT_E7 + 900,
        lon_e7=bureau.LON_E7 - 700,
    )
    path = drawings / f"IMG_{len(list(drawings.iterdir())) + 1:04d}.jpg"
    path.write_bytes(scenes.photo(scene, caption, camera))
    return device.capture(
        path,
        inspection,
        officer=officer,
        title=title,
        fact_to_prove=fact,
        method="现场拍摄",
        position=_position(now_ms),
    )


def _record(device: Device, inspection: str, drawings: Path, officer: str) -> Captured:
    device.open_camera(inspection, officer=officer)
    frames = [scenes.paint(scenes.outfall, f"second {n + 1}") for n in range(_FRAMES)]
    now_ms = _now_ms()
    path = drawings / "REC_0001.mp4"
    path.write_bytes(
        recording.recording(
            frames,
            recording.RecorderTime(
                created_at_ms=now_ms, lat_e7=bureau.LAT_E7, lon_e7=bureau.LON_E7
            ),
        )
    )
    return device.capture(
        path,
        inspection,
        officer=officer,
        title="现场检查过程录像（演示）",
        fact_to_prove="出示证件、告知权利义务及检查过程",
        method="执法记录仪录制",
        position=_position(now_ms),
    )


def _first_fields(began_ms: int) -> dict[str, object]:
    return {
        "started_at": _minute(began_ms),
        "place": "示范区演示路 1 号",
        "coordinates": {
            "lat": bureau.LAT_E7,
            "lon": bureau.LON_E7,
            "acc": _ACCURACY_CM,
            "source_datum": "WGS-84",
        },
        "party": "示例化工有限公司",
        "site_contact": {"name": "示例负责人庚", "position": "（演示）"},
        "recorder": {"name": "示例检查员甲", "certificate_no": "示例-0001"},
        "certificates_shown": True,
        "recusal_told": True,
        "recusal_wanted": False,
        "duty_told": True,
        "survey_made": False,
        "findings": "（演示）雨水排口正在排水，水体浑浊；在线监测设备正在运行；原料堆场存放五桶。",
    }


def _second_fields() -> dict[str, object]:
    return {
        "ended_at": _minute(_now_ms()),
        "officers": [
            {
                "officer": {"name": f"示例检查员{name}", "certificate_no": f"示例-000{number}"},
                "signature": {"how": "paper"},
            }
            for number, name in ((1, "甲"), (2, "乙"))
        ],
        "sampling_done": False,
        "measures": "（演示）要求立即关闭雨水排口阀门",
        "party_signature": {"how": "absent", "reason": "（演示）当事人不在场"},
    }


def _minute(at_ms: int) -> str:
    local = datetime.fromtimestamp(at_ms / 1000, timezone(timedelta(minutes=_ZONE_MIN)))
    return local.isoformat(timespec="minutes")


def _position(fix_ms: int) -> Position:
    return Position(bureau.LAT_E7 + 900, bureau.LON_E7 - 700, _ACCURACY_CM, fix_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
