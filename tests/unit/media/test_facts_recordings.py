"""What the readers find in recordings: container times and places, wherever they stand."""

import struct

import pytest

from media.facts import Facts, read_facts
from media.inspect import fields_of
from media.source import MemorySource
from tests.support import draw

CREATED = draw.seconds_1904(1777856523)  # 2026-05-04T01:02:03Z


def read(data: bytes) -> Facts:
    return read_facts(MemorySource(data))


@pytest.mark.parametrize("front", [True, False])
@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("version", [0, 1])
def test_the_creation_time_is_found_wherever_the_movie_box_stands(front, wide, version):
    data = draw.movie(draw.mvhd(CREATED, version=version), front=front, wide=wide)

    facts = read(data)

    assert (facts.type, facts.faults) == ("MP4", ())
    assert fields_of(facts)["av_created"] == "2026-05-04T01:02:03"
    assert fields_of(facts)["av_created_basis"] == "mvhd"


def test_a_movie_box_behind_gigabytes_is_reached_in_three_reads():
    head = draw.box(b"ftyp", b"isom", bytes(4))
    tail = draw.box(b"moov", draw.mvhd(CREATED))
    gap = 5_000_000_000

    class Sparse:
        """A file of which only the start and the end are held in memory."""

        size = len(head) + 16 + gap + len(tail)
        reads = 0

        def read(self, offset: int, n: int) -> bytes:
            type(self).reads += 1
            start = head + struct.pack(">I4sQ", 1, b"mdat", gap + 16)
            if offset < len(start):
                return start.ljust(offset + n, b"\0")[offset : offset + n]
            return tail[offset - (self.size - len(tail)) :][:n]

    facts = read_facts(Sparse())

    assert fields_of(facts)["av_created"] == "2026-05-04T01:02:03"
    assert Sparse.reads <= 3


@pytest.mark.parametrize(
    "place",
    [
        draw.box(b"udta", draw.xyz("+22.5431+114.0579/")),
        draw.box(b"udta", draw.loci(22.5431, 114.0579)),
        draw.box(b"udta", draw.loci(22.5431, 114.0579, name=b"\xfe\xff\x57\x28\0\0")),
        draw.apple_meta({"com.apple.quicktime.location.ISO6709": "+22.5431+114.0579+004.0/"}),
    ],
)
def test_places_are_read_in_every_form_that_recorders_write(place):
    fields = fields_of(read(draw.movie(draw.mvhd(CREATED), place)))

    assert fields["av_lat"] == pytest.approx(22.5431, abs=2e-5)
    assert fields["av_lon"] == pytest.approx(114.0579, abs=2e-5)


def test_an_apple_creation_date_keeps_its_zone():
    key = {"com.apple.quicktime.creationdate": "2026-05-04T09:02:03+0800"}

    facts = read(draw.movie(draw.mvhd(0), draw.apple_meta(key), brand=b"qt  "))

    fields = fields_of(facts)
    assert (fields["type"], fields["av_created"]) == ("MOV", "2026-05-04T09:02:03")
    assert fields["av_created_basis"] == "keys"
    assert fields["raw"]["Keys:com.apple.quicktime.creationdate"].endswith("+0800")


def test_a_fragmented_recording_is_read_from_its_movie_box():
    fragments = draw.box(b"moof", draw.box(b"mfhd", bytes(8))) + draw.box(b"mdat", bytes(100))

    data = draw.movie(draw.mvhd(CREATED), front=True) + fragments * 100

    assert fields_of(read(data))["av_created"] == "2026-05-04T01:02:03"


def test_an_unset_creation_time_is_absent():
    fields = fields_of(read(draw.movie(draw.mvhd(0))))

    assert (fields["av_created"], fields["error"]) == (None, None)


def test_a_recording_of_sound_alone_is_told_from_a_film():
    handler = draw.box(b"hdlr", bytes(8), b"soun", bytes(12))
    track = draw.box(b"trak", draw.box(b"mdia", handler))

    assert read(draw.movie(draw.mvhd(CREATED), track)).type == "M4A"


def test_a_broadcast_wave_gives_its_origination_time():
    bext = bytes(320) + b"2026-05-0409:02:03" + bytes(20)

    fields = fields_of(read(draw.riff(b"WAVE", (b"fmt ", bytes(16)), (b"bext", bext))))

    assert (fields["av_created"], fields["av_created_basis"]) == ("2026-05-04T09:02:03", "bext")


def test_an_avi_says_when_it_was_digitised():
    data = draw.avi(250, (b"IDIT", b"Mon May 04 09:02:03 2026\n\0"), whole=25_000)

    [value] = [one for one in read(data).values if one.tag == "RIFF:DigitizationDate"]

    assert value.raw == "Mon May 04 09:02:03 2026\n"
    assert data[value.offset : value.offset + value.size].startswith(b"Mon May")


def test_the_length_of_an_avi_survives_a_cut_behind_its_head():
    facts = read(draw.avi(250, (b"JUNK", bytes(100)), whole=25_000) + b"idx1")

    assert {value.tag: value.raw for value in facts.values}["RIFF:Duration"] == "1000000000/1000000"


def test_a_matroska_date_is_utc():
    facts = read(draw.mkv(1777856523, kind=b"webm"))

    assert facts.type == "WEBM"
    assert fields_of(facts)["av_created"] == "2026-05-04T01:02:03Z"


def test_sound_formats_without_a_place_for_a_time_are_named():
    assert read(b"#!AMR\n" + bytes(100)).type == "AMR"
    assert read(b"ID3\x04" + bytes(100)).type == "MP3"
