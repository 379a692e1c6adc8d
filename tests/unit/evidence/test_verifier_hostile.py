"""Packages made to break the verifier: it answers each of them, and soon."""

import dataclasses
import io
import json
import os
import random
import struct
import zipfile

import pytest

from sync.evidence import canonical, note, package, records
from sync.evidence.receipt import parse_receipt
from sync.evidence.verifier import verify, verify_package
from sync.evidence.verifier_claims import Verdict
from sync.evidence.verifier_source import PackageUnusable, Unreadable, measure, open_source
from tests.support.small_package import build_small_package, build_tiny_package

HUGE = 2**53 - 1


@pytest.fixture(scope="module")
def small():
    return build_small_package()


@pytest.fixture(scope="module")
def tiny():
    return build_tiny_package().pack()


@pytest.fixture
def answer(tmp_path):
    """The verdict on ZIP bytes, None where they are no package."""

    def run(data):
        path = tmp_path / "case.zip"
        path.write_bytes(data)
        try:
            return verify_package(str(path)).verdict
        except PackageUnusable:
            return None

    return run


def _end(entries, start):
    return struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, entries, entries, 1, start, 0)


def _end_64(place):
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 1, 2**64 - 1)
    return record + struct.pack("<4sIQI", b"PK\x06\x07", 0, place, 1) + _end(0xFFFF, 0xFFFFFFFF)


def _central(name, size, extra=b""):
    sizes = (size, size, len(name), len(extra), 0, 0, 0, 0, 0)
    fixed = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 0, 0, 0, 0, 0, 0, 0, *sizes)
    return fixed + name + extra


def _local(name):
    return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 0, 0, 0, 0, 0, 0, 0, 0, len(name), 0) + name


_BIG = _central(b"a", 0xFFFFFFFF, struct.pack("<HHQ", 1, 8, 1 << 50))


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 10 + _end_64(10),
        b"x" * 10 + _end_64(2**64 - 1),
        _central(b"\xff" * 65535, 0) + _end(1, 0),
        b"PK\x03\x04" + _BIG * 20_000 + _end(20_000, 4),
        _local(b"\xff" * 65535) + b"PK",
    ],
    ids=["end far away", "end nowhere", "name too long", "sizes beyond all files", "local name"],
)
def test_headers_that_lie_are_answered(answer, data):
    assert answer(data) in (None, Verdict.FAIL)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]
)
def test_a_foreign_zip_that_is_damaged_is_answered(tiny, answer, method):
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(tiny)) as source,
        zipfile.ZipFile(buffer, "w", method) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    chance = random.Random(method)

    for _ in range(60):
        damaged = bytearray(buffer.getvalue())
        for _ in range(chance.choice((1, 3, 10))):
            damaged[chance.randrange(len(damaged))] ^= chance.randrange(1, 256)
        assert answer(bytes(damaged)) is not Verdict.PASS


def test_a_zip_cut_anywhere_is_answered(tiny, answer):
    chance = random.Random(3)

    for _ in range(60):
        assert answer(tiny[: chance.randrange(len(tiny))]) is not Verdict.PASS


def test_a_pipe_among_the_files_is_not_waited_for(tiny, tmp_path):
    with zipfile.ZipFile(io.BytesIO(tiny)) as archive:
        archive.extractall(tmp_path)
    os.mkfifo(tmp_path / "data" / "pipe")

    result = verify_package(str(tmp_path))

    assert ("container.unreadable", "data/pipe") in {
        (claim.code, claim.values.get("file")) for claim in result.claims
    }


def test_a_line_at_a_place_beyond_counting_is_answered(small, answer):
    path = package.journal_path(small.devices[0].chain)
    lines = small.files[path].splitlines(keepends=True)
    far = json.loads(lines[-1])
    far["e"]["seq"] = HUGE

    files = {**small.files, path: b"".join(lines) + canonical.dumps(far) + b"\n"}

    assert answer(small.pack_signed(files)) is Verdict.FAIL


def test_a_part_number_of_any_length_is_answered(small, answer):
    path = package.journal_path(small.devices[0].chain)
    lines = small.files[path].splitlines(keepends=True)
    odd = json.loads(lines[-1])
    odd["b"] = {"9" * 2_000_000: {}}

    files = {**small.files, path: b"".join(lines[:-1]) + canonical.dumps(odd) + b"\n"}

    assert answer(small.pack_signed(files)) is Verdict.FAIL


def test_a_receipt_over_more_lines_than_there_are_is_answered(small, answer):
    device = small.devices[0]
    last = parse_receipt(note.parse_note(device.receipts[-1]).text)
    key = device.ledger.receipts
    endless = key.sign(dataclasses.replace(last, last_seq=HUGE).to_text())

    files = {**small.files, package.RECEIPTS: records.ndjson([records.receipt_record(endless)])}

    assert answer(small.pack_signed(files)) is Verdict.FAIL


def test_a_zip_that_goes_away_meanwhile_leaves_every_file_unread(tmp_path, tiny):
    path = tmp_path / "case.zip"
    path.write_bytes(tiny)
    source = open_source(str(path))
    path.unlink()

    measured = measure(source)

    assert set(measured) == set(source.names)
    assert all(isinstance(file, Unreadable) for file in measured.values())
    assert verify(source).verdict is Verdict.FAIL
