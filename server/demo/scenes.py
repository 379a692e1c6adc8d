"""Draws the demonstration's photos, so that nothing in it shows a real place or person."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from PIL import Image, ImageDraw
from PIL.TiffImagePlugin import IFDRational

SIZE = (960, 720)
_MAKER = "Demo Optics"
_MODEL = "DO-1"

#: EXIF tag numbers (CIPA DC-008).
_MAKE, _MODEL_TAG, _SOFTWARE, _DATE_TIME = 0x010F, 0x0110, 0x0131, 0x0132
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_TAKEN, _DIGITIZED, _OFFSET, _OFFSET_TAKEN, _SUBSEC_TAKEN = 0x9003, 0x9004, 0x9010, 0x9011, 0x9291
_GPS_LAT_REF, _GPS_LAT, _GPS_LON_REF, _GPS_LON, _GPS_TIME, _GPS_DATE = 1, 2, 3, 4, 7, 29

#: 演示照片 as strokes on a grid of 100 × 100, because no font can be relied on.
_STROKES: Sequence[Sequence[Sequence[tuple[int, int]]]] = (
    (
        ((8, 10), (20, 20)),
        ((4, 36), (16, 46)),
        ((6, 94), (24, 60)),
        ((60, 2), (66, 12)),
        ((34, 28), (34, 16), (96, 16), (96, 28)),
        ((42, 30), (88, 30)),
        ((40, 42), (40, 76), (92, 76), (92, 42), (40, 42)),
        ((40, 59), (92, 59)),
        ((66, 30), (66, 76)),
        ((54, 80), (34, 96)),
        ((78, 80), (98, 96)),
    ),
    (
        ((24, 14), (78, 14)),
        ((6, 38), (96, 38)),
        ((52, 38), (52, 94), (40, 88)),
        ((28, 54), (10, 82)),
        ((74, 54), (94, 82)),
    ),
    (
        ((8, 8), (8, 62), (40, 62), (40, 8), (8, 8)),
        ((8, 34), (40, 34)),
        ((52, 8), (92, 8), (88, 32), (80, 30)),
        ((68, 8), (64, 24), (52, 34)),
        ((54, 40), (54, 64), (90, 64), (90, 40), (54, 40)),
        ((12, 78), (4, 94)),
        ((34, 78), (40, 94)),
        ((58, 78), (64, 94)),
        ((84, 78), (96, 94)),
    ),
    (
        ((26, 8), (26, 52), (8, 94)),
        ((60, 4), (60, 32)),
        ((26, 32), (92, 32)),
        ((26, 58), (72, 58), (72, 96)),
    ),
)


@dataclass(frozen=True, kw_only=True)
class CameraTime:
    """What the camera writes: its own clock (``at_ms`` UTC, shown in a zone) and the GPS fix."""

    at_ms: int
    zone_min: int
    fix_at_ms: int
    lat_e7: int
    lon_e7: int


Scene = Callable[[ImageDraw.ImageDraw], None]


def outfall(draw: ImageDraw.ImageDraw) -> None:
    """An outfall pipe above a stream."""
    draw.rectangle((0, 0, 960, 330), fill=(196, 214, 226))
    draw.rectangle((0, 330, 960, 480), fill=(142, 156, 118))
    draw.rectangle((0, 480, 960, 720), fill=(96, 130, 142))
    draw.ellipse((380, 360, 560, 540), fill=(86, 86, 90), outline=(50, 50, 54), width=10)
    draw.polygon(((410, 470), (530, 470), (600, 720), (380, 720)), fill=(122, 112, 74))


def gauge_board(draw: ImageDraw.ImageDraw) -> None:
    """A monitoring cabinet with two dials and a counter."""
    draw.rectangle((0, 0, 960, 720), fill=(214, 212, 204))
    draw.rectangle((200, 110, 760, 600), fill=(150, 160, 168), outline=(80, 88, 96), width=8)
    for x in (340, 620):
        draw.ellipse(
            (x - 90, 170, x + 90, 350), fill=(244, 244, 240), outline=(40, 40, 40), width=6
        )
        draw.line(((x, 260), (x + 55, 205)), fill=(178, 30, 30), width=8)
    draw.rectangle((300, 430, 660, 520), fill=(28, 44, 34))
    draw.text((330, 440), "pH 7.4", fill=(120, 240, 150), font_size=60)


def storage_yard(draw: ImageDraw.ImageDraw) -> None:
    """Barrels in a yard before a wall."""
    draw.rectangle((0, 0, 960, 380), fill=(186, 178, 164))
    draw.rectangle((0, 380, 960, 720), fill=(128, 124, 118))
    for number in range(5):
        x = 70 + number * 170
        colour = (40, 88 + number * 14, 140 - number * 16)
        draw.rectangle((x, 290, x + 130, 520), fill=colour)
        draw.ellipse((x, 500, x + 130, 540), fill=colour)
        draw.ellipse((x, 270, x + 130, 310), fill=(70, 110, 160), outline=(30, 40, 60), width=4)


def nothing(draw: ImageDraw.ImageDraw) -> None:
    """The inside of a pocket."""
    draw.rectangle((0, 0, 960, 720), fill=(24, 22, 22))


def paint(scene: Scene, caption: str) -> Image.Image:
    """The scene with the words 演示照片 and an ASCII ``caption`` across it."""
    image = Image.new("RGB", SIZE)
    draw = ImageDraw.Draw(image)
    scene(draw)
    draw.rectangle((0, 0, 480, 110), fill=(255, 255, 255))
    for place, character in enumerate(_STROKES):
        left = 30 + place * 108
        for stroke in character:
            points = [(left + x * 0.9, 12 + y * 0.9) for x, y in stroke]
            draw.line(points, fill=(170, 20, 20), width=7, joint="curve")
    draw.rectangle((0, 660, 960, 720), fill=(255, 255, 255))
    draw.text((24, 668), f"DEMONSTRATION - {caption}", fill=(20, 20, 20), font_size=36)
    return image


def photo(scene: Scene, caption: str, camera: CameraTime) -> bytes:
    """A JPEG of ``scene`` with the EXIF that a phone's own camera would write."""
    image = paint(scene, caption)
    exif = image.getexif()
    local = datetime.fromtimestamp(
        camera.at_ms / 1000, timezone(timedelta(minutes=camera.zone_min))
    )
    taken = local.strftime("%Y:%m:%d %H:%M:%S")
    exif[_MAKE], exif[_MODEL_TAG], exif[_SOFTWARE] = _MAKER, _MODEL, "demo camera 1.0"
    exif[_DATE_TIME] = taken
    exif.get_ifd(_EXIF_IFD).update(
        {
            _TAKEN: taken,
            _DIGITIZED: taken,
            _OFFSET: _zone(camera.zone_min),
            _OFFSET_TAKEN: _zone(camera.zone_min),
            _SUBSEC_TAKEN: f"{camera.at_ms % 1000:03d}",
        }
    )
    fix = datetime.fromtimestamp(camera.fix_at_ms / 1000, UTC)
    exif.get_ifd(_GPS_IFD).update(
        {
            _GPS_LAT_REF: "N" if camera.lat_e7 >= 0 else "S",
            _GPS_LAT: _sexagesimal(camera.lat_e7),
            _GPS_LON_REF: "E" if camera.lon_e7 >= 0 else "W",
            _GPS_LON: _sexagesimal(camera.lon_e7),
            _GPS_TIME: tuple(IFDRational(part, 1) for part in (fix.hour, fix.minute, fix.second)),
            _GPS_DATE: fix.strftime("%Y:%m:%d"),
        }
    )
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82, exif=exif)
    return file.getvalue()


def _zone(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def _sexagesimal(degrees_e7: int) -> tuple[IFDRational, IFDRational, IFDRational]:
    degrees, rest = divmod(abs(degrees_e7), 10_000_000)
    minutes, rest = divmod(rest * 60, 10_000_000)
    return IFDRational(degrees, 1), IFDRational(minutes, 1), IFDRational(rest * 60 // 1000, 10_000)
