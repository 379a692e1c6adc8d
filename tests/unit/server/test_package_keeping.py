"""Packages in the store: small ones in one piece, large ones in parts, both written once."""

import hashlib

import pytest

from media.store import ObjectDiffers
from server.operations.export import keeping
from tests.support.stores import MemoryStore


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(keeping, "_SINGLE_LIMIT", 1000)
    monkeypatch.setattr(keeping, "_PART_BYTES", 300)


@pytest.mark.parametrize("size", [1, 1000, 1001, 1200, 5000])
def test_a_package_comes_out_of_the_store_as_it_went_in(size, tmp_path):
    store, data = MemoryStore(), bytes(range(256)) * 20
    archive = tmp_path / "a.zip"
    archive.write_bytes(data[:size])
    sha256 = hashlib.sha256(data[:size]).hexdigest()

    key = keeping.keep(store, archive, "note\n", package_id="p", sha256=sha256)

    assert key == f"package/p/{sha256}.zip"
    assert store.objects[key] == data[:size]
    assert store.objects[keeping.signature_key(key)] == b"note\n"


@pytest.mark.parametrize("size", [500, 2500])
def test_keeping_a_package_again_changes_nothing(size, tmp_path):
    store, archive = MemoryStore(), tmp_path / "a.zip"
    archive.write_bytes(b"x" * size)
    sha256 = hashlib.sha256(b"x" * size).hexdigest()
    keeping.keep(store, archive, "note\n", package_id="p", sha256=sha256)
    before = dict(store.objects)

    keeping.keep(store, archive, "note\n", package_id="p", sha256=sha256)

    assert store.objects == before


def test_a_sidecar_is_never_replaced_by_another(tmp_path):
    store, archive = MemoryStore(), tmp_path / "a.zip"
    archive.write_bytes(b"x")
    sha256 = hashlib.sha256(b"x").hexdigest()
    keeping.keep(store, archive, "note\n", package_id="p", sha256=sha256)

    with pytest.raises(ObjectDiffers):
        keeping.keep(store, archive, "other\n", package_id="p", sha256=sha256)
