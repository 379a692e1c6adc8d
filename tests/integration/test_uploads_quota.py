"""A device fills no store with bytes that no line names, and no announced file is refused."""

import os

import pytest

from media.upload import PART_BYTES, UnannouncedQuota
from server.models.uploads import Upload
from server.operations import uploads
from server.settings import Settings
from tests.support.bureau import Bureau, environment, lay_out, metadata, upload_app

LIMIT = 1 << 20
BODY = {"Content_Type": "application/offset+octet-stream"}


@pytest.fixture
def bureau(tmp_path, database_url, store):
    return open_bureau(tmp_path, database_url, store, LIMIT)


def open_bureau(folder, database_url, store, limit):
    settings = Settings.from_env(
        environment(
            folder,
            LIUHEN_DATABASE_URL=database_url,
            LIUHEN_UNANNOUNCED_LIMIT_BYTES=str(limit),
        )
    )
    organization, device = lay_out(settings)
    return Bureau(upload_app(settings, store), organization, device)


def begin(bureau, length, **headers):
    """The path of a new upload, or why there is none."""
    answer = bureau.request("POST", "/api/v1/uploads", Upload_Length=length, **headers)
    if answer.status_code != 201:
        return answer.json["code"]
    return answer.headers["Location"].removeprefix("http://localhost")


def send(bureau, announced, data):
    """Begin an upload of ``announced`` and send ``data``; 204, or the code of the refusal."""
    answer = bureau.request(
        "POST", "/api/v1/uploads", Upload_Length=len(data), Upload_Metadata=metadata(announced)
    )
    if answer.status_code == 201:
        answer = bureau.patch(answer.headers["Location"].removeprefix("http://localhost"), data, 0)
    return answer.status_code if answer.status_code == 204 else answer.json["code"]


def piece(bureau, whole, data):
    """Send one piece of ``whole``; its path, or why it was refused."""
    said = {"Upload_Metadata": metadata(whole)} if whole else {}
    path = begin(bureau, len(data), Upload_Concat="partial", **said)
    if path.startswith("/"):
        assert bureau.patch(path, data, 0).status_code == 204
    return path


def join(bureau, paths, **headers):
    addresses = " ".join(f"http://localhost{path}" for path in paths)
    answer = bureau.request(
        "POST", "/api/v1/uploads", Upload_Concat=f"final;{addresses}", **headers
    )
    return answer.status_code


def test_bytes_set_aside_count_as_long_as_they_are_kept(bureau):
    codes = [send(bureau, os.urandom(8), os.urandom(800_000)) for _ in range(3)]

    assert codes == ["media.digest_mismatch", *["media.unannounced_quota"] * 2]


def test_giving_a_stored_file_up_makes_no_room_for_another(bureau):
    data = os.urandom(800_000)
    path = bureau.create(data)
    bureau.patch(path, data, 0)

    bureau.request("DELETE", path)

    assert begin(bureau, 800_000) == "media.unannounced_quota"


def test_giving_an_unfinished_file_up_makes_room(bureau):
    path = begin(bureau, 800_000)
    bureau.patch(path, bytes(700_000), 0)

    bureau.request("DELETE", path)

    assert begin(bureau, 800_000).startswith("/")


def test_a_creation_that_hides_the_length_of_its_body_opens_nothing_beyond_the_quota(bureau):
    answer = bureau.request(
        "POST", "/api/v1/uploads", os.urandom(2 * LIMIT), Upload_Defer_Length=1, **BODY
    )

    assert (answer.status_code, answer.json["code"]) == (413, "media.unannounced_quota")
    with bureau.app.app_context():
        assert uploads.due_uploads(bureau.app.extensions["liuhen_uploads"]) == []
    assert begin(bureau, LIMIT).startswith("/")


def test_a_length_that_is_said_late_is_held_against_the_quota_too(bureau):
    path = bureau.request("POST", "/api/v1/uploads", Upload_Defer_Length=1).headers["Location"]
    path = path.removeprefix("http://localhost")

    answer = bureau.patch(path, b"x", 0, Upload_Length=LIMIT + 1)

    assert (answer.status_code, answer.json["code"]) == (413, "media.unannounced_quota")
    assert bureau.row(Upload, path.rpartition("/")[2])["length"] is None


class Chunks:
    """A body in chunks, which says nowhere how long it is."""

    expected = None
    cut = False

    def __init__(self, size):
        self.left = size

    def ready(self, _wait_s):
        return True

    def read_into(self, view):
        n = min(len(view), self.left)
        self.left -= n
        return n

    def interrupt(self):
        raise AssertionError("nobody else wants it")

    def finish(self):
        return


def test_chunks_are_counted_as_they_come(tmp_path, database_url, store):
    bureau = open_bureau(tmp_path, database_url, store, 2 * PART_BYTES)
    path = bureau.request("POST", "/api/v1/uploads", Upload_Defer_Length=1).headers["Location"]
    upload_id = path.rpartition("/")[2]

    with bureau.app.app_context(), pytest.raises(UnannouncedQuota):
        uploads.receive(
            bureau.app.extensions["liuhen_uploads"],
            upload_id,
            Chunks(9 * PART_BYTES),
            given=0,
            checksum=None,
        )

    assert bureau.row(Upload, upload_id)["offset"] == 2 * PART_BYTES
    assert sum(map(len, next(iter(store.parts.values())).values())) == 2 * PART_BYTES


def test_an_announced_file_may_come_in_pieces_however_long_it_is(bureau, store):
    data = os.urandom(3 * LIMIT)
    bureau.announce(data)
    pieces = [piece(bureau, data, data[n : n + LIMIT]) for n in range(0, 3 * LIMIT, LIMIT)]

    assert join(bureau, pieces, Upload_Metadata=metadata(data)) == 201

    assert list(store.objects.values()) == [data]
    assert begin(bureau, LIMIT).startswith("/")


def test_more_pieces_than_an_announced_file_has_room_for_count(bureau):
    data = os.urandom(2 * LIMIT)
    bureau.announce(data)

    pieces = [piece(bureau, data, data[:LIMIT]) for _ in range(4)]

    assert pieces[3] == "media.unannounced_quota"
    assert bureau.row(Upload, pieces[1].rpartition("/")[2])["awaits_line"] is False
    assert bureau.row(Upload, pieces[2].rpartition("/")[2])["awaits_line"] is True


def test_pieces_that_name_no_announced_file_count_once(bureau):
    data = os.urandom(LIMIT)
    pieces = [piece(bureau, None, data[n : n + LIMIT // 2]) for n in (0, LIMIT // 2)]
    assert piece(bureau, None, b"x") == "media.unannounced_quota"

    assert join(bureau, pieces) == 201

    assert piece(bureau, None, b"x") == "media.unannounced_quota"


def test_pieces_of_an_announced_file_do_not_pay_for_another(bureau):
    data = os.urandom(2 * LIMIT)
    bureau.announce(data)
    pieces = [piece(bureau, data, data[n : n + LIMIT]) for n in (0, LIMIT)]

    assert join(bureau, pieces, Upload_Metadata=metadata(b"another")) == 413


def test_an_announced_file_is_never_refused_at_its_first_try(bureau):
    data = os.urandom(3 * LIMIT)
    bureau.announce(data)
    send(bureau, os.urandom(8), os.urandom(LIMIT))

    assert send(bureau, data, data) == 204


def test_rubbish_under_an_announced_digest_is_taken_once_and_then_counts(bureau):
    data = os.urandom(LIMIT)
    bureau.announce(data)

    codes = [send(bureau, data, os.urandom(LIMIT)) for _ in range(3)]

    assert codes == ["media.digest_mismatch", *["media.unannounced_quota"] * 2]


def test_an_announced_file_can_be_begun_again_after_a_lost_answer_but_not_sent_twice(bureau):
    data = os.urandom(LIMIT)
    bureau.announce(data)

    def another():
        return begin(bureau, LIMIT, Upload_Metadata=metadata(data))

    lost, path = another(), another()
    assert lost.startswith("/")
    bureau.patch(path, data[:-1], 0)
    assert another() == "media.unannounced_quota"
    assert bureau.patch(path, data[-1:], LIMIT - 1).status_code == 204
    assert another().startswith("/")
