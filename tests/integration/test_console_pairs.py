"""What a finding names in another case is shown beside the item, and that is recorded."""

import hashlib

import pytest

from server.operations import media_checks
from tests.support.console import console_world, make_case, views, visitor
from tests.support.simdevice import new_id


@pytest.fixture
def world(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


def test_the_same_picture_of_two_cases_stands_side_by_side(world):
    case, second = make_case(world), world.on_patrol()
    item, picture = case.items["雨水沟"], case.bytes["雨水沟"]
    other = second.write(
        "media.captured",
        officer=world.officers[0],
        inspection=second.inspection,
        item=new_id(),
        sha256=hashlib.sha256(picture).hexdigest(),
        size=len(picture),
        media_type="image/jpeg",
        **{"class": "B"},
    ).act["item"]
    world.push(second)
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)
    browser = visitor(world, "reviewer")

    page = browser.get(f"/items/{item}")

    assert f'href="/items/{other}"' in page.text
    for one in (item, other):
        assert f'src="/items/{one}/thumbnail"' in page.text
    leaf = views(world)[-2]["subject"]
    assert (leaf["page"], leaf["items"]) == ("pair", [other])
    assert leaf["inspections"] == [second.inspection]

    seen = len(views(world))
    assert browser.get(f"/items/{other}/thumbnail").status_code == 200
    assert len(views(world)) == seen, "it belongs to the leaf of the pair"
    browser.get(f"/items/{other}/original")
    assert views(world)[-1]["subject"]["page"] == "original"


def test_what_no_finding_names_is_not_shown(world):
    case = make_case(world)

    page = visitor(world, "reviewer").get(f"/items/{case.items['雨水沟']}")

    assert 'class="pair"' not in page.text
    assert views(world)[-1]["subject"]["page"] == "item"
