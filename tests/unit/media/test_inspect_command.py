"""``liuhen inspect`` prints one line for each file, whatever the file is."""

import hashlib
import json
import os

from click.testing import CliRunner

from media.inspect import FIELDS, inspect
from tests.support import draw


def run(*paths: object) -> tuple[list[dict], int]:
    result = CliRunner().invoke(inspect, [os.fspath(path) for path in paths])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return [json.loads(line) for line in result.stdout_bytes.splitlines()], result.exit_code


def test_a_photo_is_described_in_the_published_fields_with_its_raw_values(tmp_path):
    data = draw.photo(
        draw.exif(
            zone="+08:00",
            subsec="25",
            software="Camera 2",
            gps_utc=("2026:05:04", (1, 2, 3)),
            lat_lon=(-22.5431, 114.0579),
        )
    )
    path = tmp_path / "照片.jpg"
    path.write_bytes(data)

    [line], code = run(path)

    assert code == 0
    assert list(line) == [*FIELDS, "raw"]
    raw = line.pop("raw")
    assert line == {
        "path": str(path),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "type": "JPEG",
        "make": "Drawn",
        "model": "Builder 1",
        "software": "Camera 2",
        "datetime_original": "2026-05-04T09:02:03",
        "subsec_original": "25",
        "offset_original": "+08:00",
        "datetime_digitized": "2026-05-04T09:02:03",
        "datetime_modified": "2026-05-04T09:02:03",
        "gps_utc": "2026-05-04T01:02:03Z",
        "lat": -22.5431,
        "lon": 114.0579,
        "av_created": None,
        "av_created_basis": None,
        "av_lat": None,
        "av_lon": None,
        "limits_hit": [],
        "error": None,
    }
    assert raw["ExifIFD:DateTimeOriginal"] == "2026:05:04 09:02:03"
    assert raw["mime"] == "image/jpeg"


def test_what_is_not_media_is_a_line_with_its_reason(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("plain words")

    [line], code = run(path)

    assert (line["type"], code) == (None, 0)
    assert line["error"].startswith("media.unknown_type")


def test_what_cannot_be_opened_is_a_line_too_and_exit_code_1(tmp_path):
    (tmp_path / "good.jpg").write_bytes(draw.photo())
    os.mkfifo(tmp_path / "pipe")

    lines, code = run(tmp_path / "none", tmp_path, tmp_path / "pipe", tmp_path / "good.jpg")

    assert code == 1
    errors = [line["error"] for line in lines]
    assert [str(error).split(":")[0] for error in errors] == ["media.unreadable"] * 3 + ["None"]
    assert list(lines[0]) == [*FIELDS, "raw"]


def test_a_file_name_that_is_not_text_still_makes_a_line(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.jpg"
    with open(path, "wb") as file:
        file.write(draw.photo())

    [line], code = run(os.fsdecode(path))

    assert (code, line["make"]) == (0, "Drawn")
    assert line["path"].endswith("\udcff.jpg")
