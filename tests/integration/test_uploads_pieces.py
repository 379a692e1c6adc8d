"""Uploads whose length, digest or pieces become known late: what standard tus clients do."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from media.store import StoreUnavailable, media_key, piece_key
from media.upload import PART_BYTES, SINGLE_LIMIT_BYTES
from server.db import reading
from server.models.uploads import MediaObject, QuarantinedMedia, Upload
from server.operations import uploads
from server.settings import Settings
from tests.support.bureau import Bureau, environment, lay_out, metadata, upload_app

LARGE = SINGLE_LIMIT_BYTES + PART_BYTES // 2


@pytest.fixture
def bureau(tmp_path, database_url, store, clock):
    settings = Settings.from_env(
        environment(
            tmp_path,
            LIUHEN_DATABASE_URL=database_url,
            LIUHEN_MEDIA_LIMIT_BYTES=str(64 << 20),
            LIUHEN_UNANNOUNCED_LIMIT_BYTES=str(100 << 20),
            LIUHEN_OPEN_UPLOADS_LIMIT="8",
        )
    )
    organization, device = lay_out(settings)
    app = upload_app(settings, store, now_ms=lambda: clock["ms"])
    return Bureau(app, organization, device)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def desk(bureau):
    return bureau.app.extensions["liuhen_uploads"]


def upload_id(path):
    return path.rpartition("/")[2]


def begin(bureau, **headers):
    answer = bureau.request("POST", "/api/v1/uploads", **headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].removeprefix("http://localhost")


def piece(bureau, data):
    path = begin(bureau, Upload_Length=len(data), Upload_Concat="partial")
    assert bureau.patch(path, data, 0).status_code == 204
    return path


def join(bureau, paths, **headers):
    addresses = " ".join(f"http://localhost{path}" for path in paths)
    return bureau.request("POST", "/api/v1/uploads", Upload_Concat=f"final;{addresses}", **headers)


def refused(answer):
    return answer.status_code, answer.json["code"]


@pytest.mark.parametrize("size", [0, 1, 300_000, PART_BYTES, SINGLE_LIMIT_BYTES, LARGE])
def test_a_file_may_say_its_length_only_at_its_end(bureau, store, size):
    data = os.urandom(size)
    path = begin(bureau, Upload_Defer_Length=1, Upload_Metadata=metadata(data))
    cut = size // 2
    bureau.patch(path, data[:cut], 0)

    look = bureau.request("HEAD", path)
    assert (look.headers["Upload-Defer-Length"], look.headers["Upload-Offset"]) == ("1", str(cut))
    assert "Upload-Length" not in look.headers

    answer = bureau.patch(path, data[cut:], cut, Upload_Length=size)

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(size))
    assert store.objects == {bureau.row(MediaObject, digest(data))["key"]: data}
    assert bureau.request("HEAD", path).headers["Upload-Length"] == str(size)


def test_a_recording_that_grows_is_gathered_in_parts_before_its_length_is_known(bureau, store):
    data = os.urandom(2 * PART_BYTES + 5)
    path = begin(bureau, Upload_Defer_Length=1, Upload_Metadata=metadata(data))

    bureau.patch(path, data, 0)

    assert [len(part) for part in next(iter(store.parts.values())).values()] == [PART_BYTES] * 2
    bureau.patch(path, b"", len(data), Upload_Length=len(data))
    assert list(store.objects.values()) == [data]


def test_a_length_once_said_stays(bureau):
    path = begin(bureau, Upload_Defer_Length=1, Upload_Metadata=metadata(b"photo"))
    bureau.patch(path, b"pho", 0)

    assert refused(bureau.patch(path, b"to", 3, Upload_Length=2)) == (400, "media.upload_header")
    assert bureau.patch(path, b"t", 3, Upload_Length=5).status_code == 204
    assert refused(bureau.patch(path, b"o", 4, Upload_Length=6)) == (400, "media.upload_header")
    assert bureau.patch(path, b"o", 4, Upload_Length=5).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"Upload_Defer_Length": 2},
        {"Upload_Defer_Length": 1, "Upload_Length": 5},
        {"Upload_Length": 5, "Upload_Concat": "whole"},
        {"Upload_Concat": "final;"},
        {"Upload_Concat": "final;/a /a"},
        {"Upload_Concat": "final;" + " ".join(f"/{n}" for n in range(257))},
    ],
)
def test_headers_that_contradict_themselves_open_nothing(bureau, headers):
    answer = bureau.request("POST", "/api/v1/uploads", **headers)

    assert refused(answer) == (400, "media.upload_header")


@pytest.mark.parametrize("size", [300_000, LARGE])
def test_a_client_that_knows_no_digests_is_told_the_one_that_was_found(bureau, store, size):
    data = os.urandom(size)
    bureau.announce(data)
    path = begin(bureau, Upload_Length=size)

    answer = bureau.patch(path, data, 0)

    assert answer.headers["Repr-Digest"].startswith("sha-256=:")
    assert bureau.row(Upload, upload_id(path))["sha256"] == digest(data)
    assert store.objects == {bureau.row(MediaObject, digest(data))["key"]: data}


def test_bytes_that_another_upload_brought_are_not_kept_twice(bureau, store):
    data = os.urandom(LARGE)
    bureau.patch(bureau.create(data), data, 0)
    path = begin(bureau, Upload_Defer_Length=1)

    bureau.patch(path, data, 0, Upload_Length=len(data))

    assert list(store.objects.values()) == [data]
    assert store.parts == {}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_file_without_a_digest_survives_a_store_that_fails_at_its_end(bureau, store, moment):
    data = os.urandom(1000)
    path = begin(bureau, Upload_Length=len(data))

    def fail(act, key):
        if act == "put" and key.startswith("media/"):
            raise StoreUnavailable("down")

    setattr(store, moment, fail)
    bureau.patch(path, data, 0)
    setattr(store, moment, lambda act, key: None)
    with bureau.app.app_context():
        uploads.finish_interrupted_commits(desk(bureau))
    offset = bureau.offset(path)
    bureau.patch(path, data[offset:], offset)

    assert store.objects == {media_key(digest(data)): data}


@pytest.mark.parametrize("sizes", [(5, 0, 7), (300_000, 200_000), (LARGE, 3, PART_BYTES)])
def test_pieces_sent_side_by_side_become_one_file(bureau, store, sizes):
    pieces = [os.urandom(size) for size in sizes]
    data = b"".join(pieces)
    bureau.announce(data)
    paths = [piece(bureau, each) for each in pieces]

    answer = join(bureau, paths, Upload_Metadata=metadata(data))

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(data)))
    assert store.objects == {bureau.row(MediaObject, digest(data))["key"]: data}
    look = bureau.request("HEAD", answer.headers["Location"].removeprefix("http://localhost"))
    addresses = " ".join(f"http://localhost{path}" for path in paths)
    assert look.headers["Upload-Concat"] == f"final;{addresses}"
    assert look.headers["Upload-Length"] == str(len(data))
    assert bureau.request("HEAD", paths[0]).status_code == 410


def test_a_piece_says_that_it_is_one_and_is_no_evidence_by_itself(bureau):
    path = piece(bureau, b"first half")

    look = bureau.request("HEAD", path)

    assert (look.headers["Upload-Concat"], look.headers["Upload-Offset"]) == ("partial", "10")
    assert bureau.events("verify") == []


def test_joining_again_after_a_lost_answer_gives_the_same_file(bureau, store):
    paths = [piece(bureau, b"one"), piece(bureau, b"two")]

    first = join(bureau, paths, Upload_Metadata=metadata(b"onetwo"))
    again = join(bureau, paths, Upload_Metadata=metadata(b"onetwo"))

    assert again.headers["Location"] == first.headers["Location"]
    assert list(store.objects.values()) == [b"onetwo"]


def test_a_joined_file_that_is_not_what_was_announced_is_set_aside(bureau):
    paths = [piece(bureau, b"one"), piece(bureau, b"two")]

    answer = join(bureau, paths, Upload_Metadata=metadata(b"twoone"))

    assert refused(answer) == (460, "media.digest_mismatch")
    assert len(bureau.events("quarantine")) == 1
    (final,) = finals(bureau)
    assert bureau.request("HEAD", f"/api/v1/uploads/{final['id']}").status_code == 410


def test_a_joining_that_was_interrupted_is_finished_by_the_sweeper(bureau, store):
    pieces = [os.urandom(LARGE), os.urandom(LARGE)]
    paths = [piece(bureau, each) for each in pieces]
    done = []

    def fail(act, key):
        done.append(act)
        if done.count("part") == 3:
            raise StoreUnavailable("down")

    store.after = fail
    assert join(bureau, paths).status_code == 503
    store.after = lambda act, key: None

    with bureau.app.app_context():
        uploads.finish_files(desk(bureau))

    assert list(store.objects.values()) == [b"".join(pieces)]
    assert bureau.row(MediaObject, digest(b"".join(pieces)))["status"] == "stored"


def cut_short(store, key):
    store.objects[key] = store.objects[key][:-1]


def lose(store, key):
    del store.objects[key]


@pytest.mark.parametrize("harm", [lose, cut_short])
def test_a_joining_whose_piece_is_gone_ends_by_name_and_can_be_begun_anew(bureau, store, harm):
    whole, gone = piece(bureau, b"one"), piece(bureau, b"two")
    harm(store, piece_key(upload_id(gone)))

    assert refused(join(bureau, [whole, gone])) == (410, "media.piece_lost")

    (final,) = finals(bureau)
    assert final["status"] == "expired"
    assert bureau.request("HEAD", f"/api/v1/uploads/{final['id']}").status_code == 410
    assert bureau.request("HEAD", gone).status_code == 410
    assert refused(join(bureau, [whole, gone])) == (409, "media.pieces_unfinished")
    again = join(bureau, [whole, piece(bureau, b"two")], Upload_Metadata=metadata(b"onetwo"))
    assert again.status_code == 201
    assert store.objects[media_key(digest(b"onetwo"))] == b"onetwo"


def test_a_joining_whose_piece_went_meanwhile_is_ended_by_the_sweeper(bureau, store, clock):
    pieces = [os.urandom(LARGE), b"end"]
    paths = [piece(bureau, each) for each in pieces]

    def fail(act, key):
        if act == "part" and key.startswith("media/"):
            raise StoreUnavailable("down")

    store.after = fail
    assert join(bureau, paths).status_code == 503
    store.after = lambda act, key: None
    lose(store, piece_key(upload_id(paths[1])))

    with bureau.app.app_context():
        for _ in range(2):
            uploads.finish_files(desk(bureau))
            clock["ms"] += 60_000

    assert [final["status"] for final in finals(bureau)] == ["expired"]
    assert store.parts == {}
    assert bureau.request("HEAD", paths[0]).status_code == 200


def test_pieces_do_not_expire_while_they_are_put_together(bureau, store, clock):
    pieces = [os.urandom(LARGE), b"end"]
    paths = [piece(bureau, each) for each in pieces]
    looked = []

    def later(act, key):
        if act == "part" and key.startswith("media/") and not looked:
            clock["ms"] += 2000
            looked.append(key)
            with ThreadPoolExecutor(1) as other:
                other.submit(expire).result()

    def expire():
        with bureau.app.app_context():
            assert uploads.expire_uploads(desk(bureau)) == []

    store.after = later
    clock["ms"] += desk(bureau).ttl_ms - 1000
    answer = join(bureau, paths, Upload_Metadata=metadata(b"".join(pieces)))

    assert looked
    assert answer.status_code == 201
    assert b"".join(pieces) in store.objects.values()


def finals(bureau):
    with bureau.app.app_context(), reading() as session:
        found = session.query(Upload).filter(Upload.concat == "final")
        return [{"id": row.id, "status": row.status} for row in found]


def test_what_cannot_be_joined_is_refused_by_name(bureau):
    unfinished = begin(bureau, Upload_Length=5, Upload_Concat="partial")
    whole = bureau.create(b"whole")
    bureau.patch(whole, b"whole", 0)
    foreign = piece(bureau.colleague(), b"theirs")

    assert refused(join(bureau, [unfinished])) == (409, "media.pieces_unfinished")
    assert refused(join(bureau, [whole])) == (409, "media.pieces_unfinished")
    assert join(bureau, [foreign]).status_code == 404
    assert join(bureau, ["/api/v1/uploads/none"]).status_code == 404


def test_a_joined_file_takes_no_bytes_of_its_own(bureau):
    answer = join(bureau, [piece(bureau, b"one")])
    path = answer.headers["Location"].removeprefix("http://localhost")

    assert refused(bureau.patch(path, b"x", 3)) == (403, "media.upload_final")


def test_an_unfinished_piece_keeps_its_bytes_for_as_long_as_it_lives(bureau, store, clock):
    data = os.urandom(LARGE)
    path = begin(bureau, Upload_Length=LARGE, Upload_Concat="partial")
    bureau.patch(path, data[: PART_BYTES + 10], 0)
    clock["ms"] += 25 * 3_600_000

    with bureau.app.app_context():
        assert uploads.collect_leftovers(desk(bureau)) == []

    assert bureau.offset(path) == PART_BYTES + 10
    rest = bureau.patch(path, data[PART_BYTES + 10 :], PART_BYTES + 10)
    assert rest.status_code == 204
    assert join(bureau, [path], Upload_Metadata=metadata(data)).status_code == 201
    assert list(store.objects.values()) == [data]


def test_pieces_that_nobody_joins_expire_with_their_bytes(bureau, store, clock):
    path = piece(bureau, b"forgotten")
    clock["ms"] += 8 * 86_400_000

    with bureau.app.app_context():
        uploads.expire_uploads(desk(bureau))

    assert store.objects == {}
    assert bureau.request("HEAD", path).status_code == 410


def test_a_device_cannot_fill_the_store_with_what_no_line_names(bureau):
    for _ in range(2):
        begin(bureau, Upload_Length=50 << 20)

    answer = bureau.request("POST", "/api/v1/uploads", Upload_Length=1)

    assert refused(answer) == (413, "media.unannounced_quota")
    bureau.announce(b"announced")
    assert bureau.create(b"announced")
    assert bureau.row(QuarantinedMedia, "none") is None


def test_a_file_that_hides_its_length_counts_as_it_grows(bureau):
    begin(bureau, Upload_Length=60 << 20)
    path = begin(bureau, Upload_Defer_Length=1)
    bureau.patch(path, os.urandom(30 << 20), 0)

    answer = bureau.patch(path, os.urandom(11 << 20), 30 << 20)

    assert refused(answer) == (413, "media.unannounced_quota")


def test_a_device_has_only_so_many_unfinished_uploads(bureau):
    for _ in range(8):
        begin(bureau, Upload_Length=1)

    answer = bureau.request("POST", "/api/v1/uploads", Upload_Length=1)

    assert refused(answer) == (429, "media.too_many_uploads")
