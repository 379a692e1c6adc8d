"""Files made to mislead or break: each is kept, checked and shown, and holds up no other."""

import hashlib
import random

import pytest

from server.models.inspections import EvidenceItem, ItemCheck
from server.operations import media_checks
from sync.evidence.chain import advance
from tests.support import draw
from tests.support.casework import PackageDesk
from tests.support.console import console_world, store, visitor
from tests.support.hostile import CLOCKS, media

_SCRIPT = "<script>alert(1)</script>"
FILES = {
    "year 9999": draw.photo(draw.exif(taken="9999:12:31 23:59:59", zone="-14:00")),
    "year 0": draw.photo(draw.exif(taken="0000:00:00 00:00:00")),
    "year 1": draw.photo(draw.exif(taken="0001:01:01 00:00:00", zone="+14:00")),
    "not a date": draw.photo(draw.exif(taken="\x00\x01{0}%s{tag}", make=_SCRIPT)),
    "markup": draw.photo(draw.exif(make=_SCRIPT, model="{}{0.__class__}", zone=_SCRIPT)),
    "movie": draw.movie(draw.mvhd(2**64 - 1, version=1)),
    "movie 0": draw.movie(draw.mvhd(0)),
    "page": b"<html>" + _SCRIPT.encode() + b"</html>",
    "empty": b"",
    "long": draw.photo(draw.exif(make="M" * 30_000)),
}


@pytest.fixture
def console(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


def _capture(console, device, content, clock=None, **more):
    act = media(
        device,
        console,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        title=_SCRIPT,
        name=f"{_SCRIPT}\r\nX: y.jpg",
        **more,
    )
    line = device.forge([act], **({"t": clock} if clock else {}))
    device.lines.append(line)
    device.head = advance(device.head, line)
    return act["item"]


def test_hostile_files_and_clocks_are_checked_shown_and_exported(console):
    device = console.on_patrol()
    device.write("clock.compared", server_ms=2**53 - 1, offset_ms=-(2**53) + 1, error_ms=2**53 - 1)
    files = dict(FILES)
    chance = random.Random(7)
    for number in range(6):
        damaged = bytearray(draw.photo(draw.exif(make=f"No {number}")))
        for _ in range(30):
            damaged[chance.randrange(2, 200)] = chance.randrange(256)
        files[f"damaged {number}"] = bytes(damaged)
    items = {name: _capture(console, device, content) for name, content in files.items()}
    for name, clock in CLOCKS.items():
        files[name] = draw.photo(draw.exif(model=name))
        far = clock._replace(tz_min=480)
        items[name] = _capture(console, device, files[name], far, pos={"fix_ms": -(2**53) + 1})
    items["html"] = _capture(console, device, b"<svg onload=alert(1)>", media_type="text/html")
    files["html"] = b"<svg onload=alert(1)>"
    assert console.push(device).json["next_seq"] == len(device.lines)
    for content in files.values():
        store(console, content)

    with console.app.app_context():
        media_checks.check_waiting_items(console.services)
    reviewer = visitor(console, "reviewer")
    pages = {name: reviewer.get(f"/items/{item}") for name, item in items.items()}
    pages["case"] = reviewer.get(f"/inspections/{device.inspection}")
    original = reviewer.get(f"/items/{items['html']}/original")
    copy = reviewer.get(f"/items/{items['page']}/download")
    desk = PackageDesk(console)
    row = desk.build(desk.request(device.inspection))

    waiting = [item.id for item in console.rows(EvidenceItem) if item.check_wanted]
    unchecked = {name for name, item in items.items() if item in waiting}
    assert unchecked == set()
    assert {check.item_id for check in console.rows(ItemCheck)} == set(items.values())
    assert {name: page.status_code for name, page in pages.items() if page.status_code != 200} == {}
    assert not any(_SCRIPT in page.text for page in pages.values())
    assert original.headers["Content-Type"] == "application/octet-stream"
    assert "sandbox" in original.headers["Content-Security-Policy"]
    assert "\r" not in copy.headers["Content-Disposition"]
    assert (row.state, row.verdict, row.failure) == ("ready", "PASS", None)
