"""Stills and playback copies, made by a real ffmpeg from recordings that it made itself."""

import os
import subprocess

import imageio_ffmpeg
import pytest
from PIL import Image

from media.second import film
from media.second.film import Ffmpeg, FilmFailed, Look, Made, is_whole, plays

PROGRAM = imageio_ffmpeg.get_ffmpeg_exe()
FILMS = {
    "hevc.mp4": ("MP4", "-c:v libx265 -x265-params log-level=error -pix_fmt yuv420p -c:a aac"),
    "h264.mov": ("MOV", "-c:v libx264 -pix_fmt yuv420p -c:a aac"),
    "deep.mp4": ("MP4", "-c:v libx264 -pix_fmt yuv422p10le -c:a aac"),
    "mjpeg.avi": ("AVI", "-c:v mjpeg -c:a pcm_s16le"),
    "h263.3gp": ("3GP", "-c:v h263 -s 352x288 -c:a libopencore_amrnb -ar 8000 -ac 1"),
    "part2.mp4": ("MP4", "-c:v mpeg4 -c:a aac"),
    "wmv2.wmv": ("ASF", "-c:v wmv2 -c:a wmav2"),
    "talk.amr": ("AMR", "-vn -c:a libopencore_amrnb -ar 8000 -ac 1"),
}


@pytest.fixture(scope="module")
def ffmpeg():
    return Ffmpeg(PROGRAM)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    sources = "-f lavfi -i testsrc=size=320x240:rate=10:duration=2 -f lavfi -i sine=duration=2"
    for name, (_, options) in FILMS.items():
        subprocess.run(
            [PROGRAM, "-loglevel", "error", *sources.split(), *options.split(), folder / name],
            check=True,
        )
    return folder


def _program(folder, text):
    """A program of the name that answers as ``text`` says; for failures no film makes."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Ffmpeg(str(path))


@pytest.mark.parametrize(
    ("name", "video", "audio", "is_played"),
    [
        ("hevc.mp4", "hevc", "aac", False),
        ("h264.mov", "h264", "aac", True),
        ("deep.mp4", "h264 (High 4:2:2)", "aac", False),
        ("mjpeg.avi", "mjpeg", "pcm_s16le", False),
        ("h263.3gp", "h263", "amr_nb", False),
        ("part2.mp4", "mpeg4", "aac", False),
        ("wmv2.wmv", "wmv2", "wmav2", False),
        ("talk.amr", "", "amr_nb", False),
    ],
)
def test_a_recording_that_browsers_lack_is_known_and_copied_for_them(
    ffmpeg, films, tmp_path, name, video, audio, is_played
):
    source, kind = films / name, FILMS[name][0]
    before = source.read_bytes()

    look = ffmpeg.look(source, kind, tmp_path)
    copy = ffmpeg.playback(source, kind, tmp_path)

    assert (look.video, look.audio) == (video, audio)
    assert 1_900 <= look.stated_ms <= 2_300
    assert 1_900 <= look.played_ms <= 2_300
    assert plays(kind, look) is is_played
    assert isinstance(copy, Made)
    assert copy.media_type == "video/mp4"
    seen = ffmpeg.look(copy.path, "MP4", tmp_path)
    assert (seen.video, seen.audio) == ("h264" if video else "", "aac")
    assert plays("MP4", seen)
    assert source.read_bytes() == before


def test_a_still_is_a_picture_without_metadata_and_says_how_it_was_made(ffmpeg, films, tmp_path):
    still = ffmpeg.still(films / "hevc.mp4", "MP4", tmp_path)

    assert isinstance(still, Made)
    assert still.made_with.startswith("ffmpeg version")
    assert not any(str(films) in word for word in still.command)
    with Image.open(still.path) as picture:
        assert (picture.format, picture.size) == ("JPEG", (320, 240))
        assert not picture.getexif()
    assert b"Lavc" not in still.path.read_bytes()


def test_a_film_that_was_cut_off_is_shorter_than_it_says(ffmpeg, films, tmp_path):
    whole = tmp_path / "whole.mp4"
    move = ["-c", "copy", "-movflags", "+faststart", whole]
    subprocess.run([PROGRAM, "-loglevel", "error", "-i", films / "h264.mov", *move], check=True)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])

    look = ffmpeg.look(whole, "MP4", tmp_path)

    assert isinstance(look, Look)
    assert look.played_ms < 1_500 < look.stated_ms


def test_sound_has_no_still(ffmpeg, films, tmp_path):
    assert isinstance(ffmpeg.still(films / "talk.amr", "AMR", tmp_path), FilmFailed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + bytes(100),
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        os.urandom(4096),
    ],
    ids=["empty", "no_moov", "playlist", "concat", "noise"],
)
def test_no_recording_makes_it_raise_and_no_playlist_is_followed(ffmpeg, tmp_path, content):
    source = tmp_path / "source"
    source.write_bytes(content)

    for kind in ("MP4", "AVI", "MKV", "AMR"):
        assert isinstance(ffmpeg.look(source, kind, tmp_path), FilmFailed | Look)
        assert isinstance(ffmpeg.still(source, kind, tmp_path), FilmFailed)
        assert isinstance(ffmpeg.playback(source, kind, tmp_path), FilmFailed)


def test_a_program_that_hangs_is_given_up_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(film, "STILL_WALL_SECONDS", 0.5)
    slow = _program(tmp_path, '[ "$1" = -hide_banner ] && [ "$2" = -nostdin ] && exec sleep 60')

    assert slow.look(tmp_path / "ffmpeg", "MP4", tmp_path) == FilmFailed("timeout")


def test_a_program_that_writes_without_end_is_ended_by_the_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(film, "STILL_LIMIT_MB", 1)
    endless = _program(tmp_path, 'for out; do :; done; case "$out" in *.jpg) yes > "$out";; esac')

    assert isinstance(endless.still(tmp_path / "ffmpeg", "MP4", tmp_path), FilmFailed)
    assert (tmp_path / "still.jpg").stat().st_size <= 1 << 20


def test_the_program_runs_with_bounds_and_without_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("LIUHEN_TEST_SECRET", "x")
    out = tmp_path / "seen"
    seen = _program(tmp_path, f"(ulimit -a; nice; env; ls -l /proc/self/fd) > {out}")

    seen.look(tmp_path / "ffmpeg", "MP4", tmp_path)

    text = out.read_text()
    assert "LIUHEN_TEST_SECRET" not in text
    assert f"{film.MEMORY_LIMIT_MB * 1024}" in text
    assert str(film.STILL_CPU_SECONDS) in text
    assert "\n19\n" in text


def test_a_program_without_a_fitting_encoder_makes_no_copy(tmp_path):
    bare = _program(tmp_path, "true")

    assert bare.playback(tmp_path / "ffmpeg", "MP4", tmp_path) == FilmFailed("no encoder")


def test_a_machine_without_the_program_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Ffmpeg.find() is None

    (tmp_path / "ffmpeg").symlink_to(PROGRAM)
    assert Ffmpeg.find() is not None


@pytest.mark.parametrize(
    ("drawn", "stated", "whole"),
    [
        ((4032, 3024), (4032, 3024), True),
        ((3024, 4032), (4032, 3024), True),
        ((2566, 3312), (2566, 3313), True),
        ((512, 512), (4032, 3024), False),
        ((512, 512), (1024, 1024), False),
        ((320, 240), (4032, 3024), False),
    ],
)
def test_a_tile_is_not_the_photo(drawn, stated, whole):
    assert is_whole(drawn, stated) is whole
