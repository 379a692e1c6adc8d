"""A carrier folder on a disk: whole or called incomplete, and distrusted when it comes back."""

import errno
import hashlib
import io
import os
import shutil
import tarfile

import pyrage
import pytest

from sync.carrier import writing
from sync.carrier.errors import (
    CarrierDamaged,
    CarrierIncomplete,
    CarrierNotFound,
    CarrierUnreadable,
    CarrierUnwritable,
)
from sync.carrier.keys import CarrierKey, load_key, make_key
from sync.carrier.members import Source, whole
from sync.carrier.reading import (
    PartState,
    check_part,
    find_folders,
    opened_part,
    read_manifest,
    strangers,
)
from sync.carrier.writing import SMALLEST_SPLIT, CarrierWriter

IDENTIFIER = "5a" * 16
NAME = f"carrier-{IDENTIFIER}"


@pytest.fixture
def key(tmp_path):
    make_key(tmp_path / "carrier.key")
    return load_key(tmp_path / "carrier.key")


def film(content, name="media/film"):
    return Source(
        len(content),
        lambda at: f"{name}/{at}",
        lambda at, size: iter([content[at : at + size]]),
        divisible=True,
    )


def write(place, key, sources, split=SMALLEST_SPLIT, manifest=b"manifest"):
    place.mkdir(exist_ok=True)
    with CarrierWriter(place, "carrier", IDENTIFIER, recipient=key.recipient) as writer:
        parts = writer.pack(iter(sources), split=split)
        writer.finish(manifest)
    return writer.path, parts


def read_back(path, parts, key):
    found = []
    for number, part in enumerate(parts, start=1):
        name = path / f"part-{number:06}.age"
        assert check_part(name, part) is PartState.PRESENT
        with opened_part(name, key) as members:
            found += [(member.name, member.content(1 << 30)) for member in members]
    return found


def test_what_goes_in_comes_out_in_order_whatever_the_size_of_parts(tmp_path, key):
    content = os.urandom(900_000)

    path, parts = write(tmp_path / "disk", key, [whole("journal/a", b"line\n"), film(content)])

    assert len(parts) == 4
    assert all(part.size <= SMALLEST_SPLIT for part in parts)
    (name, line), *pieces = read_back(path, parts, key)
    assert (name, line) == ("journal/a", b"line\n")
    assert b"".join(data for _, data in pieces) == content
    offsets = [int(name.rpartition("/")[2]) for name, _ in pieces]
    assert offsets[1:] == [sum(len(d) for _, d in pieces[: n + 1]) for n in range(len(pieces) - 1)]


def test_an_empty_file_is_carried_too(tmp_path, key):
    path, parts = write(tmp_path / "disk", key, [film(b"")])

    assert read_back(path, parts, key) == [("media/film/0", b"")]


def test_nothing_on_the_disk_can_be_read_without_the_key(tmp_path, key):
    path, _ = write(tmp_path / "disk", key, [whole("journal/a", b"secret line " * 50)])
    make_key(tmp_path / "other.key")

    everything = b"".join(file.read_bytes() for file in path.iterdir())

    assert b"secret" not in everything
    with pytest.raises(CarrierUnreadable):
        read_manifest(path / "manifest.age", [load_key(tmp_path / "other.key")])
    assert read_manifest(path / "manifest.age", [key]) == b"manifest"


def test_the_key_is_for_its_owner_alone_and_never_replaced(tmp_path, key):
    assert (tmp_path / "carrier.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        make_key(tmp_path / "carrier.key")


def test_a_full_disk_leaves_nothing_that_looks_complete(tmp_path, key):
    def full(_at, _size):
        yield b"x" * 70_000
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CarrierUnwritable, match="No space left"):
        write(tmp_path / "disk", key, [Source(500_000, lambda _: "media/a/0", full, True)])

    assert list((tmp_path / "disk").iterdir()) == []


def test_a_pulled_stick_leaves_a_folder_that_says_it_is_incomplete(tmp_path, key, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", lambda *_arguments, **_options: None)
    monkeypatch.setattr(
        writing, "_sync_directory", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "gone"))
    )

    with pytest.raises(CarrierUnwritable, match="gone"):
        write(tmp_path / "disk", key, [whole("journal/a", b"line\n")])

    assert [path.name for path in (tmp_path / "disk").iterdir()] == [f"{NAME}.incomplete"]
    found = find_folders(tmp_path / "disk", "carrier")
    assert (found.folders, found.incomplete) == ((), (f"{NAME}.incomplete",))
    with pytest.raises(CarrierIncomplete):
        find_folders(tmp_path / "disk" / f"{NAME}.incomplete", "carrier")


def test_a_part_with_one_flipped_byte_or_a_cut_end_is_not_the_part_that_was_signed(tmp_path, key):
    path, (part,) = write(tmp_path / "disk", key, [whole("journal/a", b"line\n")])
    file = path / "part-000001.age"
    good = file.read_bytes()

    file.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
    assert check_part(file, part) is PartState.DAMAGED
    with pytest.raises(CarrierDamaged), opened_part(file, key) as members:
        for member in members:
            member.content(1000)
    file.write_bytes(good[:-1])
    assert check_part(file, part) is PartState.DAMAGED
    file.unlink()
    assert check_part(file, part) is PartState.MISSING


def test_links_pipes_and_folders_in_place_of_a_part_are_not_followed(tmp_path, key):
    path, (part,) = write(tmp_path / "disk", key, [whole("journal/a", b"line\n")])
    file = path / "part-000001.age"
    file.rename(tmp_path / "elsewhere")

    file.symlink_to(tmp_path / "elsewhere")
    assert check_part(file, part) is PartState.DAMAGED
    file.unlink()
    os.mkfifo(file)
    assert check_part(file, part) is PartState.DAMAGED
    file.unlink()
    file.mkdir()
    assert check_part(file, part) is PartState.DAMAGED
    (path / "manifest.age").unlink()
    (path / "manifest.age").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CarrierDamaged):
        read_manifest(path / "manifest.age", [key])


def test_only_carriers_are_found_and_what_else_lies_there_is_named(tmp_path, key):
    path, _ = write(tmp_path / "disk", key, [])
    (tmp_path / "disk" / "notes.txt").write_text("x")
    (tmp_path / "disk" / ("carrier-" + "00" * 16)).symlink_to(path)
    (path / "autorun.inf").write_text("x")

    found = find_folders(tmp_path / "disk", "carrier")

    assert found.folders == (path,)
    assert found.ignored == ("carrier-" + "00" * 16, "notes.txt")
    assert strangers(path, 0) == ["autorun.inf"]
    assert find_folders(path, "carrier").folders == (path,)
    with pytest.raises(CarrierNotFound):
        find_folders(tmp_path / "nowhere", "carrier")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.XHDTYPE])
def test_a_part_holds_plain_files_only(tmp_path, key, kind):
    info = tarfile.TarInfo("journal/a")
    info.type, info.linkname = kind, "/etc/passwd"
    sealed = seal(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024), key)
    (tmp_path / "part").write_bytes(sealed)

    with pytest.raises(CarrierDamaged), opened_part(tmp_path / "part", key) as members:
        list(members)


def test_a_member_that_claims_to_be_endless_ends_with_its_part(tmp_path, key):
    info = tarfile.TarInfo("journal/a")
    info.size = 8 << 40
    (tmp_path / "part").write_bytes(seal(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096), key))

    with (
        pytest.raises(CarrierDamaged, match="cut off"),
        opened_part(tmp_path / "part", key) as members,
    ):
        list(members)
    with (
        pytest.raises(CarrierDamaged, match="too large"),
        opened_part(tmp_path / "part", key) as members,
    ):
        next(members).content(1 << 20)


def test_a_line_that_never_ends_is_refused(tmp_path, key):
    path, _ = write(tmp_path / "disk", key, [whole("journal/a", b"x" * 150_000)])

    with (
        pytest.raises(CarrierDamaged, match="endless"),
        opened_part(path / "part-000001.age", key) as members,
    ):
        list(next(members).lines(65_536))


def test_a_decrypted_part_is_an_ordinary_archive(tmp_path, key):
    path, _ = write(tmp_path / "disk", key, [whole("journal/a/0.ndjson", b"line\n")])
    plain = unseal((path / "part-000001.age").read_bytes(), key)

    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert archive.getnames() == ["journal/a/0.ndjson"]


def seal(plain, key: CarrierKey):
    return pyrage.encrypt(plain, [key.identity.to_public()])


def unseal(sealed, key: CarrierKey):
    return pyrage.decrypt(sealed, [key.identity])


def test_digests_in_the_manifest_are_those_of_the_encrypted_files(tmp_path, key):
    path, (part,) = write(tmp_path / "disk", key, [whole("journal/a", b"line\n")])
    sealed = (path / "part-000001.age").read_bytes()

    assert (part.size, part.sha256) == (len(sealed), hashlib.sha256(sealed).hexdigest())
