import io
import random
import zipfile
import zlib

import pytest

from sync.evidence.zipformat import (
    Member,
    ZipContentMismatch,
    ZipNameInvalid,
    check_names,
    directory,
    is_name,
    local_header,
    offsets,
    total_size,
    write_zip,
)
from sync.evidence.zipreading import read_layout

CONTENT = {"a.txt": b"first", "data/b.bin": b"\x00" * 700, "data/c": b"", "z/last.txt": b"end\n"}


def member(name, data):
    return Member(name, len(data), zlib.crc32(data))


def zip_of(content):
    return b"".join(write_zip((member(name, data), [data]) for name, data in content.items()))


def layout_of(data):
    return read_layout(io.BytesIO(data))


def named(layout):
    return {fault.name for fault in layout.faults}


def test_other_tools_read_what_is_written():
    with zipfile.ZipFile(io.BytesIO(zip_of(CONTENT))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == CONTENT


def test_the_same_content_gives_the_same_bytes_however_it_is_cut():
    entries = [(member(name, data), [data[:2], data[2:]]) for name, data in CONTENT.items()]

    assert b"".join(write_zip(entries)) == zip_of(CONTENT)


def test_the_length_is_known_beforehand():
    members = [member(name, data) for name, data in CONTENT.items()]

    assert total_size(members) == len(zip_of(CONTENT))


def test_bytes_other_than_those_announced_are_never_finished():
    with pytest.raises(ZipContentMismatch) as caught:
        list(write_zip([(member("a", b"announced"), [b"delivered"])]))

    assert caught.value.name == "a"


@pytest.mark.parametrize(
    "name",
    ["", "/abs", "../up", "a/../b", "a//b", "a/", ".hidden", "a b", "a\\b", "照片.jpg", "x" * 201],
)
def test_names_that_could_lead_elsewhere_are_refused(name):
    with pytest.raises(ZipNameInvalid):
        list(write_zip([(Member(name, 0, 0), [])]))


@pytest.mark.parametrize("names", [["b", "a"], ["a", "a"]])
def test_names_out_of_order_are_refused(names):
    with pytest.raises(ZipNameInvalid):
        list(write_zip([(Member(name, 0, 0), []) for name in names]))


def test_a_zip_read_back_has_the_same_entries_and_no_fault():
    data = zip_of(CONTENT)

    layout = layout_of(data)

    assert layout.faults == ()
    assert [m.name for m in layout.members] == list(CONTENT)
    for entry, start in zip(layout.members, layout.starts, strict=True):
        assert data[start : start + entry.size] == CONTENT[entry.name]


def test_entries_beyond_four_gigabytes_are_written_as_zip64(tmp_path):
    large = 5 * 2**30
    members = [Member("big", large, 1), Member("small", 3, zlib.crc32(b"end"))]
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        for entry, place in zip(members, offsets(members), strict=False):
            file.seek(place)
            file.write(local_header(entry))
        file.write(b"end")
        file.write(b"".join(directory(members)))

    with zipfile.ZipFile(path) as archive:
        assert [info.file_size for info in archive.infolist()] == [large, 3]
        assert archive.read("small") == b"end"
    with path.open("rb") as file:
        layout = read_layout(file)
    assert layout.faults == ()
    assert list(layout.members) == members
    assert path.stat().st_size == total_size(members)


def test_more_entries_than_the_old_format_can_count_are_read_back():
    data = b"".join(write_zip((Member(f"f{n:06}", 0, 0), []) for n in range(70_000)))

    layout = layout_of(data)

    assert (len(layout.members), layout.faults) == (70_000, ())
    assert len(zipfile.ZipFile(io.BytesIO(data)).namelist()) == 70_000


def test_every_changed_byte_of_every_header_is_found_and_its_entry_named():
    data = zip_of(CONTENT)
    members = [member(name, content) for name, content in CONTENT.items()]
    owners = {}
    for entry, place in zip(members, offsets(members), strict=False):
        owners.update(dict.fromkeys(range(place, place + len(local_header(entry))), entry.name))
    place = offsets(members)[-1]
    for entry, record in zip([*members, Member("", 0, 0)], directory(members), strict=True):
        owners.update(dict.fromkeys(range(place, place + len(record)), entry.name))
        place += len(record)
    random_bits = random.Random(7)

    for place, owner in owners.items():
        flipped = bytearray(data)
        flipped[place] ^= 1 << random_bits.randrange(8)
        layout = layout_of(bytes(flipped))
        assert owner in named(layout), place


def test_bytes_added_or_cut_off_are_found():
    data = zip_of(CONTENT)

    assert layout_of(data + b"x").faults
    assert layout_of(b"x" + data) is None or layout_of(b"x" + data).faults
    for length in range(1, len(data), 13):
        layout = layout_of(data[:length])
        assert layout is None or layout.faults


def test_a_zip_of_another_tool_is_foreign_but_its_entries_are_known():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in CONTENT.items():
            archive.writestr(name, data)

    layout = layout_of(buffer.getvalue())

    assert layout.foreign
    assert [entry.name for entry in layout.members] == list(CONTENT)


@pytest.mark.parametrize("data", [b"", b"hello", b"PK", b"\xff" * 100])
def test_what_is_no_zip_has_no_layout(data):
    assert layout_of(data) is None


def test_random_changes_never_break_the_reader():
    data = zip_of(CONTENT)
    chance = random.Random(11)

    for _ in range(500):
        broken = bytearray(data)
        for _ in range(chance.randrange(1, 20)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        layout_of(bytes(broken[: chance.randrange(len(broken))]))


@pytest.mark.parametrize(
    "name",
    [
        "data/nul",
        "CON",
        "aux.txt",
        "data/com1.d/x",
        "lpt9.tar.gz",
        "data/end.",
        "a./b",
        "../x",
        "a b",
    ],
)
def test_a_name_that_some_system_would_unpack_otherwise_is_refused_and_named(name):
    data = b"x"
    with pytest.raises(ZipNameInvalid):
        list(write_zip([(member(name, data), [data])]))

    assert not is_name(name)


@pytest.mark.parametrize("name", ["data/console.txt", "data/null", "common", "a.b.c", "com", "lpt"])
def test_a_harmless_name_is_allowed(name):
    assert is_name(name)


def test_two_names_that_differ_by_case_alone_are_refused_and_named():
    names = ["data/B.txt", "data/a.txt", "data/b.txt"]
    with pytest.raises(ZipNameInvalid):
        check_names(names)

    layout = layout_of(zip_of(dict.fromkeys(names, b"x")))

    assert [(fault.name, fault.part) for fault in layout.faults] == [("data/b.txt", "name")]
