"""``liuhen-admin package``: volumes and encryption of a finished file, whole or not at all."""

import pyrage
from click.testing import CliRunner

from server.cli.package import package
from server.operations.export import volumes


def run(*arguments):
    return CliRunner().invoke(package, list(map(str, arguments)))


def test_volumes_joined_are_the_file(tmp_path, monkeypatch):
    monkeypatch.setitem(volumes.DISCS, "dvd", 1_500_000)
    file = tmp_path / "X.zip"
    file.write_bytes(bytes(range(256)) * 16_000)

    done = run("split", file, "--out", tmp_path / "discs")

    assert done.exit_code == 0, done.output
    parts = sorted((tmp_path / "discs").iterdir())
    assert [part.name for part in parts] == ["X.zip.001", "X.zip.002", "X.zip.003"]
    assert b"".join(part.read_bytes() for part in parts) == file.read_bytes()


def test_only_the_recipient_opens_it(tmp_path):
    file = tmp_path / "X.zip"
    file.write_bytes(b"zip" * 1_000_000)
    key = pyrage.x25519.Identity.generate()

    assert run("encrypt", file, "--to", key.to_public()).exit_code == 0

    assert pyrage.decrypt((tmp_path / "X.zip.age").read_bytes(), [key]) == file.read_bytes()


def test_what_is_no_key_is_a_sentence_and_writes_nothing(tmp_path):
    file = tmp_path / "X.zip"
    file.write_bytes(b"zip")

    done = run("encrypt", file, "--to", "age1x")

    assert done.exit_code == 2
    assert "age1" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["X.zip"]
