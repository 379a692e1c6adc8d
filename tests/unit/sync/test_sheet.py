"""The act of the signed sheet and the head on its paper, by the vectors that clients share."""

import json
from pathlib import Path

import pytest

from sync import sheet, shortcode
from sync.evidence import acts, canonical
from sync.shortcode import FullHead, Mistyped

_VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "sheet.json").read_text("utf-8"))
_ACT = _VECTORS["act"]
_HEAD = FullHead(_VECTORS["device"], _VECTORS["epoch"], _ACT["seq"], _ACT["head"])


def test_the_act_has_these_bytes_and_needs_these_members():
    assert canonical.dumps(_ACT).decode() == _VECTORS["canonical"]
    assert acts.missing_fields({"type": _ACT["type"]}) == _VECTORS["mandatory"]
    assert acts.missing_fields(_ACT) == []


def test_the_head_is_spelled_so_on_paper():
    assert shortcode.spell(_HEAD.seq, _HEAD.head) == _VECTORS["short"]
    assert shortcode.spell_full(_HEAD) == _VECTORS["scanned"]


@pytest.mark.parametrize("case", _VECTORS["said"], ids=lambda case: case["said"][:24])
def test_what_stands_on_a_paper_is_that_head_another_or_none(case):
    try:
        shows = shortcode.shows(case["said"], _HEAD)
    except Mistyped:
        shows = None

    assert shows is case["shows"]


def test_equal_sheets_are_equal_pages_and_every_page_bears_the_head():
    paper = sheet.Sheet(
        inspection="33333333-3333-4333-8333-333333333333",
        title='"><script>',
        printed="2026-05-04 09:00:00 +08:00",
        officers=["示例检查员1 (示例001)"],
        records=[],
        items=[sheet.SheetItem(title="<b>", sha256="ab" * 32)],
        heads=[sheet.SheetHead(device="一号机", head=_HEAD)],
    )

    page = sheet.page(paper)

    assert page == sheet.page(paper)
    assert f'@bottom-left {{ content: "{_VECTORS["short"]}"' in page
    assert "<script" not in page
    assert "&lt;b&gt;" in page
    assert "ab" * 8 in page
    assert "ab" * 9 not in page
