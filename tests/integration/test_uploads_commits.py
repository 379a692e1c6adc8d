"""From all bytes to a stored object: whatever fails in between is finished, once."""

import os
import threading
import time

import pytest

from media.store import StoreUnavailable, long_key, media_key, piece_key, quarantine_key
from media.upload import PART_BYTES
from server.db import transaction
from server.models.uploads import MediaObject, QuarantinedMedia, Upload
from server.operations import uploads
from tests.support.bureau import metadata
from tests.support.keeping import LARGE, digest, id_of
from tests.support.statements import spoken, under_the_head
from tests.support.uploading import (
    Killed,
    bury,
    desk,
    died,
    forget_the_digest,
    killing,
    refused,
    send,
    wait_until,
)


def test_a_failing_store_loses_nothing_that_was_acknowledged(bureau, store):
    data = os.urandom(100_000)
    path = bureau.create(data)
    bureau.patch(path, data[:50_000], 0)

    def down(act, key):
        raise StoreUnavailable(key)

    store.before = down
    failed = bureau.patch(path, data[50_000:], 50_000)
    store.before = lambda act, key: None

    assert refused(failed) == (503, "media.store_unavailable")
    assert failed.headers["Retry-After"] == "1"
    send(bureau, path, data, pieces=len(data))
    assert store.objects == {media_key(digest(data)): data}


@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_interrupted_at_the_store_is_finished_by_the_sweeper(
    bureau, store, monkeypatch, size, moment
):
    data = os.urandom(size)
    path = bureau.create(data)
    act = "put" if size == 1000 else "complete"
    bury(monkeypatch)

    def kill(done, key):
        if done == act and not key.startswith("tail/"):
            raise Killed

    setattr(store, moment, kill)
    with pytest.raises(Killed):
        bureau.patch(path, data, 0)
    setattr(store, moment, lambda act, key: None)
    died(bureau)
    with bureau.app.app_context():
        assert uploads.finish_interrupted_commits(desk(bureau)) == [id_of(path)]
        assert uploads.finish_interrupted_commits(desk(bureau)) == []

    send(bureau, path, data, pieces=size)
    assert list(store.objects.values()) == [data]
    assert bureau.row(MediaObject, digest(data))["status"] == "stored"
    assert len(bureau.events("verify")) == 1


@pytest.mark.parametrize("slower", ["in parts", "in one piece"])
def test_two_that_commit_the_same_bytes_in_different_ways_make_one_object(bureau, store, slower):
    data = os.urandom(PART_BYTES + 100)
    answer = bureau.request(
        "POST", "/api/v1/uploads", Upload_Defer_Length=1, Upload_Metadata=metadata(data)
    )
    parts, single = answer.headers["Location"].removeprefix("http://localhost"), bureau.create(data)
    bureau.patch(parts, data[:-1], 0)
    bureau.patch(single, data[:-1], 0)
    inside, go_on, answers = threading.Event(), threading.Event(), []

    def wait(act, key):
        if act == ("complete" if slower == "in parts" else "put") and key.startswith("media/"):
            inside.set()
            go_on.wait(20)

    def end(path):
        answers.append(bureau.patch(path, data[-1:], len(data) - 1, Upload_Length=len(data)))

    store.before = wait
    first, second = (parts, single) if slower == "in parts" else (single, parts)
    threads = [threading.Thread(target=end, args=(path,)) for path in (first, second)]
    threads[0].start()
    inside.wait(20)
    threads[1].start()
    # The second has met the first one's intent by then, and waits for its end.
    wait_until(lambda: bureau.row(Upload, id_of(second))["owner"] is not None)
    time.sleep(0.2)
    go_on.set()
    for thread in threads:
        thread.join(20)

    assert [answer.status_code for answer in answers] == [204, 204]
    assert store.objects == {bureau.row(MediaObject, digest(data))["key"]: data}
    assert store.parts == {}


@pytest.mark.parametrize("size", [1000, LARGE])
def test_whatever_settles_bytes_takes_the_ledgers_head_before_any_row(bureau, size):
    data = os.urandom(size)
    paths = [bureau.create(data) for _ in range(2)]

    with spoken(bureau.app) as said:
        for path in paths:
            assert bureau.patch(path, data, 0).status_code == 204

    settling = [one for one in said if any("UPDATE ledger_head" in text for text in one)]
    writing = [one for one in said if any("media_object" in text for text in written(one))]
    assert len(settling) == 2
    for one in settling + writing:
        assert written(one) == written(under_the_head(one))


def written(statements):
    return [text for text in statements if text.startswith(("INSERT", "UPDATE", "DELETE"))]


def test_an_intent_that_nobody_has_any_more_is_taken_over(bureau, store):
    data = os.urandom(LARGE)
    path = bureau.create(data)
    with bureau.app.app_context(), transaction() as session:
        session.add(
            MediaObject(
                sha256=digest(data), size=LARGE, crc32=0, key="media/long/gone", status="committing"
            )
        )

    answer = bureau.patch(path, data, 0)

    assert answer.status_code == 204
    assert store.objects == {long_key(id_of(path)): data}
    assert bureau.row(MediaObject, digest(data))["key"] == long_key(id_of(path))


def test_a_commit_that_cannot_be_finished_holds_up_no_other(bureau, store, monkeypatch):
    bury(monkeypatch)
    paths = [bureau.create(data) for data in (b"first", b"second")]

    def kill(done, key):
        raise Killed

    store.after = kill
    for path, data in zip(paths, (b"first", b"second"), strict=True):
        with pytest.raises(Killed):
            bureau.patch(path, data, 0)
    store.after = lambda act, key: None
    died(bureau)
    monkeypatch.setattr(store, "head", failing_for(store.head, media_key(digest(b"first"))))
    with bureau.app.app_context():
        uploads.finish_interrupted_commits(desk(bureau))

    assert bureau.row(MediaObject, digest(b"second"))["status"] == "stored"
    assert bureau.row(MediaObject, digest(b"first"))["status"] == "committing"


def failing_for(ask, key):
    """``ask`` of a store that cannot answer about ``key``."""

    def asked(wanted):
        if wanted == key:
            raise StoreUnavailable(key)
        return ask(wanted)

    return asked


@pytest.mark.parametrize("others", [bytes(1000), b"half", b""], ids=["same size", "cut", "empty"])
def test_other_bytes_under_a_photos_key_do_not_pass_for_it_and_are_named(bureau, store, others):
    photo, colleague = os.urandom(1000), bureau.colleague()
    proper = media_key(digest(photo))
    store.objects[proper] = others
    path = bureau.create(photo)

    answer = bureau.patch(path, photo, 0)

    assert answer.status_code == 204
    aside = bureau.row(MediaObject, digest(photo))["key"]
    assert aside == long_key(id_of(path))
    assert store.objects == {proper: others, aside: photo}
    (alarm,) = bureau.events("alarm")
    assert alarm["subject"] == {"object": proper}
    assert alarm["snapshot"] == {
        "act": "object_differs",
        "upload": id_of(path),
        "sha256": digest(photo),
        "kept": aside,
    }
    send(colleague, colleague.create(photo), photo, pieces=1000)
    assert store.objects == {proper: others, aside: photo}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("place", ["media/", "media/long/"])
def test_a_repeated_commit_looks_at_the_bytes_under_the_key_not_at_their_number(
    bureau, store, monkeypatch, moment, place
):
    photo = os.urandom(1000)
    store.objects[media_key(digest(photo))] = bytes(1000)
    path = bureau.create(photo)
    bury(monkeypatch)

    def kill(_act, key):
        if key.startswith(place):
            raise Killed

    monkeypatch.setattr(store, "put_once", killing(store.put_once, kill, moment))
    with pytest.raises(Killed):
        bureau.patch(path, photo, 0)
    monkeypatch.undo()
    died(bureau)
    looked = bureau.request("HEAD", path)

    if (place, moment) == ("media/long/", "after"):
        assert "Repr-Digest" in looked.headers
    else:
        assert (looked.headers["Upload-Offset"], "Repr-Digest" in looked.headers) == ("0", False)
    send(bureau, path, photo, pieces=1000)
    assert store.objects[bureau.row(MediaObject, digest(photo))["key"]] == photo
    assert len(bureau.events("alarm")) == len(bureau.events("verify")) == 1


def test_two_that_look_at_a_commit_whose_process_died_are_both_answered(bureau, store, monkeypatch):
    data = os.urandom(LARGE)
    path = bureau.create(data)
    forget_the_digest(bureau, path, data[:-1])
    bury(monkeypatch)

    def kill(act, _key):
        if act == "complete":
            raise Killed

    store.after = kill
    with pytest.raises(Killed):
        bureau.patch(path, data[-1:], len(data) - 1)
    monkeypatch.undo()
    store.after = lambda act, key: None
    died(bureau)
    stream, offsets = store.stream, []

    def meanwhile(key):
        monkeypatch.undo()
        offsets.append(bureau.offset(path))
        return stream(key)

    monkeypatch.setattr(store, "stream", meanwhile)
    offsets.append(bureau.offset(path))

    assert offsets == [len(data)] * 2
    assert bureau.row(MediaObject, digest(data))["status"] == "stored"


def test_bytes_set_aside_and_pieces_survive_a_write_that_was_cut_short(bureau, store):
    wrong, piece = bureau.create(b"as announced"), b"one half"
    answer = bureau.request("POST", "/api/v1/uploads", Upload_Length=8, Upload_Concat="partial")
    partial = answer.headers["Location"].removeprefix("http://localhost")
    store.objects[quarantine_key(id_of(wrong))] = b"as deli"
    store.objects[piece_key(id_of(partial))] = b"one"

    refusal = bureau.patch(wrong, b"as delivered", 0)
    taken = bureau.patch(partial, piece, 0)

    assert (refusal.status_code, taken.status_code) == (460, 204)
    aside = bureau.row(QuarantinedMedia, id_of(wrong))["key"]
    assert store.objects == {
        quarantine_key(id_of(wrong)): b"as deli",
        aside: b"as delivered",
        piece_key(id_of(partial)): piece,
    }


def test_a_recording_whose_key_holds_other_bytes_is_begun_anew(bureau, store):
    recording = os.urandom(LARGE)
    path = bureau.create(recording)
    taken = long_key(id_of(path))
    store.objects[taken] = recording[:-1]

    answer = bureau.patch(path, recording, 0)

    assert refused(answer) == (410, "media.upload_gone")
    assert bureau.request("HEAD", path).status_code == 410
    assert store.parts == {}
    assert bureau.row(MediaObject, digest(recording)) is None
    (alarm,) = bureau.events("alarm")
    assert (alarm["subject"], alarm["snapshot"]["kept"]) == ({"object": taken}, "")
    again = bureau.create(recording)
    send(bureau, again, recording, pieces=LARGE)
    assert store.objects[long_key(id_of(again))] == recording
