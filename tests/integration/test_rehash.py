"""Originals that the store does not give are named and hold up nobody; a store that is away is."""

import itertools
import json
import os

import pytest

from media.store import ObjectMissing, StoreUnavailable, media_key
from server.models.ledger import LedgerEvent
from server.models.uploads import ObjectFixity, StoreCheck, UnreadableObject
from tests.support.keeping import Keeping, digest
from tests.support.statements import spoken, under_the_head

_NIGHT_MS = 86_400_000


@pytest.fixture
def keeping(database_url, tmp_path):
    return Keeping(database_url, tmp_path / "var")


class Refusing:
    """The store answers 500 for ``keys``, whatever is asked."""

    def __init__(self, store, monkeypatch):
        self.keys, self.asked = set(), []
        self.away = False
        for name in ("stream", "read"):
            monkeypatch.setattr(store, name, self._behind(getattr(store, name)))
        listed = store.list
        monkeypatch.setattr(store, "list", lambda prefix: self._answering() and listed(prefix))

    def _behind(self, call):
        def refuse(key, *more):
            self.asked.append(key)
            if key in self.keys:
                raise StoreUnavailable(f"{key}: InternalError 500", status=500)
            return self._answering() and call(key, *more)

        return refuse

    def _answering(self):
        if self.away:
            raise StoreUnavailable("no answer")
        return True


@pytest.fixture
def refusing(keeping, monkeypatch):
    return Refusing(keeping.store, monkeypatch)


def _doubts(reports):
    return sorted((one.kind, one.key) for report in reports for one in report.doubts)


def _unreadable(keys):
    return sorted(("unreadable", key) for key in keys)


def test_an_original_that_is_not_given_is_named_and_the_others_are_read(keeping, refusing):
    keys = keeping.lay(*(os.urandom(100) for _ in range(4)))
    refusing.keys = {min(keys)}

    for _ in range(2):
        keeping.now_ms += _NIGHT_MS
        reports = keeping.rehash()
        assert _doubts(reports) == _unreadable(refusing.keys)
        assert sum(report.objects for report in reports) == 3
    (row,) = keeping.rows(UnreadableObject)
    assert (row.code, row.tried_at_ms - row.since_ms) == ("media.store_unavailable", _NIGHT_MS)
    alarm = [json.loads(row.event) for row in keeping.rows(LedgerEvent) if row.kind == "alarm"]
    assert [event["snapshot"] for event in alarm] == [{"doubts": {"unreadable": 1}}] * 2

    refusing.keys = set()
    keeping.now_ms += _NIGHT_MS
    assert _doubts(keeping.rehash()) == []
    assert keeping.rows(UnreadableObject) == []


def test_many_that_are_not_given_stop_no_run_while_the_store_gives_others(keeping, refusing):
    keys = sorted(keeping.lay(*(os.urandom(100) for _ in range(60))))
    refusing.keys = set(keys[:12])

    reports = keeping.rehash()

    assert _doubts(reports) == _unreadable(refusing.keys)
    assert sum(report.objects for report in reports) == 48


def test_night_after_night_the_others_come_first(keeping, refusing):
    keys = keeping.lay(*(os.urandom(100) for _ in range(6)))
    refusing.keys = set(sorted(keys)[:3])

    for _ in range(3):
        keeping.now_ms += _NIGHT_MS
        keeping.rehash(budget_bytes=100, before_ms=keeping.now_ms - 90 * _NIGHT_MS)

    assert {media_key(row.sha256) for row in keeping.rows(ObjectFixity)} == set(
        keys
    ) - refusing.keys
    asked = len(refusing.asked)
    keeping.now_ms += _NIGHT_MS
    keeping.rehash(budget_bytes=100, before_ms=keeping.now_ms - 90 * _NIGHT_MS)
    assert set(refusing.asked[asked:]) >= refusing.keys


def test_a_store_that_gives_nothing_any_more_is_away_and_accuses_nobody(
    keeping, refusing, monkeypatch
):
    keys = keeping.lay(*(os.urandom(100) for _ in range(30)))
    given = itertools.count()
    stream = keeping.store.stream

    def until_then(key):
        refusing.away = next(given) >= 12
        return stream(key)

    monkeypatch.setattr(keeping.store, "stream", until_then)
    with pytest.raises(StoreUnavailable):
        keeping.rehash()

    (row,) = keeping.rows(StoreCheck)
    assert (row.objects, json.loads(row.report)["doubt_count"]) == (12, 0)
    assert keeping.rows(UnreadableObject) == []
    refusing.away = False
    monkeypatch.setattr(keeping.store, "stream", stream)
    keeping.now_ms += 1
    (rest,) = keeping.rehash(before_ms=keeping.now_ms - 1)
    assert rest.objects == len(keys) - 12


def test_a_store_that_was_away_from_the_beginning_leaves_no_report(keeping, refusing):
    keeping.lay()
    refusing.away = True

    with pytest.raises(StoreUnavailable):
        keeping.rehash()

    assert keeping.rows(StoreCheck) == []


def test_the_only_original_can_be_the_one_that_is_not_given(keeping, refusing):
    refusing.keys = set(keeping.lay())

    assert _doubts(keeping.rehash()) == _unreadable(refusing.keys)


def test_what_was_found_before_stands_while_the_store_does_not_give_it(keeping, refusing):
    data = os.urandom(100)
    (key,) = keeping.lay(data)
    keeping.lay()
    keeping.store.objects[key] = b"other bytes"
    keeping.rehash()
    refusing.keys = {key}

    keeping.now_ms += _NIGHT_MS
    keeping.rehash()

    [row] = [row for row in keeping.rows(ObjectFixity) if row.sha256 == digest(data)]
    assert row.outcome == "changed"


@pytest.mark.parametrize("ahead_ms", [1, 0, -60_000], ids=["later", "same", "clock behind"])
def test_what_is_brought_back_while_a_slice_is_read_is_not_called_lost(
    keeping, monkeypatch, ahead_ms
):
    data = os.urandom(100)
    (key,) = keeping.lay(data)
    keeping.announce(data)
    del keeping.store.objects[key]
    keeping.rehash()
    stream = keeping.store.stream

    def meanwhile(wanted):
        with pytest.raises(ObjectMissing):
            list(stream(wanted))
        monkeypatch.undo()
        # By the clock of the machine that receives it.
        keeping.now_ms += ahead_ms
        keeping.keep(data)
        raise ObjectMissing(wanted)

    keeping.now_ms += _NIGHT_MS
    monkeypatch.setattr(keeping.store, "stream", meanwhile)
    reports = keeping.rehash()

    assert _doubts(reports) == []
    assert [row.outcome for row in keeping.rows(ObjectFixity)] == ["whole"]
    assert keeping.store.objects[key] == data


def test_a_run_without_anything_due_leaves_its_report(keeping):
    (first,) = keeping.rehash()
    assert (first.objects, first.doubts) == (0, ())

    keeping.lay()
    keeping.now_ms += 1
    assert [report.objects for report in keeping.rehash()] == [1]
    assert len(keeping.rows(StoreCheck)) == 2


def test_a_slice_is_written_down_in_a_few_statements_however_long_it_is(keeping):
    def statements():
        keeping.now_ms += _NIGHT_MS
        with spoken(keeping.app) as said:
            keeping.rehash()
        return sum(len(under_the_head(transaction)) for transaction in said)

    keeping.lay(b"one")
    few = statements()
    keeping.lay(*(os.urandom(100) for _ in range(20)))

    assert statements() <= few + 2
    assert len(keeping.rows(ObjectFixity)) == 21


def test_slices_of_one_run_say_when_it_began(keeping, monkeypatch):
    keeping.lay(*(os.urandom(100) for _ in range(5)))
    monkeypatch.setattr("server.operations.storekeeping.fixity._SLICE_OBJECTS", 2)

    assert [report.objects for report in keeping.rehash()] == [2, 2, 1]

    assert len({row.began_at_ms for row in keeping.rows(StoreCheck)}) == 1
