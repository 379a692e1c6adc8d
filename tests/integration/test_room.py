"""Recordings are taken while all that was promised leaves the store above its mark."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from media.store import derived_key, media_key
from server.db import reading, transaction
from server.models.inspections import Derivative, EvidenceItem, EvidencePackage
from server.models.uploads import MediaObject
from server.operations import room
from tests.support.bureau import metadata
from tests.support.console import console_world, make_case
from tests.support.keeping import NOON_MS, Keeping, digest
from tests.support.simdevice import new_id
from tests.support.statements import spoken, under_the_head

_CAPACITY, _MARK = 100_000, 10_000
_DAY_MS = 86_400_000
_FILM = {"filetype": b"video/mp4"}


@pytest.fixture
def keeping(database_url, tmp_path):
    return Keeping(
        database_url,
        tmp_path / "var",
        LIUHEN_STORE_CAPACITY_BYTES=str(_CAPACITY),
        LIUHEN_RECORDINGS_STOP_PERCENT="10",
    )


def _begin(keeping, size, said=None, **more):
    return keeping.request(
        "POST",
        "/api/v1/uploads",
        Upload_Length=size,
        Upload_Metadata=said or metadata(os.urandom(20), **_FILM),
        **more,
    )


def _statuses(answers):
    return [answer.status_code for answer in answers]


def _room(keeping):
    with keeping.app.app_context(), reading() as session:
        return room.measure(session, keeping.settings, now_ms=keeping.now_ms)


def test_of_a_large_store_no_more_is_kept_free_than_photos_can_need(database_url, tmp_path):
    large = Keeping(
        database_url,
        tmp_path / "var",
        LIUHEN_STORE_CAPACITY_BYTES=str(1 << 40),
        LIUHEN_RECORDINGS_STOP_PERCENT="10",
    )

    assert _room(large).stop_below == 20 << 30


def test_recordings_that_begin_at_once_share_the_room_above_the_mark(keeping):
    answers = [_begin(keeping, 40_000) for _ in range(4)]

    assert _statuses(answers) == [201, 201, 507, 507]
    assert answers[2].json["code"] == "media.store_low"
    assert _statuses([_begin(keeping, 10_000), _begin(keeping, 1)]) == [201, 507]
    assert (_room(keeping).promised, _room(keeping).recordings) == (90_000, True)
    photo = os.urandom(500)
    assert keeping.patch(keeping.create(photo), photo, 0).status_code == 204
    assert not _room(keeping).recordings


def test_what_arrives_is_counted_once_and_what_ends_is_free_again(keeping):
    film = os.urandom(80_000)
    path = keeping.create(film)
    keeping.patch(path, film[:50_000], 0)

    assert (_room(keeping).free, _room(keeping).promised) == (50_000, 30_000)
    assert _statuses([_begin(keeping, 10_001), _begin(keeping, 10_000)]) == [507, 201]

    keeping.request("DELETE", path)
    assert (_room(keeping).free, _room(keeping).promised) == (_CAPACITY, 10_000)


def test_a_recording_begun_twice_since_the_answer_was_lost_comes_once(keeping):
    said = metadata(b"film", **_FILM)

    assert _statuses([_begin(keeping, 60_000, said) for _ in range(2)]) == [201, 507]
    assert _room(keeping).promised == 60_000
    film = os.urandom(30_000)
    first, second = keeping.create(film), keeping.create(film)
    keeping.patch(second, film, 0)
    assert (_room(keeping).promised, keeping.offset(first)) == (60_000, 0)


def test_a_recording_of_unknown_length_is_taken_above_the_mark_only(keeping):
    def begin():
        return keeping.request(
            "POST",
            "/api/v1/uploads",
            Upload_Defer_Length=1,
            Upload_Metadata=metadata(os.urandom(20), **_FILM),
        )

    assert begin().status_code == 201
    keeping.keep(os.urandom(_CAPACITY - _MARK + 1))
    assert begin().status_code == 507


def test_a_recording_that_says_its_length_late_is_weighed_when_it_does(keeping):
    answer = keeping.request(
        "POST",
        "/api/v1/uploads",
        Upload_Defer_Length=1,
        Upload_Metadata=metadata(b"film", **_FILM),
    )
    path = answer.headers["Location"].removeprefix("http://localhost")
    assert keeping.patch(path, bytes(1_000), 0).status_code == 204
    assert _begin(keeping, 50_000).status_code == 201

    answer = keeping.patch(path, bytes(1_000), 1_000, Upload_Length=40_001)

    assert (answer.status_code, answer.json["code"]) == (507, "media.store_low")
    assert (keeping.offset(path), _room(keeping).promised) == (1_000, 50_000)
    answer = keeping.patch(path, bytes(1_000), 1_000, Upload_Length=40_000)
    assert answer.status_code == 204
    assert _room(keeping).promised == 88_000


def test_a_recording_that_is_all_here_may_say_its_length_though_the_store_is_low(keeping):
    film = os.urandom(1_000)
    answer = keeping.request(
        "POST",
        "/api/v1/uploads",
        Upload_Defer_Length=1,
        Upload_Metadata=metadata(film, **_FILM),
    )
    path = answer.headers["Location"].removeprefix("http://localhost")
    keeping.patch(path, film, 0)
    keeping.keep(os.urandom(_CAPACITY - _MARK))

    assert keeping.patch(path, b"", 1_000, Upload_Length=1_000).status_code == 204


def test_what_lies_in_the_store_is_summed_up_before_the_ledger_is_held(keeping):
    with spoken(keeping.app) as said:
        assert _begin(keeping, 40_000).status_code == 201

    held = [statement for transaction in said for statement in under_the_head(transaction)]
    assert any("upload.length" in statement for statement in held)
    assert [one for one in held if "sum(media_object" in one or "sum(derivative" in one] == []


def _announce(keeping, data, media_type):
    keeping.announce(data)
    with keeping.app.app_context(), transaction() as session:
        session.query(EvidenceItem).filter_by(
            sha256=digest(data), organization_id=keeping.organization
        ).update({"media_type": media_type})


def test_what_a_recording_is_says_ones_own_line(keeping):
    said, elsewhere = b"sound, as our line says", b"a photo here, and sound elsewhere"
    _announce(keeping, said, "Audio/AMR")
    _announce(keeping, elsewhere, "image/jpeg")
    _announce(keeping.colleague(), elsewhere, "audio/amr")
    keeping.keep(os.urandom(_CAPACITY - _MARK))

    assert _begin(keeping, len(said), metadata(said)).status_code == 507
    assert _begin(keeping, 5, metadata(said), Upload_Concat="partial").status_code == 507
    assert _begin(keeping, len(elsewhere), metadata(elsewhere)).status_code == 201


def test_beginnings_at_the_same_moment_see_one_another(keeping):
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: _begin(keeping, 30_000), range(8)))

    assert sorted(_statuses(answers)) == [201] * 3 + [507] * 5


def test_everything_in_the_store_takes_room(keeping):
    keeping.keep(os.urandom(1_000))
    keeping.keep(b"x" * 2_000, announced=b"y" * 2_000)
    tail = os.urandom(30_000)
    keeping.patch(keeping.create(tail), tail[:4_000], 0)
    piece = keeping.request(
        "POST", "/api/v1/uploads", Upload_Length=8_000, Upload_Concat="partial"
    ).headers["Location"]
    keeping.patch(piece.removeprefix("http://localhost"), b"z" * 8_000, 0)
    with keeping.app.app_context(), transaction() as session:
        session.add(
            Derivative(
                source_sha256=digest(b"film"),
                purpose="playback",
                sha256=digest(b"copy"),
                size=16_000,
                key=derived_key(digest(b"copy")),
                made_with="ffmpeg",
            )
        )

    assert _CAPACITY - _room(keeping).free == 31_000


def test_packages_take_room(database_url, tmp_path):
    world = console_world(database_url, tmp_path / "var")
    case = make_case(world, checked=False)
    settings = replace(world.settings, store_capacity_bytes=1 << 30)
    with world.app.app_context(), transaction() as session:
        before = room.measure(session, settings, now_ms=world.now_ms)
        session.add(
            EvidencePackage(
                id=new_id(),
                inspection_id=case.inspection,
                requested_by=world.users["administrator"],
                requested_at_ms=1,
                reason="",
                state="ready",
                generation=1,
                ledger_size=1,
                size=700,
                key="package/x.zip",
            )
        )
        session.flush()
        after = room.measure(session, settings, now_ms=world.now_ms)

    assert before.free - after.free == 700


def _store(keeping, size, at_ms):
    data = os.urandom(20)
    with keeping.app.app_context(), transaction() as session:
        session.add(
            MediaObject(
                sha256=digest(data),
                size=size,
                crc32=0,
                key=media_key(digest(data)),
                status="stored",
                stored_at_ms=at_ms,
            )
        )


@pytest.mark.parametrize(
    ("first_before", "daily", "days", "days_left"),
    [
        (0.1, 7_000, 1, 11),
        (1, 7_000, 1, 11),
        (3.5, 2_000, 4, 41),
        (14, 500, 14, 166),
        (400, 500, 14, 164),
    ],
)
def test_the_room_lasts_as_long_as_at_the_rate_of_the_days_there_are(
    keeping, first_before, daily, days, days_left
):
    first_ms = int(NOON_MS - first_before * _DAY_MS) + (first_before == 14)
    _store(keeping, 1_000, first_ms)
    _store(keeping, 6_000 if first_before < 15 else 7_000, NOON_MS - 1)

    found = _room(keeping)

    assert (found.daily, found.days, found.days_left) == (daily, days, days_left)


def test_what_was_adopted_did_not_come(keeping):
    lost = os.urandom(9_000)
    keeping.store.objects[media_key(digest(lost))] = lost
    keeping.sweep(repair=True)

    assert (_room(keeping).daily, _room(keeping).days_left) == (0, None)


def test_without_a_known_size_every_recording_is_taken(database_url, tmp_path):
    elsewhere = Keeping(
        database_url, tmp_path / "var", LIUHEN_S3_ENDPOINT="https://store.example.org"
    )

    assert _begin(elsewhere, 1 << 30).status_code == 201
    assert (_room(elsewhere).free, _room(elsewhere).recordings) == (None, True)
