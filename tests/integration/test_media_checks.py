"""From bytes in the store to findings at the item: the worker's round, with real parts."""

import base64
import hashlib
import json
from collections import Counter

import pytest

from media import findings
from media.store import ObjectMissing
from server.db import reading
from server.models.inspections import (
    Derivative,
    Document,
    EvidenceItem,
    Finding,
    ItemCheck,
    MediaFacts,
)
from server.models.traits import MediaTrait
from server.operations import media_checks
from server.operations.access import Actor
from server.operations.desk import read_desk
from server.operations.doubts import doubts_of
from server.operations.media_checks import examining, keeping, rounds
from server.operations.serving import serving_of
from server.operations.standing import standing_checks
from tests.support import draw
from tests.support.simdevice import MORNING_MS, new_id
from tests.support.world import make_world

_AT_MORNING = "2026:05:04 09:00:20"


@pytest.fixture
def world(database_url, tmp_path, s3):
    return make_world(database_url, tmp_path / "var", s3)


def _capture(world, device, data, **changes):
    fields = {
        "officer": world.officers[0],
        "inspection": device.inspection,
        "item": new_id(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "media_type": "image/jpeg",
        "class": "B",
        "pos": {"lat": 225431000, "lon": 1140579000, "acc": 500, "fix_ms": device.now_ms},
    }
    return device.write("media.captured", **{**fields, **changes}).act["item"]


def _compare_clock(device):
    """The device's clock is right, and the server knows."""
    device.write("clock.compared", server_ms=device.now_ms, offset_ms=0, error_ms=50)


def _upload(world, device, data, sha256=None):
    digest = sha256 or hashlib.sha256(data).hexdigest()
    tus = {**device.headers, "Tus-Resumable": "1.0.0"}
    made = world.client.post(
        "/api/v1/uploads",
        headers={
            **tus,
            "Upload-Length": str(len(data)),
            "Upload-Metadata": "sha256 " + base64.b64encode(digest.encode()).decode(),
        },
    )
    assert made.status_code == 201, made.text
    return world.client.patch(
        made.headers["Location"].removeprefix("http://localhost"),
        data=data,
        headers={**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
    )


def _check(world):
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)


def _codes(world, item):
    return {row.code: row.severity for row in world.rows(Finding, item_id=item)}


def test_a_photo_that_agrees_with_everything_has_no_findings(world):
    device = world.on_patrol()
    data = draw.photo(draw.exif(taken=_AT_MORNING, zone="+08:00"))
    item = _capture(world, device, data)
    world.push(device)

    _upload(world, device, data)
    _check(world)

    (row,) = world.rows(EvidenceItem)
    (check,) = world.rows(ItemCheck)
    assert (row.state, row.check_wanted, check.verdict) == ("checked", False, "consistent")
    assert _codes(world, item) == {}
    (facts,) = world.rows(MediaFacts)
    assert "DateTimeOriginal" in facts.facts
    assert json.loads(facts.second)["values"]
    (thumbnail,) = world.rows(Derivative)
    assert world.services.store.read(thumbnail.key, 0, 2) == b"\xff\xd8"


@pytest.mark.parametrize(
    ("compared", "severity", "verdict"),
    [(True, "fail", "inconsistent"), (False, "warn", "explainable")],
)
def test_a_photo_of_another_day_fails_if_its_clock_was_compared(world, compared, severity, verdict):
    device = world.on_patrol()
    if compared:
        _compare_clock(device)
    data = draw.photo(draw.exif(taken="2026:05:02 09:00:20", zone="+08:00"))
    item = _capture(world, device, data)
    world.push(device)

    _upload(world, device, data)
    _check(world)

    assert _codes(world, item)["TIME_OUTSIDE_WINDOW"] == severity
    (check,) = world.rows(ItemCheck)
    assert check.verdict == verdict


def test_a_seal_that_comes_later_makes_a_second_run_beside_the_first(world):
    device = world.on_patrol()
    _compare_clock(device)
    data = draw.photo(draw.exif(taken="2026:05:04 09:30:00", zone="+08:00"))
    item = _capture(world, device, data)
    world.push(device)
    _upload(world, device, data)
    _check(world)
    first = _codes(world, item)
    device.write(
        "inspection.sealed",
        officer=world.officers[0],
        inspection=device.inspection,
        revisions=[],
        media=[],
        heads=[],
    )

    world.push(device, device.body(len(device.lines) - 1))
    _check(world)

    assert "TIME_OUTSIDE_WINDOW" not in first
    assert len(world.rows(ItemCheck)) == 2
    assert _codes(world, item)["TIME_OUTSIDE_WINDOW"] == "fail"


def test_other_bytes_than_announced_are_kept_apart_and_shown_at_the_item(world):
    device = world.on_patrol()
    announced = draw.photo(colour="red")
    item = _capture(world, device, announced)
    world.push(device)

    answer = _upload(
        world, device, draw.photo(colour="blue"), hashlib.sha256(announced).hexdigest()
    )

    assert answer.status_code == 460
    assert _codes(world, item) == {"DIGEST_MISMATCH": "fail"}
    (row,) = world.rows(EvidenceItem)
    assert row.state == "captured"


def test_media_that_comes_before_its_line_is_linked_when_the_line_comes(world):
    device = world.on_patrol()
    world.push(device)
    data = draw.photo(draw.exif(taken=_AT_MORNING, zone="+08:00"), colour="navy")
    _upload(world, device, data)

    _capture(world, device, data)
    world.push(device, device.body(4))
    _check(world)

    (row,) = world.rows(EvidenceItem)
    assert row.state == "checked"


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a not a photo",
        b"MZ\x90\x00 a program",
        draw.bare_jpeg(
            draw.app1(b"II*\x00\x08\x00\x00\x00\x01\x00\x7c\x92\x07\x00\x00\xca\x9a\x3b" + bytes(8))
        ),
    ],
    ids=["named_jpg", "program", "makernote_bomb"],
)
def test_a_file_that_is_no_photo_is_checked_and_says_so(world, data):
    device = world.on_patrol()
    item = _capture(world, device, data)
    world.push(device)

    _upload(world, device, data)
    _check(world)

    assert "TIME_ABSENT" in _codes(world, item)


def test_the_clock_of_the_device_is_taken_into_account(world):
    device = world.on_patrol()
    device.write("clock.compared", server_ms=MORNING_MS, offset_ms=-3_600_000, error_ms=50)
    data = draw.photo(draw.exif(taken=_AT_MORNING, zone="+08:00"), colour="olive")
    item = _capture(world, device, data)
    world.push(device)

    _upload(world, device, data)
    _check(world)

    assert _codes(world, item)["CLOCK_OFFSET"] == "warn"


def test_what_arrives_while_the_rules_compare_is_compared_in_another_run(world, monkeypatch):
    device = world.on_patrol()
    _compare_clock(device)
    data = draw.photo(draw.exif(taken="2026:05:04 09:30:00", zone="+08:00"), colour="maroon")
    item = _capture(world, device, data)
    world.push(device)
    _upload(world, device, data)
    device.write(
        "inspection.sealed",
        officer=world.officers[0],
        inspection=device.inspection,
        revisions=[],
        media=[],
        heads=[],
    )
    compare = rounds.compare

    def compare_while_the_seal_arrives(read, context):
        monkeypatch.setattr(rounds, "compare", compare)
        world.push(device, device.body(len(device.lines) - 1))
        return compare(read, context)

    monkeypatch.setattr(rounds, "compare", compare_while_the_seal_arrives)
    _check(world)

    assert len(world.rows(ItemCheck)) == 2
    assert _codes(world, item)["TIME_OUTSIDE_WINDOW"] == "fail"


def test_two_workers_at_one_item_keep_one_check(world, monkeypatch):
    device = world.on_patrol()
    data = draw.photo(draw.exif(taken=_AT_MORNING, zone="+08:00"), colour="pink")
    _capture(world, device, data)
    world.push(device)
    _upload(world, device, data)
    read = examining.read_facts

    def read_while_another_worker_finishes(source):
        monkeypatch.setattr(examining, "read_facts", read)
        _check(world)
        return read(source)

    monkeypatch.setattr(examining, "read_facts", read_while_another_worker_finishes)
    _check(world)

    assert len(world.rows(ItemCheck)) == 1


def test_what_was_compared_is_kept_and_gives_the_same_findings_again(world):
    device = world.on_patrol()
    data = draw.photo(draw.exif(taken="2026:05:02 09:00:20", zone="+08:00"), colour="olive")
    _capture(world, device, data)
    world.push(device)
    _upload(world, device, data)
    _check(world)

    (check,), (facts,) = world.rows(ItemCheck), world.rows(MediaFacts)
    context = findings.context_from_json(check.context)
    claims = findings.claims(json.loads(facts.facts), context.hints, check.rule_version)
    found = findings.compare(claims, context, check.rule_version)

    assert findings.context_to_json(context) == check.context
    assert findings.to_json(claims) == check.claims
    assert sorted((one.code, one.severity) for one in found) == sorted(
        (row.code, row.severity) for row in world.rows(Finding)
    )


def test_a_picture_leaves_its_likeness_its_camera_and_a_preview(world):
    device = world.on_patrol()
    data = draw.photo(
        draw.exif(taken=_AT_MORNING, zone="+08:00", model="示例 X"), size=(3000, 1500)
    )
    _capture(world, device, data)
    world.push(device)
    _upload(world, device, data)
    _check(world)

    (facts,), (trait,) = world.rows(MediaFacts), world.rows(MediaTrait)
    pixels = json.loads(facts.pixels)
    assert (pixels["width"], pixels["height"]) == (3000, 1500)
    assert trait.likeness & (1 << 64) - 1 == int(pixels["likeness"], 16)
    quarters = (trait.quarter0, trait.quarter1, trait.quarter2, trait.quarter3)
    assert "".join(f"{quarter:04x}" for quarter in quarters) == pixels["likeness"]
    assert (trait.make, trait.model) == ("Drawn", "示例 X")
    made = {row.purpose: row for row in world.rows(Derivative)}
    assert set(made) == {"thumbnail", "preview"}
    assert "2048x2048" in made["preview"].recipe


def test_newer_rules_and_readers_go_over_what_older_ones_saw(world, monkeypatch):
    device = world.on_patrol()
    data = draw.photo(draw.exif(taken=_AT_MORNING, zone="+08:00"), colour="teal")
    _capture(world, device, data)
    world.push(device)
    _upload(world, device, data)
    _check(world)
    _check(world)
    assert len(world.rows(ItemCheck)) == 1

    for module in (rounds, findings):
        monkeypatch.setattr(module, "RULE_VERSION", "4")
    _check(world)
    assert sorted(row.rule_version for row in world.rows(ItemCheck)) == ["3", "4"]

    for module in (rounds, keeping, examining):
        monkeypatch.setattr(module, "READER_VERSION", "liuhen-next")
    _check(world)
    assert len(world.rows(MediaFacts)) == 2
    assert len(world.rows(ItemCheck)) == 3


@pytest.mark.parametrize("failure", [ObjectMissing("media/aa"), ValueError("a fault of ours")])
def test_items_that_cannot_be_read_wait_and_hold_up_none(world, monkeypatch, failure):
    device = world.on_patrol()
    pictures = [
        draw.photo(draw.exif(taken=_AT_MORNING, zone="+08:00"), size=(8, 8 + n)) for n in range(24)
    ]
    items = [_capture(world, device, data) for data in pictures]
    world.push(device)
    for data in pictures:
        _upload(world, device, data)
    examine = rounds.examine
    lost = set(items[:22]) - {items[2], items[5], items[8], items[11], items[14], items[17]}
    tried = []

    def examine_what_is_there(services, second, work):
        tried.append(work.item_id)
        if work.item_id in lost:
            raise failure
        return examine(services, second, work)

    monkeypatch.setattr(rounds, "examine", examine_what_is_there)
    memory = rounds.Rounds()
    for _ in range(12):
        with world.app.app_context():
            media_checks.check_waiting_items(world.services, memory)

    assert {row.item_id for row in world.rows(ItemCheck)} == set(items) - lost
    assert max(map(tried.count, lost)) == 1
    assert len(memory.later) == len(lost)


def _round(world, memory):
    """One round of the worker, an hour after the one before: every wait is over."""
    world.now_ms += 3_600_000
    with world.app.app_context():
        media_checks.check_waiting_items(world.services, memory)


def _failing(function, on):
    """``function``, but for a fault of ours where ``on`` says so."""

    def called(*arguments):
        if on(*arguments):
            raise ValueError("a fault of ours")
        return function(*arguments)

    return called


def test_a_file_that_our_reader_fails_on_is_checked_without_it_and_shown_to_nobody(
    world, monkeypatch
):
    device = world.on_patrol()
    bad, good = (draw.photo(draw.exif(taken=_AT_MORNING), size=(8, 8 + n)) for n in range(2))
    items = {data: _capture(world, device, data) for data in (bad, good)}
    world.push(device)
    for data in items:
        _upload(world, device, data)
    read = examining.read_facts
    fails = _failing(read, lambda source: source.size == len(bad))
    monkeypatch.setattr(examining, "read_facts", fails)

    memory = rounds.Rounds()
    tries = []
    for _ in range(4):
        _round(world, memory)
        tries.append(len(world.rows(ItemCheck, item_id=items[bad])))

    assert tries == [0, 0, 1, 1]
    assert len(world.rows(ItemCheck, item_id=items[good])) == 1
    (row,) = world.rows(EvidenceItem, id=items[bad])
    assert (row.state, row.check_wanted) == ("checked", False)
    codes = _codes(world, items[bad])
    assert codes["CHECK_FAILED"] == "undecided"
    assert not {"TIME_ABSENT", "TIME_INVALID"} & set(codes)
    with world.app.app_context(), reading() as session:
        served = serving_of(session, session.get_one(EvidenceItem, row.id))
    assert (served.media_type, served.shown_as) == ("application/octet-stream", "")
    assert not memory.faults
    assert not memory.later

    monkeypatch.setattr(examining, "read_facts", read)
    for module in (rounds, keeping, examining):
        monkeypatch.setattr(module, "READER_VERSION", "liuhen-next")
    _round(world, rounds.Rounds())

    newest = max(world.rows(ItemCheck, item_id=items[bad]), key=lambda check: check.id)
    assert not world.rows(Finding, check_id=newest.id, code="CHECK_FAILED")
    with world.app.app_context(), reading() as session:
        item = session.get_one(EvidenceItem, row.id)
        assert serving_of(session, item).shown_as == "picture"


def test_an_item_that_our_rules_fail_on_is_checked_without_them_until_there_are_newer_ones(
    world, monkeypatch
):
    device = world.on_patrol()
    data = draw.photo(draw.exif(taken=_AT_MORNING, zone="+08:00"))
    item = _capture(world, device, data)
    world.push(device)
    _upload(world, device, data)
    compare = rounds.compare
    monkeypatch.setattr(rounds, "compare", _failing(compare, lambda *_: True))

    memory = rounds.Rounds()
    for _ in range(4):
        _round(world, memory)

    (check,) = world.rows(ItemCheck)
    (found,) = world.rows(Finding, item_id=item)
    assert (check.verdict, check.claims) == ("explainable", "[]")
    assert (found.code, json.loads(found.evidence)["expected"]["reason"]) == (
        "CHECK_FAILED",
        "rules",
    )
    assert "DateTimeOriginal" in world.rows(MediaFacts)[0].facts

    monkeypatch.setattr(rounds, "compare", compare)
    for module in (rounds, findings):
        monkeypatch.setattr(module, "RULE_VERSION", "4")
    _round(world, rounds.Rounds())

    assert [row.rule_version for row in world.rows(ItemCheck)] == ["3", "4"]
    assert len(world.rows(Finding, item_id=item)) == 1


@pytest.mark.parametrize("part", ["reader", "rules"])
def test_a_failure_that_was_found_stands_while_our_own_part_fails_on_the_file(
    world, monkeypatch, part
):
    device = world.on_patrol()
    _compare_clock(device)
    data = draw.photo(draw.exif(taken="2026:05:02 09:00:20", zone="+08:00"))
    item = _capture(world, device, data)
    world.push(device)
    _upload(world, device, data)
    _round(world, rounds.Rounds())
    before, times = _stands(world, item)
    assert ("TIME_OUTSIDE_WINDOW", "fail") in before
    module, name = {"reader": (examining, "read_facts"), "rules": (rounds, "compare")}[part]
    working = getattr(module, name)

    monkeypatch.setattr(module, name, _failing(working, lambda *_: True))
    for newer in (rounds, keeping, examining):
        monkeypatch.setattr(newer, "READER_VERSION", "liuhen-next")
    memory = rounds.Rounds()
    for _ in range(4):
        _round(world, memory)

    assert _stands(world, item) == ([*before, ("CHECK_FAILED", "undecided")], times)
    assert len(world.rows(ItemCheck)) == 2

    monkeypatch.setattr(module, name, working)
    for newer in (rounds, keeping, examining):
        monkeypatch.setattr(newer, "READER_VERSION", "liuhen-later")
    _round(world, rounds.Rounds())

    assert _stands(world, item) == (before, times)


def _stands(world, item):
    """What every page says of an item: its findings, worst first, and the times in its file."""
    with world.app.app_context(), reading() as session:
        shown = [(one.code, one.severity) for one in doubts_of(session, [item])[item]]
        check = standing_checks(session, [item])[item]
        actor = Actor(
            user_id="", person_id="", name="", organization_id=world.organization, roles=frozenset()
        )
        (row,) = read_desk(session, actor, query="", after="").rows
    assert check.verdict == "inconsistent"
    assert row.findings == Counter(severity for _, severity in shown)
    (sent,) = world.rows(Document, kind="item", id=item)
    told = json.loads(sent.body)["check"]
    assert told["verdict"] == "inconsistent"
    assert Counter(map(tuple, map(dict.values, told["findings"]))) == Counter(shown)
    return shown, check.claims.count("DateTimeOriginal")


@pytest.mark.parametrize("failure", [ObjectMissing("media/aa"), OSError("no memory to fork")])
def test_a_fault_of_the_store_or_the_machine_is_waited_out_for_as_long_as_it_takes(
    world, monkeypatch, failure
):
    device = world.on_patrol()
    data = draw.photo(draw.exif(taken=_AT_MORNING, zone="+08:00"))
    item = _capture(world, device, data)
    world.push(device)
    _upload(world, device, data)
    examine = rounds.examine

    def away(*_):
        raise failure

    monkeypatch.setattr(rounds, "examine", away)
    memory = rounds.Rounds()
    for _ in range(5):
        _round(world, memory)
    assert world.rows(ItemCheck) == []

    monkeypatch.setattr(rounds, "examine", examine)
    world.now_ms += 86_400_000
    _round(world, memory)

    assert _codes(world, item) == {}
    assert len(world.rows(ItemCheck)) == 1
