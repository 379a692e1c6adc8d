"""The inside of an inspection, as an officer goes through it, in real Chromium."""

import hashlib
import json
import re
import time

from playwright.sync_api import expect

from server.db import reading, transaction
from server.models.inspections import EvidenceItem, Finding, Inspection, ItemCheck, TemplateVersion
from server.models.journal import LineOutcome
from server.models.uploads import MediaObject
from server.operations import forms, media_checks
from server.operations.inspection_doubts import inspection_doubts
from tests.browser.conftest import CHROMIUM
from tests.support.fieldlook import overflow, small_targets, violations
from tests.support.fieldphone import kill, phone, until
from tests.support.serving import served

SITE_RECORD = {
    "检查地点": "示范路1号",
    "被检查单位（当事人）": "示例化工有限公司",
    "现场负责人": "张某",
    "检查人及执法证号": "示例检查员1、示例检查员2",
    "记录人": "示例检查员2",
    "现场情况": "雨水排口有水外排，pH 试纸呈酸性。",
    "检查人签名": "已在纸质笔录上签名",
    "当事人签名，或不在场、拒绝签名的原因": "张某",
}


def begin(page, world):
    """Enrol, fetch the forms, log both officers in and open the inspection."""
    code, (first, second) = world.code(), world.officers
    page.evaluate("code => harness.field.enrol(code, {name: '手机一'})", code)
    page.evaluate("harness.field.setPin(harness.PIN, 1000)")
    page.evaluate("harness.install()")
    page.reload()
    page.evaluate("harness.field.unlock(harness.PIN)")
    for officer, number in ((first, "示例001"), (second, "示例002")):
        page.evaluate("([o, n]) => harness.field.logIn(o, n)", [officer, number])
    page.evaluate("harness.field.sync().then(() => 0)")
    put_form(
        page,
        world,
        next(one for one in forms.shipped_forms() if one["id"] == "site_inspection_record"),
    )
    return page.evaluate(
        "given => harness.field.openInspection(given)",
        {"officer": first, "officers": [first, second], "task": world.task, "title": "日常检查"},
    )


def show(page, inspection, language="zh"):
    page.set_viewport_size({"width": 360, "height": 640})
    page.evaluate("([id, language]) => harness.show(id, language)", [inspection, language])


def again(page, inspection):
    """The app opened anew after a kill: the PIN, then the inspection."""
    page.evaluate("harness.field.unlock(harness.PIN)")
    page.evaluate("harness.field.recovered")
    show(page, inspection)


def press(page, name, **options):
    page.get_by_role("button", name=name, **options).first.click()


def back(page):
    press(page, "返回")


def mark(page, *steps):
    for step in steps:
        row = page.locator(".step", has_text=step)
        row.get_by_role("button").first.click()
        expect(row).to_contain_text("已标记")


def picture(page, caption, fact):
    press(page, "拍照取证")
    until(page, "document.querySelector('video')?.videoWidth > 0")
    page.get_by_label("标题").fill(caption)
    page.get_by_label("证明对象").fill(fact)
    press(page, "拍照", exact=True)
    expect(page.get_by_text("已保存 1 个")).to_be_visible()
    back(page)


def fill_in(page):
    page.get_by_role("link", name="笔录和表格").click()
    press(page, "现场检查（勘察）笔录")
    for label, text in SITE_RECORD.items():
        page.get_by_label(re.compile(f"^{re.escape(label)}")).fill(text)
    for group in page.get_by_role("group").all():
        group.get_by_label("是", exact=True).check()
    for button in page.get_by_role("button", name="现在").all():
        button.click()
    press(page, "保存")
    expect(page.get_by_text("已保存并签入日志")).to_be_visible()
    back(page)
    back(page)


def seal(page):
    page.get_by_role("link", name="定稿锁定").click()
    for tick in page.get_by_role("checkbox").all():
        tick.check()
    press(page, "定稿锁定", exact=True)
    expect(page.get_by_text("已定稿锁定")).to_be_visible()


def doubts(world, inspection):
    """What a reviewer is told about the visit, notes apart."""
    with world.app.app_context(), reading() as session:
        found = inspection_doubts(session, session.get(Inspection, inspection)).doubts
        return {(one.code, one.evidence["reason"]) for one in found if one.severity != "info"}


def test_a_visit_without_a_network_and_with_two_kills_stands_verified_on_the_server(
    playwright, world, tmp_path
):
    profile = tmp_path / "profile"
    with served(world.app) as port:
        address = f"http://127.0.0.1:{port}"
        with phone(playwright, CHROMIUM, profile, address) as page:
            inspection = begin(page, world)
            page.context.set_offline(True)
            show(page, inspection)
            press(page, "开始录像")
            expect(page.get_by_text("正在录像")).to_be_visible()
            mark(page, "到达现场", "出示执法证件", "核实当事人身份", "告知权利义务")
            picture(page, "雨水排口", "雨水排口有水外排")
            press(page, "停止")
            expect(page.get_by_text("正在录像")).to_be_hidden()
            kill(profile)
        with phone(playwright, CHROMIUM, profile, address) as page:
            page.context.set_offline(True)
            again(page, inspection)
            press(page, "开始录像")
            expect(page.get_by_text("正在录像")).to_be_visible()
            mark(page, "现场检查")
            picture(page, "废水处理设施", "处理设施停运")
            until(page, "harness.field.recordings.running.keptBytes > 0")
            kill(profile)
        with phone(playwright, CHROMIUM, profile, address) as page:
            page.context.set_offline(True)
            again(page, inspection)
            fill_in(page)
            mark(page, "签名", "告知检查结果", "离开现场")
            seal(page)
            lines = page.evaluate("harness.field.status()")["linesOnlyHere"]
            page.context.set_offline(False)
            world.now_ms = time.time_ns() // 1_000_000
            report = page.evaluate(
                """async () => {
                    const {problems, stuck, uploads} = await harness.field.sync();
                    return {problems: problems.map(String), stuck, uploads};
                }"""
            )
            fates = page.evaluate(
                "async id => (await harness.field.items(id)).map(one => one.fate)", inspection
            )
    assert lines > 15
    assert (report["problems"], report["stuck"]) == ([], [])
    assert fates == ["safe"] * 4
    assert {row.projection for row in world.rows(LineOutcome)} == {"applied"}
    assert [row.state for row in world.rows(Inspection)] == ["sealed"]
    assert len(world.rows(EvidenceItem)) == 4
    assert {row.status for row in world.rows(MediaObject)} == {"stored"}
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)
    verdicts = sorted(check.verdict for check in world.rows(ItemCheck))
    assert (set(verdicts), world.rows(Finding)) == ({"consistent"}, [])
    assert doubts(world, inspection) == set()


def test_the_other_lanes_heads_and_signatures_are_signed_as_what_they_are(
    playwright, world, tmp_path
):
    taken, scanned = tmp_path / "IMG_1.jpg", tmp_path / "许可证.pdf"
    taken.write_bytes(b"\xff\xd8\xff\xe0 as the system's camera wrote it \xff\xd9")
    scanned.write_bytes(b"%PDF-1.7 a permit")
    with (
        served(world.app) as port,
        phone(playwright, CHROMIUM, tmp_path / "profile", f"http://127.0.0.1:{port}") as page,
    ):
        inspection = begin(page, world)
        show(page, inspection)
        press(page, "拍照取证")
        page.get_by_text("其他方式").click()
        for button, file, count in (("打开系统相机", taken, 1), ("导入已有文件", scanned, 2)):
            with page.expect_file_chooser() as chooser:
                press(page, button)
            chooser.value.set_files(file)
            expect(page.get_by_text(f"已保存 {count} 个")).to_be_visible()
        back(page)
        page.get_by_role("link", name="照片和录音录像").click()
        page.get_by_role("link", name="许可证.pdf").click()
        press(page, "弃用这个文件")
        press(page, "确认弃用")
        expect(page.get_by_label("弃用理由")).to_be_visible()
        page.get_by_label("弃用理由").fill("拍错了企业")
        press(page, "确认弃用")
        expect(page.get_by_text("已弃用")).to_be_visible()
        back(page)
        back(page)
        page.get_by_role("link", name="互留日志短码").click()
        page.get_by_label("对方短码").fill("412-7ZK3M-0Q9XT-4B1RD-V8HW")
        press(page, "登记对方短码")
        expect(page.get_by_text("读到 19 位")).to_be_visible()
        page.get_by_label("对方短码").fill("412-7zk3m-oq9xt-4b1rd-v8hwc")
        press(page, "登记对方短码")
        expect(page.get_by_text("已登记对方第 412 行")).to_be_visible()
        back(page)
        press(page, "遇到阻挠")
        press(page, "记下阻挠")
        expect(page.get_by_text("已记下")).to_be_visible()
        back(page)
        page.get_by_role("link", name="说明未录制的原因").click()
        page.get_by_label("原因").select_option("explosion_proof")
        press(page, "记入日志")
        signed = sign(page, world, inspection)
        acts = page.evaluate(
            """async id => (await harness.field.lines(id)).map(row =>
                JSON.parse(new TextDecoder().decode(row.raw)).b[0])""",
            inspection,
        )
        world.now_ms = time.time_ns() // 1_000_000
        page.evaluate("harness.field.sync().then(() => 0)")
        page.goto(f"http://127.0.0.1:{port}/app/#/inspection/{inspection}")
        page.get_by_label("PIN").fill("246810")
        press(page, "解锁")
        expect(page.get_by_role("heading", name="日常检查")).to_be_visible()
        press(page, "开始录音")
        expect(page.get_by_text("正在录音")).to_be_visible()
        press(page, "返回")
        expect(page.get_by_role("heading", name="今日任务")).to_be_visible()
        page.get_by_role("link", name="正在录音").click()
        press(page, "停止")
        expect(page.get_by_text("正在录音")).to_be_hidden()
    types = [act["type"] for act in acts]
    assert types.index("camera.opened") < types.index("media.captured")
    by_type = {act["type"]: act for act in acts}
    system = next(act for act in acts if act.get("class") == "B")
    assert system["sha256"] == hashlib.sha256(taken.read_bytes()).hexdigest()
    imported = by_type["media.imported"]
    assert imported["source"]["path"] == "许可证.pdf"
    assert by_type["media.discarded"]["reason"] == "拍错了企业"
    assert (by_type["peer.head"]["seq"], by_type["peer.head"]["code"]) == (
        412,
        "7ZK3M0Q9XT4B1RDV8HWC",
    )
    assert by_type["obstruction.flagged"]["pos"]["lat"] == 225431000
    assert by_type["gap.explained"]["to_ms"] > by_type["gap.explained"]["from_ms"]
    assert signed["party_signature"] == {"how": "image", "item": signed["item"], "name": "张某"}
    assert {row.projection for row in world.rows(LineOutcome)} == {"applied"}


def test_no_screen_of_an_inspection_has_a_violation_at_twice_the_size_of_type(
    playwright, world, tmp_path
):
    found = {}
    with (
        served(world.app) as port,
        phone(playwright, CHROMIUM, tmp_path / "profile", f"http://127.0.0.1:{port}") as page,
    ):
        inspection = begin(page, world)
        for form in forms.shipped_forms():
            put_form(page, world, form)
        show(page, inspection)
        press(page, "开始录音")
        picture(page, "雨水排口", "雨水排口有水外排")
        item = page.evaluate("async id => (await harness.field.items(id))[0].item", inspection)
        record = "0a0b0c0d-0e0f-4001-8203-040506070809"
        screens = (
            *("", "capture", "items", f"item/{item}", "forms"),
            *(
                f"form/{form}/{record}"
                for form in ("site_inspection_record.v2", "sampling_record.v1")
            ),
            *("peer", "gap", "obstruction", "note", "seal"),
        )
        for language in ("zh", "en"):
            show(page, inspection, language)
            page.evaluate("document.documentElement.style.fontSize = '200%'")
            for screen in screens:
                page.evaluate("to => { location.hash = to; }", f"/inspection/{inspection}/{screen}")
                page.locator("h1").wait_for()
                page.wait_for_timeout(150)
                wrong = (violations(page), overflow(page), small_targets(page))
                if wrong != ([], 0, []):
                    found[f"{language} {screen}"] = wrong
    assert found == {}


def test_a_field_in_conflict_stays_so_until_somebody_fills_it_in(playwright, world, tmp_path):
    saved = """async id => (await harness.field.records(id))[0]"""
    revise = """async ([inspection, officer, place]) => {
        const form = (await harness.field.documents("template"))[0].body;
        const record = await harness.field.newRecordId(inspection, form.id);
        await harness.field.saveRecord({inspection, officer, record, form, values: {place}});
    }"""
    with (
        served(world.app) as port,
        phone(playwright, CHROMIUM, tmp_path / "profile", f"http://127.0.0.1:{port}") as page,
    ):
        inspection = begin(page, world)
        for officer, place in zip(world.officers, ("一号门", "二号门"), strict=True):
            page.evaluate(revise, [inspection, officer, place])
        show(page, inspection)
        page.get_by_role("link", name="笔录和表格").click()
        page.get_by_role("link", name="现场检查（勘察）笔录").click()
        page.get_by_label(re.compile("^记录人")).fill("示例检查员2")
        press(page, "保存")
        expect(page.get_by_text("已保存并签入日志")).to_be_visible()
        untouched = page.evaluate(saved, inspection)["conflicts"]
        page.get_by_label(re.compile("^检查地点")).fill("二号门")
        press(page, "保存")
        expect(page.get_by_text("两人填写不一致")).to_be_hidden()
        settled = page.evaluate(saved, inspection)

    assert untouched == ["place"]
    assert (settled["conflicts"], settled["values"]["place"]) == ([], "二号门")


def sign(page, world, inspection):
    """Draw a signature in a record; answers what the record holds, with the item's id."""
    form = {
        "id": "sampling_record",
        "version": 9,
        "title": {"zh": "采样记录", "en": "Sampling record"},
        "fields": [
            {
                "id": "party_signature",
                "type": "signature",
                "label": {"zh": "当事人签名", "en": "Signature of the party"},
            }
        ],
    }
    put_form(page, world, form)
    page.get_by_role("link", name="笔录和表格").click()
    press(page, "采样记录")
    page.get_by_label("签名方式").select_option("image")
    page.get_by_label("签名人姓名").fill("张某")
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 90, steps=5)
    page.mouse.up()
    press(page, "确认签名")
    expect(page.get_by_text("签名已保存")).to_be_visible()
    press(page, "保存")
    expect(page.get_by_text("已保存并签入日志")).to_be_visible()
    return page.evaluate(
        """async id => {
            const [record] = await harness.field.records(id);
            const items = await harness.field.items(id);
            return {...record.values, item: items.at(-1).item};
        }""",
        inspection,
    )


def put_form(page, world, form):
    """A form as if it had been published and had come down."""
    with world.app.app_context(), transaction() as session:
        if session.get(TemplateVersion, (world.organization, form["id"], form["version"])) is None:
            session.add(
                TemplateVersion(
                    organization_id=world.organization,
                    id=form["id"],
                    version=form["version"],
                    in_force_from="2021-07-15",
                    body=json.dumps(form),
                    published_at_ms=world.now_ms,
                    generation=1,
                    ledger_index=0,
                )
            )
    page.evaluate(
        """form => harness.field.database.write(["documents"], async tx => tx.put("documents",
            {kind: "template", id: `${form.id}.v${form.version}`, body: form, evicted: false}))""",
        form,
    )
