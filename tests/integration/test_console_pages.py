"""The console's pages over the real application: what each of them shows."""

import shutil

import pytest

from tests.support.console import console_world, make_case, visitor


@pytest.fixture(scope="module")
def scene(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("console")
    shutil.copyfile(sqlite_template, folder / "console.sqlite")
    world = console_world(f"sqlite:///{folder / 'console.sqlite'}", folder / "var")
    return world, make_case(world)


@pytest.fixture(scope="module")
def reviewer(scene):
    return visitor(scene[0], "reviewer")


def test_the_desk_lists_an_inspection_with_what_is_missing_and_doubtful(scene, reviewer):
    page = reviewer.get("/?lang=zh").text

    assert scene[1].inspection in page
    assert "示例化工有限公司" in page
    assert "示例检查员1" in page
    assert "不一致" in page


@pytest.mark.parametrize(
    "query",
    ["日常", "化工", "检查员2", "{inspection}", "{item}", "{digest}"],
)
def test_the_desk_finds_by_text_id_and_digest(scene, reviewer, query):
    _, case = scene
    item = case.items["雨水沟"]
    digest = next(row.sha256 for row in scene[0].rows(_items(), id=item))[:12]
    wanted = query.format(inspection=case.inspection, item=item, digest=digest)

    page = reviewer.get("/", query_string={"q": wanted}).text

    assert f"/inspections/{case.inspection}" in page


@pytest.mark.parametrize("query", ["没有这样的检查", "%", "_", "ffffffffffff"])
def test_the_desk_finds_nothing_for_what_is_not_there(scene, reviewer, query):
    page = reviewer.get("/", query_string={"q": query}).text

    assert f"/inspections/{scene[1].inspection}" not in page


def test_the_inspection_shows_every_item_also_the_missing_and_the_discarded(scene, reviewer):
    _, case = scene

    page = reviewer.get(f"/inspections/{case.inspection}?lang=zh").text

    for title, item in case.items.items():
        assert f"/items/{item}" in page
        assert title in page
    assert "误触快门，画面为地面" in page
    assert "应收未收" in page


def test_the_inspection_shows_revisions_that_disagree_and_lines_in_quarantine(scene, reviewer):
    page = reviewer.get(f"/inspections/{scene[1].inspection}?lang=zh").text

    assert "内容不一致" in page
    assert "废水清澈" in page
    assert "废水呈乳白色" in page
    assert "<dd>是</dd>" in page
    assert "projection.no_officer_session" in page


def test_the_evidence_chain_shows_claims_proofs_and_custody(scene, reviewer):
    item = scene[1].items["废水总排口"]

    page = reviewer.get(f"/items/{item}?lang=zh").text

    for shown in (
        "废水总排口的现场状况",
        "示例检查员1",
        "示例001",
        "拍摄时证件有效",
        "测试手机",
        "ExifIFD:DateTimeOriginal",
        "两次校验值一致",
        "设备签名有效",
        "与前一行衔接",
        "在册证明成立",
        "本单位服务器时钟",
        "reviewer某",
        "证据链页（含原件）",
    ):
        assert shown in page, shown
    assert 'class="check no"' not in page


def test_the_evidence_chain_gives_both_ends_of_the_interval(scene, reviewer):
    page = reviewer.get(f"/items/{scene[1].items['废水总排口']}?lang=zh").text

    interval = page.partition('class="interval"')[2].partition("</div>")[0]
    assert "2026-05-04 10:00:00" in interval
    assert "2026-05-04 10:40:00" in interval


def test_a_finding_is_told_in_the_language_of_the_page(scene, reviewer):
    item = scene[1].items["雨水沟"]

    assert "拍摄时间不在检查时段内" in reviewer.get(f"/items/{item}?lang=zh").text
    assert "outside" in reviewer.get(f"/items/{item}?lang=en").text.lower()


def test_a_missing_original_is_said_to_be_missing_and_cannot_be_fetched(scene, reviewer):
    item = scene[1].items["危废暂存间"]

    page = reviewer.get(f"/items/{item}?lang=zh").text

    assert "登记至今" in page
    assert reviewer.get(f"/items/{item}/original").status_code == 404


def test_the_language_is_chinese_until_another_is_asked_for_and_then_kept(scene):
    browser = visitor(scene[0])

    assert '<html lang="zh-CN">' in browser.get("/login").text
    assert '<html lang="en">' in browser.get("/login?lang=en").text
    assert '<html lang="en">' in browser.get("/login").text
    assert '<html lang="en">' in browser.get("/login?lang=xx").text


def test_a_failed_login_can_be_read_in_the_other_language(scene):
    page = visitor(scene[0]).log_in("nobody")

    assert 'href="/login?lang=en"' in page.text


def test_an_error_is_one_sentence_in_the_language_of_the_page(scene, reviewer):
    page = reviewer.get("/items/00000000-0000-4000-8000-000000000000?lang=en")

    assert page.status_code == 404
    assert "Not found, or not yours to know of." in page.text
    assert "server.not_found" in page.text


def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_programs(scene, reviewer):
    page = reviewer.get("/nowhere?lang=zh")
    problem = reviewer.get("/api/v1/nowhere")

    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert (problem.status_code, problem.mimetype) == (404, "application/problem+json")


def test_every_page_says_that_a_demonstration_is_one(scene, monkeypatch):
    world, case = scene
    browser = visitor(world, "administrator")
    paths = ("/", f"/inspections/{case.inspection}", "/devices", "/quarantine", "/password")

    monkeypatch.setitem(vars(world.services.settings), "demo", True)

    for path in (*paths, "/nowhere"):
        assert "演示数据" in browser.get(f"{path}").text
    assert "演示数据" in visitor(world).get("/login").text


def test_pages_run_nothing_and_may_not_be_framed_or_kept(scene, reviewer):
    answer = reviewer.get(f"/items/{scene[1].items['废水总排口']}")

    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    for inline in ("<script", "style=", " onclick", "javascript:"):
        assert inline not in answer.text


def test_markup_in_names_and_captions_stays_text(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "x.sqlite")
    world = console_world(f"sqlite:///{tmp_path / 'x.sqlite'}", tmp_path / "var")
    device = world.on_patrol()
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"{{7*7}}"
    from tests.support.simdevice import new_id

    item = device.write(
        "media.captured",
        officer=world.officers[0],
        inspection=device.inspection,
        item=new_id(),
        sha256="a" * 64,
        size=1,
        media_type="image/jpeg<script>",
        name=evil,
        title=evil,
        fact_to_prove=evil,
        method=evil,
        **{"class": "A"},
    ).act["item"]
    device.write(
        "record.saved",
        officer=world.officers[0],
        inspection=device.inspection,
        record=new_id(),
        template={"id": "site_inspection_record", "version": 1},
        fields={"x": evil},
        base=[],
    )
    assert world.push(device).status_code == 200
    browser = visitor(world, "reviewer")

    for path in (f"/inspections/{device.inspection}", f"/items/{item}"):
        page = browser.get(path).text
        assert "&lt;script&gt;" in page
        assert "<script" not in page
        assert "<img src=x" not in page
        assert "{{7*7}}" in page


def _items():
    from server.models.inspections import EvidenceItem

    return EvidenceItem
