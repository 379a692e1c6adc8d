"""Checkpoints that the user kept from elsewhere, held against the enclosed one."""

import pytest

from sync.evidence import merkle, package
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from sync.evidence.note import parse_verifier_key
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from sync.evidence.verify_cli import main
from tests.support.small_package import ORIGIN, NoteKey, build_small_package


@pytest.fixture(scope="module")
def small():
    return build_small_package()


@pytest.fixture
def folder(tmp_path, small):
    (tmp_path / "case.zip").write_bytes(small.pack())
    return tmp_path


@pytest.fixture
def ask(folder):
    """Verify with one checkpoint brought; returns what is said of it."""

    def run(path, **options):
        given = Options(checkpoints=(str(path),), **options)
        claims = verify_package(str(folder / "case.zip"), given).claims
        [claim] = [one for one in claims if one.code.startswith("outside.checkpoint")]
        return claim.code.partition("_")[2], claim.verdict

    return run


def root_at(small, size):
    return merkle.root(size, small.ledger.node)


def note(folder, small, size, root=None, *, key=None, origin=ORIGIN):
    point = Checkpoint(origin, size, root or root_at(small, size))
    path = folder / "kept.note"
    path.write_text((key or small.ledger.key).sign(format_checkpoint(point)), "utf-8")
    return path


def write_tiles(folder, small):
    leaves = b"".join(small.ledger.node(0, index) for index in range(small.size))
    path = folder / "tiles/tile/0/000.p" / str(small.size)
    path.parent.mkdir(parents=True)
    path.write_bytes(leaves)
    return str(folder / "tiles")


def test_every_earlier_state_is_consistent_where_the_package_proves_it(folder, small, ask):
    """The small package has every event, so every smaller root follows."""
    for size in range(small.size + 1):
        assert ask(note(folder, small, size)) == ("consistent", Verdict.PASS)


def test_every_other_root_is_a_fork(folder, small, ask):
    for size in range(1, small.size + 1):
        assert ask(note(folder, small, size, bytes(32))) == ("forked", Verdict.FAIL)


def test_a_state_that_nothing_proves_is_not_checked_without_tiles(folder, small, ask):
    kept = {**small.files, package.INCLUSION: small.files[package.INCLUSION].splitlines(True)[0]}
    (folder / "case.zip").write_bytes(small.pack_signed(kept))
    tiles = write_tiles(folder, small)
    size = 11

    assert ask(note(folder, small, size)) == ("unproved", Verdict.NOT_CHECKED)
    assert ask(note(folder, small, size), tiles=tiles) == ("consistent", Verdict.PASS)
    assert ask(note(folder, small, size, bytes(32)), tiles=tiles) == ("forked", Verdict.FAIL)


def test_tiles_of_another_ledger_prove_nothing(folder, small, ask):
    kept = {**small.files, package.INCLUSION: b""}
    (folder / "case.zip").write_bytes(small.pack_signed(kept))
    tiles = write_tiles(folder, small)
    path = folder / "tiles/tile/0/000.p" / str(small.size)
    path.write_bytes(bytes(32) + path.read_bytes()[32:])

    assert ask(note(folder, small, 11), tiles=tiles) == ("unproved", Verdict.NOT_CHECKED)
    assert ask(note(folder, small, 11), tiles=str(folder)) == ("unproved", Verdict.NOT_CHECKED)


def test_a_later_package_proves_the_enclosed_state_by_its_own_proofs(folder, small, ask):
    later = build_small_package(more_acts=[("note.added", {"text": "more"})] * 3)
    (folder / "later.zip").write_bytes(later.pack())

    # Another package of the same keys, but devices with other keys: another history.
    assert ask(folder / "later.zip") == ("forked", Verdict.FAIL)
    assert ask(folder / "case.zip") == ("consistent", Verdict.PASS)


def test_a_state_of_another_key_or_ledger_is_told_apart(folder, small, ask):
    other = NoteKey(ORIGIN + "/other")

    assert ask(note(folder, small, 5, key=other)) == ("bad", Verdict.FAIL)
    again = NoteKey(ORIGIN)
    again.name = "elsewhere"
    assert ask(note(folder, small, 5, key=again, origin="elsewhere"))[0] == "elsewhere"


def test_who_knows_another_bureaus_key_too_believes_it_nothing_about_this_ledger(
    folder, small, ask
):
    other = NoteKey(ORIGIN + "/other")
    known = tuple(parse_verifier_key(key.verifier_key) for key in (small.ledger.key, other))

    kept = note(folder, small, small.size, bytes(32), key=other)

    assert ask(kept, ledger_keys=known) == ("bad", Verdict.FAIL)
    (folder / "broken").write_bytes(b"\xff")
    assert ask(folder / "broken") == ("bad", Verdict.FAIL)
    assert ask(folder / "absent") == ("bad", Verdict.FAIL)


def test_it_is_asked_for_on_the_command_line(folder, small, capsys):
    good = str(note(folder, small, 7))

    assert main([str(folder / "case.zip"), "--checkpoint", good, "--lang", "en"]) == 0
    assert "only grew" in capsys.readouterr().out
    forked = str(note(folder, small, 7, bytes(32)))
    assert main([str(folder / "case.zip"), "--checkpoint", forked, "--lang", "en"]) == 1
    assert "history was rewritten" in capsys.readouterr().out


@pytest.mark.parametrize("size", [1, 2, 5, 8, 21])
def test_the_ranges_of_a_path_are_those_of_its_hashes(size):
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(size)]
    nodes = {}
    tree = merkle.CompactRange()
    for leaf in leaves:
        for level, position, node in tree.append(leaf):
            nodes[level, position] = node

    for index in range(size):
        path = merkle.inclusion_proof(size, index, lambda *place: nodes[place])
        ranges = merkle.path_ranges(size, index)
        for (start, end), sibling in zip(ranges, path, strict=True):
            part = merkle.CompactRange()
            for leaf in leaves[start:end]:
                part.append(leaf)
            assert part.root() == sibling
