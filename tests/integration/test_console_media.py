"""Bytes of evidence: exact, by range, never sniffed, never run."""

import shutil
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.console import console_world, make_case, views, visitor


@pytest.fixture(scope="module")
def scene(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    shutil.copyfile(sqlite_template, folder / "media.sqlite")
    world = console_world(f"sqlite:///{folder / 'media.sqlite'}", folder / "var")
    case = make_case(world, recording=bytes(range(256)) * 9000)
    return world, case, visitor(world, "reviewer")


def test_the_original_is_given_to_the_byte(scene):
    _, case, browser = scene

    answer = browser.get(f"/items/{case.items['雨水沟']}/original")

    assert answer.data == case.bytes["雨水沟"]
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=1048570-1048580", 1_048_570, 1_048_581),
        ("bytes=2303990-", 2_303_990, 2_304_000),
        ("bytes=-5", 2_303_995, 2_304_000),
        ("bytes=0-99999999", 0, 2_304_000),
    ],
)
def test_a_recording_is_given_by_range(scene, asked, start, stop):
    _, case, browser = scene

    answer = browser.get(f"/items/{case.items['现场录像']}/original", headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/2304000"
    assert answer.data == case.bytes["现场录像"][start:stop]
    assert int(answer.headers["Content-Length"]) == stop - start


def test_a_range_beyond_the_end_is_refused_with_the_length(scene):
    _, case, browser = scene

    answer = browser.get(
        f"/items/{case.items['现场录像']}/original", headers={"Range": "bytes=9999999-"}
    )

    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */2304000"


def test_a_download_is_an_attachment_under_a_name_of_ours(scene):
    _, case, browser = scene

    answer = browser.get(f"/items/{case.items['雨水沟']}/download")

    disposition = answer.headers["Content-Disposition"]
    assert answer.data == case.bytes["雨水沟"]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert disposition.startswith("attachment; filename=")
    assert disposition.isascii()


def test_a_download_comes_from_the_store_itself_where_that_is_set(scene, monkeypatch):
    world, case, browser = scene
    settings = replace(world.services.settings, s3_presigned_reads=True, s3_presigned_s=30)
    monkeypatch.setitem(world.app.extensions, "liuhen", replace(world.services, settings=settings))
    seen = len(views(world))

    answer = browser.get(f"/items/{case.items['雨水沟']}/download")

    address = urlsplit(answer.headers["Location"])
    asked = parse_qs(address.query)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
    assert address.path.startswith("/media/")
    assert asked["for"] == ["30"]
    assert asked["as"][0].startswith("attachment; filename=")
    assert len(views(world)) == seen + 1


def test_a_thumbnail_is_a_small_picture_of_our_own(scene):
    _, case, browser = scene

    answer = browser.get(f"/items/{case.items['雨水沟']}/thumbnail")

    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.data[:2] == b"\xff\xd8"
    assert answer.data != case.bytes["雨水沟"]


def test_an_object_that_the_store_lost_is_an_error_page_not_a_broken_picture(scene):
    world, case, browser = scene
    objects = world.services.store.objects
    lost = {key: objects.pop(key) for key in list(objects)}

    answer = browser.get(f"/items/{case.items['雨水沟']}/original")

    objects.update(lost)
    assert answer.status_code >= 500 or answer.status_code == 404
    assert answer.mimetype == "text/html"
