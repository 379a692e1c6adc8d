"""What the pages say of witnesses: who saw how much, and what nobody outside has seen."""

import re
from dataclasses import replace

import pytest

from server.operations import witnessing
from server.operations.witnessing import Reply
from sync.evidence.policy import parse_policy
from sync.witness.witness import Witness
from tests.support.console import console_world, make_case, visitor
from tests.support.restoring import restart, sign
from tests.support.witnesses import Stand, policy_of, serving


@pytest.fixture
def unwatched(database_url, tmp_path):
    """A case in the console of a bureau that has no witness."""
    world = console_world(database_url, tmp_path / "var")
    world.case = make_case(world)
    return world


@pytest.fixture
def watched(unwatched, tmp_path):
    """The same with a witness, which has seen nothing yet."""
    witness = Witness.make(tmp_path / "w", "witness.example/justice")
    witness.add_log(unwatched.services.ledger_signer.verifier_key)
    with serving(witness) as url:
        policy = parse_policy(policy_of([Stand(witness, url)], 1).encode())
        unwatched.settings = replace(unwatched.settings, witness_policy=policy)
        restart(unwatched)
        yield unwatched


def _round(world, post=None):
    sign(world)
    with world.app.app_context():
        witnessing.submit_to_witnesses(world.services, post=post)


def _page(world, path):
    answer = visitor(world, "supervisor").get(f"{path}?lang=en")
    assert answer.status_code == 200
    return answer.text


def _witnesses(world):
    return _page(world, "/store").partition('id="witnesses"')[2].partition("</section>")[0]


def test_a_bureau_without_a_witness_is_told_that_nobody_watches(unwatched):
    assert "LIUHEN_WITNESS_POLICY" in _witnesses(unwatched)
    item = _page(unwatched, f"/items/{unwatched.case.items['在线监测站房']}")
    assert "not witnessed outside" in item


def test_the_page_names_each_witness_and_what_it_has_not_seen(watched):
    before = _witnesses(watched)
    _round(watched)
    after = _witnesses(watched)

    assert "never" in before
    assert "witness.example/justice" in after
    assert "never" not in after
    assert "every event has been seen" in after
    # Looking at a page is an event, too, which nobody outside has seen yet.
    assert re.search(r"events: \d+", _witnesses(watched))


def test_an_item_and_its_inspection_say_that_they_were_witnessed(watched):
    case = watched.case
    _round(watched)

    item = _page(watched, f"/items/{case.items['在线监测站房']}")
    inspection = _page(watched, f"/inspections/{case.inspection}")

    assert "witnessed outside: within the first" in item
    assert "Witnessed outside" in inspection


def test_what_came_after_the_last_cosignature_is_said_to_be_unseen(watched):
    case = watched.case
    _round(watched)
    case.device.write(
        "note.added", officer=watched.officers[0], inspection=case.inspection, text="后来"
    )
    assert watched.push(case.device).status_code == 200

    page = _page(watched, f"/inspections/{case.inspection}")

    assert re.search(r"1 of \d+ lines not witnessed yet", page)


def test_a_witness_that_has_seen_more_is_an_alarm_on_the_page(watched):
    _round(
        watched,
        post=lambda _url, _body: Reply(status=409, kind="text/x.tlog.size", body=b"999999\n"),
    )

    section = _witnesses(watched)

    assert "witness.ahead" in section
    assert "liuhen-admin ledger status" in section
