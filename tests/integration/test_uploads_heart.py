"""The sign of life of a process, and its ear for requests to let go of an upload."""

import errno
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from media.store import media_key
from media.upload import BodyCut, BodyStalled
from server.db import transaction
from server.models.uploads import ProcessHeartbeat, Upload
from server.operations import uploads
from server.operations.uploads import Heart
from server.operations.uploads import heart as hearts
from tests.support.keeping import Keeping, digest, id_of
from tests.support.uploading import (
    Silent,
    desk,
)


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


def test_a_sender_that_falls_silent_does_not_hold_a_thread_for_ever(bureau, tmp_path):
    path = bureau.create(b"0123456789")
    heart = desk(bureau).heart
    impatient = Heart(write=heart._write, read=heart._read, beat_s=0.02, idle_limit_s=0.2)
    with bureau.app.app_context(), pytest.raises(BodyStalled) as caught:
        uploads.receive(
            replace(desk(bureau), heart=impatient),
            id_of(path),
            Silent(b"0123"),
            given=0,
            checksum=None,
        )

    assert caught.value.offset == 4
    assert bureau.offset(path) == 4
    # Its bytes waited on the disk of the data, which /tmp need not be.
    assert list((tmp_path / "spool").iterdir()) == []


def test_the_heart_survives_whatever_goes_wrong_in_a_round(bureau):
    path, failed = bureau.create(b"0123456789"), []
    heart = desk(bureau).heart

    @contextmanager
    def short_of_files():
        if len(failed) < 3:
            failed.append(1)
            raise OSError(errno.EMFILE, "Too many open files")
        with heart._write() as session:
            yield session

    impatient = Heart(write=short_of_files, read=heart._read, beat_s=0.02, idle_limit_s=0.2)
    with bureau.app.app_context(), pytest.raises(BodyStalled):
        uploads.receive(
            replace(desk(bureau), heart=impatient),
            id_of(path),
            Silent(b"0123"),
            given=0,
            checksum=None,
        )

    assert len(failed) == 3
    assert bureau.offset(path) == 4


def test_a_heart_whose_thread_has_died_beats_again_at_the_next_upload(bureau, monkeypatch):
    heart = desk(bureau).heart
    impatient = Heart(write=heart._write, read=heart._read, beat_s=0.02, idle_limit_s=0.2)
    monkeypatch.setattr(impatient, "_run", lambda: None)
    with impatient.hold("an upload", 1, lambda: None):
        impatient._thread.join()
    monkeypatch.undo()

    path = bureau.create(b"0123456789")
    with bureau.app.app_context(), pytest.raises(BodyStalled):
        uploads.receive(
            replace(desk(bureau), heart=impatient),
            id_of(path),
            Silent(b"0123"),
            given=0,
            checksum=None,
        )


def test_a_heart_that_cannot_begin_leaves_no_upload_behind_it(bureau, monkeypatch):
    heart = desk(bureau).heart
    still = Heart(write=heart._write, read=heart._read)

    def none_left(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    with pytest.raises(RuntimeError), still.hold("an upload", 1, lambda: None):
        pass

    assert still._tenures == []


def test_chunks_whose_end_never_comes_hold_no_thread_and_a_whole_file_is_stored(bureau, store):
    path = bureau.create(b"0123456789")
    heart = desk(bureau).heart
    impatient = Heart(write=heart._write, read=heart._read, beat_s=0.02, idle_limit_s=0.2)
    with bureau.app.app_context():
        done = uploads.receive(
            replace(desk(bureau), heart=impatient),
            id_of(path),
            Silent(b"0123456789", expected=None),
            given=0,
            checksum=None,
        )

    assert done.status == "stored"
    assert store.objects == {media_key(digest(b"0123456789")): b"0123456789"}


def test_an_upload_that_a_failed_request_forgot_is_freed_while_others_go_on(bureau):
    forgotten, busy = bureau.create(b"0123456789"), bureau.create(b"abcdefghij")
    heart = desk(bureau).heart
    quick = Heart(write=heart._write, read=heart._read, beat_s=0.02)
    body = Silent(b"abcd")
    with bureau.app.app_context(), transaction() as session:
        row = session.get(Upload, id_of(forgotten))
        row.owner, row.fence = quick.process_id, 1

    def write():
        with bureau.app.app_context(), suppress(BodyCut):
            there = replace(desk(bureau), heart=quick)
            uploads.receive(there, id_of(busy), body, given=0, checksum=None)

    writer = threading.Thread(target=write)
    writer.start()

    deadline = time.monotonic() + 10
    while bureau.row(Upload, id_of(forgotten))["owner"] and time.monotonic() < deadline:
        time.sleep(0.02)

    assert bureau.row(Upload, id_of(forgotten))["owner"] is None
    assert bureau.row(Upload, id_of(busy))["owner"] == quick.process_id
    body.interrupt()
    writer.join(20)
    assert bureau.offset(busy) == 4
