"""The type of a file by its first bytes: what is sound or film waits, and is weighed."""

import pytest

from sync.client.mediatype import HEAD_BYTES, UNKNOWN, is_recording, media_type_of
from tests.support import draw

_PACKET = b"G" + bytes(187)
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (_PACKET * 3, "00012.ts", "video/mp2t"),
        (_PACKET * 3, "00012.bin", "video/mp2t"),
        ((bytes(4) + _PACKET) * 3, "00012.MTS", "video/mp2t"),
        (_ASF + bytes(200), "a.wmv", "video/x-ms-wmv"),
        (b"\x00\x00\x00\x20moov" + bytes(200), "MVI_0001.MOV", "video/quicktime"),
        (b"\x00\x00\x00\x08wide" + bytes(200), "MVI_0001.MOV", "video/quicktime"),
        (b"\x00\x00\x01\xba" + bytes(200), "a.mpg", "video/mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(200), "a.mp3", "audio/mpeg"),
        (b"#!AMR\n" + bytes(200), "a.amr", "audio/amr"),
        (draw.avi(250, whole=250), "a.avi", "video/x-msvideo"),
    ],
)
def test_sound_and_film_are_known_by_their_bytes(data, name, media_type):
    found = media_type_of(data[:HEAD_BYTES], name)

    assert found == media_type
    assert is_recording(found)


def test_a_text_that_begins_with_a_g_is_no_film():
    assert media_type_of(b"Gas is measured" + bytes(200), "notes.txt") == "text/plain"


def test_a_name_that_the_bytes_contradict_says_nothing():
    assert media_type_of(b"no picture" + bytes(200), "a.jpg") == UNKNOWN


def test_a_type_in_capitals_is_a_recording_too():
    assert is_recording("Video/MP4")
