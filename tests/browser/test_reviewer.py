"""A reviewer's day in a real browser, on an office screen and on a phone."""

import re
import shutil

import pytest

from server.models.inspections import Judgement
from tests.support.console import PASSWORD, console_world, make_case, views

OFFICE, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def scene(sqlite_template, tmp_path_factory, serve):
    folder = tmp_path_factory.mktemp("browser")
    shutil.copyfile(sqlite_template, folder / "browser.sqlite")
    world = console_world(f"sqlite:///{folder / 'browser.sqlite'}", folder / "var")
    return world, make_case(world), serve(world.app)


@pytest.fixture
def page(browser, scene):
    """A fresh window; whatever the browser complains of fails the test, save a refused form."""
    context = browser.new_context(viewport=OFFICE, java_script_enabled=True)
    window = context.new_page()
    complaints = []
    window.on("console", lambda told: complaints.append(told.text))
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.set_default_timeout(15_000)
    yield window
    context.close()
    assert [told for told in complaints if "status of 422" not in told] == []


def _log_in(page, base, username):
    page.goto(f"{base}/login")
    page.get_by_label("用户名").fill(username)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url(f"{base}/")


def test_from_the_login_to_the_chain_of_a_photo_and_a_judgement_on_it(page, scene):
    world, case, base = scene
    _log_in(page, base, "reviewer")

    page.get_by_role("link", name="日常检查").click()
    page.get_by_role("link", name="雨水沟", exact=True).click()
    page.get_by_role("radio", name="不予采用").check()
    page.get_by_role("button", name="提交意见").click()
    refused = page.get_by_role("alert").inner_text()
    page.get_by_label("理由").fill("拍摄时间不在检查时段内")
    page.get_by_role("button", name="提交意见").click()
    page.wait_for_url(re.compile("#review$"))

    assert "须写明理由" in refused
    assert page.locator(".judgements").inner_text().count("不予采用") == 1
    (judgement,) = world.rows(Judgement)
    assert judgement.item_id == case.items["雨水沟"]
    seen = [leaf["subject"] for leaf in views(world)]
    assert seen[-1]["items"] == [case.items["雨水沟"]]
    assert seen[-2]["items"] == sorted(case.items.values())


def test_the_original_and_the_thumbnails_are_really_drawn(page, scene):
    _, case, base = scene
    _log_in(page, base, "reviewer")

    page.goto(f"{base}/inspections/{case.inspection}")
    page.locator(".thumb img").first.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    drawn = page.evaluate("Array.from(document.images).map(i => i.complete && i.naturalWidth)")
    page.goto(f"{base}/items/{case.items['废水总排口']}")
    original = page.locator(".original img").evaluate("i => i.decode().then(() => i.naturalWidth)")

    assert drawn
    assert all(drawn)
    assert original == 640


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("size", [OFFICE, PHONE], ids=["office", "phone"])
def test_no_page_is_wider_than_its_screen(page, scene, size, lang):
    _, case, base = scene
    _log_in(page, base, "administrator")
    page.set_viewport_size(size)

    for path in (
        "/",
        f"/inspections/{case.inspection}",
        *(f"/items/{item}" for item in case.items.values()),
        "/quarantine",
        "/devices",
        "/password",
    ):
        page.goto(f"{base}{path}?lang={lang}")
        beyond = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert beyond <= 0, path


def test_everything_can_be_reached_by_keyboard_and_the_focus_shows(page, scene):
    _, case, base = scene
    _log_in(page, base, "reviewer")
    page.goto(f"{base}/items/{case.items['废水总排口']}")

    page.keyboard.press("Tab")
    first = page.evaluate("document.activeElement.getAttribute('href')")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.tagName"))
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none" or page.evaluate("document.activeElement === document.body")

    assert first == "#main"
    assert {"verdict", "reason", "BUTTON", "A", "SUMMARY"} <= reached


def test_every_field_has_a_label_and_every_page_its_landmarks(page, scene):
    _, case, base = scene
    _log_in(page, base, "reviewer")

    for path in ("/", f"/inspections/{case.inspection}", f"/items/{case.items['废水总排口']}"):
        page.goto(f"{base}{path}")
        unnamed = page.evaluate(
            """Array.from(document.querySelectorAll('input:not([type=hidden]),textarea'))
                .filter(field => !field.labels.length).length"""
        )
        assert unnamed == 0, path
        assert page.locator("main").count() == 1
        assert page.locator("h1").count() == 1
        assert page.locator("img:not([alt])").count() == 0


def test_the_console_works_with_javascript_switched_off(browser, scene):
    world, case, base = scene
    context = browser.new_context(java_script_enabled=False, viewport=OFFICE)
    page = context.new_page()
    before = len(world.rows(Judgement))

    _log_in(page, base, "reviewer")
    page.goto(f"{base}/items/{case.items['在线监测站房']}")
    page.get_by_role("radio", name="采用", exact=True).check()
    page.get_by_role("button", name="提交意见").click()
    page.wait_for_url(re.compile("#review$"))

    assert len(world.rows(Judgement)) == before + 1
    context.close()


def test_on_paper_nothing_is_left_to_press(page, scene):
    _, case, base = scene
    _log_in(page, base, "reviewer")
    page.goto(f"{base}/items/{case.items['废水总排口']}")

    page.emulate_media(media="print")

    for hidden in (".judge", ".top nav", ".who", ".button", ".steps", ".actions"):
        assert not any(e.is_visible() for e in page.locator(hidden).all()), hidden
    assert page.locator(".print-only").is_visible()
    assert page.locator("#custody table").is_visible()
