"""Bad links and bad answers: what arrived is not sent again, and nothing false is believed."""

import json
import os

import pytest

from bench.badlink import fill, sync_all
from server.models.journal import JournalLine
from sync.client.device import Device
from sync.client.errors import CaptivePortal, LedgerForked, ReceiptInvalid, ServerUnavailable
from tests.protocol.conftest import sign_checkpoint
from tests.support.badnet import Fault
from tests.support.fieldkit import lines_of, write
from tests.support.narrowlink import LinkClock, NarrowLink


def pushes(network):
    return [path for method, path, _ in network.seen if method == "POST" and "/journal/" in path]


def test_a_link_that_cuts_three_exchanges_in_ten_costs_few_bytes_more(world, network, tmp_path):
    spent = {}
    for rate in (0.0, 0.3):
        clock = LinkClock(world.now_ms)
        link = NarrowLink(f"http://{network.upstream}", clock, seed=11)
        with link, Device.open(tmp_path / str(rate), clock=clock) as device:
            device.enrol(server=link.url, code=world.code())
            fill(device, world, 200)
            spent[rate] = sync_all(device, link, clock, rate)
            rows = world.rows(JournalLine, device_id=device.enrolment.device)
            assert [row.digest for row in rows] == [x.digest for x in lines_of(device)]

    assert spent[0.3]["cut"] > 0
    assert spent[0.3]["bytes"] <= 1.3 * spent[0.0]["bytes"]


def test_what_a_lost_answer_said_is_asked_for_and_nothing_is_sent_again(world, device, network):
    inspection = device.open_inspection(world.officers).inspection
    device.note(inspection, "排放口有泡沫")
    network.once(Fault.REPLY_LOST, "POST", "/journal/")

    report = device.sync()

    assert report.complete, report.problems
    assert len(pushes(network)) == 1
    stored = world.rows(JournalLine, device_id=device.enrolment.device)
    assert len(stored) == len(lines_of(device))


def test_a_line_held_back_while_its_answer_was_lost_is_known_to_be_held_back(world, enrol, network):
    first, second = enrol("first"), enrol("second")
    inspection = first.open_inspection(world.officers).inspection
    second.open_inspection(world.officers)
    with second._outbox.transaction() as db:
        db.execute("UPDATE inspection SET id = ?", (inspection,))
    second.note(inspection, "the server has not heard of this inspection")
    network.once(Fault.REPLY_LOST, "POST", "/journal/")

    early = second.sync()
    first.sync()
    late = second.sync()

    assert (early.lines_quarantined, late.lines_quarantined) == (1, 0)


def test_a_file_goes_on_as_long_as_each_cut_piece_brings_bytes_forward(
    world, device, network, tmp_path
):
    inspection = device.open_inspection(world.officers).inspection
    photo = write(tmp_path / "a.jpg", b"\xff\xd8\xff" + os.urandom(60_000))
    device.capture(photo, inspection)
    cuts = iter(range(10))
    network.plan = lambda method, _path: (
        Fault.REQUEST_CUT if method == "PATCH" and next(cuts, None) is not None else Fault.NONE
    )

    report = device.sync()

    assert report.complete, report.problems
    assert next(cuts, None) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: [],
        lambda answer: {**answer, "results": "none"},
        lambda answer: {**answer, "receipts": [1]},
        lambda answer: {**answer, "next_seq": -1},
        lambda answer: {**answer, "next_seq": 10**400},
        lambda answer: {"results": []},
        lambda answer: json.loads("[" * 900 + "]" * 900),
    ],
)
def test_an_answer_of_another_form_is_not_taken_for_a_receipt(device, network, change):
    network.forge_json("/journal/", change)

    report = device.sync()

    assert [type(error) for error in report.problems] == [CaptivePortal]
    assert report.lines_safe == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda answer, other: {**answer, "receipts": []},
        lambda answer, other: {**answer, "receipts": other},
        lambda answer, other: {
            **answer,
            "receipts": [f"{note[:-9]}AAAAAA==\n" for note in answer["receipts"]],
        },
        lambda answer, other: {**answer, "results": []},
        lambda answer, other: {
            **answer,
            "results": [{**result, "digest": "0" * 64} for result in answer["results"]],
        },
    ],
    ids=["none", "another device's", "forged", "no results", "about other lines"],
)
def test_no_line_is_safe_by_a_receipt_that_does_not_prove_it(world, enrol, network, change):
    other = enrol("other")
    other.sync()
    receipts = [row[0] for row in other._outbox.db.execute("SELECT note FROM receipt")]
    device = enrol("device")
    network.forge_json("/journal/", lambda answer: change(answer, receipts))

    report = device.sync()

    assert [type(error) for error in report.problems] == [ReceiptInvalid]
    assert report.lines_safe == 0
    network.calm()
    assert device.sync().complete


def test_an_endless_answer_is_not_read_to_its_end(device, network, monkeypatch):
    monkeypatch.setattr("sync.client.link._MAX_ANSWER_BYTES", 100_000)
    network.forge = lambda path, status, headers, body: (status, headers, body + b" " * 200_000)

    report = device.sync()

    assert [type(error) for error in report.problems] == [CaptivePortal]


def test_a_checkpoint_of_the_past_is_an_alarm_and_evidence_still_goes_out(world, device, network):
    old = device._outbox.meta("checkpoint")
    device.sync()
    sign_checkpoint(world)
    device.sync()
    network.forge_json("/hello", lambda hello: {**hello, "checkpoint": old})

    report = device.sync()

    assert [type(error) for error in report.problems] == [LedgerForked]
    assert report.lines_unsent == 0
    assert report.alarms


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ([("Retry-After", "7")], 7),
        (
            [
                ("Retry-After", "Mon, 04 May 2026 09:00:09 GMT"),
                ("Date", "Mon, 04 May 2026 09:00:00 GMT"),
            ],
            9,
        ),
        ([("Retry-After", "86400")], 120),
    ],
    ids=["seconds", "date by the server's own clock", "too long"],
)
def test_a_busy_server_is_given_the_pause_it_asks_for(device, network, headers, pause_s):
    network.forge = lambda *_: (503, headers, b"")

    report = device.sync()

    assert [type(error) for error in report.problems] == [ServerUnavailable]
    assert set(device._clock.slept) == {pause_s}


@pytest.mark.parametrize("asked", ["soon", "-1", "NaN", "Mon, 99 May 2026"])
def test_a_pause_that_cannot_be_read_is_a_random_one(device, network, asked):
    network.forge = lambda *_: (503, [("Retry-After", asked)], b"")

    device.sync()

    assert len(set(device._clock.slept)) > 1
    assert max(device._clock.slept) <= 20
