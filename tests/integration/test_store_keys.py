"""Every kind of object that a store can hold: what a sweep takes it for, and that it stays."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from media.store import (
    StoreUnavailable,
    derived_key,
    long_key,
    media_key,
    package_key,
    quarantine_key,
    tail_key,
)
from server.db import transaction
from server.models.inspections import Derivative
from server.models.uploads import AdoptedObject, MediaObject, QuarantinedMedia, StoreCheck, Upload
from tests.support.bureau import metadata
from tests.support.keeping import LARGE, Keeping, digest, id_of
from tests.support.simdevice import new_id

_DAY_MS = 86_400_000


@pytest.fixture
def keeping(database_url, tmp_path):
    return Keeping(database_url, tmp_path / "var")


def changed(data):
    return data[:-1] + bytes([data[-1] ^ 1])


class Everything:
    """One object of every kind that is described in media/store.py."""

    def __init__(self, keeping):
        self.keeping = keeping
        #: What no row names, whole: this alone is adopted.
        self.lost_photo, self.lost_film = os.urandom(300), os.urandom(301)
        self.adoptable = {media_key(digest(self.lost_photo)), long_key(new_id())}
        self.wrong, self.stray = f"media/00/{'0' * 64}", quarantine_key(new_id())
        #: Nobody needs these, and they are old.
        self.left = {tail_key(new_id(), offset=0, epoch=1), f"tail/survey-{new_id()}/first"}

    def lay_out(self):
        film = os.urandom(LARGE)
        self.keeping.keep(os.urandom(100))
        self.keeping.keep(film)
        self.keeping.keep(b"other bytes", announced=b"as was said")
        self.aside = id_of(self.keeping.keep(changed(film), announced=film[::-1]))
        self._unfinished(os.urandom(LARGE))
        self._interrupted(os.urandom(LARGE + 1))
        self._interrupted(os.urandom(LARGE + 2), announced=os.urandom(LARGE + 2))
        self._given_up(os.urandom(LARGE + 3), announced=os.urandom(LARGE + 3))
        self._made(os.urandom(50))
        objects = self.keeping.store.objects
        for key, data in zip(
            sorted(self.adoptable), (self.lost_photo, self.lost_film), strict=True
        ):
            objects[key] = data
        objects |= {
            self.wrong: b"not those bytes",
            self.stray: b"set aside, before the database was lost",
            derived_key(digest(b"nobody's")): b"nobody's",
            package_key(new_id(), digest(b"zip")): b"zip",
            f"{package_key(new_id(), digest(b'zip'))}.sig": b"note",
            f"parts/kept-{new_id()}/0/media/long/{new_id()}": b"",
            **dict.fromkeys(self.left, b"left over"),
        }
        self.keeping.store.begin_multipart(long_key(new_id()))
        return self

    def _unfinished(self, data):
        """An upload under way with parts and a tail, and a finished piece of another file."""
        self.open = self.keeping.create(data)
        self.keeping.patch(self.open, data[: LARGE - 1000], 0)
        piece = self.keeping.request(
            "POST",
            "/api/v1/uploads",
            Upload_Length=len(data),
            Upload_Concat="partial",
            Upload_Metadata=metadata(data * 2),
        ).headers["Location"]
        self.keeping.patch(piece.removeprefix("http://localhost"), data, 0)

    def _interrupted(self, data, announced=None):
        """The object is there, and whoever was to write that down has died."""
        path = self.keeping.create(announced or data)

        def die(act, _key):
            if act == "complete":
                raise StoreUnavailable("its answer was lost")

        self.keeping.store.after = die
        self.keeping.patch(path, data, 0)
        self.keeping.store.after = lambda act, key: None
        assert long_key(id_of(path)) in self.keeping.store.objects

    def _given_up(self, data, announced):
        """A whole object of an upload that ended without it, and whose bytes are others."""
        path = self.keeping.create(announced)
        self.keeping.request("DELETE", path)
        self.given_up = long_key(id_of(path))
        self.keeping.store.objects[self.given_up] = data

    def _made(self, data):
        self.keeping.store.objects[derived_key(digest(data))] = data
        with self.keeping.app.app_context(), transaction() as session:
            session.add(
                Derivative(
                    source_sha256=digest(b"original"),
                    purpose="thumbnail",
                    sha256=digest(data),
                    size=len(data),
                    key=derived_key(digest(data)),
                    made_with="Pillow",
                )
            )

    def expected_doubts(self, *, repaired):
        found = {("misnamed", self.wrong), ("misnamed", self.given_up), ("stray", self.stray)}
        if not repaired:
            unknown = (self.wrong, self.given_up, *self.adoptable)
            found = {("stray", self.stray), *(("unadopted", key) for key in unknown)}
        return found


def _named(report):
    return {(doubt.kind, doubt.key) for doubt in report.doubts}


def test_only_whole_objects_that_no_row_names_are_adopted(keeping):
    all_kinds = Everything(keeping).lay_out()

    looked, repaired, again = (keeping.sweep(repair=repair) for repair in (False, True, True))

    beside = {"quarantined": 2, "under_way": 2, "duplicates": 0}
    assert looked.beside == repaired.beside == again.beside == beside
    assert _named(looked) == all_kinds.expected_doubts(repaired=False)
    assert _named(repaired) == _named(again) == all_kinds.expected_doubts(repaired=True)
    assert (looked.adopted, set(repaired.adopted), again.adopted) == ((), all_kinds.adoptable, ())
    assert {row.key for row in keeping.rows(AdoptedObject)} == all_kinds.adoptable
    assert len([row for row in keeping.rows(MediaObject) if row.status == "stored"]) == 4


def test_nothing_but_old_leftovers_ever_goes(keeping):
    all_kinds = Everything(keeping).lay_out()
    before, multiparts = dict(keeping.store.objects), set(keeping.store.parts)

    for _ in range(2):
        keeping.sweep(repair=False)
        assert (keeping.store.objects, set(keeping.store.parts)) == (before, multiparts)
    keeping.sweep(repair=True)

    gone = {key for key in before if key not in keeping.store.objects}
    assert gone == all_kinds.left
    assert keeping.store.objects.items() <= before.items()
    assert len(multiparts - set(keeping.store.parts)) == 1
    assert keeping.offset(all_kinds.open) > 0


def test_what_ended_long_ago_is_collected_and_evidence_stays(keeping):
    Everything(keeping).lay_out()
    before = dict(keeping.store.objects)

    keeping.now_ms += 400 * _DAY_MS
    keeping.sweep(repair=True)
    keeping.sweep(repair=True)

    gone = {key for key in before if key not in keeping.store.objects}
    assert {key.partition("/")[0] for key in gone} == {"tail"}
    assert keeping.store.parts == {}


@pytest.mark.parametrize("size", [100, LARGE])
def test_bytes_in_quarantine_are_nobodys_evidence(keeping, size):
    data = os.urandom(size)
    keeping.keep(changed(data), announced=data)

    report = keeping.sweep(repair=True)

    assert (report.adopted, report.doubts) == ((), ())
    assert report.beside["quarantined"] == 1
    assert keeping.rows(MediaObject) == []
    for asking in (keeping, keeping.colleague()):
        asking.announce(changed(data))
        assert keeping.lacking(changed(data), of=asking)
    assert len(keeping.rows(QuarantinedMedia)) == 1


def test_what_an_ended_upload_brought_is_held_by_its_organisation_alone(keeping):
    data = os.urandom(LARGE)
    keeping.announce(data)
    path = keeping.create(data)
    keeping.request("DELETE", path)
    keeping.store.objects[long_key(id_of(path))] = data
    stranger = keeping.colleague()
    stranger.announce(data)

    keeping.sweep(repair=True)

    (upload,) = keeping.rows(Upload)
    assert (upload.status, upload.found_sha256) == ("stored", digest(data))
    assert not keeping.lacking(data)
    assert keeping.lacking(data, of=stranger)


def test_bytes_that_came_twice_are_counted_and_not_read_each_night(keeping, monkeypatch):
    data = os.urandom(LARGE)
    keeping.keep(data)
    path = keeping.create(data + b"?", length=len(data))
    twin = long_key(id_of(path))
    with keeping.app.app_context(), transaction() as session:
        upload = session.get(Upload, id_of(path))
        upload.status, upload.found_sha256, upload.sha256 = "stored", digest(data), digest(data)
    keeping.store.objects[twin] = data
    monkeypatch.setattr(keeping.store, "stream", lambda key: pytest.fail(f"{key} was read"))

    report = keeping.sweep(repair=True)

    assert (report.doubts, report.beside["duplicates"]) == ((), 1)


@pytest.mark.parametrize("came", ["uploaded", "adopted"])
def test_what_lies_where_an_original_was_before_it_was_brought_back_is_read_and_named(
    keeping, came
):
    data = os.urandom(LARGE)
    if came == "uploaded":
        old = long_key(id_of(keeping.keep(data)))
    else:
        old = long_key(new_id())
        keeping.store.objects[old] = data
        keeping.sweep(repair=True)
    keeping.announce(data)
    keeping.store.objects[old] = bytes(LARGE)
    keeping.now_ms += 1000
    keeping.rehash()
    new = long_key(id_of(keeping.keep(data)))
    assert keeping.store.objects[new] == data

    report = keeping.sweep(repair=True)

    assert _named(report) == {("misnamed", old)}
    assert (report.beside["duplicates"], report.adopted) == (0, ())


def test_a_store_that_lets_nothing_go_is_compared_all_the_same(keeping, monkeypatch):
    (key,) = keeping.lay()
    tail = tail_key(new_id(), offset=0, epoch=1)
    keeping.store.objects[tail] = b"left over"
    del keeping.store.objects[key]

    def refuse(_keys):
        raise StoreUnavailable("AccessDenied", status=403)

    monkeypatch.setattr(keeping.store, "delete_tails", refuse)
    report = keeping.sweep(repair=True)

    assert _named(report) == {("missing", key), ("undeleted", tail)}


def test_two_runs_at_once_adopt_each_object_once_and_both_report(keeping, monkeypatch):
    keys = set()
    for data in (os.urandom(300), os.urandom(301)):
        keys.add(media_key(digest(data)))
        keeping.store.objects[media_key(digest(data))] = data
    together = threading.Barrier(2)
    stream = keeping.store.stream

    def read_at_once(key):
        together.wait(30)
        return stream(key)

    monkeypatch.setattr(keeping.store, "stream", read_at_once)
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(keeping.sweep, repair=True) for _ in range(2)]
        reports = [run.result(60) for run in runs]

    assert sorted(key for report in reports for key in report.adopted) == sorted(keys)
    assert [report.doubts for report in reports] == [(), ()]
    assert {row.key for row in keeping.rows(AdoptedObject)} == keys
    assert len(keeping.rows(StoreCheck)) == 2
    assert len(keeping.events("verify")) == len(keys) + 2


def test_an_upload_that_comes_first_by_a_hair_keeps_its_object(keeping, monkeypatch):
    data = os.urandom(300)
    key = media_key(digest(data))
    keeping.store.objects[key] = data
    stream = keeping.store.stream

    def meanwhile(wanted):
        monkeypatch.undo()
        keeping.keep(data)
        return stream(wanted)

    monkeypatch.setattr(keeping.store, "stream", meanwhile)
    report = keeping.sweep(repair=True)

    assert (report.adopted, report.doubts, keeping.rows(AdoptedObject)) == ((), (), [])
    assert [row.key for row in keeping.rows(MediaObject)] == [key]
