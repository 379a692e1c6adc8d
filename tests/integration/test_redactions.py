"""Redacted copies: regions are gone for good, and the ledger says who covered what and why."""

import hashlib
import io
import json
import shutil

import pytest
from PIL import Image

from server.models.ledger import LedgerEvent
from server.models.redaction import Redaction
from tests.support.console import console_world, make_case, path_of, views, visitor


@pytest.fixture(scope="module")
def scene(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("redactions")
    shutil.copyfile(sqlite_template, folder / "redactions.sqlite")
    world = console_world(f"sqlite:///{folder / 'redactions.sqlite'}", folder / "var")
    return world, make_case(world)


def _made(world, browser, item, regions, reason="无关人员面部"):
    answer = browser.post(f"/items/{item}/redact", {"regions": regions, "reason": reason})
    assert answer.status_code == 303, answer.text
    name = path_of(answer)
    assert name.startswith(f"/items/{item}")
    return max(world.rows(Redaction, item_id=item), key=lambda row: row.ledger_index)


def test_what_is_covered_is_black_and_the_rest_is_as_it_was(scene):
    world, case = scene
    item = case.items["废水总排口"]
    browser = visitor(world, "reviewer")

    row = _made(world, browser, item, "0.0.5000.5000.black")
    answer = browser.get(f"/redactions/{row.id}")

    assert hashlib.sha256(answer.data).hexdigest() == row.sha256
    with Image.open(io.BytesIO(answer.data)) as picture:
        assert picture.size == (640, 480)
        assert max(picture.getpixel((100, 100))) < 12
        assert max(picture.getpixel((600, 400))) > 100
        assert not picture.getexif()
    assert views(world)[-1]["subject"]["page"] == "redaction"
    assert views(world)[-1]["snapshot"]["digests"] == [row.sha256]


def test_the_ledger_names_source_regions_reason_and_operator(scene):
    world, case = scene
    item = case.items["废水总排口"]

    row = _made(world, visitor(world, "administrator"), item, "10.20.30.40.mosaic", "车牌")

    [event] = world.rows(LedgerEvent, index=row.ledger_index)
    told = json.loads(event.event)
    assert told["kind"] == "derive"
    assert told["actor"]["person"] == world.users["administrator"]
    source = hashlib.sha256(case.bytes["废水总排口"]).hexdigest()
    assert told["subject"] == {"source": source, "sha256": row.sha256, "item": item}
    assert told["snapshot"]["reason"] == "车牌"
    assert told["snapshot"]["regions"] == [
        {"x": 10, "y": 20, "width": 30, "height": 40, "how": "mosaic"}
    ]


def test_two_clicks_are_a_rectangle_and_the_last_can_be_taken_back(scene):
    world, case = scene
    item = case.items["废水总排口"]
    browser = visitor(world, "reviewer")
    address = f"/items/{item}/redact?lang=zh&height=540&how=black"

    first = browser.get(f"{address}&at.x=360&at.y=270").text
    second = browser.get(f"{address}&corner=5000.5000&at.x=72&at.y=54").text

    assert 'value="5000.5000"' in first
    assert "请点击对角" in first
    assert 'value="1000.1000.4000.4000.black"' in second
    assert "撤销上一个区域" in second


@pytest.mark.parametrize(
    ("regions", "reason", "told"),
    [
        ("", "面部", "至少标出一个区域"),
        ("9000.0.2000.10.black", "面部", "至少标出一个区域"),
        ("1.1.0.1.black", "面部", "至少标出一个区域"),
        ("a.1.1.1.black", "面部", "至少标出一个区域"),
        ("1.1.1.1.blur", "面部", "至少标出一个区域"),
        ("1.1.1.1.black", " ", "请写明遮盖的理由"),
    ],
)
def test_nothing_is_made_of_what_cannot_be_covered(scene, regions, reason, told):
    world, case = scene
    before = len(world.rows(Redaction))

    answer = visitor(world, "reviewer").post(
        f"/items/{case.items['废水总排口']}/redact?lang=zh", {"regions": regions, "reason": reason}
    )

    assert answer.status_code == 422
    assert told in answer.text
    assert len(world.rows(Redaction)) == before


@pytest.mark.parametrize("title", ["现场录像", "危废暂存间"])
def test_what_is_no_picture_or_not_here_offers_no_covering(scene, title):
    world, case = scene
    item = case.items[title]
    browser = visitor(world, "reviewer")

    assert f"/items/{item}/redact" not in browser.get(f"/items/{item}").text
    assert browser.get(f"/items/{item}/redact").status_code == 409
