"""Sync by file between a device and the real application: disks go to and fro, no network."""

import shutil

import pytest

from server.models.inspections import Inspection
from server.models.journal import JournalLine
from server.models.uploads import QuarantinedMedia, Upload
from sync.carrier.errors import (
    CarrierDamaged,
    CarrierForeign,
    CarrierForged,
    CarrierIncomplete,
    CarrierReplayed,
    CarrierUnreadable,
    RecipientUnknown,
)
from sync.carrier.keys import load_key, make_key
from sync.carrier.reading import read_manifest
from sync.carrier.writing import SMALLEST_SPLIT
from sync.client.errors import LedgerForked
from tests.support.carrying import (
    assert_arrived,
    events_about,
    folder_of,
    forge_reply,
    ledger_size,
    patrol,
    publish,
    remember_another_ledger,
    reseal,
    revoke,
    spoil_line,
    take,
)
from tests.support.fieldkit import Signer, lines_of
from tests.support.rotating import begin, finish, grow


@pytest.fixture
def disk(tmp_path):
    """A removable disk: an empty folder."""
    path = tmp_path / "disk"
    path.mkdir()
    return path


def test_a_patrol_goes_out_on_a_disk_and_is_safe_once_the_reply_was_read(
    world, device, disk, tmp_path, network
):
    inspection = patrol(device, world, tmp_path, photos=(3000, 0, 20_000))
    network.seen.clear()

    written = device.write_carrier(disk)
    after_writing = device.status()
    taken, _ = take(world, folder_of(disk, written), disk)
    after_taking = device.status()
    (read,) = device.read_replies(disk).read

    assert (written.lines, written.media) == (len(lines_of(device)), 3)
    assert (taken.lines, taken.fresh, taken.media) == (written.lines, written.lines, 3)
    assert taken.complete
    assert not after_writing.clear
    assert not after_taking.clear
    assert (read.lines, read.media, read.problems) == (written.lines, 3, [])
    assert network.seen == []
    assert device.status().clear
    assert_arrived(world, device, inspection)
    assert device.sync().problems == []


def test_only_the_keys_of_server_and_device_open_what_is_on_the_disk(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    written = device.write_carrier(disk)
    _, reply = take(world, folder_of(disk, written), disk)
    make_key(tmp_path / "stranger.key")

    for folder in (folder_of(disk, written), reply):
        with pytest.raises(CarrierUnreadable):
            read_manifest(folder / "manifest.age", [load_key(tmp_path / "stranger.key")])
        everything = b"".join(file.read_bytes() for file in folder.iterdir())
        assert device.enrolment.device.encode() not in everything
        assert "晴".encode() not in everything


def test_the_same_carrier_taken_twice_changes_nothing(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    written = device.write_carrier(disk)
    take(world, folder_of(disk, written), disk)
    before = ledger_size(world), len(world.rows(Upload)), len(world.rows(JournalLine))

    again, _ = take(world, folder_of(disk, written), disk)

    assert (ledger_size(world), len(world.rows(Upload)), len(world.rows(JournalLine))) == before
    assert (again.lines, again.fresh, again.media) == (written.lines, 0, 1)
    assert len(device.read_replies(disk).read) == 2
    assert device.status().clear


def test_the_ledger_says_once_who_took_which_carrier(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    written = device.write_carrier(disk)

    take(world, folder_of(disk, written))
    take(world, folder_of(disk, written))

    (told,) = [
        event
        for event in events_about(world, f"device:{device.enrolment.device}")
        if '"kind":"media"' in event
    ]
    assert written.carrier in told
    assert world.persons[0] in told


def test_parts_on_several_discs_may_come_in_any_order(world, device, disk, tmp_path):
    inspection = patrol(device, world, tmp_path, photos=(700_000,))
    written = device.write_carrier(disk, split=SMALLEST_SPLIT)
    whole = folder_of(disk, written)
    discs = [tmp_path / f"disc{n}" / whole.name for n in range(written.parts)]
    for number, disc in enumerate(discs, start=1):
        disc.mkdir(parents=True)
        shutil.copy(whole / f"part-{number:06}.age", disc)
    # Only the disc that is shown first needs the manifest.
    shutil.copy(whole / "manifest.age", discs[-1])

    results = [take(world, disc)[0] for disc in reversed(discs)]

    assert written.parts >= 3
    assert [taken.complete for taken in results] == [False] * (written.parts - 1) + [True]
    assert results[0].waiting == [written.parts]
    assert_arrived(world, device, inspection)
    assert not (world.settings.data_dir / "carriers" / written.carrier).exists()


def test_a_damaged_part_costs_only_what_is_in_it(world, device, disk, tmp_path):
    inspection = patrol(device, world, tmp_path, photos=(1000, 400_000))
    written = device.write_carrier(disk, split=SMALLEST_SPLIT)
    last = folder_of(disk, written) / f"part-{written.parts:06}.age"
    flipped = bytearray(last.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    last.write_bytes(flipped)

    taken, _ = take(world, folder_of(disk, written), disk)
    first = device.read_replies(disk).read[0]
    second = device.write_carrier(disk)
    take(world, folder_of(disk, second), disk)
    device.read_replies(disk)

    assert taken.damaged == [written.parts]
    assert (taken.lines, taken.media) == (written.lines, 1)
    assert (first.lines_unsent, first.media_unsent) == (0, 1)
    assert (second.lines, second.media) == (0, 1)
    assert device.status().clear
    assert_arrived(world, device, inspection)


def test_carriers_may_overlap_and_their_replies_come_in_any_order(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    first = device.write_carrier(disk)
    inspection = patrol(device, world, tmp_path)
    second = device.write_carrier(disk)
    places = [tmp_path / "earlier", tmp_path / "later"]
    for place, written in zip(places, (first, second), strict=True):
        place.mkdir()
        take(world, folder_of(disk, written), place)

    read = [device.read_replies(place).read[0] for place in reversed(places)]

    assert second.lines > first.lines
    assert [reply.problems for reply in read] == [[], []]
    assert device.status().clear
    assert_arrived(world, device, inspection)


def test_documents_come_back_with_the_reply_which_is_read_once(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    publish(world, "新建单位")
    written = device.write_carrier(disk)
    _, reply = take(world, folder_of(disk, written), disk)
    (read,) = device.read_replies(disk).read
    publish(world, "改名单位")
    device.sync()

    with pytest.raises(CarrierReplayed):
        device.read_replies(reply)

    assert read.documents > 0
    assert device.documents.body("entity", "carried")["name"] == "改名单位"


def test_a_reply_that_comes_late_does_not_set_documents_back(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    publish(world, "旧名")
    written = device.write_carrier(disk)
    take(world, folder_of(disk, written), disk)
    publish(world, "新名")
    device.sync()

    (read,) = device.read_replies(disk).read

    assert (read.documents, read.problems) == (0, [])
    assert device.documents.body("entity", "carried")["name"] == "新名"


def test_a_revoked_device_hands_in_and_learns_nothing(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    written = device.write_carrier(disk)
    revoke(world, device)
    publish(world, "不下发")

    taken, _ = take(world, folder_of(disk, written), disk)
    (read,) = device.read_replies(disk).read

    rows = world.rows(JournalLine, device_id=device.enrolment.device)
    assert taken.revoked
    assert len(rows) == written.lines
    assert all(row.after_revocation for row in rows)
    assert (read.lines, read.documents, read.outcomes) == (written.lines, 0, 0)


def test_a_refused_line_costs_an_epoch_and_the_next_carrier_goes_on(world, device, disk, tmp_path):
    inspection = patrol(device, world, tmp_path)
    spoil_line(device, seq=4)

    taken, _ = take(world, folder_of(disk, device.write_carrier(disk)), disk)
    (read,) = device.read_replies(disk).read
    again = device.write_carrier(disk)
    take(world, folder_of(disk, again), disk)
    device.read_replies(disk)

    assert list(taken.stopped.values()) == ["journal.not_canonical"]
    assert [(seq, code) for _, seq, code in read.stopped] == [(4, "journal.not_canonical")]
    assert again.lines > 0
    assert world.rows(Inspection, id=inspection)[0].state == "sealed"


def test_a_file_that_went_bad_on_the_device_is_left_out_and_named(world, device, disk, tmp_path):
    patrol(device, world, tmp_path, photos=(3000, 5000))
    victim = max(device._folder.media.iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-1])

    written = device.write_carrier(disk)
    taken, _ = take(world, folder_of(disk, written))

    assert written.damaged == (victim.name,)
    assert (written.media, taken.media, taken.failed) == (1, 1, {})
    assert world.rows(QuarantinedMedia, device_id=device.enrolment.device) == []


def test_a_day_that_was_delivered_can_be_written_again(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    device.sync()

    nothing = device.write_carrier(disk)
    again = device.write_carrier(disk, since_ms=world.now_ms - 86_400_000)

    assert (nothing.lines, nothing.media, nothing.parts) == (0, 0, 0)
    assert (again.lines, again.media) == (len(lines_of(device)), 1)


def test_a_device_that_does_not_know_the_recipient_writes_nothing(device, disk):
    with device._outbox.transaction() as db:
        db.execute("DELETE FROM meta WHERE name = 'carrier_recipient'")

    with pytest.raises(RecipientUnknown):
        device.write_carrier(disk)

    assert list(disk.iterdir()) == []


def test_a_manifest_that_no_enrolled_device_signed_is_refused(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    folder = folder_of(disk, device.write_carrier(disk))
    before = ledger_size(world)
    reseal(world, folder, lambda _: bytes(63) + b"\x01")

    with pytest.raises(CarrierForged):
        take(world, folder)

    assert ledger_size(world) == before


def test_a_carrier_under_another_name_or_for_another_ledger_is_refused(
    world, device, disk, tmp_path
):
    patrol(device, world, tmp_path)
    folder = folder_of(disk, device.write_carrier(disk))
    before = ledger_size(world)

    renamed = folder.rename(disk / ("carrier-" + "0" * 32))
    with pytest.raises(CarrierForeign):
        take(world, renamed)
    folder = renamed.rename(folder)
    sign = device._journal._need_signer()[0].sign
    reseal(world, folder, sign, origin="elsewhere/liuhen/00000000")
    with pytest.raises(CarrierForeign):
        take(world, folder)
    (folder / "manifest.age").write_bytes(b"age-encryption.org/v1\n-> X25519 nothing")
    with pytest.raises(CarrierUnreadable):
        take(world, folder)
    (folder / "manifest.age").unlink()
    with pytest.raises(CarrierIncomplete):
        take(world, folder)

    assert ledger_size(world) == before


def test_a_part_of_another_carrier_in_its_place_is_not_taken(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    first = folder_of(disk, device.write_carrier(disk))
    patrol(device, world, tmp_path)
    second = folder_of(disk, device.write_carrier(disk))
    shutil.copy(first / "part-000001.age", second)

    taken, _ = take(world, second)

    assert (taken.damaged, taken.lines) == ([1], 0)


def test_a_reply_that_is_not_whole_ours_or_the_servers_changes_nothing(
    world, enrol, disk, tmp_path
):
    device, other = enrol("first"), enrol("second")
    patrol(device, world, tmp_path)
    _, reply = take(world, folder_of(disk, device.write_carrier(disk)), disk)
    part, content = reply / "part-000001.age", (reply / "part-000001.age").read_bytes()

    with pytest.raises(CarrierUnreadable):
        other.read_replies(disk)
    part.write_bytes(content[:-1])
    with pytest.raises(CarrierDamaged):
        device.read_replies(disk)
    part.unlink()
    with pytest.raises(CarrierIncomplete):
        device.read_replies(disk)
    part.write_bytes(content)
    forged = tmp_path / "forged" / reply.name
    shutil.copytree(reply, forged)
    forge_reply(device, forged, Signer(f"{device.enrolment.origin}/receipt"))
    with pytest.raises(CarrierForged):
        device.read_replies(forged)

    assert not device.status().clear
    device.read_replies(disk)
    assert device.status().clear


def test_a_rewritten_ledger_raises_the_alarm_over_a_disk_too(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    remember_another_ledger(world, device)
    take(world, folder_of(disk, device.write_carrier(disk)), disk)

    (read,) = device.read_replies(disk).read

    assert [type(problem) for problem in read.problems] == [LedgerForked]
    assert read.lines > 0
    assert len(device.status().alarms) == 1


def test_a_reply_carries_the_ledgers_other_key_to_a_device_without_a_network(
    world, device, disk, tmp_path
):
    patrol(device, world, tmp_path)
    written = device.write_carrier(disk)
    begin(world)
    finish(world)
    grow(world)

    take(world, folder_of(disk, written), disk)
    (read,) = device.read_replies(disk).read

    assert read.problems == []
    assert device.enrolment.ledger_key == world.services.ledger_signer.verifier_key
    again = device.write_carrier(disk)
    take(world, folder_of(disk, again), disk)
    assert device.read_replies(disk).read[-1].problems == []
