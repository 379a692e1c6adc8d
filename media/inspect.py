"""``liuhen inspect``: what media files say about themselves, one JSON object a line."""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import click

from media.errors import MediaError
from media.facts import Facts, read_facts
from media.findings.reading import Reading
from media.findings.timetext import Clock
from media.source import FileSource

_HASH_STEP_BYTES = 1024 * 1024

FIELDS = (
    "path",
    "sha256",
    "size",
    "type",
    "make",
    "model",
    "software",
    "datetime_original",
    "subsec_original",
    "offset_original",
    "datetime_digitized",
    "datetime_modified",
    "gps_utc",
    "lat",
    "lon",
    "av_created",
    "av_created_basis",
    "av_lat",
    "av_lon",
    "limits_hit",
    "error",
)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
def inspect(files: Sequence[str]) -> None:
    """读取媒体文件自带的信息，每个文件输出一行 JSON。

    Print what each media file says about its own capture, one JSON object a line.
    The fields are described in docs/evidence.md §7. Exit code 1 if a file cannot be opened.
    """
    unopened = False
    for path in files:
        try:
            line = describe(path)
        except MediaError as error:
            unopened = True
            line = _unopened(path, error)
        # A name that is not UTF-8 comes as lone surrogates; the escape keeps the line valid JSON.
        text = json.dumps(line, ensure_ascii=False) + "\n"
        click.echo(text.encode("utf-8", "backslashreplace"), nl=False)
    if unopened:
        raise SystemExit(1)


def _unopened(path: str, error: MediaError) -> dict[str, Any]:
    line: dict[str, Any] = dict.fromkeys(FIELDS)
    return line | {
        "path": path,
        "limits_hit": [],
        "error": f"{error.code}: {error}",
        "raw": {},
    }


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """All fields of one file.

    Raises:
        Unreadable: if it cannot be opened or the disk fails.
    """
    with FileSource(path) as source:
        digest = hashlib.sha256()
        at = 0
        while block := source.read(at, _HASH_STEP_BYTES):
            digest.update(block)
            at += len(block)
        facts = read_facts(source)
    return {
        "path": os.fspath(path),
        "sha256": digest.hexdigest(),
        "size": facts.size,
        **fields_of(facts),
    }


def fields_of(facts: Facts) -> dict[str, Any]:
    """The normalised values of ``facts``, with every raw value beside them under ``raw``.

    Times are ISO 8601 to the second, local and without zone unless they end in ``Z``;
    positions are signed decimal degrees. ``av_created`` is the time that the container states
    about itself, and ``av_created_basis`` says which field that was.
    """
    reading = Reading(facts.to_dict())
    lat, lon = reading.exif_place()
    _, av_lat, av_lon = reading.movie_place()
    created, basis = _container_time(reading)
    gps = reading.gps_time()
    first = facts.faults[0] if facts.faults else None
    return {
        "type": facts.type,
        "make": reading.text(reading.image("Make")),
        "model": reading.text(reading.image("Model")),
        "software": reading.text(reading.image("Software")),
        "datetime_original": _iso(reading.original_time()),
        "subsec_original": reading.text(reading.exif("SubSecTimeOriginal")),
        "offset_original": reading.text(reading.exif("OffsetTimeOriginal")),
        "datetime_digitized": _iso(
            reading.exif_time("CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized")
        ),
        "datetime_modified": _iso(reading.exif_time("ModifyDate", "SubSecTime", "OffsetTime")),
        "gps_utc": None if gps is None else gps.iso() + "Z",
        "lat": _degrees(lat),
        "lon": _degrees(lon),
        "av_created": created,
        "av_created_basis": basis,
        "av_lat": _degrees(av_lat),
        "av_lon": _degrees(av_lon),
        "limits_hit": list(facts.limits_hit),
        "error": None if first is None else f"{first.code}: {first.detail}",
        "raw": {"mime": facts.mime, **{value.tag: value.raw for value in reversed(facts.values)}},
    }


def _container_time(reading: Reading) -> tuple[str | None, str | None]:
    movie, riff = reading.movie_time(), reading.riff_time()
    key, matroska = reading.key_time(), reading.matroska_time()
    if movie is not None:
        return movie.iso(), "mvhd"
    if key is not None:
        return key.iso(), "keys"
    if riff is not None:
        return riff.iso(), "bext"
    if matroska is not None:
        return matroska.iso() + "Z", "DateUTC"
    return None, None


def _iso(clock: Clock | None) -> str | None:
    return None if clock is None else clock.iso()


def _degrees(value: float | None) -> float | None:
    return None if value is None else round(value, 7)
