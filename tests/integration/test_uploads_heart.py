"""The sign of life of a process, and its ear for requests to let go of an upload."""

import threading
from concurrent.futures import ThreadPoolExecutor

from server.models.uploads import ProcessHeartbeat
from server.operations.uploads import heart as hearts
from tests.support.keeping import Keeping


def test_two_threads_may_bring_the_first_sign_of_life_at_once(make_database, tmp_path, monkeypatch):
    keeping = Keeping(make_database("postgresql"), tmp_path / "var")
    heart, ready = keeping.desk.heart, threading.Barrier(2)
    now_ms = hearts.database_now_ms

    def together(session):
        ready.wait(30)
        return now_ms(session)

    monkeypatch.setattr(hearts, "database_now_ms", together)

    def beat(number):
        with heart._write() as session:
            heart._beat(session, f"process {number}")

    with ThreadPoolExecutor(2) as threads:
        for number in range(5):
            assert list(threads.map(beat, [number] * 2)) == [None, None]

    assert len(keeping.rows(ProcessHeartbeat)) == 5
