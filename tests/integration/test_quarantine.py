"""What was quarantined: never invisible, released or kept by a reviewer with a reason."""

import json

import pytest

from server.db import transaction
from server.models.inspections import (
    CaseSide,
    EvidenceItem,
    Inspection,
    RecordRevision,
)
from server.models.journal import LineOutcome, QuarantineDecision
from server.models.ledger import LedgerEvent
from server.models.uploads import QuarantinedMedia
from tests.support.console import add_stranger, add_user, console_world, views, visitor
from tests.support.simdevice import new_id


@pytest.fixture
def world(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


def _saved(world, device, **more):
    return device.write(
        "record.saved",
        **{
            "officer": world.officers[0],
            "inspection": device.inspection,
            "record": new_id(),
            "template": {"id": "site_inspection", "version": 99},
            "fields": {"findings": "废水呈乳白色"},
            "base": [],
            **more,
        },
    )


def _path(line):
    return f"/quarantine/line/{line.digest}"


def _decide(browser, path, decision, reason="已向本人核实", seen=0):
    return browser.post(
        f"{path}/decision",
        {"decision": decision, "reason": reason, "seen": str(seen)},
        page=path,
    )


def _outcome(world, line):
    (row,) = [
        row
        for row in world.rows(LineOutcome, seq=line.header.seq, epoch=line.header.epoch)
        if line.digest
    ]
    return row


def test_a_line_without_a_session_is_released_with_a_reason_and_shown_with_a_mark(world):
    device = world.on_patrol()
    line = device.write("note.added", officer=new_id(), inspection=device.inspection, text="旁注")
    world.push(device)
    browser = visitor(world, "reviewer")

    page = browser.get(_path(line))
    answer = _decide(browser, _path(line), "released")

    assert "旁注" in page.text
    assert answer.status_code == 303, answer.text
    outcome = _outcome(world, line)
    assert (outcome.projection, outcome.code, outcome.released) == ("applied", "", True)
    (decision,) = world.rows(QuarantineDecision)
    assert (decision.decision, decision.code, decision.reason) == (
        "released",
        "projection.no_officer_session",
        "已向本人核实",
    )
    assert "经审核放行" in browser.get(f"/inspections/{device.inspection}").text


@pytest.mark.parametrize("officer", ["\0", "x" * 300, "示例"])
def test_a_line_of_an_officer_who_cannot_be_is_read_and_kept(world, officer):
    device = world.on_patrol()
    line = device.write("note.added", officer=officer, inspection=device.inspection, text="旁注")
    world.push(device)
    browser = visitor(world, "reviewer")

    page = browser.get(_path(line))
    answer = _decide(browser, _path(line), "kept")

    assert page.status_code == 200, page.text
    assert answer.status_code == 303, answer.text


def test_each_decision_is_an_event_of_the_ledger_and_told_to_the_device(world):
    device = world.on_patrol()
    line = device.write("note.added", officer=new_id(), inspection=device.inspection, text="旁注")
    world.push(device)
    browser = visitor(world, "reviewer")

    _decide(browser, _path(line), "kept", "本人不承认")
    told = world.client.get("/api/v1/outcomes", headers=device.headers).json
    _decide(browser, _path(line), "released", "本人已补充说明", seen=1)
    later = world.client.get(
        "/api/v1/outcomes", query_string={"since": told["cursor"]}, headers=device.headers
    ).json

    events = [json.loads(row.event) for row in world.rows(LedgerEvent, kind="quarantine")]
    assert [event["snapshot"]["act"] for event in events] == ["kept", "released"]
    assert events[0]["subject"]["digest"] == line.digest
    assert events[0]["actor"]["person"] == world.users["reviewer"]
    assert [(x["projection"], x["decision"], x["reason"]) for x in told["outcomes"]] == [
        ("quarantined", "kept", "本人不承认")
    ]
    assert [(x["projection"], x["decision"], x["reason"]) for x in later["outcomes"]] == [
        ("applied", "released", "本人已补充说明")
    ]
    assert [row.decision for row in world.rows(QuarantineDecision)] == ["kept", "released"]


def test_an_unknown_template_a_fork_and_a_late_discard_are_shown_after_their_release(world):
    device = world.on_patrol()
    revision = _saved(world, device)
    item = new_id()
    announced = {
        "officer": world.officers[0],
        "inspection": device.inspection,
        "item": item,
        "sha256": "ab" * 32,
        "size": 3,
        "media_type": "image/jpeg",
        "class": "B",
    }
    device.write("media.captured", **announced)
    device.write(
        "inspection.sealed",
        officer=world.officers[0],
        inspection=device.inspection,
        revisions=[revision.digest],
        media=[],
        heads=[],
    )
    late = device.write(
        "media.discarded",
        officer=world.officers[0],
        inspection=device.inspection,
        item=item,
        reason="误拍",
    )
    world.push(device)
    other = new_id()
    fork = device.forge(
        [{"type": "media.captured", **announced, "item": other}],
        seq=4,
        prev=device.lines[3].digest,
    )
    world.push(device, fork.to_bytes() + b"\n")
    browser = visitor(world, "reviewer")

    answers = [_decide(browser, _path(line), "released") for line in (revision, late, fork)]

    assert [answer.status_code for answer in answers] == [303, 303, 303]
    assert world.rows(RecordRevision)[0].template_version == 99
    assert world.rows(EvidenceItem, id=item)[0].state == "discarded"
    (shown,) = world.rows(EvidenceItem, id=other)
    assert (shown.branch, shown.outside_seal) == (fork.digest, True)


def test_an_inspection_of_an_unknown_task_opens_without_it(world):
    device = world.enrol()
    device.open_epoch()
    for officer in world.officers:
        device.open_session(officer)
    inspection = new_id()
    line = device.write(
        "inspection.opened",
        officer=world.officers[0],
        inspection=inspection,
        officers=world.officers,
        task=new_id(),
    )
    device.write("note.added", officer=world.officers[0], inspection=inspection, text="在场")
    world.push(device)

    answer = _decide(visitor(world, "reviewer"), _path(line), "released")

    assert answer.status_code == 303
    (opened,) = world.rows(Inspection, id=inspection)
    assert opened.task_id is None
    assert {row.projection for row in world.rows(LineOutcome)} == {"applied"}


def test_what_cannot_be_shown_offers_only_to_be_kept_and_says_so(world):
    device = world.on_patrol()
    line = device.write("future.act", a=1)
    world.push(device)
    world.push(device, b"\xff{}\n")
    with world.app.app_context(), transaction() as session:
        upload = new_id()
        session.add(
            QuarantinedMedia(
                upload_id=upload,
                organization_id=world.organization,
                device_id=device.id,
                announced_sha256="a" * 64,
                found_sha256="b" * 64,
                size=3,
                key="quarantine/x",
                received_at_ms=world.now_ms,
            )
        )
    browser = visitor(world, "reviewer")

    for path in (_path(line), "/quarantine/bytes/1", f"/quarantine/media/{upload}"):
        page = browser.get(path)
        refused = _decide(browser, path, "released")
        kept = _decide(browser, path, "kept", "无法采用")

        assert 'value="released"' not in page.text
        assert "只能留存不采用" in page.text
        assert refused.status_code == 409
        assert kept.status_code == 303
    assert {row.kind for row in world.rows(QuarantineDecision)} == {"line", "bytes", "media"}


def test_a_decision_needs_a_reason_a_reviewer_and_what_they_saw(world):
    device = world.on_patrol()
    line = device.write("note.added", officer=new_id(), inspection=device.inspection, text="旁注")
    world.push(device)
    reviewer = visitor(world, "reviewer")

    assert _decide(reviewer, _path(line), "kept", "  ").status_code == 422
    assert _decide(reviewer, _path(line), "kept", "字" * 1001).status_code == 422
    assert _decide(reviewer, _path(line), "perhaps").status_code == 422
    assert _decide(reviewer, _path(line), "kept", seen=1).status_code == 409
    for role in ("officer", "leader", "administrator", "supervisor"):
        assert _decide(visitor(world, role), _path(line), "kept").status_code == 403
    assert world.rows(QuarantineDecision) == []
    assert _decide(reviewer, _path(line), "released").status_code == 303
    assert _decide(reviewer, _path(line), "kept", seen=1).status_code == 409


def test_nobody_decides_on_their_own_inspection_nor_investigates_what_they_decided(world):
    device = world.on_patrol()
    line = device.write("note.added", officer=new_id(), inspection=device.inspection, text="旁注")
    world.push(device)
    with world.app.app_context(), transaction() as session:
        add_user(
            session,
            world.organization,
            "both",
            ("officer", "reviewer"),
            world.now_ms,
            world.hash,
            person=world.persons[0],
        )

    own = visitor(world, "both")
    refused = _decide(own, _path(line), "released")

    assert "四个分离" in own.get(_path(line)).text or refused.status_code == 403
    assert refused.status_code == 403
    assert world.rows(QuarantineDecision) == []
    _decide(visitor(world, "reviewer"), _path(line), "kept")
    (side,) = world.rows(CaseSide, person_id=world.users["reviewer"])
    assert (side.case_id, side.side) == (device.inspection, "review")


def test_another_bureau_sees_nothing_of_it(world):
    device = world.on_patrol()
    line = device.write("note.added", officer=new_id(), inspection=device.inspection, text="旁注")
    world.push(device)
    world.push(device, b"{}\n")
    add_stranger(world)
    stranger = visitor(world, "stranger")

    assert line.digest[:12] not in stranger.get("/quarantine").text
    for path in (_path(line), "/quarantine/bytes/1"):
        assert stranger.get(path).status_code == 404
        assert _decide(stranger, path, "kept").status_code == 404


@pytest.mark.parametrize(
    "path", ["line/x", "bytes/x", "bytes/9999999999999", "bytes/01", "media/x", "other/x"]
)
def test_what_was_never_quarantined_is_not_found(world, path):
    assert visitor(world, "reviewer").get(f"/quarantine/{path}").status_code == 404


def test_the_list_is_narrowed_and_paged_and_forgets_nothing(world, monkeypatch):
    monkeypatch.setattr("server.operations.quarantine_view.PAGE", 3)
    device = world.on_patrol()
    lines = [device.write("future.act", a=n) for n in range(7)]
    world.push(device)
    world.push(device, b"{}\n")
    browser = visitor(world, "reviewer")
    _decide(browser, _path(lines[0]), "kept", "不采用")

    def listed(query=""):
        found, address = [], f"/quarantine?{query}"
        while address:
            page = browser.get(address).text
            found += page.split('<th scope="row"><a href="/quarantine/')[1:]
            older = page.split('class="button plain" href="/quarantine?before=')
            address = f"/quarantine?before={older[1].split(chr(34))[0]}" if older[1:] else ""
            address = address.replace("&amp;", "&")
        return len(found)

    assert listed() == 8
    assert listed("state=waiting") == 7
    assert listed("state=kept") == 1
    assert listed("kind=bytes") == 1
    assert listed("code=projection.unknown_act") == 7
    assert browser.get("/quarantine?state=x").status_code == 422
    assert browser.get("/quarantine?before=x").status_code == 422


def test_each_entry_that_is_read_leaves_a_view_of_its_own(world):
    device = world.on_patrol()
    first, second = (
        device.write("note.added", officer=new_id(), inspection=device.inspection, text=text)
        for text in ("甲", "乙")
    )
    world.push(device)
    browser = visitor(world, "supervisor")

    for line in (first, second, first):
        browser.get(_path(line))

    seen = [v["snapshot"]["query"] for v in views(world) if v["subject"]["page"] == "quarantined"]
    assert seen == [f"line:{first.digest}", f"line:{second.digest}"]


def test_the_inspection_says_how_many_lines_wait_were_kept_and_released(world):
    device = world.on_patrol()
    lines = [
        device.write("note.added", officer=new_id(), inspection=device.inspection, text=f"{n}")
        for n in range(3)
    ]
    world.push(device)
    browser = visitor(world, "reviewer")
    _decide(browser, _path(lines[0]), "kept")
    _decide(browser, _path(lines[1]), "released")

    page = browser.get(f"/inspections/{device.inspection}").text
    english = browser.get(f"/inspections/{device.inspection}?lang=en").text

    assert "待处理 1 行，留存不采用 1 行，经审核放行 1 行" in page
    assert "1 lines wait, 1 were kept back, 1 were released" in english
