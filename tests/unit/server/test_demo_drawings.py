"""The demonstration's photos, recording and form are what they pretend to be."""

import json
from importlib import resources

import pytest

from media.inspect import describe
from server.demo import bureau, recording, scenes

_AT_MS = 1_777_856_400_123  # 2026-05-04 01:00:00.123 UTC


@pytest.fixture
def camera():
    return scenes.CameraTime(
        at_ms=_AT_MS,
        zone_min=480,
        fix_at_ms=_AT_MS - 5000,
        lat_e7=bureau.LAT_E7,
        lon_e7=bureau.LON_E7,
    )


def test_a_drawn_photo_carries_the_times_and_the_place_of_a_phone(camera, tmp_path):
    path = tmp_path / "p.jpg"
    path.write_bytes(scenes.photo(scenes.outfall, "outfall", camera))

    seen = describe(path)

    assert (seen["type"], seen["error"]) == ("JPEG", None)
    assert (seen["datetime_original"], seen["offset_original"]) == (
        "2026-05-04T09:00:00",
        "+08:00",
    )
    assert seen["gps_utc"] == "2026-05-04T00:59:55Z"
    assert seen["lat"] == pytest.approx(bureau.LAT_E7 / 1e7, abs=1e-6)
    assert seen["lon"] == pytest.approx(bureau.LON_E7 / 1e7, abs=1e-6)


def test_the_drawn_photos_differ(camera):
    drawn = (scenes.outfall, scenes.gauge_board, scenes.storage_yard, scenes.nothing)

    photos = {scenes.photo(scene, "x", camera) for scene in drawn}

    assert len(photos) == len(drawn)


def test_the_recording_is_a_movie_with_time_and_place(tmp_path):
    frames = [scenes.paint(scenes.outfall, f"second {n}") for n in range(2)]
    written = recording.RecorderTime(
        created_at_ms=_AT_MS, lat_e7=bureau.LAT_E7, lon_e7=bureau.LON_E7
    )
    path = tmp_path / "r.mp4"
    path.write_bytes(recording.recording(frames, written))

    seen = describe(path)

    assert (seen["type"], seen["error"]) == ("MP4", None)
    assert seen["av_created"].startswith("2026-05-04T01:00:00")
    assert seen["av_lat"] == pytest.approx(bureau.LAT_E7 / 1e7, abs=1e-3)


def test_the_form_has_a_label_in_both_languages_for_every_field():
    text = resources.files("server").joinpath("templates_data/site_inspection_record.v1.json")
    form = json.loads(text.read_text("utf-8"))

    identifiers = [field["id"] for field in form["fields"]]

    assert form["id"] == bureau.FORM
    assert len(set(identifiers)) == len(identifiers)
    assert all(field["label"]["zh"] and field["label"]["en"] for field in form["fields"])
