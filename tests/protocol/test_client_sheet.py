"""The signed sheet from a device's own printing to what the server finds when it came back."""

import pytest

from server.db import reading
from server.models.inspections import Inspection
from server.operations.inspection_doubts import inspection_doubts
from tests.support.fieldkit import TEMPLATE, write


@pytest.fixture
def inspection(world, device):
    return device.open_inspection(world.officers, title="日常检查").inspection


def _told(world, inspection):
    with world.app.app_context(), reading() as session:
        found = inspection_doubts(session, session.get_one(Inspection, inspection)).doubts
        return [d.evidence["expected"]["reason"] for d in found if d.code == "SHEET_HEAD"]


def test_a_sheet_that_was_printed_signed_and_taken_in_fits_the_journal(
    world, device, inspection, tmp_path
):
    device.save_record(inspection, TEMPLATE, {"weather": "晴"})
    device.capture(write(tmp_path / "a.jpg", b"a photo"), inspection, title="排口")
    printed = device.print_sheet(inspection, tmp_path / "sheet.html")
    device.capture(write(tmp_path / "b.jpg", b"signed"), inspection, sheet=printed.head)
    device.seal(inspection)

    assert device.sync().complete

    assert _told(world, inspection) == []


def test_what_is_written_after_the_signature_is_told(world, device, inspection, tmp_path):
    device.save_record(inspection, TEMPLATE, {"weather": "晴"})
    printed = device.print_sheet(inspection, tmp_path / "sheet.html")
    device.capture(write(tmp_path / "b.jpg", b"signed"), inspection, sheet=printed.head)
    device.save_record(inspection, TEMPLATE, {"weather": "雨"})

    assert device.sync().complete

    assert _told(world, inspection) == ["changed"]
