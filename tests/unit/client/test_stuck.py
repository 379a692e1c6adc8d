"""One sentence says what is most in the way, how much of it, since when, and what to do."""

import pytest
from click.testing import CliRunner

from sync.client import stuck
from sync.client.cli import cli
from sync.client.errors import CaptivePortal, Unreachable
from tests.support.fieldkit import START_MS, on_patrol, said, write


def status(kit, *, lang="zh", as_json=False):
    options = ["--device", str(kit.folder), "--lang", lang, *(["--json"] if as_json else [])]
    return CliRunner().invoke(cli, [*options, "status"], catch_exceptions=False)


def mark(device, table, **values):
    """Put every row of ``table`` into the given state, as a sync would have."""
    columns = ", ".join(f"{name} = ?" for name in values)
    with device._outbox.transaction() as db:
        db.execute(f"UPDATE {table} SET {columns}", tuple(values.values()))


@pytest.fixture
def busy(device, tmp_path):
    """A device with an inspection and a photo."""
    inspection = on_patrol(device)
    device.capture(write(tmp_path / "a.jpg", b"\xff\xd8\xff"), inspection)
    return device


def test_work_that_was_never_sent_is_counted_with_the_age_of_the_oldest(busy):
    worst = busy.status().worst

    assert (worst.cause, worst.count) == ("unsent_lines", 5)
    assert START_MS < worst.since_ms < START_MS + 1000


@pytest.mark.parametrize("problem", [Unreachable("http://x"), CaptivePortal("http://x", "html")])
def test_what_the_last_sync_ran_into_is_the_reason(busy, kit, problem):
    stuck.remember(busy._outbox, problem)

    spoken = status(kit).stdout.splitlines()[-1]

    assert busy.status().worst.cause == "link"
    assert "5 行" in spoken
    assert "天" in spoken
    assert stuck.sentence(problem, "zh") in spoken


@pytest.mark.parametrize(
    ("line", "medium", "cause"),
    [
        ({"state": "lost"}, {"state": "safe"}, "lost_lines"),
        ({"state": "refused"}, {"state": "safe"}, "refused_lines"),
        (
            {"state": "safe"},
            {"state": "failed", "code": "media.local_damage"},
            "damaged_files",
        ),
        ({"state": "safe"}, {"state": "failed", "code": "http.400"}, "failed_files"),
        ({"state": "safe"}, {"state": "kept"}, "unsent_files"),
        ({"state": "safe", "projection": "quarantined"}, {"state": "safe"}, "quarantined"),
    ],
)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_each_cause_has_its_sentence(busy, kit, line, medium, cause, lang):
    mark(busy, "line", **line)
    mark(busy, "medium", **medium)

    spoken = status(kit, lang=lang).stdout.splitlines()[-1]

    assert busy.status().worst.cause == cause
    assert str(busy.status().worst.count) in spoken


def test_an_alarm_comes_before_everything_else(busy, kit):
    (kit.folder / "alarms" / "ledger-1.json").write_text("{}")

    assert busy.status().worst.cause == "alarm"


def test_nothing_is_said_where_everything_is_at_rest(busy, kit):
    mark(busy, "line", state="safe", projection="applied")
    mark(busy, "medium", state="safe")
    stuck.remember(busy._outbox, Unreachable("http://x"))

    assert busy.status().worst is None
    assert said(status(kit, as_json=True))["worst"] is None


def test_a_line_that_a_reviewer_decided_on_waits_for_nobody(busy):
    mark(busy, "line", state="safe", projection="quarantined", decision="kept")
    mark(busy, "medium", state="safe")

    assert busy.status().worst is None
