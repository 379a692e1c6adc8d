"""A reviewer's word: who may give it, what it needs, and that it stays; on both databases."""

import json

import pytest
from sqlalchemy.exc import IntegrityError

from server.db import transaction
from server.models.inspections import CaseSide, EvidenceItem, Judgement
from server.models.ledger import LedgerEvent
from tests.support.console import add_user, console_world, make_case, visitor


@pytest.fixture
def scene(database_url, tmp_path):
    world = console_world(database_url, tmp_path / "var")
    return world, make_case(world, checked=False)


def _judge(browser, item, verdict, reason="", seen=0):
    page = f"/items/{item}"
    form = {"verdict": verdict, "reason": reason, "seen": str(seen)}
    return browser.post(f"{page}/judgements", form, page=page)


def test_a_judgement_gives_the_item_its_state_and_stands_in_the_ledger(scene):
    world, case = scene
    item = case.items["废水总排口"]
    browser = visitor(world, "reviewer")

    answer = _judge(browser, item, "accepted")

    assert answer.status_code == 303
    (row,) = world.rows(EvidenceItem, id=item)
    (event,) = world.rows(LedgerEvent, kind="review")
    told = json.loads(event.event)
    assert row.state == "accepted"
    assert told["actor"]["person"] == world.users["reviewer"]
    assert told["subject"]["item"] == item
    assert told["snapshot"] == {"verdict": "accepted", "reason": ""}


def test_a_second_judgement_stands_beside_the_first(scene):
    world, case = scene
    item = case.items["废水总排口"]
    browser = visitor(world, "reviewer")
    _judge(browser, item, "questioned", "时间存疑")

    _judge(browser, item, "rejected", "与现场不符", seen=1)

    page = browser.get(f"/items/{item}").text
    assert "时间存疑" in page
    assert "与现场不符" in page
    assert [row.verdict for row in world.rows(Judgement)] == ["questioned", "rejected"]


@pytest.mark.parametrize("verdict", ["questioned", "rejected"])
def test_doubt_and_rejection_need_a_reason_and_keep_what_was_typed(scene, verdict):
    world, case = scene
    browser = visitor(world, "reviewer")

    answer = _judge(browser, case.items["废水总排口"], verdict, "   ")

    assert answer.status_code == 422
    assert "须写明理由" in answer.text
    assert f'value="{verdict}" required checked' in answer.text
    assert world.rows(Judgement) == []


def test_what_has_not_arrived_or_was_discarded_cannot_be_judged(scene):
    world, case = scene
    browser = visitor(world, "reviewer")

    for title in ("危废暂存间", "误拍地面"):
        assert _judge(browser, case.items[title], "accepted").status_code == 409


def test_two_reviewers_at_once_cannot_overlook_each_other(scene):
    world, case = scene
    item = case.items["废水总排口"]
    with world.app.app_context(), transaction() as session:
        add_user(session, world.organization, "second", ("reviewer",), world.now_ms, world.hash)
    _judge(visitor(world, "reviewer"), item, "accepted", seen=0)

    answer = _judge(visitor(world, "second"), item, "rejected", "没有看到前一意见", seen=0)

    assert answer.status_code == 409
    assert len(world.rows(Judgement)) == 1


def test_an_officer_of_the_inspection_may_not_review_it_and_is_told_why(scene):
    world, case = scene
    with world.app.app_context(), transaction() as session:
        add_user(
            session,
            world.organization,
            "both",
            ("reviewer",),
            world.now_ms,
            world.hash,
            person=world.persons[1],
        )
    browser = visitor(world, "both")
    item = case.items["废水总排口"]

    page = browser.get(f"/items/{item}").text
    answer = _judge(browser, item, "accepted")

    assert "四个分离" in page
    assert answer.status_code == 403
    assert "四个分离" in answer.text
    assert world.rows(Judgement) == []


def test_the_database_itself_refuses_a_judgement_from_another_side(scene):
    world, case = scene

    with pytest.raises(IntegrityError), world.app.app_context(), transaction() as session:
        session.add(
            Judgement(
                id=case.inspection,
                item_id=case.items["废水总排口"],
                case_id=case.inspection,
                person_id=world.persons[0],
                side="review",
                verdict="accepted",
                reason="",
                judged_at_ms=1,
                generation=1,
                ledger_index=1,
            )
        )


def test_a_reviewer_cannot_join_another_side_afterwards(scene):
    world, case = scene
    _judge(visitor(world, "reviewer"), case.items["废水总排口"], "accepted")

    with pytest.raises(IntegrityError), world.app.app_context(), transaction() as session:
        row = session.get_one(CaseSide, (case.inspection, world.users["reviewer"]))
        row.side = "execute"
        session.flush()


def test_the_whole_way_of_a_reviewer_works_on_this_database(database_url, tmp_path):
    world = console_world(database_url, tmp_path / "var")
    case = make_case(world)
    browser = visitor(world, "reviewer")
    item = case.items["废水总排口"]

    for path in (
        "/",
        f"/?q={case.inspection}",
        "/?q=化工",
        f"/inspections/{case.inspection}",
        f"/items/{item}",
        f"/items/{item}/thumbnail",
        f"/items/{item}/original",
        "/quarantine",
    ):
        assert browser.get(path).status_code == 200, path
    assert visitor(world, "administrator").get("/devices").status_code == 200
