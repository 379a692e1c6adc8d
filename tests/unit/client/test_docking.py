"""Taking a recorder's card in: read-only, oldest first, everything listed."""

import hashlib
import os
from pathlib import Path

import pytest

from sync.client.errors import NoSession, PatternsInvalid, SourceUnreadable
from sync.client.recorders import NameFacts, NamePatterns
from tests.support.fieldkit import OFFICERS, acts_of, lines_of, write

EARLY = "DSJ00012_031234_20260314080000_0001_IMP.MP4"
LATE = "DSJ00012_031234_20260314092230_0002.MP4"


@pytest.fixture
def card(tmp_path):
    """Two recordings, the newer one with the older file time, and a log of the vendor's."""
    folder = tmp_path / "card"
    write(folder / "DCIM" / LATE, b"\x00\x00\x00\x18ftypmp42 late")
    write(folder / "DCIM" / EARLY, b"\x00\x00\x00\x18ftypmp42 early")
    write(folder / "device.log", b"vendor log")
    os.utime(folder / "DCIM" / LATE, (1_700_000_000, 1_700_000_000))
    return folder


def snapshot(folder):
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_recordings_are_imported_oldest_first_by_the_time_in_their_names(device, card):
    device.login(OFFICERS[0])

    done = device.import_folder(card)

    names = [act["name"] for act in acts_of(device, "media.imported")]
    assert names == [EARLY, LATE]
    assert (len(done.new), done.known, done.other, done.unreadable) == (2, 0, 1, ())


def test_an_import_carries_what_the_name_claims(device, card):
    device.login(OFFICERS[0])

    device.import_folder(card)

    act = acts_of(device, "media.imported")[0]
    assert act["class"] == "C"
    assert act["media_type"] == "video/mp4"
    source = act["source"]
    assert (source["recorder"], source["wearer"]) == ("DSJ00012", "031234")
    assert source["recorded_at"] == "2026-03-14T08:00:00"
    assert source["key_mark"] is True
    assert source["path"] == f"DCIM/{EARLY}"


def test_every_file_present_is_listed_imported_or_not(device, card):
    device.login(OFFICERS[0])

    done = device.import_folder(card)

    listing = acts_of(device, "import.listed")
    files = {entry["path"]: entry for page in listing for entry in page["files"]}
    assert {page["listing"] for page in listing} == {done.listing}
    assert files["device.log"]["imported"] is False
    assert files["device.log"]["sha256"] == hashlib.sha256(b"vendor log").hexdigest()
    assert files[f"DCIM/{LATE}"]["imported"] is True
    assert files[f"DCIM/{LATE}"]["mtime_ms"] == 1_700_000_000_000


def test_nothing_on_the_card_is_touched(device, card):
    device.login(OFFICERS[0])
    before = snapshot(card)

    device.import_folder(card)

    assert snapshot(card) == before


def test_a_second_run_imports_only_what_is_new(device, card):
    device.login(OFFICERS[0])
    device.import_folder(card)
    write(card / "DCIM" / "DSJ00012_031234_20260314100000_0003.MP4", b"third")
    write(card / "renamed" / LATE, (card / "DCIM" / LATE).read_bytes())

    again = device.import_folder(card)

    assert (len(again.new), again.known, again.other) == (1, 3, 1)
    assert len(acts_of(device, "media.imported")) == 3


def test_an_unreadable_file_costs_only_itself(device, card, monkeypatch):
    device.login(OFFICERS[0])
    real = type(device._folder).take

    def take(folder, source):
        if source.name == EARLY:
            raise SourceUnreadable(str(source), "Input/output error")
        return real(folder, source)

    monkeypatch.setattr(type(device._folder), "take", take)

    done = device.import_folder(card)

    assert done.unreadable == (f"DCIM/{EARLY}",)
    assert len(done.new) == 1
    listed = {e["path"]: e for act in acts_of(device, "import.listed") for e in act["files"]}
    assert listed[f"DCIM/{EARLY}"]["error"] == "client.source_unreadable"


def test_names_that_are_no_utf8_keep_their_raw_bytes(device, tmp_path):
    folder = os.fsencode(tmp_path / "card")
    os.mkdir(folder)
    name = b"\xb9\xcc\xb6\xa8.mp4"
    with open(folder + b"/" + name, "wb") as file:
        file.write(b"gbk name")
    device.login(OFFICERS[0])

    device.import_folder(tmp_path / "card")

    assert acts_of(device, "media.imported")[0]["source"]["path_b64"] == "ucy2qC5tcDQ="


def test_a_long_listing_goes_over_several_lines(device, tmp_path):
    for number in range(700):
        write(tmp_path / "card" / f"{number:04}.txt", b"%d" % number)
    device.login(OFFICERS[0])

    done = device.import_folder(tmp_path / "card")

    pages = acts_of(device, "import.listed")
    assert [page["page"] for page in pages] == list(range(len(done.pages)))
    assert {page["pages"] for page in pages} == {len(done.pages)}
    assert sum(len(page["files"]) for page in pages) == 700
    assert all(len(line.to_bytes()) <= 65_536 for line in lines_of(device))


def test_importing_needs_an_officer_and_a_folder(device, card):
    with pytest.raises(NoSession):
        device.import_folder(card)
    device.login(OFFICERS[0])
    with pytest.raises(SourceUnreadable):
        device.import_folder(card / "none")


def test_a_bureau_brings_its_own_name_patterns(tmp_path):
    path = write(
        tmp_path / "recorders.toml",
        b"extensions = ['mp4']\n[[recorder]]\n"
        b"pattern = 'cam(?P<recorder>\\d+)-(?P<time>\\d{12})(?P<key>!)?'\ntime = '%Y%m%d%H%M'\n",
    )

    patterns = NamePatterns.load(path)

    assert patterns.read("cam7-202603140922!.mp4") == NameFacts(
        recorder="7", recorded_at="2026-03-14T09:22:00", key_mark=True
    )
    assert patterns.read("holiday.mp4") == NameFacts()
    assert not patterns.is_media("a.jpg")


@pytest.mark.parametrize("content", [b"not toml", b"[[recorder]]\npattern = '('", b"x = 1"])
def test_patterns_that_cannot_be_used_are_refused_by_name(tmp_path, content):
    with pytest.raises(PatternsInvalid, match=r"recorders\.toml"):
        NamePatterns.load(write(tmp_path / "recorders.toml", content))


def test_an_impossible_time_in_a_name_claims_nothing():
    patterns = NamePatterns.load(Path("/nonexistent"))

    assert patterns.read("DSJ1_2_20261399999999.MP4").recorded_at == ""
