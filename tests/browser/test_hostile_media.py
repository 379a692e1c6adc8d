"""Files with a program in them, opened in a real browser: nothing of them runs there."""

import hashlib
import shutil
import struct
from contextlib import suppress

import pytest
from playwright.sync_api import Error

from server.operations import media_checks
from tests.support import draw
from tests.support.console import PASSWORD, console_world, store
from tests.support.hostile import media

_SCRIPT = b"<script>fetch('/ran');document.title='ran'</script>"
_PHOTO = draw.photo(draw.exif(taken="2026:05:04 09:00:20"))
_COMMENT = b"<!DOCTYPE html><html><body>" + _SCRIPT + b"<!--"


def _with_comment(text):
    """A photo whose first segment is ``text``: a picture, and a page to who looks for one."""
    return _PHOTO[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + _PHOTO[2:]


FILES = {
    "photo": (_PHOTO, "image/jpeg"),
    "page in a photo": (_with_comment(_COMMENT), "image/jpeg"),
    "page after a photo": (_PHOTO + _COMMENT, "image/jpeg"),
    "page": (_COMMENT, "text/html"),
    "page named photo": (_COMMENT + b"photo", "image/jpeg"),
    "drawing": (
        b"<svg xmlns='http://www.w3.org/2000/svg' onload=\"fetch('/ran')\">" + _SCRIPT + b"</svg>",
        "image/svg+xml",
    ),
    "page named film": (_COMMENT + bytes(600), "video/mp4"),
    "paper": (b"%PDF-1.7\n1 0 obj <</S/JavaScript/JS(app.alert(1))>> endobj", "application/pdf"),
}


@pytest.fixture(scope="module")
def scene(sqlite_template, tmp_path_factory, serve):
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copyfile(sqlite_template, folder / "hostile.sqlite")
    world = console_world(f"sqlite:///{folder / 'hostile.sqlite'}", folder / "var")
    device = world.on_patrol()
    items = {}
    for name, (content, media_type) in FILES.items():
        digest = hashlib.sha256(content).hexdigest()
        fields = media(device, world, sha256=digest, size=len(content), media_type=media_type)
        items[name] = fields["item"]
        device.write(fields.pop("type"), **fields)
    world.push(device)
    for content, _ in FILES.values():
        store(world, content)
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)
    return items, serve(world.app)


@pytest.fixture(scope="module")
def window(browser, scene):
    """A reviewer's window, and the addresses that it asked for."""
    _, base = scene
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    asked = []
    context.on("request", lambda request: asked.append(request.url.removeprefix(base)))
    page.goto(f"{base}/login")
    page.get_by_label("用户名").fill("reviewer")
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url(f"{base}/")
    yield page, asked
    context.close()


@pytest.mark.parametrize("name", FILES)
def test_nothing_in_a_file_runs_in_the_browser_that_opens_it(scene, window, name):
    items, base = scene
    page, asked = window
    address = f"/items/{items[name]}/original"

    # What is not shown becomes a download, and the window stays where it was.
    with suppress(Error):
        page.goto(base + address)
    page.wait_for_timeout(200)

    assert address in asked
    assert "/ran" not in asked
    assert page.title() != "ran"


@pytest.mark.parametrize("name", FILES)
def test_the_page_of_such_a_file_shows_no_part_of_it_but_a_photo(scene, window, name):
    items, base = scene
    page, asked = window

    page.goto(f"{base}/items/{items[name]}")

    assert "/ran" not in asked
    assert page.title() != "ran"
    shown = page.locator("figure.original img, figure.original video").count()
    assert shown == (1 if name == "photo" else 0)
