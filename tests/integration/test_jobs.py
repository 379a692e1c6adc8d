"""The worker's rounds: one of a kind at a time, and none that holds up the others."""

import threading

import pytest

from server import jobs
from server.operations import export, media_checks
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
