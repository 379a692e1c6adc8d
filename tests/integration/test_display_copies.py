"""Display copies carry a band in words; originals never do, and each copy leaves a leaf."""

import hashlib
import io
import shutil

import pytest
from PIL import Image

from server.db import reading
from server.operations.display_copies import band_lines, officers_of
from server.operations.evidence_view import owned_item, read_evidence
from sync import shortcode
from sync.evidence.note import VerifierKey
from tests.support.console import console_world, make_case, views, visitor


@pytest.fixture(scope="module")
def scene(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    shutil.copyfile(sqlite_template, folder / "copies.sqlite")
    world = console_world(f"sqlite:///{folder / 'copies.sqlite'}", folder / "var")
    return world, make_case(world)


def test_a_copy_is_the_picture_with_a_band_below_it(scene):
    world, case = scene
    browser = visitor(world, "reviewer")

    answer = browser.get(f"/items/{case.items['废水总排口']}/copy?lang=zh")
    again = browser.get(f"/items/{case.items['废水总排口']}/copy?lang=zh")

    with Image.open(io.BytesIO(answer.data)) as copy:
        assert copy.width == 640
        assert copy.height > 520
        band = copy.convert("L").crop((0, 490, 640, copy.height))
        assert band.getextrema()[0] < 80
        assert sum(band.histogram()[200:]) > band.width * band.height * 0.7
        assert not copy.getexif()
    assert again.data == answer.data
    assert views(world)[-1]["subject"]["page"] == "copy"
    assert len([one for one in views(world) if one["subject"]["page"] == "copy"]) == 2


def test_the_band_names_time_place_officers_and_short_code(scene):
    world, case = scene
    signer = world.services.ledger_signer
    with world.app.app_context(), reading() as session:
        from server.operations.access import Actor

        actor = Actor(
            user_id="u",
            person_id=world.users["reviewer"],
            name="reviewer",
            organization_id=world.organization,
            roles=frozenset({"reviewer"}),
        )
        item = owned_item(session, actor, case.items["废水总排口"])
        page = read_evidence(
            session, actor, item.id, key=VerifierKey(signer.name, signer.public_key)
        )
        lines = band_lines(page, officers_of(session, item), "zh")

    whole = "\n".join(lines)
    assert "非原件" in lines[0]
    assert "不晚于 2026" in whole
    assert "22.5431" in whole
    assert whole.count("（示例") == 2
    assert shortcode.spell(page.line.chain.seq, page.line.chain.digest) in whole
    assert hashlib.sha256(case.bytes["废水总排口"]).hexdigest() in whole


def test_what_is_no_picture_has_no_copy(scene):
    world, case = scene
    browser = visitor(world, "reviewer")

    for title in ("现场录像", "危废暂存间"):
        assert browser.get(f"/items/{case.items[title]}/copy").status_code == 409
        assert "/copy" not in browser.get(f"/items/{case.items[title]}").text
