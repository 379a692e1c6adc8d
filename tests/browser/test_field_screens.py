"""The field app as an inspector meets it: real Chromium, a small phone, the real application."""

import json
import os

import pytest

from server.db import transaction
from server.models.inspections import RegulatedEntity
from server.operations.dossiers import dossier
from server.operations.feed import documents as feed
from tests.browser.conftest import CHROMIUM
from tests.support.fieldapp import building
from tests.support.fieldlook import overflow, small_targets, violations
from tests.support.fieldphone import phone
from tests.support.serving import served

PIN = "246810"
SMALL = {"width": 360, "height": 640}
DAY_MS = 86_400_000
FIRST_LOAD_BYTES = 60_000
#: Where somebody wants to look at the screens, a folder for their pictures.
SHOTS = os.environ.get("LIUHEN_TEST_SHOTS", "")


#: Two notes of the server's ledger that contradict each other, as a sync keeps them.
ADD_ALARM = """new Promise((resolve, reject) => {
    const opening = indexedDB.open("liuhen-field");
    opening.onsuccess = () => {
        const writing = opening.result.transaction(["alarms"], "readwrite");
        const alarm = {kept: "note 1", got: "note 2", reason: "", atMs: Date.now()};
        writing.objectStore("alarms").add({...alarm, proved: false});
        writing.oncomplete = () => resolve();
        writing.onerror = () => reject(writing.error);
    };
})"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The app as it is delivered."""
    folder = tmp_path_factory.mktemp("field")
    building.build(folder)
    return folder


@pytest.fixture
def bureau(world):
    """A bureau with two officers, and a task that is due tomorrow with its dossier."""
    with world.app.app_context(), transaction() as session:
        organization = f"organization:{world.organization}"
        documents = [
            (
                organization,
                "officer",
                officer,
                {"name": f"示例检查员{n}", "certificate_no": f"示例00{n}"},
            )
            for n, officer in enumerate(world.officers, start=1)
        ]
        task = {
            "title": "日常检查",
            "kind": "daily",
            "launch_mode": "routine",
            "entity": world.entity,
            "officers": world.officers,
            "state": "assigned",
            "due_at_ms": world.now_ms + DAY_MS,
        }
        party = dossier(session, session.get_one(RegulatedEntity, world.entity))
        permit = {"number": "91440300EXAMPLE001P", "kind": "排污许可证", "valid_to": "2027-06-30"}
        more = {"permits": [permit], "legal_representative": "示例负责人", "grade": "B"}
        documents += [
            (feed.task_scope(world.task), "task", world.task, task),
            (feed.task_scope(world.task), "dossier", world.entity, {**party, **more}),
        ]
        for scope, kind, identifier, body in documents:
            feed.put_document(
                session,
                scope=scope,
                kind=kind,
                identifier=identifier,
                body={"id": identifier, **body},
                now_ms=world.now_ms,
            )
    return world


def enrol(page, world):
    """As a new inspector: the code, the PIN, and both officers log in."""
    page.set_viewport_size(SMALL)
    page.get_by_label("登记码").fill(world.code())
    page.get_by_label("手机名称").fill("一中队 1 号手机")
    page.get_by_role("button", name="登记", exact=True).click()
    page.get_by_label("新 PIN").fill(PIN)
    page.get_by_label("再输入一次").fill(PIN)
    page.get_by_role("button", name="设置 PIN").click()
    for number in (1, 2):
        page.get_by_role("button", name=f"示例检查员{number} 登录").click()
        page.get_by_role("button", name="是本人，登录").click()
        page.get_by_role("button", name=f"示例检查员{number} 退出").wait_for()


def dress(page, language, size, theme):
    """Open the app anew in a language, size of type and theme."""
    page.evaluate(
        """([language, size, theme]) => {
            localStorage.setItem("liuhen.language", language);
            localStorage.setItem("liuhen.size", size);
            localStorage.setItem("liuhen.theme", theme);
        }""",
        [language, str(size), theme],
    )
    page.reload()
    page.locator(f"h1:visible, html[lang^={language}] h1").first.wait_for()


def show(page, path):
    """Go to a screen by its address, once what is shown there has come."""
    page.evaluate("path => { location.hash = path; }", path)
    page.locator(f"nav a[href='#{path}'][aria-current], h1").first.wait_for()
    page.wait_for_timeout(150)


def unlock(page):
    page.get_by_label("PIN").fill(PIN)
    page.get_by_role("button", name="解锁").click()


def test_tasks_and_dossiers_are_read_with_the_server_dead(playwright, bureau, tmp_path):
    profile = tmp_path / "profile"
    with served(bureau.app) as port:
        address = f"http://127.0.0.1:{port}"
        with phone(playwright, CHROMIUM, profile, address, page="/app/") as page:
            enrol(page, bureau)
            page.get_by_role("button", name="完成").click()
            page.get_by_text("示例化工有限公司").wait_for()
            page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
            page.reload()
    with phone(playwright, CHROMIUM, profile, address, page="/app/") as page:
        page.set_viewport_size(SMALL)
        unlock(page)
        due = page.get_by_text("还有 1 天").inner_text()
        only_here = page.get_by_role("status").first.inner_text()
        page.get_by_text("示例化工有限公司").click()
        page.get_by_text("91440300EXAMPLE001P").wait_for()
        page.get_by_role("link", name="搜索").click()
        page.get_by_role("searchbox").fill("EXAMPLE001p")
        page.get_by_text("找到 1 条").wait_for()
        page.get_by_role("link", name="状态").click()
        page.get_by_role("button", name="立即同步").click()
        page.get_by_text("连接不上服务器").wait_for()

        show(page, f"/task/{bureau.task}")
        page.get_by_role("button", name="开始检查").click()
        page.wait_for_url("**/#/inspection/*")
        page.get_by_role("heading", name="日常检查").wait_for()
        show(page, "/today")
        page.get_by_role("heading", name="进行中的检查").wait_for()

    assert "还有 1 天" in due
    assert "条记录只存在这部手机上" in only_here


def test_a_ledger_that_contradicts_itself_alarms_on_every_screen(playwright, bureau, tmp_path):
    with (
        served(bureau.app) as port,
        phone(
            playwright, CHROMIUM, tmp_path / "p", f"http://127.0.0.1:{port}", page="/app/"
        ) as page,
    ):
        enrol(page, bureau)
        page.evaluate(ADD_ALARM)
        show(page, "/today")
        page.get_by_role("alert").get_by_text("警报").click()
        with page.expect_download() as saved:
            page.get_by_role("button", name="保存证明文件").click()
        proof = json.loads(saved.value.path().read_text("utf-8"))

    assert (proof["first"], proof["second"]) == ("note 1", "note 2")


def test_no_screen_has_a_violation_at_twice_the_size_of_type_in_either_language(
    playwright, bureau, tmp_path
):
    found = {}

    def look(page, name):
        page.locator("[aria-busy=true]").wait_for(state="detached")
        wrong = (violations(page), overflow(page), small_targets(page))
        if wrong != ([], 0, []):
            found[name] = wrong
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)

    with (
        served(bureau.app) as port,
        phone(
            playwright, CHROMIUM, tmp_path / "p", f"http://127.0.0.1:{port}", page="/app/"
        ) as page,
    ):
        page.set_viewport_size(SMALL)
        dress(page, "en", 200, "dark")
        look(page, "enrol.en.200")
        dress(page, "zh", 200, "sunlight")
        look(page, "enrol.zh.200")
        dress(page, "zh", 100, "light")
        enrol(page, bureau)
        for language, size, theme in (("zh", 200, "light"), ("en", 200, "dark")):
            dress(page, language, size, theme)
            look(page, f"unlock.{language}.{size}")
            page.locator("input.pin").fill(PIN)
            page.locator("button.main").click()
            for screen in ("today", "officers", "search", "status", "settings"):
                show(page, f"/{screen}")
                look(page, f"{screen}.{language}.{size}")
            show(page, f"/task/{bureau.task}")
            look(page, f"task.{language}.{size}")
            # The second time round there is a visit under way.
            page.locator("main button.main").click()
            page.wait_for_url("**/#/inspection/*")

    assert found == {}


def test_the_first_load_is_at_most_60_kb_of_script(playwright, bureau, tmp_path):
    with (
        served(bureau.app) as port,
        phone(
            playwright, CHROMIUM, tmp_path / "p", f"http://127.0.0.1:{port}", page="/app/"
        ) as page,
    ):
        page.get_by_role("heading", name="登记这部手机").wait_for()
        sizes = page.evaluate(
            """performance.getEntriesByType("resource")
                .filter((one) => one.name.endsWith(".js") && !one.name.endsWith("/sw.js"))
                .map((one) => one.encodedBodySize)"""
        )

    assert 0 < sum(sizes) <= FIRST_LOAD_BYTES
