"""What an inspector does without a network: each act is one durable, signed line."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from sync.client.device import Device
from sync.client.errors import (
    AlreadyDiscarded,
    AlreadySealed,
    FolderBusy,
    NoSession,
    NotEnrolled,
    PinTooShort,
    ReasonMissing,
    SealTooLarge,
    SourceUnreadable,
    TooFewOfficers,
    UnknownCandidate,
    UnknownDocument,
    UnknownField,
    UnknownInspection,
    WrongPin,
)
from sync.client.results import Position, Saved, Unchanged
from sync.evidence.acts import record_fields
from tests.support.fieldkit import OFFICERS, TEMPLATE, acts_of, lines_of, on_patrol, write


def test_an_epoch_begins_with_its_key_and_the_checkpoint_of_the_enrolment(device, kit):
    first = lines_of(device)[0]

    assert first.act["type"] == "epoch.opened"
    assert first.act["reason"] == "enrolled"
    assert (first.header.anchor.origin, first.header.anchor.size) == (kit.enrolment.origin, 1)


def test_opening_an_inspection_logs_missing_officers_in_and_says_how(device):
    device.login("示例001", method="pin", pin="482911")

    opened = device.open_inspection(["示例001", OFFICERS[1]], task="task-1", entity="entity-1")

    assert opened.confirmed == {OFFICERS[0]: "pin", OFFICERS[1]: "none"}
    act = acts_of(device, "inspection.opened")[0]
    assert act["officers"] == list(OFFICERS)
    assert (act["task"], act["entity"]) == ("task-1", "entity-1")


def test_an_inspection_needs_two_different_officers(device):
    with pytest.raises(TooFewOfficers):
        device.open_inspection(["示例001", OFFICERS[0]])


def test_an_officer_or_task_that_was_never_pulled_is_named(device):
    with pytest.raises(UnknownDocument, match="nobody"):
        device.open_inspection([OFFICERS[0], "nobody"])
    with pytest.raises(UnknownDocument, match="task-9"):
        device.open_inspection(OFFICERS, task="task-9")


def test_a_pin_is_set_once_and_then_asked_for(device):
    with pytest.raises(PinTooShort):
        device.login(OFFICERS[0], method="pin", pin="123")
    device.login(OFFICERS[0], method="pin", pin="482911")
    device.logout(OFFICERS[0])

    with pytest.raises(WrongPin):
        device.login(OFFICERS[0], method="pin", pin="482912")
    assert device.login("示例001", method="pin", pin="482911").method == "pin"
    assert device.has_pin("示例001")


def test_a_captured_file_lies_whole_in_the_folder_before_its_line_exists(device, kit, tmp_path):
    photo = write(tmp_path / "照片.jpg", b"\xff\xd8\xff\xe0" + b"p" * 5000)
    inspection = on_patrol(device)

    taken = device.capture(
        photo,
        inspection,
        title="排污口",
        fact_to_prove="夜间排放",
        position=Position(225431000, 1140579000, 650),
        capture_class="A",
    )

    act = acts_of(device, "media.captured")[0]
    kept = kit.folder / "media" / f"{taken.sha256}.jpg"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == taken.sha256 == act["sha256"]
    assert act["media_type"] == "image/jpeg"
    assert act["name"] == "照片.jpg"
    assert act["pos"] == {"lat": 225431000, "lon": 1140579000, "acc": 650}
    assert act["officer"] == OFFICERS[0]
    assert photo.exists()


def test_the_same_file_captured_twice_is_two_items_with_one_copy(device, kit, tmp_path):
    photo = write(tmp_path / "a.jpg", b"\xff\xd8\xff one")
    again = write(tmp_path / "b.jpeg", b"\xff\xd8\xff one")
    inspection = on_patrol(device)

    items = {device.capture(path, inspection).item for path in (photo, again)}

    assert len(items) == 2
    assert len(list((kit.folder / "media").iterdir())) == 1


def test_what_cannot_be_read_leaves_nothing_behind(device, kit, tmp_path):
    inspection = on_patrol(device)
    before = len(lines_of(device))

    with pytest.raises(SourceUnreadable):
        device.capture(tmp_path / "none.jpg", inspection)

    assert len(lines_of(device)) == before
    assert list((kit.folder / "media").iterdir()) == []


def test_capturing_needs_a_known_inspection_and_an_officer(device, tmp_path):
    photo = write(tmp_path / "a.jpg", b"x")
    with pytest.raises(UnknownInspection):
        device.capture(photo, "11111111-0000-4000-8000-000000000000")
    inspection = on_patrol(device)
    for officer in OFFICERS:
        device.logout(officer)

    with pytest.raises(NoSession):
        device.capture(photo, inspection)


def test_a_record_carries_only_what_changed_and_what_its_editor_saw(device):
    inspection = on_patrol(device)

    first = device.save_record(inspection, TEMPLATE, {"weather": "晴", "outlets": 2})
    second = device.save_record(inspection, TEMPLATE, {"weather": "晴", "outlets": 3})
    third = device.save_record(inspection, TEMPLATE, {"outlets": 3})

    assert isinstance(first, Saved)
    assert isinstance(second, Saved)
    assert first.record == second.record
    assert second.changed == ("outlets",)
    assert third == Unchanged(first.record)
    acts = acts_of(device, "record.saved")
    assert acts[1]["base"] == [first.place.digest]
    assert acts[1]["template"] == {"id": TEMPLATE, "version": 2}


def test_a_field_that_the_form_does_not_have_is_refused(device):
    inspection = on_patrol(device)

    with pytest.raises(UnknownField, match="smell"):
        device.save_record(inspection, TEMPLATE, {"smell": "strong"})


def test_text_is_signed_in_normal_form_c(device):
    inspection = on_patrol(device)

    device.save_record(inspection, TEMPLATE, {"weather": "e\u0301"})

    assert acts_of(device, "record.saved")[0]["fields"] == {"weather": "\u00e9"}
    assert isinstance(device.save_record(inspection, TEMPLATE, {"weather": "\u00e9"}), Unchanged)


def test_discarding_keeps_the_bytes_and_demands_a_reason(device, kit, tmp_path):
    inspection = on_patrol(device)
    taken = device.capture(write(tmp_path / "a.jpg", b"blurred"), inspection)

    with pytest.raises(ReasonMissing):
        device.discard(taken.item, "  ")
    device.discard(taken.item, "拍糊了")
    with pytest.raises(AlreadyDiscarded):
        device.discard(taken.item, "拍糊了")

    act = acts_of(device, "media.discarded")[0]
    assert (act["item"], act["reason"]) == (taken.item, "拍糊了")
    assert (kit.folder / "media" / f"{taken.sha256}.jpg").exists()


def test_a_seal_lists_every_revision_medium_and_head(device, tmp_path):
    inspection = on_patrol(device)
    saved = device.save_record(inspection, TEMPLATE, {"outlets": 1})
    kept = device.capture(write(tmp_path / "a.jpg", b"kept"), inspection)
    thrown = device.capture(write(tmp_path / "b.jpg", b"thrown"), inspection)
    device.discard(thrown.item, "重复")
    peer = device.peer_head(device="p", epoch="e", seq=4, head="a" * 64)

    sealed = device.seal(inspection)

    act = acts_of(device, "inspection.sealed")[0]
    assert act["revisions"] == [saved.place.digest]
    assert set(act["media"]) == {kept.sha256, thrown.sha256}
    assert act["heads"][0]["head"] == peer.digest
    assert act["heads"][1] == {"device": "p", "epoch": "e", "seq": 4, "head": "a" * 64}
    assert act["officers"] == list(OFFICERS)
    assert (sealed.revisions, sealed.media, sealed.heads) == (1, 2, 2)


def test_after_the_seal_a_remark_is_an_addendum_and_a_photo_is_still_taken(device, tmp_path):
    inspection = on_patrol(device)
    device.note(inspection, "before")
    device.seal(inspection)

    device.note(inspection, "after")
    device.capture(write(tmp_path / "late.jpg", b"late"), inspection)
    with pytest.raises(AlreadySealed):
        device.seal(inspection)

    kinds = [act["type"] for act in acts_of(device)]
    assert kinds.count("note.added") == kinds.count("addendum.added") == 1


def test_a_seal_that_does_not_fit_into_a_line_is_refused_by_number(device):
    inspection = on_patrol(device)
    with device._outbox.transaction() as db:
        db.executemany(
            "INSERT INTO revision (digest, inspection, record, template, fields)"
            " VALUES (?, ?, 'r', 't', '{}')",
            [(f"{n:064x}", inspection) for n in range(1200)],
        )

    with pytest.raises(SealTooLarge) as refused:
        device.seal(inspection)

    assert refused.value.listed == 1200


def test_a_second_process_is_told_that_the_folder_is_busy(device, kit):
    with pytest.raises(FolderBusy):
        kit.open()


def test_a_folder_without_enrolment_writes_nothing(tmp_path):
    with Device.open(tmp_path / "new") as device, pytest.raises(NotEnrolled):
        device.peer_head(device="p", epoch="e", seq=1, head="a" * 64)


def test_the_folder_and_the_key_belong_to_their_owner_alone(kit):
    assert kit.folder.stat().st_mode & 0o777 == 0o700
    assert (kit.folder / "key.pem").stat().st_mode & 0o777 == 0o600


def test_after_a_crash_half_copies_go_and_whole_copies_are_set_aside(kit):
    media = kit.folder / "media"
    write(media / "half.part", b"half")
    write(media / f"{'a' * 64}.jpg", b"whole")

    with kit.open() as device:
        state = device.status()

    assert list(media.iterdir()) == []
    assert state.orphans == (f"{'a' * 64}.jpg",)
    assert not state.clear


def test_lines_can_be_neither_changed_nor_deleted(device):
    db = device._outbox.db
    for statement in ("UPDATE line SET raw = x'00'", "DELETE FROM line"):
        with pytest.raises(Exception, match="never"):
            db.execute(statement)


def test_a_sensitive_field_is_signed_as_a_part_of_its_own(device):
    inspection = on_patrol(device)

    device.save_record(inspection, TEMPLATE, {"weather": "晴", "contact": {"name": "张三"}})

    line = lines_of(device)[-1]
    assert line.act["fields"] == {"weather": "晴"}
    assert (
        json.loads(line.parts[1]).items() >= {"field": "contact", "value": {"name": "张三"}}.items()
    )
    assert record_fields(line.parts) == {"weather": "晴", "contact": {"name": "张三"}}
    assert isinstance(
        device.save_record(inspection, TEMPLATE, {"contact": {"name": "张三"}}), Unchanged
    )


def test_a_fellow_officers_revision_that_came_down_counts_as_seen(device):
    inspection = on_patrol(device)
    with device._outbox.transaction():
        device.documents.apply([revision(inspection, "f" * 64, {"weather": "雨"})])

    saved = device.save_record(inspection, TEMPLATE, {"weather": "雨", "outlets": 3})

    act = acts_of(device, "record.saved")[0]
    assert (act["record"], act["base"]) == ("r", ["f" * 64])
    assert saved.changed == ("outlets",)
    device.seal(inspection)
    assert "f" * 64 in acts_of(device, "inspection.sealed")[0]["revisions"]


def test_an_addendum_settles_what_two_officers_wrote_apart(device):
    inspection = on_patrol(device)
    own = device.save_record(inspection, TEMPLATE, {"weather": "晴"})
    with device._outbox.transaction():
        change = revision(inspection, "f" * 64, {"weather": "雨"}, record=own.record)
        device.documents.apply([change])
    assert device.records(inspection)[0].merged.conflicts == ("weather",)

    device.settle(inspection, "以雨为准", record=own.record, field="weather", chosen="ffff")

    act = acts_of(device, "addendum.added")[0]
    assert act["chosen"] == "f" * 64
    assert sorted(act["base"]) == sorted([own.place.digest, "f" * 64])
    merged = device.records(inspection)[0].merged
    assert (merged.conflicts, merged.values) == ((), {"weather": "雨"})
    with pytest.raises(UnknownCandidate):
        device.settle(inspection, "x", record=own.record, field="weather", chosen="0000")


def test_a_record_goes_on_with_the_version_that_it_was_begun_on(device):
    inspection = on_patrol(device)
    device.save_record(inspection, TEMPLATE, {"outlets": 1})
    newer = {**device.documents.body("template", f"{TEMPLATE}.v2"), "version": 3}
    with device._outbox.transaction():
        device.documents.apply(
            [{"op": "put", "kind": "template", "id": f"{TEMPLATE}.v3", "body": newer}]
        )

    device.save_record(inspection, TEMPLATE, {"outlets": 2})
    device.save_record(on_patrol(device), TEMPLATE, {"outlets": 2})

    versions = [act["template"]["version"] for act in acts_of(device, "record.saved")]
    assert versions == [2, 2, 3]


def test_what_a_record_lacks_is_listed_and_hinders_no_seal(device):
    inspection = on_patrol(device)
    body = device.documents.body("template", f"{TEMPLATE}.v2")
    body["fields"][0]["required"] = True
    with device._outbox.transaction():
        device.documents.apply(
            [{"op": "put", "kind": "template", "id": f"{TEMPLATE}.v2", "body": body}]
        )

    without = device.lacking(inspection)
    device.save_record(inspection, TEMPLATE, {"outlets": 1})
    begun = device.lacking(inspection)

    assert [one.gap.kind for one in without] == ["no_record"]
    assert [(one.gap.kind, one.gap.path) for one in begun] == [("missing", ("weather",))]
    assert device.seal(inspection).revisions == 1


def revision(inspection, digest, fields, record="r"):
    """A fellow officer's revision as the feed brings it."""
    body = {
        "id": digest,
        "inspection": inspection,
        "record": record,
        "template": {"id": TEMPLATE, "version": 2},
        "fields": fields,
        "base": [],
    }
    return {"op": "put", "kind": "revision", "id": digest, "body": body}


def test_officers_who_begin_the_site_inspection_record_apart_write_one_record(device):
    """So that what they wrote merges; the id is the one that docs/protocol.md gives."""
    protocol = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text("utf-8")
    example = r"Inspection `(\S{36})` has the record `(\S{36})`"
    [(inspection, record)] = re.findall(example, protocol)
    device.open_inspection(OFFICERS, inspection=inspection)
    saved = device.save_record(inspection, TEMPLATE, {"weather": "晴"})
    assert saved.record == record
