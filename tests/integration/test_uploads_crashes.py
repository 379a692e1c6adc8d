"""Crashes between the store and the database: after the sweeper both say the same."""

from server.settings import Settings
from tests.support.bureau import environment
from tests.support.crashing import crash_often


def test_no_crash_leaves_an_object_without_a_row_or_a_row_without_bytes(tmp_path):
    found = crash_often(Settings.from_env(environment(tmp_path / "var")), crashes=40, seed=4)

    assert (found.unadopted, found.hollow, found.lost) == ([], [], [])
    assert found.swept > 0
    assert found.finished >= found.crashes == 40
