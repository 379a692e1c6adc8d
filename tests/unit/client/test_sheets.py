"""The signed sheet on the device: what the paper shows, and what the line says of it."""

import base64
import hashlib
import re

import pytest
from click.testing import CliRunner

from sync import shortcode
from sync.client.cli import cli
from sync.client.errors import HeadMistyped, SheetUnwritable, UnknownInspection
from sync.evidence import acts
from tests.support.fieldkit import OFFICERS, TEMPLATE, acts_of, write


@pytest.fixture
def inspection(device):
    return device.open_inspection(OFFICERS, title="东门 <b>排口</b>").inspection


def test_the_paper_shows_records_items_and_the_head_as_code_and_picture(
    device, inspection, tmp_path
):
    item = device.capture(write(tmp_path / "a.jpg", b"x"), inspection, title="废水 & 总排口")
    thrown = device.capture(write(tmp_path / "b.jpg", b"y"), inspection, title="误拍口袋")
    device.discard(thrown.item, "误拍")
    head = device.head()

    printed = device.print_sheet(inspection, tmp_path / "sheet.html", device_name="一号机")

    page = (tmp_path / "sheet.html").read_text("utf-8")
    assert "东门 &lt;b&gt;排口&lt;/b&gt;" in page
    assert "废水 &amp; 总排口" in page
    assert item.sha256[:16] in page
    assert item.sha256[:17] not in page
    assert "误拍口袋" not in page
    assert printed.head == shortcode.spell(head.seq, head.head)
    assert printed.head in page
    assert shortcode.spell_full(head) in page, "what the QR code says stands beside it"
    (picture,) = re.findall(r"data:image/svg[+]xml;base64,([A-Za-z0-9+/=]+)", page)
    assert base64.b64decode(picture).startswith(b"<svg")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_line_names_head_items_revisions_and_the_pages_own_digest(device, inspection, tmp_path):
    saved = device.save_record(inspection, TEMPLATE, {"weather": "晴"})
    item = device.capture(write(tmp_path / "a.jpg", b"x"), inspection)
    head = device.head()

    printed = device.print_sheet(inspection, tmp_path / "sheet.html")

    [act] = acts_of(device, acts.SHEET_PRINTED)
    assert acts.missing_fields(act) == []
    assert (act["seq"], act["head"]) == (head.seq, head.head)
    assert act["sha256"] == hashlib.sha256((tmp_path / "sheet.html").read_bytes()).hexdigest()
    assert act["items"] == [{"item": item.item, "sha256": item.sha256}]
    assert act["revisions"] == [saved.place.digest]
    assert printed.place.seq == head.seq + 1, "the line stands right behind what the paper shows"
    assert "晴" in (tmp_path / "sheet.html").read_text("utf-8")


def test_a_sheet_that_exists_is_never_replaced_and_leaves_no_line(device, inspection, tmp_path):
    write(tmp_path / "sheet.html", b"signed")

    with pytest.raises(SheetUnwritable):
        device.print_sheet(inspection, tmp_path / "sheet.html")

    assert (tmp_path / "sheet.html").read_bytes() == b"signed"
    assert acts_of(device, acts.SHEET_PRINTED) == []


def test_an_unknown_inspection_has_no_sheet(device, inspection, tmp_path):
    with pytest.raises(UnknownInspection):
        device.print_sheet("no-such-inspection", tmp_path / "sheet.html")

    assert not (tmp_path / "sheet.html").exists()


def test_what_comes_back_signed_names_the_head_on_the_paper(device, inspection, tmp_path):
    printed = device.print_sheet(inspection, tmp_path / "sheet.html")
    typed = printed.head.lower().replace("-", " ", 2).replace(" ", "-", 1)

    device.capture(write(tmp_path / "scan.jpg", b"scan"), inspection, sheet=typed)

    [act] = acts_of(device, acts.MEDIA_CAPTURED)
    assert act["sheet"] == printed.head


def test_a_head_that_is_none_captures_nothing(device, inspection, tmp_path):
    with pytest.raises(HeadMistyped):
        device.capture(write(tmp_path / "scan.jpg", b"scan"), inspection, sheet="见纸质")

    assert acts_of(device, acts.MEDIA_CAPTURED) == []


def test_the_command_writes_the_sheet_and_says_how_to_take_it_back(kit, tmp_path):
    with kit.open() as device:
        inspection = device.open_inspection(OFFICERS, title="日常检查").inspection

    page = tmp_path / "sheet.html"

    done = CliRunner().invoke(
        cli,
        ["--device", str(kit.folder), "sheet", "--inspection", inspection, "--out", str(page)],
        catch_exceptions=False,
    )

    assert done.exit_code == 0, done.output
    assert "--sheet" in done.output
    assert page.exists()
