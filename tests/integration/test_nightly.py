"""The night's work: every step is done, none keeps another from it, what failed is tried again."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.exc import OperationalError

from media.store import StoreUnavailable, media_key
from server.jobs.nightly import Nights, begun_ms
from server.models.audits import LedgerAudit
from server.models.uploads import AdoptedObject, ObjectFixity, StoreCheck
from server.operations import feed, ledger_audit, storekeeping
from tests.support.keeping import Keeping, digest

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_CHINA = timezone(timedelta(hours=8))


def _at(*clock):
    return int(datetime(*clock, tzinfo=_CHINA).timestamp() * 1000)


@pytest.fixture
def keeping(database_url, tmp_path, monkeypatch):
    monkeypatch.setattr("server.clock.now_ms", lambda: _at(2026, 5, 1, 12))
    made = Keeping(database_url, tmp_path / "var")
    made.now_ms = _at(2026, 5, 4, 3, 17)
    return made


class Worker:
    """What one worker does of a night, whenever the test says so."""

    def __init__(self, keeping):
        self._keeping = keeping
        self._nights = Nights(keeping.desk, keeping.settings)

    def due(self):
        with self._keeping.app.app_context():
            return self._nights.are_due()

    def work(self):
        with self._keeping.app.app_context():
            self._nights.perform()


@pytest.fixture
def worker(keeping):
    return Worker(keeping)


def _runs(keeping, *, failed=""):
    rows = [(row.kind, json.loads(row.report)) for row in keeping.rows(StoreCheck)]
    return sorted(kind for kind, report in rows if report["failed"] == failed)


@pytest.fixture
def steps(monkeypatch):
    """The names of the steps as they are begun; a test makes some of them fail."""
    begun, failing = [], {}

    def behind(module, name):
        real = getattr(module, name)

        def step(*arguments, **named):
            begun.append(name)
            if name in failing:
                raise failing[name]
            return real(*arguments, **named)

        monkeypatch.setattr(module, name, step)

    behind(feed, "compact")
    behind(storekeeping, "sweep")
    behind(storekeeping, "rehash")
    return begun, failing


def test_a_night_compacts_the_feed_adopts_and_reads_again(keeping, worker, steps):
    (key,) = keeping.lay()
    lost = b"no row names them"
    keeping.store.objects[media_key(digest(lost))] = lost

    assert worker.due()
    worker.work()

    assert steps[0] == ["compact", "sweep", "rehash"]
    assert [row.key for row in keeping.rows(AdoptedObject)] == [media_key(digest(lost))]
    read = [row for row in keeping.rows(StoreCheck) if row.kind == "rehash"]
    assert [row.objects for row in read] == [2]
    assert key in keeping.store.objects
    assert not worker.due()


@pytest.mark.parametrize("name", ["compact", "sweep", "rehash"])
@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("a fault of ours")])
def test_a_step_that_fails_stops_no_other_and_is_tried_again(keeping, worker, steps, name, error):
    begun, failing = steps
    failing[name] = error

    worker.work()
    assert begun == ["compact", "sweep", "rehash"]
    assert not worker.due()

    keeping.now_ms += 29 * _MINUTE_MS
    assert not worker.due()
    keeping.now_ms += _MINUTE_MS
    worker.work()
    assert begun[3:] == [name]
    failing.clear()
    keeping.now_ms += 30 * _MINUTE_MS
    worker.work()
    assert begun[4:] == [name]
    assert not worker.due()
    assert _runs(keeping) == ["rehash", "sweep"]


def test_a_fault_of_the_database_is_named_by_its_kind(keeping, worker, steps):
    _, failing = steps
    failing["sweep"] = OperationalError("SELECT 1", {}, Exception("disk I/O error"))

    worker.work()

    assert _runs(keeping, failed="OperationalError") == ["sweep"]


@pytest.mark.parametrize("name", ["sweep", "rehash"])
def test_a_failure_is_written_down_with_its_reason_once(keeping, worker, steps, name, caplog):
    _, failing = steps
    failing[name] = StoreUnavailable("away")

    for _ in range(3):
        worker.work()
        keeping.now_ms += 30 * _MINUTE_MS

    assert _runs(keeping, failed="media.store_unavailable") == [name]
    assert caplog.text.count(f"night_failed step={name} code=media.store_unavailable") == 3


def test_a_night_comes_once_whoever_works_and_whenever_they_begin(keeping, worker):
    worker.work()
    other = Worker(keeping)
    keeping.now_ms += 60 * _MINUTE_MS

    other.work()

    assert _runs(keeping) == ["rehash", "sweep"]
    keeping.now_ms = _at(2026, 5, 5, 3, 16)
    assert not worker.due()
    keeping.now_ms += _MINUTE_MS
    worker.work()
    assert _runs(keeping) == ["rehash", "rehash", "sweep", "sweep"]


@pytest.mark.parametrize("name", ["sweep", "rehash"])
def test_a_step_that_another_worker_is_at_is_left_to_it(keeping, worker, steps, monkeypatch, name):
    begun, failing = steps
    other = Worker(keeping)
    failing[name] = StoreUnavailable("it was killed, which nobody noted")
    monkeypatch.setattr(storekeeping, "keep_failure", lambda *_, **_named: None)
    step = getattr(storekeeping, name)

    def meanwhile(*arguments, **named):
        other.work()
        return step(*arguments, **named)

    monkeypatch.setattr(storekeeping, name, meanwhile)
    worker.work()
    assert begun.count(name) == 1
    assert not other.due()

    failing.clear()
    monkeypatch.setattr(storekeeping, name, step)
    keeping.now_ms += 30 * _MINUTE_MS
    other.work()
    worker.work()
    assert begun.count(name) == 2


def test_a_rehash_that_is_broken_off_after_its_first_slice_is_tried_again(
    keeping, worker, monkeypatch
):
    monkeypatch.setattr("server.operations.storekeeping.fixity._SLICE_OBJECTS", 1)
    keeping.lay()
    keeping.lay(b"another original")
    whole, given = keeping.store.stream, iter(range(1))

    def stream(key):
        if next(given, None) is None:
            raise StoreUnavailable("away")
        return whole(key)

    def silent(*_key):
        raise StoreUnavailable("away")

    monkeypatch.setattr(keeping.store, "stream", stream)
    monkeypatch.setattr(keeping.store, "read", silent)
    worker.work()
    monkeypatch.undo()
    assert not worker.due()

    keeping.now_ms += 31 * _MINUTE_MS
    assert worker.due()


def test_what_a_sweep_finds_gone_is_lacking_at_once_and_is_no_run_of_the_rehash(keeping, worker):
    (key,) = keeping.lay()
    del keeping.store.objects[key]

    keeping.sweep(repair=True)

    assert [row.outcome for row in keeping.rows(ObjectFixity)] == ["missing"]
    assert worker.due()
    worker.work()
    assert _runs(keeping) == ["rehash", "rehash", "sweep"]


def test_a_worker_that_was_off_at_night_makes_up_for_it_in_the_morning(keeping, worker):
    keeping.now_ms = _at(2026, 5, 4, 8, 30)

    worker.work()

    assert _runs(keeping) == ["rehash", "sweep"]


def test_an_installation_of_today_waits_for_its_first_night(keeping, worker):
    keeping.now_ms = _at(2026, 5, 1, 23, 59)
    assert not worker.due()

    keeping.now_ms = _at(2026, 5, 2, 3, 17)
    assert worker.due()


def test_looking_by_hand_is_no_night(keeping, worker):
    keeping.now_ms = _at(2026, 5, 4, 9)
    keeping.sweep(repair=False)

    worker.work()

    assert _runs(keeping) == ["rehash", "sweep", "sweep"]


def test_where_the_database_fails_the_log_says_so_and_the_night_goes_on(
    keeping, worker, monkeypatch, caplog
):
    def fail(*_arguments, **_named):
        raise OSError("disk I/O error")

    monkeypatch.setattr(storekeeping, "sweep", fail)
    monkeypatch.setattr(storekeeping, "keep_failure", fail)

    worker.work()

    assert _runs(keeping) == ["rehash"]
    assert "night_failed step=sweep unwritten" in caplog.text


@pytest.mark.parametrize(
    ("now", "night"),
    [
        ((2026, 5, 4, 3, 17), (2026, 5, 4, 3, 17)),
        ((2026, 5, 4, 3, 16), (2026, 5, 3, 3, 17)),
        ((2026, 5, 4, 23, 59), (2026, 5, 4, 3, 17)),
        ((2026, 5, 1, 0, 0), (2026, 4, 30, 3, 17)),
    ],
)
def test_nights_begin_in_china_wherever_the_machine_thinks_it_is(now, night):
    assert begun_ms(_at(*now)) == _at(*night)
    assert datetime.fromtimestamp(begun_ms(_at(*now)) / 1000, UTC).hour == 19


def test_a_night_audits_the_ledger_once_and_tries_again_where_that_failed(
    keeping, worker, monkeypatch
):
    real = ledger_audit.audit

    def away(*_arguments, **_named):
        raise StoreUnavailable("away")

    monkeypatch.setattr(ledger_audit, "audit", away)
    worker.work()
    monkeypatch.setattr(ledger_audit, "audit", real)
    keeping.now_ms += 29 * _MINUTE_MS
    assert not worker.due()
    keeping.now_ms += _MINUTE_MS
    worker.work()
    Worker(keeping).work()

    reports = [json.loads(row.report) for row in keeping.rows(LedgerAudit)]
    assert [(one["failed"], one["done"]) for one in reports] == [
        ("media.store_unavailable", False),
        ("", True),
    ]
    assert reports[1]["doubts"] == []
