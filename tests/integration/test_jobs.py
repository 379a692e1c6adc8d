"""The worker's rounds: one of a kind at a time, and none that holds up the others."""

import threading
import time
from datetime import datetime
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from server import jobs
from server.cli import cli
from server.jobs import nightly
from server.operations import export, media_checks, recordings, uploads
from tests.support.world import make_world


@pytest.fixture
def world(database_url, tmp_path):
    return make_world(database_url, tmp_path / "var")


def _wake(world, kind):
    with world.app.app_context():
        jobs.wake(kind)


def _work_off(world):
    """What one of the worker's threads does with all that has been asked for."""
    queue = jobs.queue_of(world.app)
    while task := queue.dequeue():
        queue.execute(task)


def test_a_long_round_holds_up_no_other_work_and_does_not_miss_what_came_meanwhile(
    world, monkeypatch
):
    begun, finish = threading.Event(), threading.Event()
    rounds, packages = [], []

    def check(_services, _rounds):
        rounds.append(threading.get_ident())
        if len(rounds) == 1:
            begun.set()
            assert finish.wait(30)

    monkeypatch.setattr(media_checks, "check_waiting_items", check)
    monkeypatch.setattr(export, "build_waiting_packages", packages.append)
    _wake(world, jobs.CHECK_MEDIA)
    busy = threading.Thread(target=_work_off, args=(world,))
    busy.start()
    assert begun.wait(30)

    for _ in range(3):
        _wake(world, jobs.CHECK_MEDIA)
    _wake(world, jobs.BUILD_PACKAGES)
    _work_off(world)
    built_meanwhile = len(packages)
    finish.set()
    busy.join(30)

    assert built_meanwhile == 1
    assert rounds == [busy.ident] * 2


def test_with_every_kind_but_one_held_up_for_hours_that_one_is_done(world, monkeypatch):
    """As many threads as the worker has: a night, films, checks and packages hold none of it."""
    held, finish, done = threading.Semaphore(0), threading.Event(), threading.Event()

    def hold_up(*_arguments, **_named):
        held.release()
        assert finish.wait(30)

    monkeypatch.setattr(nightly.Nights, "perform", hold_up)
    monkeypatch.setattr(recordings, "derive_from_recordings", hold_up)
    monkeypatch.setattr(media_checks, "check_waiting_items", hold_up)
    monkeypatch.setattr(export, "build_waiting_packages", hold_up)
    monkeypatch.setattr(uploads, "expire_uploads", lambda _desk: done.set())
    queue = jobs.queue_of(world.app)

    def consume():
        while not finish.is_set():
            if (task := queue.dequeue()) is None:
                time.sleep(0.01)
            else:
                queue.execute(task)

    threads = [threading.Thread(target=consume) for _ in range(jobs.THREADS)]
    for thread in threads:
        thread.start()
    try:
        for minute in range(5):
            for task in queue.read_periodic(datetime(2026, 5, 4, 9, minute)):
                if minute or task.name != f"every_minute_{jobs.KEEP_UPLOADS}":
                    queue.enqueue(task)
            if not minute:
                assert all(held.acquire(timeout=30) for _ in range(3))
        assert done.wait(30)
        assert not held.acquire(blocking=False)
    finally:
        finish.set()
        for thread in threads:
            thread.join(30)


def test_each_kind_of_work_comes_every_minute_by_itself(world):
    due = jobs.queue_of(world.app).read_periodic(datetime(2026, 5, 4, 9, 30))

    assert sorted(task.name for task in due) == sorted(f"every_minute_{k}" for k in jobs.KINDS)


def test_the_worker_has_a_thread_for_each_kind(monkeypatch):
    made = []

    class Queue:
        def create_consumer(self, *, workers, max_delay):
            made.append(workers)
            return SimpleNamespace(run=lambda: None)

    monkeypatch.setattr("server.cli.create_app", lambda _settings: None)
    monkeypatch.setattr("server.cli.Settings.from_env", lambda _env: None)
    monkeypatch.setattr(jobs, "queue_of", lambda _app: Queue())
    for options in ([], ["--threads", "1"], ["--threads", "9"]):
        assert CliRunner().invoke(cli, ["worker", *options]).exit_code == 0

    assert made == [len(jobs.KINDS), len(jobs.KINDS), 9]


def test_films_stop_for_a_night_that_is_due(world, monkeypatch):
    asked = []
    monkeypatch.setattr(nightly.Nights, "perform", lambda _nights: asked.append("night"))
    monkeypatch.setattr(nightly.Nights, "are_due", lambda _nights: asked.append("due"))
    monkeypatch.setattr(
        recordings,
        "derive_from_recordings",
        lambda _services, _memory, *, until: asked.append("films") or until(),
    )

    _wake(world, jobs.QUIET_WORK)
    _work_off(world)

    assert asked == ["night", "films", "due"]


def test_a_round_that_fails_does_not_keep_the_next_from_running(world, monkeypatch):
    rounds = []

    def check(_services, _rounds):
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise OSError("the disk is full")

    monkeypatch.setattr(media_checks, "check_waiting_items", check)

    for _ in range(2):
        _wake(world, jobs.CHECK_MEDIA)
    _work_off(world)

    assert rounds == [0, 1]
