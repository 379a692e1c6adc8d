"""Records in the report of a package: what stands, what disagrees, what was added later."""

import io
import shutil
import zipfile

from server.db import transaction
from server.operations import forms
from tests.support.casework import PackageDesk
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.world import make_world


def test_the_report_shows_conflicts_choices_gaps_and_sensitive_fields(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "records.sqlite")
    url = f"sqlite:///{tmp_path / 'records.sqlite'}"
    world = make_world(url, tmp_path / "var", store=MemoryStore())
    with world.app.app_context(), transaction() as session:
        forms.publish_shipped(session, world.organization, now_ms=world.now_ms)
    device = world.on_patrol()
    by = {"officer": world.officers[0], "inspection": device.inspection}
    record = {
        **by,
        "type": "record.saved",
        "record": new_id(),
        "template": {"id": "site_inspection_record", "version": 2},
        "base": [],
    }
    contact = {"field": "site_contact", "value": {"name": "张三", "phone": "13800000000"}}
    first = device.write_parts({**record, "fields": {"findings": "废水清澈"}}, contact)
    second = device.write_parts({**record, "fields": {"findings": "废水乳白", "place": "东门"}})
    device.write("inspection.sealed", **by, revisions=[first.digest], media=[], heads=[])
    device.write(
        "addendum.added",
        **by,
        text="以复核为准",
        record=record["record"],
        field="findings",
        chosen=second.digest,
        base=[first.digest, second.digest],
    )
    assert world.push(device).status_code == 200
    desk = PackageDesk(world)

    row = desk.build(desk.request(device.inspection))

    assert (row.state, row.verdict) == ("ready", "PASS"), row.failure
    with zipfile.ZipFile(io.BytesIO(desk.bytes_of(row))) as archive:
        report = archive.read("report/report.html").decode()
    for shown in (
        "现场检查（勘察）笔录",
        "废水乳白",
        "废水清澈",
        "未采用",
        "已由后续说明确定",
        "以复核为准",
        "张三，电话 13800000000",
        "“当事人签名，或不在场、拒绝签名的原因”未填写",
        "未列入定稿锁定清单",
    ):
        assert shown in report, shown


def test_a_mistyped_year_keeps_no_package_from_being_built(database_url, tmp_path):
    world = make_world(database_url, tmp_path / "var", store=MemoryStore())
    device = world.on_patrol()
    by = {"officer": world.officers[0], "inspection": device.inspection}
    device.write(
        "record.saved",
        **by,
        record=new_id(),
        template={"id": "site_inspection_record", "version": 1},
        fields={"started_at": "0001-01-01T00:00", "ended_at": "9999-12-31T23:59-23:59"},
        base=[],
    )
    device.write("inspection.sealed", **by, revisions=[], media=[], heads=[])
    assert world.push(device).status_code == 200
    desk = PackageDesk(world)

    row = desk.build(desk.request(device.inspection))

    assert (row.state, row.verdict) == ("ready", "PASS"), row.failure
    with zipfile.ZipFile(io.BytesIO(desk.bytes_of(row))) as archive:
        report = archive.read("report/report.html").decode()
    assert "9999-12-31" in report
    assert "整体核查规则 visit-1" in report
