"""Hiding what the ledger holds from pages and packages: the audit names it all the same."""

import hashlib

import pytest

from server.db import transaction
from server.operations import ledger_audit, review
from server.operations.access import Actor
from tests.support.casework import Case
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.tampering import tamper, value
from tests.support.world import make_world


@pytest.fixture
def case(database_url, tmp_path):
    return Case(make_world(database_url, tmp_path / "var", store=MemoryStore()))


def _doubts(case):
    with case.world.app.app_context():
        reports = ledger_audit.audit(case.world.services, anew=True)
        return [(one.kind, one.place, one.found) for report in reports for one in report.doubts]


def _question(case, name):
    actor = Actor(
        user_id=new_id(),
        person_id=case.person("示例审核员"),
        name="示例审核员",
        organization_id=case.world.organization,
        roles=frozenset({"reviewer"}),
    )
    word = review.Word(verdict="questioned", reason="水印不符", seen=0)
    with case.world.app.app_context(), transaction() as session:
        review.judge(session, actor, case.items[name], word, now_ms=case.world.now_ms)


def test_a_case_that_nobody_touched_has_no_doubt(case):
    _question(case, "yard")

    assert _doubts(case) == []


def test_a_judgement_that_was_taken_off_its_case_is_named(case):
    _question(case, "yard")
    leaf = value(case.world, "SELECT leaf_index FROM ledger_event WHERE kind = 'review'")
    tamper(case.world, "judgement", "DELETE FROM judgement")
    tamper(case.world, "ledger_subject", "DELETE FROM ledger_subject WHERE leaf_index = :i", i=leaf)

    assert sorted(_doubts(case)) == [
        ("unlisted", str(leaf), f"inspection:{case.inspection}"),
        ("unlisted", str(leaf), f"item:{case.items['yard']}"),
    ]


def test_an_original_whose_row_and_bytes_went_together_is_named(case):
    sha256 = hashlib.sha256(case.media["yard"]).hexdigest()
    tamper(case.world, "media_object", "DELETE FROM media_object WHERE sha256 = :s", s=sha256)
    del case.world.store.objects[f"media/{sha256[:2]}/{sha256}"]

    assert [(kind, place) for kind, place, _ in _doubts(case)] == [("original", sha256)]


@pytest.mark.parametrize(
    "change", ["UPDATE line_outcome SET inspection_id = :other", "DELETE FROM line_outcome"]
)
def test_a_line_that_was_moved_out_of_its_case_is_named(case, change):
    last = value(
        case.world,
        "SELECT max(seq) FROM line_outcome WHERE device_id = :device AND inspection_id = :case",
        device=case.second.id,
        case=case.inspection,
    )
    tamper(
        case.world,
        "line_outcome",
        f"{change} WHERE device_id = :device AND seq = :last",
        device=case.second.id,
        last=last,
        **({"other": case.other} if ":other" in change else {}),
    )

    ((kind, place, _),) = _doubts(case)

    assert (kind, place.rpartition(":")[2]) == ("case", str(last))
