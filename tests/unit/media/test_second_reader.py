"""The second reader answers about every file, in bounded time, and leaves nothing behind."""

import io
import os
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import psutil
import pytest
from PIL import Image

from media.second import Picture, PixelFacts, SecondFacts, SecondFailed, SecondReader
from tests.support import draw


@pytest.fixture(scope="module")
def reader():
    with SecondReader(cpu_seconds=1) as reader:
        yield reader


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def slow_file() -> bytes:
    """Thousands of GPS pointers: half a minute's work for exifread."""
    entries = struct.pack("<HHII", 0x8825, 4, 1, 8) * 5000
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + entries + bytes(4)


def test_it_sees_the_values_that_our_reader_sees(reader):
    picture = draw.photo(draw.exif(zone="+08:00", lat_lon=(22.5, 114.25)))

    seen = reader.read(picture)

    assert isinstance(seen, SecondFacts)
    assert seen.reader.startswith("exifread 3")
    assert seen.values["IFD0:Make"] == "Drawn"
    assert seen.values["ExifIFD:OffsetTimeOriginal"] == "+08:00"
    assert seen.values["GPS:GPSLatitude"].split()[:2] == ["22", "30"]


def test_a_path_is_as_good_as_bytes_and_a_missing_one_is_an_answer(reader, tmp_path):
    path = tmp_path / "p.jpg"
    path.write_bytes(draw.photo())

    assert isinstance(reader.read(path), SecondFacts)
    assert isinstance(reader.read(tmp_path / "none.jpg"), SecondFailed)


def test_a_file_that_hangs_the_library_is_given_up_in_time():
    with SecondReader(wall_seconds=1.0) as impatient:
        began = time.monotonic()

        answer = impatient.read(slow_file())

        assert answer == SecondFailed("timeout")
        assert time.monotonic() - began < 5


def test_the_kernel_ends_what_takes_too_much_processor_and_the_next_file_is_read(reader):
    assert reader.read(slow_file()) == SecondFailed("died")
    assert isinstance(reader.read(draw.photo()), SecondFacts)


def test_memory_is_bounded_and_its_end_is_an_answer(reader):
    wide = io.BytesIO()
    Image.new("1", (8000, 8000)).save(wide, "PNG")
    huge = wide.getvalue().replace(struct.pack(">II", 8000, 8000), struct.pack(">II", 60000, 60000))

    assert isinstance(reader.draw(huge, "thumbnail"), SecondFailed)
    assert isinstance(reader.draw(draw.photo(), "thumbnail"), Picture)


@pytest.mark.parametrize("junk", [b"", b"\xff\xd8\xff", b"GIF89a" + bytes(50), b"%!PS-Adobe"])
def test_no_file_makes_it_raise(reader, junk):
    assert isinstance(reader.read(junk), SecondFacts | SecondFailed)
    assert isinstance(reader.draw(junk, "thumbnail"), SecondFailed)


def test_a_thumbnail_is_small_upright_and_without_metadata(reader):
    block = draw.exif(orientation=6, lat_lon=(22.5, 114.25))

    drawn = reader.draw(draw.photo(block, size=(2000, 1000)), "thumbnail")

    assert isinstance(drawn, Picture)
    assert (drawn.width, drawn.height) == (256, 512)
    with Image.open(io.BytesIO(drawn.jpeg)) as picture:
        assert (picture.size, picture.format) == ((256, 512), "JPEG")
        assert not picture.getexif()
    assert b"Exif" not in drawn.jpeg


def test_a_transparent_picture_is_drawn_on_white(reader):
    out = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(out, "PNG")

    drawn = reader.draw(out.getvalue(), "thumbnail")

    assert isinstance(drawn, Picture)
    with Image.open(io.BytesIO(drawn.jpeg)) as picture:
        assert picture.getpixel((10, 10)) == (255, 255, 255)


def _scene(size=(640, 480), turn=0):
    """A picture with broad shapes, as a camera sees them."""
    picture = Image.linear_gradient("L").resize((640, 480))
    for n, box in enumerate(((40, 60, 200, 300), (320, 200, 600, 440), (250, 20, 400, 120))):
        picture.paste((37 * (n + 3) + turn * 90) % 256, box)
    return picture.convert("RGB").resize(size)


def _jpeg(picture, quality=90, **more):
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, **more)
    return out.getvalue()


def test_a_picture_saved_again_at_half_its_size_is_alike_and_another_is_not(reader):
    first = reader.pixels(_jpeg(_scene()))
    again = reader.pixels(_jpeg(_scene((320, 240)), quality=60))
    other = reader.pixels(_jpeg(_scene(turn=1).rotate(90)))

    assert isinstance(first, PixelFacts)
    assert (first.width, first.height) == (640, 480)
    assert (first.likeness ^ again.likeness).bit_count() <= 2
    assert (first.likeness ^ other.likeness).bit_count() > 10


@pytest.mark.parametrize("colour", ["black", "#0a0a0a", "teal", "white"])
def test_a_flat_picture_has_nothing_to_be_known_by(reader, colour):
    seen = reader.pixels(_jpeg(Image.new("RGB", (64, 48), colour)))

    assert isinstance(seen, PixelFacts)
    assert seen.likeness == 1 << 63


def _holding(thumbnail):
    """An EXIF block with nothing but an embedded thumbnail."""
    entries = struct.pack("<HHII", 0x0201, 4, 1, 44)
    entries += struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail))
    head = b"II*\0" + struct.pack("<IHIH", 8, 0, 14, 2)
    return b"Exif\0\0" + head + entries + bytes(4) + thumbnail


def test_an_embedded_thumbnail_of_another_picture_stands_out(reader):
    small = _scene((160, 120))
    turned = small.transpose(Image.Transpose.ROTATE_90)
    barred = Image.new("RGB", (160, 160))
    barred.paste(small, (0, 20))
    other = Image.frombytes("L", (8, 6), Random(3).randbytes(48)).resize((160, 120))

    own, upright, wide, foreign = (
        reader.pixels(_jpeg(_scene(), exif=_holding(_jpeg(picture)))).thumbnail_distance
        for picture in (small, turned, barred, other)
    )

    assert max(own, upright, wide) <= 4
    assert foreign > 12


def test_a_thumbnail_that_is_no_small_picture_does_not_hide_the_large_one(reader):
    bomb = _jpeg(Image.new("L", (8, 8)))
    at = bomb.index(b"\xff\xc0") + 5
    bomb = bomb[:at] + struct.pack(">HH", 60_000, 60_000) + bomb[at + 4 :]

    seen = reader.pixels(_jpeg(_scene(), exif=_holding(bomb)))

    assert seen == replace(reader.pixels(_jpeg(_scene())), thumbnail_distance=None)


def test_eight_threads_get_the_answers_of_one(reader):
    pictures = [draw.photo(draw.exif(model=f"M{i}"), size=(8, 8)) for i in range(40)]

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(reader.read, pictures))

    assert [answer.values["IFD0:Model"] for answer in seen] == [f"M{i}" for i in range(40)]


def test_a_worker_is_replaced_after_its_share_and_none_is_left_over():
    before = {child.pid for child in children()}
    with SecondReader(requests_per_worker=2) as reader:
        pids = set()
        for _ in range(4):
            reader.read(draw.photo())
            pids |= {child.pid for child in children()} - before
    # One that a busy machine kept past its time is replaced sooner: four at the most.
    assert 2 <= len(pids) <= 4
    assert {child.pid for child in children()} == before


def test_a_worker_that_someone_killed_is_replaced():
    with SecondReader() as reader:
        before = {child.pid for child in children()}
        reader.read(draw.photo())
        for child in children():
            if child.pid not in before:
                child.kill()
        answers = [reader.read(draw.photo()) for _ in range(2)]

    assert isinstance(answers[-1], SecondFacts)


def test_the_worker_inherits_nothing_and_cannot_write_a_file(tmp_path):
    secret = os.open(tmp_path / "secret", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(secret, True)
    before = {child.pid for child in children()}
    try:
        with SecondReader() as reader:
            reader.read(draw.photo())
            [worker] = [child for child in children() if child.pid not in before]
            targets = {os.readlink(fd) for fd in Path(f"/proc/{worker.pid}/fd").iterdir()}
            limits = Path(f"/proc/{worker.pid}/limits").read_text()
    finally:
        os.close(secret)

    assert all(target.startswith(("pipe:", "/dev/null")) for target in targets)
    assert "Max file size             0" in limits
    assert "Max address space         536870912" in limits
