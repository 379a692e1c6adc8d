"""Files that could run somewhere: set aside (待核), shown as what they are, only downloaded."""

import hashlib
import io
import json
import zipfile

import pytest

from server.models.ledger import LedgerEvent
from server.models.uploads import UnsafeMedia
from server.operations import media_checks
from tests.support import draw
from tests.support.console import console_world, store, visitor
from tests.support.hostile import media

_PAGE = b"<!DOCTYPE html><script>alert(1)</script>"


def _archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "a")
    return out.getvalue()


_PHOTO = draw.photo(draw.exif(taken="2026:05:04 09:00:20"))
DANGERS = {
    "HTML": _PAGE,
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "PE": b"MZ" + bytes(200),
    "ELF": b"\x7fELF\x02\x01\x01" + bytes(200),
    "MACHO": b"\xcf\xfa\xed\xfe" + bytes(200),
    "SCRIPT": b"#!/bin/sh\nrm -rf /\n",
    "ZIP": _archive(),
    "7Z": b"7z\xbc\xaf\x27\x1c" + bytes(100),
    "PDF": b"%PDF-1.7\n",
    "HTML in a photo": _PHOTO + _PAGE,
    "ZIP behind a photo": _PHOTO + _archive(),
}
HARMLESS = {
    "photo": (_PHOTO, "image/jpeg"),
    "report": (b"%PDF-1.7\nreport", "application/pdf"),
    "papers": (_archive() + b"\0", "application/zip"),
    "unknown": (b"\x01\x02\x03\x04", "image/jpeg"),
}


@pytest.fixture
def world(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


def _receive(world, files):
    """Items of these contents and types, by name, with their bytes here but not yet read."""
    device = world.on_patrol()
    items = {}
    for name, (content, media_type) in files.items():
        fields = media(
            device,
            world,
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            media_type=media_type,
            name='现场照片\r\n"1".jpg',
        )
        items[name] = fields["item"]
        device.write(fields.pop("type"), **fields)
    world.push(device)
    for content, _ in files.values():
        store(world, content)
    return items


def _check(world):
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)


def test_each_is_set_aside_listed_and_only_ever_downloaded(world):
    items = _receive(world, {name: (data, "image/jpeg") for name, data in DANGERS.items()})
    _check(world)
    browser = visitor(world, "reviewer")

    listed = browser.get("/quarantine").text
    recognised = {row.sha256: row.code for row in world.rows(UnsafeMedia)}
    leaves = [json.loads(row.event) for row in world.rows(LedgerEvent, kind="quarantine")]

    assert {leaf["subject"]["sha256"] for leaf in leaves} == set(recognised)
    for name, content in DANGERS.items():
        kind = name.split()[0]
        assert recognised[hashlib.sha256(content).hexdigest()] == kind
        assert f"/quarantine/unsafe/{items[name]}" in listed
        page = browser.get(f"/items/{items[name]}").text
        assert "只能下载" in page
        assert f'/items/{items[name]}/original"' not in page.partition("figcaption")[0]
        answer = browser.get(f"/items/{items[name]}/original")
        assert answer.data == content
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_photos_and_papers_that_say_what_they_are_are_not_set_aside(world):
    _receive(world, HARMLESS)

    _check(world)

    assert world.rows(UnsafeMedia) == []


def test_a_file_is_not_shown_before_it_has_been_read(world):
    items = _receive(world, {"photo": (_PHOTO, "image/jpeg")})
    browser = visitor(world, "reviewer")
    address = f"/items/{items['photo']}/original"

    before, page = browser.get(address), browser.get(f"/items/{items['photo']}").text
    _check(world)
    after = browser.get(address)

    assert before.headers["Content-Type"] == "application/octet-stream"
    assert before.headers["Content-Disposition"].startswith("attachment;")
    assert "尚在核查" in page
    assert after.headers["Content-Type"] == "image/jpeg"
    assert after.headers["Content-Disposition"] == (
        f'inline; filename="{hashlib.sha256(_PHOTO).hexdigest()[:16]}.jpg"; '
        "filename*=UTF-8''%E7%8E%B0%E5%9C%BA%E7%85%A7%E7%89%87%0D%0A%221%22.jpg"
    )


def test_the_type_is_what_was_found_and_never_what_the_device_says(world):
    items = _receive(world, {"photo": (_PHOTO, "video/mp4"), "film": (draw.movie(), "image/png")})
    _check(world)
    browser = visitor(world, "reviewer")

    found = {name: browser.get(f"/items/{item}/original").mimetype for name, item in items.items()}

    assert found == {"photo": "image/jpeg", "film": "video/mp4"}


def test_a_reviewer_keeps_it_back_with_a_reason_and_cannot_release_it(world):
    items = _receive(world, {"page": (_PAGE, "image/jpeg")})
    _check(world)
    browser = visitor(world, "reviewer")
    path = f"/quarantine/unsafe/{items['page']}"

    entry = browser.get(path).text
    released, kept = (
        browser.post(
            f"{path}/decision",
            {"decision": word, "reason": "已联系拍摄人", "seen": "0"},
            page=path,
        )
        for word in ("released", "kept")
    )

    assert "HTML" in entry
    assert (released.status_code, kept.status_code) == (409, 303)
    assert browser.get(f"/items/{items['page']}/original").mimetype == "application/octet-stream"
