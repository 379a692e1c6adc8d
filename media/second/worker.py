"""The process that runs code we did not write on files we did not make.

Started by ``media.second`` as a script of its own, so that it imports nothing of
ours. It answers requests on its standard streams: a JSON line that says how many
bytes follow, then the bytes, in both directions. It takes its limits on itself
before it touches the first byte, and ends when its input ends.
"""

from __future__ import annotations

import io
import json
import math
import operator
import resource
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

MEMORY_LIMIT_BYTES = 512 * 1024 * 1024
OPEN_FILES_LIMIT = 32
PIXEL_LIMIT = 64 * 1024 * 1024
# An MPO is opened as the JPEG that it begins with.
PICTURE_FORMATS = ("JPEG", "PNG", "WEBP")
#: A smaller picture is an icon: its likeness to a thumbnail says nothing.
MIN_COMPARED_PIXELS = 64
THUMBNAIL_PIXEL_LIMIT = 4 * 1024 * 1024
#: The long side of what is drawn.
THUMBNAIL_PIXELS, PREVIEW_PIXELS = 512, 2048
REDACTED_PIXELS = 4096
#: Regions are given in parts of so many of the upright picture's width and height.
SCALE = 10_000
MOSAIC_SQUARES = 6

#: Names of the second reader for the tags that both readers read.
_TAGS = {
    "Image Make": "IFD0:Make",
    "Image Model": "IFD0:Model",
    "Image Software": "IFD0:Software",
    "Image DateTime": "IFD0:ModifyDate",
    "EXIF DateTimeOriginal": "ExifIFD:DateTimeOriginal",
    "EXIF DateTimeDigitized": "ExifIFD:CreateDate",
    "EXIF OffsetTimeOriginal": "ExifIFD:OffsetTimeOriginal",
    "EXIF SubSecTimeOriginal": "ExifIFD:SubSecTimeOriginal",
    "GPS GPSDate": "GPS:GPSDateStamp",
    "GPS GPSTimeStamp": "GPS:GPSTimeStamp",
    "GPS GPSLatitude": "GPS:GPSLatitude",
    "GPS GPSLongitude": "GPS:GPSLongitude",
}


def confine(cpu_seconds: int) -> None:
    """Bound what this process may use, for good."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES_LIMIT, OPEN_FILES_LIMIT))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    allow_cpu(cpu_seconds)


def allow_cpu(seconds: int) -> None:
    """Let the process use ``seconds`` more of processor time; then the kernel ends it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, most))


def read_exif(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The tags that exifread sees, by our names, fractions as ``a/b``."""
    import exifread

    tags = exifread.process_file(io.BytesIO(data), details=False, strict=False)
    values = {
        ours: " ".join(map(str, tag.values)) if isinstance(tag.values, list) else str(tag.values)
        for theirs, ours in _TAGS.items()
        if (tag := tags.get(theirs)) is not None
    }
    return {"reader": f"exifread {exifread.__version__}", "values": values}, b""


def draw_thumbnail(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A small JPEG of the picture, upright, without any of its metadata."""
    return _draw(data, THUMBNAIL_PIXELS, quality=80)


def draw_preview(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A JPEG for a screen, upright, without any of its metadata."""
    return _draw(data, PREVIEW_PIXELS, quality=85)


def redact(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A JPEG of the picture, upright, without metadata, in which regions can no longer be seen.

    ``data`` is the regions (``Region``) as one line of JSON, then the picture. What is
    under a region is gone: painted black, or a mosaic of so few squares that nothing of it can
    be computed back.
    """
    from PIL import Image

    line, _, picture = data.partition(b"\n")
    regions = json.loads(line)

    def cover(plain: Any) -> Any:
        for region in regions:
            left, top = region["x"] * plain.width // SCALE, region["y"] * plain.height // SCALE
            right = -(-(region["x"] + region["width"]) * plain.width // SCALE)
            bottom = -(-(region["y"] + region["height"]) * plain.height // SCALE)
            box = (left, top, max(right, left + 1), max(bottom, top + 1))
            if region["how"] == "black":
                plain.paste((0, 0, 0), box)
                continue
            part = plain.crop(box)
            shape = (MOSAIC_SQUARES, MOSAIC_SQUARES)
            coarse = part.resize(shape, Image.Resampling.BOX)
            plain.paste(coarse.resize(part.size, Image.Resampling.NEAREST), box)
        return plain

    return _draw(picture, REDACTED_PIXELS, quality=92, change=cover)


def add_band(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A JPEG for screen and paper with a band below it that says what it shows, in words.

    ``data`` is one line of JSON with ``lines`` of text and the path of a ``font``, then the
    picture. Nothing is written over the picture itself.
    """
    from PIL import Image, ImageDraw, ImageFont

    line, _, picture = data.partition(b"\n")
    told = json.loads(line)

    def below(plain: Any) -> Any:
        size = max(14, plain.width // 50)
        font = ImageFont.truetype(told["font"], size)
        room = plain.width - 2 * size
        rows = [row for text in told["lines"] for row in _wrapped(text, font, room)]
        step = size * 3 // 2
        height = plain.height + step * len(rows) + size
        whole = Image.new("RGB", (plain.width, height), "white")
        whole.paste(plain)
        draw = ImageDraw.Draw(whole)
        draw.line((0, plain.height, plain.width, plain.height), fill="black", width=2)
        for number, row in enumerate(rows):
            draw.text((size, plain.height + size // 2 + step * number), row, "black", font)
        return whole

    return _draw(picture, PREVIEW_PIXELS, quality=85, change=below)


def _wrapped(text: str, font: Any, room: int) -> list[str]:
    """``text`` in rows that are no wider than ``room``; it is cut wherever a row ends."""
    rows = [""]
    for character in text:
        if rows[-1] and font.getlength(rows[-1] + character) > room:
            rows.append("")
        rows[-1] += character
    return rows


def _draw(
    data: bytes, side: int, *, quality: int, change: Callable[[Any], Any] | None = None
) -> tuple[dict[str, Any], bytes]:
    import PIL
    from PIL import Image, ImageOps

    # The size is judged below, before a pixel is decoded, and without a warning on the way.
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as picture:
        if picture.width * picture.height > PIXEL_LIMIT:
            raise ValueError(f"{picture.width}x{picture.height} pixels")
        picture.draft("RGB", (side, side))
        picture.thumbnail((side, side))
        upright = ImageOps.exif_transpose(picture)
        plain = Image.new("RGB", upright.size, "white")
        transparent = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
        layer = upright.convert("RGBA" if transparent else "RGB")
        plain.paste(layer, mask=layer if transparent else None)
        if change is not None:
            plain = change(plain)
        out = io.BytesIO()
        plain.save(out, "JPEG", quality=quality, optimize=True)
        answer: dict[str, Any] = {
            "made_with": f"Pillow {PIL.__version__}",
            "recipe": f"upright, within {side}x{side}, JPEG quality {quality}, no metadata",
            "width": plain.width,
        }
        return answer | {"height": plain.height}, out.getvalue()


def look_at_pixels(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Size, likeness and the difference of the embedded thumbnail (docs/evidence.md §7)."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as picture:
        if picture.width * picture.height > PIXEL_LIMIT:
            raise ValueError(f"{picture.width}x{picture.height} pixels")
        found: dict[str, Any] = {"width": picture.width, "height": picture.height}
        small = _embedded_thumbnail(picture)
        picture.draft("L", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        grey = picture.convert("L")
        if small is not None:
            found["thumbnail_distance"] = _thumbnail_distance(grey, small)
        found["likeness"] = f"{_likeness(ImageOps.exif_transpose(grey)):016x}"
        return found, b""


def _embedded_thumbnail(picture: Any) -> Any:
    """The JPEG in the second directory of the EXIF block, in grey; None if there is none."""
    from PIL import ExifTags, Image

    if min(picture.size) < MIN_COMPARED_PIXELS:
        return None
    block = picture.info.get("exif", b"")
    second = picture.getexif().get_ifd(ExifTags.IFD.IFD1)
    start, size = second.get(0x0201), second.get(0x0202)
    if not isinstance(start, int) or not isinstance(size, int) or not block.startswith(b"Exif"):
        return None
    try:
        with Image.open(
            io.BytesIO(block[6 + start : 6 + start + size]), formats=("JPEG",)
        ) as small:
            # Neither may a small picture that is none keep the large one from being seen.
            if small.width * small.height > THUMBNAIL_PIXEL_LIMIT:
                return None
            return small.convert("L")
    except (OSError, ValueError, SyntaxError):
        return None


def _thumbnail_distance(grey: Any, small: Any) -> int:
    """In how many of 64 bits the two differ.

    Cameras fill a thumbnail of another shape with black bars, which are cut off here; software
    that turns a picture often leaves its thumbnail, so it is compared in all four positions.
    """
    from PIL import Image

    seen = _gradient(grey)
    positions = [
        small,
        *(
            small.transpose(turn)
            for turn in (
                Image.Transpose.ROTATE_90,
                Image.Transpose.ROTATE_180,
                Image.Transpose.ROTATE_270,
            )
        ),
    ]
    return min(
        (seen ^ _gradient(_in_shape(turned, grey.width, grey.height))).bit_count()
        for turned in positions
    )


def _in_shape(grey: Any, width: int, height: int) -> Any:
    """The middle of a picture, of the shape ``width`` to ``height``."""
    wide = max(1, min(grey.width, round(grey.height * width / height)))
    high = max(1, min(grey.height, round(grey.width * height / width)))
    left, top = (grey.width - wide) // 2, (grey.height - high) // 2
    return grey.crop((left, top, left + wide, top + high))


def _gradient(grey: Any) -> int:
    """64 bits: whether each of 8 x 8 fields is darker than the one to its right."""
    from PIL import Image

    fields = grey.resize((9, 8), Image.Resampling.BOX).tobytes()
    bits = 0
    for row in range(8):
        for column in range(8):
            at = row * 9 + column
            bits = bits << 1 | (fields[at] < fields[at + 1])
    return bits


def _likeness(grey: Any) -> int:
    """64 bits: which of the 64 lowest frequencies of 32 x 32 pixels are above their median.

    The two-dimensional DCT-II, row by row from the top left; the constant term counts as above.
    Terms are rounded, so that a flat picture has no frequency above another.
    """
    from PIL import Image

    side, kept = 32, 8
    data = grey.resize((side, side), Image.Resampling.LANCZOS).tobytes()
    waves = [
        [math.cos(math.pi * (2 * x + 1) * u / (2 * side)) for x in range(side)] for u in range(kept)
    ]
    rows = [data[y * side : (y + 1) * side] for y in range(side)]
    across = [[sum(map(operator.mul, row, wave)) for wave in waves] for row in rows]
    terms = [
        round(sum(across[y][u] * waves[v][y] for y in range(side)))
        for v in range(kept)
        for u in range(kept)
    ]
    middle = sorted(terms[1:])[len(terms) // 2 - 1]
    bits = 1
    for term in terms[1:]:
        bits = bits << 1 | (term > middle)
    return bits


_TASKS: dict[str, Callable[[bytes], tuple[dict[str, Any], bytes]]] = {
    "exif": read_exif,
    "thumbnail": draw_thumbnail,
    "preview": draw_preview,
    "redact": redact,
    "band": add_band,
    "pixels": look_at_pixels,
}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the input ends."""
    while header := requests.readline():
        request = json.loads(header)
        data = requests.read(request["size"])
        allow_cpu(request["cpu_seconds"])
        payload = b""
        try:
            answer, payload = _TASKS[request["task"]](data)
        # Whatever foreign code raises about a foreign file is an answer, not our fault:
        # eleven types of exception were seen from the reader alone.
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"[:200]}
        line = json.dumps(answer | {"size": len(payload)}).encode("ascii")
        answers.write(line + b"\n" + payload)
        answers.flush()


if __name__ == "__main__":
    confine(int(sys.argv[1]))
    answers = sys.stdout.buffer
    # What a library prints must not be taken for an answer.
    sys.stdout = sys.stderr
    serve(sys.stdin.buffer, answers)
