"""Lawful erasure at the console and on the command line."""

import json

import pytest
from click.testing import CliRunner

from server import jobs
from server.cli import cli
from server.models.erasure import ErasureOrder, LegalHold
from server.models.journal import JournalLine, LineOutcome
from tests.support.bureau import environment
from tests.support.console import console_world, make_case, visitor
from tests.support.erasing import BASIS, LAW, YEAR_MS


@pytest.fixture
def world(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


@pytest.fixture
def case(world):
    case = make_case(world, checked=False)
    world.now_ms += 31 * YEAR_MS
    return case


def _asked(world, case):
    administrator = visitor(world, "administrator")
    page = f"/inspections/{case.inspection}/erasure"
    answer = administrator.post(
        page,
        {"unit": "inspection", "seen": str(len(case.items)), "basis": BASIS, "law": LAW},
        page=page,
    )
    assert answer.status_code == 303, answer.text
    return world.rows(ErasureOrder)[0].id


def _work(world):
    queue = jobs.queue_of(world.app)
    while task := queue.dequeue():
        queue.execute(task)


def test_an_administrator_asks_a_leader_approves_and_the_worker_erases(world, case):
    order = _asked(world, case)
    leader = visitor(world, "leader")

    answer = leader.post(f"/erasure/{order}", {"decision": "approved"}, page="/erasure")
    _work(world)

    assert answer.status_code == 303, answer.text
    assert world.rows(ErasureOrder)[0].state == "done"
    for path in (f"/inspections/{case.inspection}", f"/items/{case.items['废水总排口']}"):
        shown = leader.get(path)
        assert shown.status_code == 200
        assert LAW in shown.text
        assert "已依法删除" in shown.text
        assert "废水总排口" not in shown.text
    waiting = world.rows(LineOutcome, projection="quarantined")[0]
    (line,) = world.rows(JournalLine, device_id=waiting.device_id, seq=waiting.seq)
    for path in ("/", "/quarantine", "/store", f"/quarantine/line/{line.digest}"):
        assert leader.get(path).status_code == 200
    gone = leader.get(f"/items/{case.items['废水总排口']}/original")
    assert gone.status_code == 404


def test_pages_of_a_case_that_is_due_speak_both_languages(world, case):
    supervisor = visitor(world, "supervisor")

    for path in ("/erasure", f"/inspections/{case.inspection}/erasure"):
        for lang in ("zh", "en"):
            page = supervisor.get(f"{path}?lang={lang}")
            assert page.status_code == 200
            assert 'name="basis"' not in page.text


def test_a_form_without_basis_comes_back_with_what_was_typed(world, case):
    administrator = visitor(world, "administrator")
    page = f"/inspections/{case.inspection}/erasure"

    answer = administrator.post(
        page, {"unit": "inspection", "seen": "6", "basis": "", "law": LAW}, page=page
    )

    assert answer.status_code == 422
    assert LAW in answer.text
    assert world.rows(ErasureOrder) == []


@pytest.mark.parametrize("form", [{"unit": "everything"}, {"unit": "inspection", "seen": "x"}])
def test_a_form_that_no_page_made_erases_nothing(world, case, form):
    administrator = visitor(world, "administrator")
    page = f"/inspections/{case.inspection}/erasure"

    answer = administrator.post(page, {"basis": BASIS, "law": LAW, **form}, page=page)

    assert answer.status_code in (400, 409)
    assert world.rows(ErasureOrder) == []


def test_a_hold_is_set_and_lifted_at_the_console(world, case):
    leader, administrator = visitor(world, "leader"), visitor(world, "administrator")
    page = f"/inspections/{case.inspection}/erasure"
    assert (
        leader.post(
            f"/inspections/{case.inspection}/holds", {"reason": "行政诉讼"}, page=page
        ).status_code
        == 303
    )
    hold = world.rows(LegalHold)[0].id
    assert 'name="basis"' not in administrator.get(page).text

    asked = administrator.post(f"/holds/{hold}/request", {"reason": "已判决"}, page=page)
    lifted = leader.post(f"/holds/{hold}/lifting", page=page)

    assert (asked.status_code, lifted.status_code) == (303, 303)
    assert world.rows(LegalHold)[0].lifted_by is not None
    assert 'name="basis"' in administrator.get(page).text


def test_the_command_line_lists_what_is_due_and_erases_nothing(
    world, case, database_url, tmp_path, s3, monkeypatch
):
    order = _asked(world, case)
    env = environment(tmp_path / "var", s3, LIUHEN_DATABASE_URL=database_url)

    monkeypatch.setattr("server.clock.now_ms", lambda: world.now_ms)
    listed = CliRunner().invoke(cli, ["erase", "list", "--json"], env=env)
    told = CliRunner().invoke(cli, ["erase", "show", order], env=env)

    assert listed.exit_code == 0, listed.output
    kinds = {row["kind"] for row in json.loads(listed.output)}
    assert kinds == {"expired", "order"}
    assert "待批准" in told.output
    assert "awaits approval" in told.output
    assert world.rows(ErasureOrder)[0].state == "requested"
