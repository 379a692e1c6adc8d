"""``liuhen-admin witness``: what is carried to a witness without a network, and back."""

import pytest
from click.testing import CliRunner

from server.cli import cli
from server.db import transaction
from server.models.witnesses import WitnessCosignature
from server.operations import ledger
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.note import parse_note
from sync.witness.cli import main as witness_command
from tests.support.bureau import environment
from tests.support.restoring import sign
from tests.support.witnesses import witnessed_world


@pytest.fixture
def world(database_url, tmp_path):
    with witnessed_world(database_url, tmp_path, online=0, offline=1) as made:
        yield made


@pytest.fixture
def admin(world, tmp_path):
    """Runs ``liuhen-admin`` with the world's settings."""
    env = environment(
        tmp_path / "var",
        None,
        LIUHEN_DATABASE_URL=world.settings.database_url,
        LIUHEN_WITNESS_POLICY=str(tmp_path / "witness.policy"),
    )

    def run(*arguments, stdin=None):
        return CliRunner().invoke(cli, ["witness", *arguments], env=env, input=stdin)

    return run


def grow(world):
    with world.app.app_context(), transaction() as session:
        ledger.append(session, "policy", actor={"s": "t"}, subject={}, now_ms=world.now_ms)
    return parse_checkpoint(parse_note(sign(world)).text).size


def test_a_day_is_carried_to_the_witness_and_back(world, admin, tmp_path):
    out = tmp_path / "usb"
    out.mkdir()
    folder = ["--folder", str(tmp_path / "w0"), "--lang", "en"]
    for _ in range(2):
        size = grow(world)

        assert admin("export", str(out)).exit_code == 0
        (file,) = out.glob(f"*-{size}.witness")
        assert witness_command([*folder, "sign", str(file)]) == 0
        answer = admin("import", f"{file}.cosigned")

        assert answer.exit_code == 0, answer.output
        assert f"witness.example/w1 for {size} entries" in answer.output
        status = admin("status")
        assert (status.exit_code, f"Seen by a quorum: {size} entries" in status.output) == (0, True)
    assert len(world.rows(WitnessCosignature)) == 2


def test_the_printed_page_holds_the_file_as_text_and_as_a_code(world, admin, tmp_path):
    grow(world)
    admin("export", str(tmp_path))

    (page,) = tmp_path.glob("witness.example_w1-*.html")
    (file,) = tmp_path.glob("witness.example_w1-*.witness")
    text = page.read_text("utf-8")
    assert "<svg" in text
    assert file.read_text("utf-8").replace("+", "&#43;").strip() in text.replace("+", "&#43;")


def test_the_line_alone_is_enough(world, admin, tmp_path):
    size = grow(world)
    admin("export", str(tmp_path))
    (file,) = tmp_path.glob("*.witness")
    line = world.stands[0].witness.add_checkpoint(file.read_bytes())
    grow(world)

    answer = admin("import", "-", stdin=line.replace("\n", "\r\n"))

    assert answer.exit_code == 0, answer.output
    assert [row.covers_size for row in world.rows(WitnessCosignature)] == [size]


def test_a_witness_that_has_seen_more_is_shown_from_there(world, admin, tmp_path):
    size = grow(world)
    admin("export", str(tmp_path))
    (file,) = tmp_path.glob("*.witness")
    world.stands[0].witness.add_checkpoint(file.read_bytes())
    grow(world)

    assert admin("export", str(tmp_path), "--from", str(size)).exit_code == 0

    (later,) = tmp_path.glob("from-*.witness")
    assert world.stands[0].witness.add_checkpoint(later.read_bytes())


def test_nobody_has_seen_anything_at_first(world, admin, tmp_path):
    answer = admin("status")

    assert answer.exit_code == 1
    assert "has seen 0 entries" in answer.output


def test_a_name_that_the_policy_lacks_is_wrong_usage(world, admin, tmp_path):
    assert admin("export", str(tmp_path), "--witness", "nobody").exit_code == 2
    assert admin("export", str(tmp_path), "--witness", "w1").exit_code == 0
