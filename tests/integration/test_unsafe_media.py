"""Files that could run somewhere: set aside (待核), shown as what they are, only downloaded."""

import hashlib
import io
import json
import zipfile

import pytest
from sqlalchemy import update

from media.facts import read_facts
from media.source import MemorySource
from server.db import transaction
from server.models.inspections import EvidenceItem, MediaFacts
from server.models.ledger import LedgerEvent
from server.models.uploads import UnsafeMedia
from server.operations import media_checks
from server.operations.media_checks import keeping
from server.operations.media_checks.examining import Read
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
    "PE behind a photo": _PHOTO + b"MZ" + bytes(range(256)) * 8,
    "ELF behind a photo": _PHOTO + b"\x7fELF" + bytes(range(200)) + b"x",
    "RAR behind a photo": _PHOTO + b"Rar!\x1a\x07\x01\x00" + bytes(range(200)) + b"x",
}
HARMLESS = {
    "photo": (_PHOTO, "image/jpeg", "a.jpg"),
    "photo with a trailer of its camera": (_PHOTO + b"QDIOBS" + bytes(90), "image/jpeg", "b.jpg"),
    "report": (b"%PDF-1.7\nreport", "application/pdf", "报告.pdf"),
    "report about a script": (b"%PDF-1.7\n<script>x</script>\n%%EOF", "application/pdf", "c.pdf"),
    "papers": (_archive() + b"\0", "application/zip", "材料.zip"),
    "papers of no type": (_archive() + b"\0\0", "application/octet-stream", "材料.zip"),
    "unknown": (b"\x01\x02\x03\x04", "image/jpeg", "d.jpg"),
}
PASSING = {
    "by type": (_archive() + b"\0", "image/jpeg", "材料.zip"),
    "by type in capitals": (_archive() + b"\0\0", "IMAGE/JPEG", "材料.zip"),
    "by name": (_archive() + b"\0\0\0", "application/octet-stream", "照片.JPG"),
}


@pytest.fixture
def world(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


def _receive(world, files):
    """Items of these contents, types and names, with their bytes here but not yet read."""
    device = world.on_patrol()
    items = {}
    for name, (content, media_type, *called) in files.items():
        fields = media(
            device,
            world,
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            media_type=media_type,
            name=called[0] if called else '现场照片\r\n"1".jpg',
        )
        items[name] = fields["item"]
        device.write(fields.pop("type"), **fields)
    world.push(device)
    for content, *_ in files.values():
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


def test_an_archive_that_passes_for_a_picture_is_set_aside_however_it_does(world):
    items = _receive(world, PASSING)

    _check(world)

    assert len(world.rows(UnsafeMedia)) == len(items)


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


def test_what_an_older_reader_let_pass_is_judged_again_by_a_newer_one(world):
    content = DANGERS["PE behind a photo"]
    items = _receive(world, {"photo": (content, "image/jpeg")})
    sha256 = hashlib.sha256(content).hexdigest()
    plain = read_facts(MemorySource(_PHOTO)).to_dict() | {"reader_version": "liuhen-0"}
    with world.app.app_context(), transaction() as session:
        session.add(
            MediaFacts(
                sha256=sha256,
                reader_version="liuhen-0",
                facts=json.dumps(plain),
                second="",
                read_at_ms=1,
                generation=1,
                ledger_index=0,
            )
        )
        session.execute(update(EvidenceItem).values(check_wanted=False))
    browser = visitor(world, "reviewer")
    before = browser.get(f"/items/{items['photo']}/original").mimetype

    _check(world)

    assert before == "image/jpeg"
    assert [row.sha256 for row in world.rows(UnsafeMedia)] == [sha256]
    assert browser.get(f"/items/{items['photo']}/original").mimetype == "application/octet-stream"


def _decide(browser, path, decision, seen, reason="已在隔离环境中查看"):
    form = {"decision": decision, "reason": reason, "seen": str(seen)}
    return browser.post(f"{path}/decision", form, page=path).status_code


def test_a_picture_with_something_behind_it_is_released_with_a_reason_and_kept_back_again(world):
    content = DANGERS["ZIP behind a photo"]
    twins = _receive(world, {"photo": (content, "image/jpeg")})
    _check(world)
    browser = visitor(world, "reviewer")
    path, original = f"/quarantine/unsafe/{twins['photo']}", f"/items/{twins['photo']}/original"

    entry = browser.get(path).text
    without_reason = _decide(browser, path, "released", 0, reason=" ")
    done = [_decide(browser, path, "released", seen) for seen in (0, 1)]
    shown, page = browser.get(original), browser.get(f"/items/{twins['photo']}").text
    again = _decide(browser, path, "kept", 1)

    assert f"画面结束之后附有 ZIP（自第 {len(_PHOTO)} 字节）" in entry
    assert "文件格式：JPEG" in entry
    assert (without_reason, done, again) == (422, [303, 409], 303)
    assert shown.headers["Content-Type"] == "image/jpeg"
    assert shown.headers["Content-Disposition"].startswith("inline;")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert "经审核放行" in page
    assert browser.get(original).mimetype == "application/octet-stream"
    leaves = [json.loads(row.event) for row in world.rows(LedgerEvent, kind="quarantine")]
    assert [leaf["snapshot"].get("act") for leaf in leaves] == [None, "released", "kept"]


def test_a_release_ends_where_a_newer_reader_finds_more_than_the_reviewer_saw(world, monkeypatch):
    content = DANGERS["PE behind a photo"]
    item = _receive(world, {"photo": (content, "image/jpeg")})["photo"]
    _check(world)
    browser = visitor(world, "reviewer")
    path, original = f"/quarantine/unsafe/{item}", f"/items/{item}/original"
    _decide(browser, path, "released", 0)
    released = browser.get(original).mimetype

    for version, found in (("liuhen-8", content), ("liuhen-9", _PHOTO + _archive())):
        with world.app.app_context(), transaction() as session:
            row = session.get(EvidenceItem, item)
            plain = read_facts(MemorySource(found)).to_dict() | {"reader_version": version}
            monkeypatch.setattr(keeping, "READER_VERSION", version)
            read = Read(facts=json.dumps(plain), second="", pixels="", pictures={})
            keeping.keep_read(session, row, read, (), now_ms=2)
        if version == "liuhen-8":
            same = browser.get(original).mimetype
    more = browser.get(original).mimetype
    listed = browser.get("/quarantine?state=waiting").text

    assert (released, same, more) == ("image/jpeg", "image/jpeg", "application/octet-stream")
    assert path in listed
    assert _decide(browser, path, "released", 1) == 303
    assert browser.get(original).mimetype == "image/jpeg"


def test_a_release_is_of_one_item_and_not_of_the_same_bytes_elsewhere(world):
    content = DANGERS["ZIP behind a photo"]
    one = _receive(world, {"photo": (content, "image/jpeg")})["photo"]
    device = world.on_patrol()
    fields = media(
        device, world, sha256=hashlib.sha256(content).hexdigest(), size=len(content), name="x.jpg"
    )
    other = fields["item"]
    device.write(fields.pop("type"), **fields)
    world.push(device)
    _check(world)
    browser = visitor(world, "reviewer")

    assert _decide(browser, f"/quarantine/unsafe/{one}", "released", 0) == 303

    assert browser.get(f"/items/{one}/original").mimetype == "image/jpeg"
    assert browser.get(f"/items/{other}/original").mimetype == "application/octet-stream"


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + b"<script>alert(1)</script>",
        _archive(),
        DANGERS["SVG"],
        DANGERS["PE"],
    ],
    ids=["no whole picture", "archive", "drawing", "program"],
)
def test_what_is_no_whole_picture_by_itself_is_never_released(world, content):
    items = _receive(world, {"file": (content, "image/png")})
    _check(world)
    browser = visitor(world, "reviewer")
    path = f"/quarantine/unsafe/{items['file']}"

    assert "只能留存" in browser.get(path).text
    assert _decide(browser, path, "released", 0) == 409
    assert browser.get(f"/items/{items['file']}/original").mimetype == "application/octet-stream"


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

    assert "文件本身是 HTML" in entry
    assert (released.status_code, kept.status_code) == (409, 303)
    assert browser.get(f"/items/{items['page']}/original").mimetype == "application/octet-stream"
