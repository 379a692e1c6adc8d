"""The gate before an export: what makes evidence unusable is listed, and going on is reasoned."""

import hashlib
import io
import shutil
import zipfile

import pytest

from server.db import reading, transaction
from server.models.inspections import EvidencePackage
from server.models.ledger import LedgerEvent
from server.models.people import Officer
from server.models.uploads import ObjectFixity
from server.operations import export, forms
from server.operations.export.asked import Asked
from server.operations.export.errors import PackageDefective
from sync.evidence import canonical
from tests.support.casework import PackageDesk, jpeg
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.world import make_world

_SIGNED = {"how": "paper", "name": "张三"}


@pytest.fixture
def world(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "gate.sqlite")
    world = make_world(
        f"sqlite:///{tmp_path / 'gate.sqlite'}", tmp_path / "var", store=MemoryStore()
    )
    with world.app.app_context(), transaction() as session:
        forms.publish_shipped(session, world.organization, now_ms=world.now_ms)
    return world


def _visit(world, *, record=(), item=(), seal=True):
    """An inspection with one photo and its record, whole but for what a test changes."""
    device = world.on_patrol()
    by = {"officer": world.officers[0], "inspection": device.inspection}
    fields = {
        "started_at": "2026-05-04T09:00",
        "ended_at": "2026-05-04T10:00",
        "place": "示范路1号",
        "officers": [
            {
                "officer": {"name": f"示例检查员{n}", "certificate_no": f"示例00{n}"},
                "signature": _SIGNED,
            }
            for n in (1, 2)
        ],
        "party_signature": _SIGNED,
        **dict(record),
    }
    device.write(
        "record.saved",
        **by,
        record=new_id(),
        template={"id": "site_inspection_record", "version": 2},
        fields={name: value for name, value in fields.items() if value is not None},
        base=[],
    )
    data = jpeg(1)
    announced = {
        "item": new_id(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "media_type": "image/jpeg",
        "title": "废水总排口",
        "fact_to_prove": "排污口位置",
        "class": "B",
        **dict(item),
    }
    device.write("media.captured", **by, **{k: v for k, v in announced.items() if v is not None})
    if seal:
        device.write("inspection.sealed", **by, revisions=[], media=[], heads=[])
    assert world.push(device).status_code == 200
    return device.inspection


def _defects(world, inspection, asked=None):
    """The defects for which a package is refused, by code."""
    with world.app.app_context(), pytest.raises(PackageDefective) as refused, transaction() as db:
        export.request_package(
            db,
            inspection_id=inspection,
            person_id=world.persons[0],
            reason="移送",
            now_ms=world.now_ms,
            asked=asked or Asked(),
        )
    return {defect.code: defect for defect in refused.value.defects}


def test_what_the_gate_finds_is_named(world):
    inspection = _visit(
        world,
        record={"place": None, "party_signature": None},
        item={"fact_to_prove": None},
        seal=False,
    )

    found = _defects(world, inspection)

    assert set(found) >= {
        "not_sealed",
        "signature_missing",
        "fact_missing",
        "place_unclear",
        "not_received",
    }
    assert found["fact_missing"].names == ("废水总排口",)
    assert found["signature_missing"].names == ("现场检查（勘察）笔录",)
    assert found["fact_missing"].sentence("en") == (
        "The fact to prove is not given (1): 废水总排口"
    )
    assert world.rows(EvidencePackage) == []


def test_a_whole_case_lacks_only_what_it_lacks(world):
    found = _defects(world, _visit(world))

    assert "signature_missing" not in found
    assert not {"not_sealed", "no_site_record", "fact_missing", "place_unclear"} & set(found)
    assert not {"no_second_officer", "certificate_invalid", "maker_unclear"} & set(found)
    assert "not_received" in found


def test_sound_needs_a_transcript_and_a_form_can_hold_it(world):
    inspection = _visit(world, item={"media_type": "audio/mp4"})

    assert _defects(world, inspection)["transcript_missing"].count == 1


def test_a_certificate_counts_at_the_time_of_capture(world):
    with world.app.app_context(), transaction() as session:
        session.get_one(Officer, world.officers[0]).valid_to = "2026-01-01"

    found = _defects(world, _visit(world))

    assert found["certificate_invalid"].names == ("示例检查员1 (示例001)",)


def test_an_original_that_the_store_lost_is_a_defect(world):
    inspection = _visit(world)
    (photo,) = {hashlib.sha256(jpeg(1)).hexdigest()}
    with world.app.app_context(), transaction() as session:
        session.add(
            ObjectFixity(
                sha256=photo,
                outcome="missing",
                found_sha256=None,
                checked_at_ms=world.now_ms,
                generation=1,
                ledger_index=1,
            )
        )

    assert _defects(world, inspection)["digest_mismatch"].names == ("废水总排口",)


def test_a_photo_outside_the_times_of_the_record_is_a_defect(world):
    inspection = _visit(
        world, record={"started_at": "2026-05-01T09:00", "ended_at": "2026-05-01T10:00"}
    )

    assert _defects(world, inspection)["times_differ"].count >= 1


def test_going_on_is_recorded_in_the_ledger_and_printed_on_the_report(world):
    inspection = _visit(world, item={"fact_to_prove": None, "title": "<b>东门</b>"})
    desk = PackageDesk(world)

    row = desk.build(desk.request(inspection, Asked(despite="移送期限届满")))

    with world.app.app_context(), reading() as session:
        (event,) = (
            canonical.loads(found.event)["snapshot"]
            for found in session.query(LedgerEvent).filter_by(kind="export")
            if b"requested" in found.event
        )
    assert event["despite"] == "移送期限届满"
    assert {"code": "fact_missing", "count": 1, "names": ["<b>东门</b>"]} in event["defects"]
    with zipfile.ZipFile(io.BytesIO(desk.bytes_of(row))) as archive:
        report = archive.read("report/report.html").decode()
        assert row.verdict == "PASS"
    assert "未写证明对象 1 件：&lt;b&gt;东门&lt;/b&gt;" in report
    assert "移送期限届满" in report


def test_spaces_are_no_reason_to_go_on(world):
    assert "not_sealed" in _defects(world, _visit(world, seal=False), Asked(despite="  "))
