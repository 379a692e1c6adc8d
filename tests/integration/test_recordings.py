"""Posters and playback copies of recordings, beside their originals; a real ffmpeg makes them."""

import fcntl
import hashlib
import io
import json
import subprocess
from types import SimpleNamespace

import imageio_ffmpeg
import pytest
from PIL import Image

from media.second.film import Ffmpeg
from media.store import ObjectMissing, StoreUnavailable
from server.db import reading
from server.models.inspections import Derivative, Finding, ItemCheck
from server.models.ledger import LedgerEvent
from server.operations import media_checks, recordings
from tests.support.console import console_world, store, visitor
from tests.support.heic import heic
from tests.support.hostile import media

PROGRAM = imageio_ffmpeg.get_ffmpeg_exe()
_FILM = "-f lavfi -i testsrc=size=320x240:rate=10:duration=6"
_SOUND = "-f lavfi -i sine=duration=6"


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    ways = {
        "hevc.mp4": f"{_FILM} {_SOUND} -c:v libx265 -x265-params log-level=error -c:a aac",
        "h264.mp4": f"{_FILM} {_SOUND} -c:v libx264 -pix_fmt yuv420p -c:a aac -movflags +faststart",
        "talk.amr": f"{_SOUND} -c:a libopencore_amrnb -ar 8000 -ac 1",
        "talk.m4a": f"{_SOUND} -c:a aac -movflags +faststart",
        "talk.mp3": f"{_SOUND} -c:a libmp3lame",
        "talk.wav": f"{_SOUND} -ar 8000 -ac 1",
        "covered.m4a": f"{_SOUND} -f lavfi -i color=size=64x64:rate=1,trim=end_frame=1 -c:a aac"
        " -c:v mjpeg -pix_fmt yuvj420p -disposition:v attached_pic",
    }
    for name, options in ways.items():
        subprocess.run([PROGRAM, "-loglevel", "error", *options.split(), folder / name], check=True)
    return {name: (folder / name).read_bytes() for name in ways}


@pytest.fixture
def world(database_url, tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").symlink_to(PROGRAM)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return console_world(database_url, tmp_path / "var")


def _receive(world, content, media_type="video/mp4"):
    """An item whose bytes have arrived and been read."""
    device = world.on_patrol()
    fields = media(
        device,
        world,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        media_type=media_type,
    )
    device.write(fields.pop("type"), **fields)
    world.push(device)
    store(world, content)
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)
    return fields["item"]


def _derive(world, memory=None):
    with world.app.app_context():
        recordings.derive_from_recordings(world.services, memory or recordings.Recordings())


def _made(world):
    return {row.purpose: row for row in world.rows(Derivative)}


def test_a_film_that_browsers_lack_gets_a_poster_and_a_copy_beside_its_original(world, films):
    item = _receive(world, films["hevc.mp4"])

    _derive(world)

    made = _made(world)
    browser = visitor(world, "reviewer")
    page = browser.get(f"/items/{item}")
    copy = browser.get(f"/items/{item}/derived/playback", headers={"Range": "bytes=4-7"})
    poster = browser.get(f"/items/{item}/derived/poster")
    assert set(made) == {"poster", "thumbnail", "playback"}
    assert f"/items/{item}/derived/playback" in page.text
    assert (copy.status_code, copy.data, copy.mimetype) == (206, b"ftyp", "video/mp4")
    assert (poster.data[:3], poster.mimetype) == (b"\xff\xd8\xff", "image/jpeg")
    assert browser.get(f"/items/{item}/original").data == films["hevc.mp4"]
    recipe = json.loads(made["playback"].recipe)
    assert (recipe["video"], recipe["audio"]) == ("hevc", "aac")
    assert 5_900 <= recipe["played_ms"] <= 6_300
    leaves = world.rows(LedgerEvent, kind="derive")
    assert len(leaves) == 3


def test_a_film_that_browsers_play_gets_a_poster_only(world, films):
    _receive(world, films["h264.mp4"])

    _derive(world)

    assert set(_made(world)) == {"poster", "thumbnail"}


def test_speech_of_a_recorder_is_copied_so_that_it_can_be_heard(world, films):
    item = _receive(world, films["talk.amr"], "audio/amr")

    _derive(world)

    assert set(_made(world)) == {"playback"}
    page = visitor(world, "reviewer").get(f"/items/{item}")
    assert f"/items/{item}/derived/playback" in page.text


def test_a_film_shorter_than_it_says_is_found_when_it_has_been_played(world, films):
    content = films["h264.mp4"]
    item = _receive(world, content[: len(content) * 2 // 3])

    _derive(world)
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)

    first, second = world.rows(ItemCheck, item_id=item)
    before = {row.code for row in world.rows(Finding, check_id=first.id)}
    after = {row.code: row for row in world.rows(Finding, check_id=second.id)}
    assert "DURATION" not in before
    expected = json.loads(after["DURATION"].evidence)["expected"]
    assert expected["written_ms"] == 6_000
    assert 3_000 < expected["decoded_ms"] < 5_000


def test_what_was_made_once_is_not_made_again(world, films):
    _receive(world, films["h264.mp4"])

    _derive(world)
    _derive(world)

    assert len(world.rows(LedgerEvent, kind="derive")) == 2


def test_a_damaged_film_costs_one_look_and_holds_up_no_other(world, films):
    damaged = films["hevc.mp4"][: len(films["hevc.mp4"]) // 3]
    _receive(world, damaged)
    _receive(world, films["h264.mp4"])
    memory = recordings.Recordings()

    _derive(world, memory)

    sources = {row.source_sha256 for row in world.rows(Derivative)}
    assert hashlib.sha256(films["h264.mp4"]).hexdigest() in sources
    assert hashlib.sha256(damaged).hexdigest() in memory.settled


def test_without_the_program_nothing_is_made_and_the_page_is_whole(world, films, monkeypatch):
    item = _receive(world, films["hevc.mp4"])
    monkeypatch.setenv("PATH", "/nowhere")

    _derive(world)

    assert _made(world) == {}
    assert visitor(world, "reviewer").get(f"/items/{item}").status_code == 200


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("talk.m4a", "audio/mp4"),
        ("covered.m4a", "audio/mp4"),
        ("talk.mp3", "audio/mpeg"),
        ("talk.wav", "audio/wav"),
    ],
)
def test_sound_that_plays_is_measured_and_nothing_else_is_made(world, films, name, media_type):
    item = _receive(world, films[name], media_type)
    memory = recordings.Recordings()

    _derive(world, memory)

    (look,) = _made(world).values()
    assert look.purpose == "look"
    assert 5_900 <= json.loads(look.recipe)["played_ms"] <= 6_300
    assert world.services.store.objects[look.key] == look.recipe.encode()
    with world.app.app_context(), reading() as session:
        assert recordings.played_ms(session, look.source_sha256) is not None
        assert recordings._waiting(recordings.Recordings(), world.now_ms) == []
    page = visitor(world, "reviewer").get(f"/items/{item}")
    assert f"/items/{item}/original" in page.text


def test_sound_shorter_than_it_says_is_found_when_it_has_been_played(world, films):
    item = _receive(world, films["talk.m4a"][: len(films["talk.m4a"]) * 2 // 3], "audio/mp4")

    _derive(world)
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)

    newest = max(row.id for row in world.rows(ItemCheck, item_id=item))
    assert "DURATION" in {row.code for row in world.rows(Finding, check_id=newest)}


def test_what_a_poorer_program_could_not_make_is_measured_and_tried_again(
    world, films, monkeypatch
):
    _receive(world, films["talk.amr"], "audio/amr")
    with monkeypatch.context() as patch:
        patch.setattr(Ffmpeg, "_encoders", None)
        _derive(world)
    assert set(_made(world)) == {"tried"}

    _derive(world)

    assert set(_made(world)) == {"tried", "playback"}


def _refuse(world, monkeypatch, key, error):
    read = world.services.store.read

    def refuse(wanted, *more):
        if wanted == key:
            raise error
        return read(wanted, *more)

    monkeypatch.setattr(world.services.store, "read", refuse)


@pytest.mark.parametrize(
    "error",
    [ObjectMissing("gone"), StoreUnavailable("InternalError", status=500), OSError("disk")],
    ids=lambda error: type(error).__name__,
)
def test_one_film_that_is_not_given_holds_up_no_older_one(world, films, monkeypatch, error):
    for name in ("h264.mp4", "hevc.mp4"):
        _receive(world, films[name])
    memory = recordings.Recordings()
    with world.app.app_context():
        newest, older = recordings._waiting(memory, world.now_ms)
    with monkeypatch.context() as patch:
        _refuse(world, patch, newest.key, error)
        _derive(world, memory)
        assert {row.source_sha256 for row in world.rows(Derivative)} == {older.sha256}

    _derive(world, memory)
    assert {row.source_sha256 for row in world.rows(Derivative)} == {older.sha256}
    world.now_ms += 60_000
    _derive(world, memory)
    assert {row.source_sha256 for row in world.rows(Derivative)} == {older.sha256, newest.sha256}


def test_a_film_waits_for_room_on_this_machine_and_is_named_once(world, films, monkeypatch, caplog):
    _receive(world, films["h264.mp4"])
    memory = recordings.Recordings()
    with monkeypatch.context() as patch:
        patch.setattr(recordings.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 30))
        for _ in range(3):
            _derive(world, memory)
        assert _made(world) == {}

    _derive(world, memory)

    assert set(_made(world)) == {"poster", "thumbnail"}
    assert caplog.text.count("derive_without_room") == 1


def test_a_round_ends_between_two_films_when_other_work_is_due(world, films):
    for name in ("h264.mp4", "hevc.mp4"):
        _receive(world, films[name])
    asked = []

    with world.app.app_context():
        recordings.derive_from_recordings(
            world.services,
            recordings.Recordings(),
            until=lambda: bool(asked.append(1)) or len(asked) > 1,
        )

    assert len({row.source_sha256 for row in world.rows(Derivative)}) == 1


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """One frame of 640 x 480 in HEVC."""
    path = tmp_path_factory.mktemp("frame") / "frame.mp4"
    options = "-f lavfi -i testsrc=size=640x480 -frames:v 1 -pix_fmt yuv420p -c:v libx265"
    manner = "-x265-params log-level=error:info=0 -tag:v hvc1"
    subprocess.run(
        [PROGRAM, "-loglevel", "error", *options.split(), *manner.split(), path], check=True
    )
    return path.read_bytes()


def test_a_photo_in_heic_gets_a_preview_that_its_page_shows(world, frame):
    item = _receive(world, heic(frame, 640, 480), "image/HEIC")
    browser = visitor(world, "reviewer")
    before = browser.get(f"/items/{item}?lang=en").text
    assert "no decoder comes with this system" in before
    assert f"/items/{item}/download" in before

    _derive(world)

    made = _made(world)
    assert set(made) == {"preview", "thumbnail"}
    assert json.loads(made["preview"].recipe)["command"][:3] == ["ffmpeg", "-f", "mov"]
    assert "within 2048x2048" in json.loads(made["preview"].recipe)["then"]
    page = browser.get(f"/items/{item}?lang=en").text
    assert f'<img src="/items/{item}/derived/preview"' in page
    assert "a preview made for browsers; the original is untouched" in page
    preview = browser.get(f"/items/{item}/derived/preview")
    with Image.open(io.BytesIO(preview.data)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (640, 480))
    assert len(world.rows(LedgerEvent, kind="derive")) == 2
    assert browser.get(f"/items/{item}/download").data == heic(frame, 640, 480)


@pytest.mark.parametrize("stated", [(1280, 960), (4032, 3024), (640, 640)])
def test_one_tile_of_a_photo_never_passes_for_the_whole(world, frame, stated):
    item = _receive(world, heic(frame, 640, 480, stated=stated), "image/heic")

    _derive(world)

    assert _made(world) == {}
    page = visitor(world, "reviewer").get(f"/items/{item}?lang=zh").text
    assert "浏览器不能显示 image/heic，请下载原件查看。" in page
    assert "本系统不带解码器" in page


def test_photos_are_drawn_before_films(world, films, frame):
    _receive(world, heic(frame, 640, 480), "image/heic")
    _receive(world, films["h264.mp4"])

    with world.app.app_context():
        waiting = recordings._waiting(recordings.Recordings(), world.now_ms)

    assert [work.kind for work in waiting] == ["HEIC", "MP4"]


def test_a_store_that_is_away_is_asked_again_in_the_next_round(world, films, monkeypatch):
    _receive(world, films["h264.mp4"])
    memory = recordings.Recordings()

    def away(*_):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(world.services.store, "read", away)
        _derive(world, memory)
    assert _made(world) == {}

    world.now_ms += 60_000
    _derive(world, memory)

    assert set(_made(world)) == {"poster", "thumbnail"}


def test_two_workers_of_one_machine_do_not_make_the_same_copy(world, films):
    _receive(world, films["h264.mp4"])
    folder = world.settings.data_dir / "recordings"
    folder.mkdir()

    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _derive(world)
        assert _made(world) == {}

    (folder / "tmpleft").mkdir()
    _derive(world)
    assert set(_made(world)) == {"poster", "thumbnail"}
    assert [path.name for path in folder.iterdir()] == ["lock"]
