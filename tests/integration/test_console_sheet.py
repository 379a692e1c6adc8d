"""The sheet to sign in the console: on A4 to print, as PDF, and seen by whoever may."""

import base64
import io
import re
import shutil

import pytest
from pypdf import PdfReader

from server.models.journal import JournalHead
from sync import shortcode
from sync.shortcode import FullHead
from tests.support.console import console_world, make_case, views, visitor


@pytest.fixture
def scene(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "sheet.sqlite")
    world = console_world(f"sqlite:///{tmp_path / 'sheet.sqlite'}", tmp_path / "var")
    return world, make_case(world, checked=False)


def _head(world, case):
    rows = [row for row in world.rows(JournalHead) if row.device_id == case.device.id]
    (row,) = [row for row in rows if row.branch == ""]
    return FullHead(row.device_id, row.epoch, row.next_seq - 1, row.digest)


def test_the_page_shows_the_journals_head_and_every_item(scene):
    world, case = scene
    answer = visitor(world, "reviewer").get(f"/inspections/{case.inspection}/sheet")

    head = _head(world, case)
    assert shortcode.spell(head.seq, head.head) in answer.text
    assert shortcode.spell_full(head) in answer.text
    assert "废水总排口" in answer.text
    assert "当事人" in answer.text
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert views(world)[-1]["subject"]["page"] == "signed_sheet"


def test_the_pdf_says_the_same_and_has_the_picture(scene):
    world, case = scene
    answer = visitor(world, "reviewer").get(f"/inspections/{case.inspection}/sheet.pdf")

    assert answer.mimetype == "application/pdf"
    reader = PdfReader(io.BytesIO(answer.data))
    text = "".join("".join(page.extract_text().split()) for page in reader.pages)
    head = _head(world, case)
    assert shortcode.spell(head.seq, head.head) in text
    assert "现场检查笔录签名页" in text
    assert f"1/{len(reader.pages)}" in text, "pages are numbered"


def test_the_picture_holds_the_whole_head(scene):
    world, case = scene
    page = visitor(world, "reviewer").get(f"/inspections/{case.inspection}/sheet").text

    pictures = re.findall(r'alt="([^"]+)" src="data:image/svg[+]xml;base64,([^"]+)"', page)

    assert [shortcode.parse(alt) for alt, _ in pictures] == [_head(world, case)]
    assert all(base64.b64decode(data).startswith(b"<svg") for _, data in pictures)
