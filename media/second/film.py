"""Stills and playback copies of recordings, made by ``ffmpeg`` where the machine has it.

Photos that only it can decode (HEIC) are drawn by it, too. A recording is as hostile as any
file, and a program of a million lines reads it: it runs confined (``media.second.confined``),
sees one file through the one reader that our own look at the first bytes chose (so no playlist
can name another), and writes into one folder. No recording can make this module raise; the
original is never touched.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_CONFINED = Path(__file__).with_name("confined.py")

MEMORY_LIMIT_MB = 2048
STILL_CPU_SECONDS, STILL_WALL_SECONDS, STILL_LIMIT_MB = 120, 180.0, 4
PICTURE_LIMIT_MB = 32
COPY_CPU_SECONDS, COPY_WALL_SECONDS, COPY_LIMIT_MB = 4 * 3600, 2 * 3600.0, 2048
#: Of what the program says about a file, as much as a file with many streams needs.
_SAID_LIMIT = 64 * 1024

#: Which of the program's readers opens a format, by our name for the format.
READERS: Mapping[str, str] = {
    **dict.fromkeys(("MP4", "MOV", "M4V", "F4V", "M4A", "F4A", "3GP", "3G2"), "mov"),
    **dict.fromkeys(("MKV", "WEBM"), "matroska"),
    "AVI": "avi",
    "ASF": "asf",
    "FLV": "flv",
    "MPEG": "mpeg",
    "M2TS": "mpegts",
    "AMR": "amr",
    "CAF": "caf",
    "AIFF": "aiff",
    "AIFC": "aiff",
    "WAV": "wav",
    "MP3": "mp3",
    "AAC": "aac",
    "FLAC": "flac",
    **dict.fromkeys(("OGG", "OPUS"), "ogg"),
}
#: The same of photos that nothing else here decodes.
PICTURES: Mapping[str, str] = {"HEIC": "mov", "HEIF": "mov"}
_OPENERS = {**READERS, **PICTURES}
#: What current browsers play, in containers that they open.
_CONTAINERS = frozenset({"MP4", "MOV", "M4V", "F4V", "M4A", "F4A", "WEBM", "MP3", "OPUS"})
_FILM_CODECS = frozenset({"h264", "vp8", "vp9", "av1"})
_SOUND_CODECS = frozenset({"aac", "mp3", "opus", "vorbis", "flac"})
_WAVES = frozenset({"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le"})

_DURATION = re.compile(r"^ {2}Duration: (\d+):(\d\d):(\d\d)\.(\d\d),", re.MULTILINE)
_STREAM = re.compile(
    r"^ {2}Stream #0:\d+[^ ]*: (Video|Audio): (\w+)( \(High (?:10|4)[^)]*\))?"
    r"(?!.*\(attached pic\))",
    re.MULTILINE,
)
_PLAYED = re.compile(r"^out_time_us=(\d{1,15})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Look:
    """What a recording holds: its lengths, and the codecs of its first pictures and sound.

    ``stated_ms`` is the length that its head tells, ``played_ms`` that of what is in it;
    they are None and a codec is empty where there is none. H.264 of the profiles that
    browsers lack is named with its profile.
    """

    stated_ms: int | None
    played_ms: int | None
    video: str
    audio: str
    #: How it was looked at.
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A file made from a recording, with who made it and by which command."""

    path: Path
    media_type: str
    made_with: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FilmFailed:
    """Nothing was made; ``reason`` is the program's last word, ``timeout`` or ``no encoder``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Encoders:
    """How this program can write a file that browsers play."""

    suffix: str
    film: tuple[str, ...]
    sound: tuple[str, ...]


_MP4_SOUND = ("-c:a", "aac", "-b:a", "96k", "-ac", "1")
_H264 = ("-pix_fmt", "yuv420p", "-movflags", "+faststart")
#: In the order of preference: the name that the program lists, and what to tell it.
_WAYS = (
    (
        "libx264",
        Encoders(
            ".mp4", ("-c:v", "libx264", "-preset", "veryfast", "-crf", "26", *_H264), _MP4_SOUND
        ),
    ),
    (
        "libopenh264",
        Encoders(".mp4", ("-c:v", "libopenh264", "-b:v", "2M", *_H264), _MP4_SOUND),
    ),
    (
        "libvpx",
        Encoders(
            ".webm",
            ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2M"),
            ("-c:a", "libopus", "-b:a", "64k", "-ac", "1"),
        ),
    ),
)
#: Browsers' sizes and rates, even sides; nothing of the original's metadata or other streams.
_FILM_FILTER = "scale='min(1280,iw)':-2,fps=25"
_STILL_FILTER = "scale='min(1280,iw)':-2,thumbnail=25"
_JPEG = ("-frames:v", "1", "-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p", "-f", "image2")
_PLAIN = ("-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn", "-bitexact")
#: ``V`` is film, without the pictures that sound carries of its cover.
_BOTH = ("-map", "0:V:0?", "-map", "0:a:0?")


_LOOKING = (*_BOTH, "-c", "copy", "-f", "null", "-")


class Ffmpeg:
    """The program of that name; ``find`` gives None on a machine without it."""

    def __init__(self, program: str) -> None:
        self._program = str(Path(program).resolve())

    @cached_property
    def version(self) -> str:
        return self._said("-version").split(" Copyright", 1)[0][:60] or "ffmpeg"

    @cached_property
    def _encoders(self) -> Encoders | None:
        listed = set(self._said("-hide_banner", "-encoders").split())
        return next((way for name, way in _WAYS if name in listed), None)

    @classmethod
    def find(cls) -> "Ffmpeg | None":
        """The program on the search path of this process."""
        program = shutil.which("ffmpeg")
        return None if program is None else cls(program)

    def look(self, source: Path, kind: str, folder: Path) -> Look | FilmFailed:
        """Lengths and codecs; ``kind`` is our name for the format, one of ``READERS``.

        Everything is read once, nothing is decoded; notes are taken in ``folder``.
        """
        notes = folder / "progress"
        options = ("-progress", str(notes), *_LOOKING)
        run = self._run(source, kind, options, telling="info", wall_seconds=STILL_WALL_SECONDS)
        if isinstance(run, FilmFailed):
            return run
        codecs = {what: name + more for what, name, more in reversed(_STREAM.findall(run.said))}
        if not codecs:
            return FilmFailed(run.last_word)
        stated_ms = None
        if found := _DURATION.search(run.said):
            hours, minutes, seconds, hundredths = map(int, found.groups())
            stated_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + hundredths * 10
        played = _PLAYED.findall(notes.read_text("ascii", "replace")) if notes.exists() else []
        return Look(
            stated_ms=stated_ms,
            played_ms=int(played[-1]) // 1000 if played else None,
            video=codecs.get("Video", ""),
            audio=codecs.get("Audio", ""),
            command=("ffmpeg", "-f", READERS[kind], "-i", "ORIGINAL", *_LOOKING),
        )

    def still(self, source: Path, kind: str, folder: Path) -> Made | FilmFailed:
        """The most typical of the first pictures, upright, as a JPEG in ``folder``."""
        options = ("-map", "0:V:0", *_PLAIN, "-vf", _STILL_FILTER, *_JPEG)
        return self._make(
            source, kind, folder / "still.jpg", options, wall_seconds=STILL_WALL_SECONDS
        )

    def picture(self, source: Path, kind: str, folder: Path) -> Made | FilmFailed:
        """A photo of one of ``PICTURES``, upright and in its own size, as a JPEG in ``folder``.

        An older program takes one tile of it for the whole: ask :func:`is_whole`.
        """
        # Which pictures of the file make up the photo, the program itself chooses best.
        return self._make(
            source,
            kind,
            folder / "picture.jpg",
            (*_PLAIN, *_JPEG),
            wall_seconds=STILL_WALL_SECONDS,
        )

    def playback(self, source: Path, kind: str, folder: Path) -> Made | FilmFailed:
        """A copy in ``folder`` that browsers play: H.264 and AAC, or VP8 and Opus."""
        way = self._encoders
        if way is None:
            return FilmFailed("no encoder")
        return self._make(
            source,
            kind,
            folder / f"playback{way.suffix}",
            (*_BOTH, *_PLAIN, "-vf", _FILM_FILTER, *way.film, *way.sound),
            wall_seconds=COPY_WALL_SECONDS,
        )

    def _make(
        self,
        source: Path,
        kind: str,
        target: Path,
        options: Sequence[str],
        *,
        wall_seconds: float,
    ) -> Made | FilmFailed:
        run = self._run(
            source, kind, (*options, str(target)), telling="error", wall_seconds=wall_seconds
        )
        if isinstance(run, FilmFailed):
            return run
        if run.status != 0 or not target.is_file() or not target.stat().st_size:
            return FilmFailed(run.last_word)
        media_type = {".jpg": "image/jpeg", ".mp4": "video/mp4", ".webm": "video/webm"}
        command = ("ffmpeg", "-f", _OPENERS[kind], "-i", "ORIGINAL", *options, target.name)
        return Made(target, media_type[target.suffix], self.version, command)

    def _run(
        self,
        source: Path,
        kind: str,
        options: Sequence[str],
        *,
        telling: str,
        wall_seconds: float,
    ) -> "_Run | FilmFailed":
        copying = wall_seconds > STILL_WALL_SECONDS
        small_mb = PICTURE_LIMIT_MB if kind in PICTURES else STILL_LIMIT_MB
        limits = (
            str(MEMORY_LIMIT_MB),
            str(COPY_CPU_SECONDS if copying else STILL_CPU_SECONDS),
            str(COPY_LIMIT_MB if copying else small_mb),
        )
        manner = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", telling)
        reading = ("-protocol_whitelist", "file", "-f", _OPENERS[kind], "-i", str(source))
        # A photo is made of dozens of tiles: with two threads for each, memory would not do.
        threads = "1" if kind in PICTURES else "2"
        command = [self._program, *manner, "-y", "-threads", threads, *reading, *options]
        # A file and not a pipe: a damaged recording makes the program talk without end,
        # and only what it writes to files is bounded.
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(
                    [sys.executable, "-I", "-B", str(_CONFINED), *limits, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    close_fds=True,
                    cwd=source.parent,
                    env={"LC_ALL": "C.UTF-8"},
                    timeout=wall_seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return FilmFailed("timeout")
            said.seek(0)
            return _Run(done.returncode, said.read(_SAID_LIMIT).decode("utf-8", "replace"))

    def _said(self, *options: str) -> str:
        """What the program says of itself, without any file."""
        done = subprocess.run(
            [self._program, *options], capture_output=True, timeout=30, check=False
        )
        return done.stdout.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Run:
    status: int
    said: str

    @property
    def last_word(self) -> str:
        lines = self.said.strip().splitlines()
        return lines[-1][:200] if lines else f"ended with {self.status}"


def is_whole(drawn: tuple[int, int], stated: tuple[int, int]) -> bool:
    """Whether a picture of that size, width first, is all of one that states its own size.

    It may be turned, and an odd side may lose its last row; a tile is far too small.
    """
    return any(
        abs(drawn[0] - width) <= 1 and abs(drawn[1] - height) <= 1
        for width, height in (stated, stated[::-1])
    )


def plays(kind: str, look: Look) -> bool:
    """Whether current browsers play a recording as it is."""
    if kind == "WAV":
        return look.audio in _WAVES
    return (
        kind in _CONTAINERS
        and look.video in _FILM_CODECS | {""}
        and look.audio in _SOUND_CODECS | {""}
    )
