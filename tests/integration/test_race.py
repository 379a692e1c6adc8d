"""Many processes at one database: nothing acknowledged is lost, no row of the feed is missed."""

import pytest

from tests.support.audit import audit
from tests.support.bureau import environment
from tests.support.racing import race
from tests.support.world import make_world


@pytest.fixture
def entered(database_url, tmp_path):
    """A world and the environment in which other processes join it."""
    world = make_world(database_url, tmp_path / "var")
    return world, environment(tmp_path / "var", LIUHEN_DATABASE_URL=database_url)


def test_eight_writers_lose_nothing_and_a_reader_beside_them_misses_nothing(entered):
    world, env = entered

    result = race(world, env, writers=8, rounds=3)

    assert result["errors"] == []
    assert result["polls"] > 3
    assert result["signed"] > 1
    kept = audit(world.app, [world.services.receipt_signer.verifier_key])
    assert len(result["acknowledged"]) == 8 * (3 + 3 * 3)
    assert set(result["acknowledged"]) == set(kept.lines)
    assert sorted(result["seen"]) == sorted(result["published"])


def test_the_same_race_over_a_sequence_makes_the_reader_miss_rows(make_database, tmp_path):
    """The test of the test above: with the fault that it is there to find, it fails."""
    database_url = make_database("postgresql")
    world = make_world(database_url, tmp_path / "var")
    env = environment(tmp_path / "var", LIUHEN_DATABASE_URL=database_url)

    result = race(world, env, writers=8, rounds=6, counter="sequence")

    assert result["errors"] == []
    assert set(result["published"]) - set(result["seen"])
