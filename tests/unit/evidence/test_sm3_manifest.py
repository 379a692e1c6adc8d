"""The second manifest by SM3: bound by the tag manifest, checked where Python knows the digest."""

import hashlib

import pytest
from cryptography.hazmat.primitives.hashes import SM3, Hash

from sync.evidence import bag, package
from sync.evidence.package import PackageFile
from sync.evidence.verifier_claims import Book, Verdict
from sync.evidence.verifier_sm3 import check_sm3
from sync.evidence.verifier_source import open_source


def sm3(file):
    digest = Hash(SM3())
    for chunk in file.chunks():
        digest.update(chunk)
    return digest.finalize().hex()


@pytest.fixture
def folder(tmp_path):
    """A package unpacked, with both manifests; only what these need is in it."""
    files = package.assemble(
        [PackageFile.of("data/a.txt", b"abc"), PackageFile.of("data/b.txt", b"x" * 3_000_000)],
        info=[("Bagging-Date", "2026-09-22")],
        origin="example.org",
        ledger_size=1,
        sign=lambda text: text,
        sm3=sm3,
    )
    for file in files:
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(file.chunks()))
    return tmp_path


def checked(folder):
    source = open_source(str(folder))
    book = Book("bag")
    check_sm3(book, source, [name for name in source.names if name.startswith(bag.PAYLOAD)])
    return [(claim.code, claim.verdict, claim.values.get("file")) for claim in book.claims]


def test_it_holds_the_payload_by_the_standards_own_example(folder):
    rows = (folder / bag.SM3_MANIFEST).read_text().splitlines()

    # GB/T 32905-2016, example 1: "abc".
    assert rows[0] == (
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0  data/a.txt"
    )
    assert checked(folder) == [("bag.exact", Verdict.PASS, bag.SM3_MANIFEST)]
    assert bag.SM3_MANIFEST in (folder / bag.TAG_MANIFEST).read_text()


def test_another_byte_an_added_file_and_a_missing_one_are_named(folder):
    (folder / "data/a.txt").write_bytes(b"abd")
    (folder / "data/b.txt").rename(folder / "data/c.txt")

    assert checked(folder) == [
        ("bag.extra", Verdict.FAIL, "data/c.txt"),
        ("bag.missing", Verdict.FAIL, "data/b.txt"),
        ("bag.digest", Verdict.FAIL, "data/a.txt"),
    ]


def test_where_python_has_no_sm3_that_is_said(folder, monkeypatch):
    def unknown(name):
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", unknown)

    assert checked(folder) == [("bag.sm3_unknown", Verdict.NOT_CHECKED, bag.SM3_MANIFEST)]


def test_a_package_that_claims_none_is_not_asked_for_one(folder):
    (folder / bag.SM3_MANIFEST).unlink()

    assert checked(folder) == []
