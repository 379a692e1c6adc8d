"""Where a pushed line belongs, decided without a database."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.models.journal import MAIN
from server.operations.push import Refused
from server.operations.push.placing import Stored, place_lines
from sync.evidence.encoding import to_b64url
from sync.wire import Journal
from tests.support.simdevice import SimDevice


@pytest.fixture(scope="module")
def device():
    device = SimDevice()
    device.open_epoch()
    for number in range(6):
        device.write("future.act", n=number)
    return device


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 7)), max_size=8))
def test_any_overlapping_pushes_end_in_the_same_chain(device, cuts):
    heads, known, accepted = {}, {}, []
    for start, end in [*cuts, (0, 7)]:
        plan = place_lines(device.lines[start:end], heads, known)
        accepted += [p.line for p in plan.placed if p.journal is Journal.ACCEPTED]
        known |= {p.line.digest: Stored(p.branch, p.line.header.seq) for p in plan.placed}
        heads = plan.heads

    assert accepted == device.lines
    assert heads[MAIN].digest == device.head.digest
    assert list(heads) == [MAIN]


def test_a_refusal_ends_the_plan_but_keeps_what_came_before(device):
    plan = place_lines([device.lines[0], Refused(b"x", "c"), device.lines[1]], {}, {})

    assert [p.line for p in plan.placed] == [device.lines[0]]
    assert plan.refused == Refused(b"x", "c")
    assert plan.heads[MAIN].next_seq == 1


def test_an_epoch_cannot_begin_in_its_middle(device):
    plan = place_lines(device.lines[2:], {}, {})

    assert plan.placed == []
    assert plan.gap is device.lines[2]


def test_a_first_line_that_names_a_predecessor_is_refused_not_asked_for_again(device):
    stray = device.forge(
        ({"type": "epoch.opened", "spki": to_b64url(device.spki), "reason": "lost"},),
        seq=0,
        prev="ab" * 32,
    )

    plan = place_lines([stray], {}, {})

    assert plan.gap is None
    assert plan.refused.code == "journal.epoch_not_opened"


def test_another_key_may_not_continue_an_epoch(device):
    heads = place_lines(device.lines[:2], {}, {}).heads
    thief = SimDevice(id=device.id, epoch=device.epoch)
    line = thief.forge([{"type": "future.act"}], seq=2, prev=device.lines[1].digest)

    plan = place_lines([line], heads, {})

    assert plan.refused is not None
    assert plan.refused.raw == line.to_bytes()


def test_a_line_that_diverges_from_a_branch_beyond_the_main_chain_is_a_branch_too(device):
    main = place_lines(device.lines[:3], {}, {})
    second = device.forge([{"type": "future.act"}], seq=2, prev=device.lines[1].digest)
    third = device.forge([{"type": "future.act"}], seq=3, prev=second.digest)
    fourth = device.forge([{"type": "future.act"}], seq=4, prev=third.digest)
    branch = place_lines([second, third, fourth], main.heads, {})
    known = {p.line.digest: Stored(p.branch, p.line.header.seq) for p in branch.placed}
    again = device.forge([{"type": "future.act", "n": 2}], seq=4, prev=third.digest)
    astray = device.forge([{"type": "future.act", "n": 3}], seq=9, prev=third.digest)

    plan = place_lines([again, astray], branch.heads, known)

    assert [(p.branch, p.journal) for p in plan.placed] == [(again.digest, Journal.FORKED)]
    assert plan.gap is astray
