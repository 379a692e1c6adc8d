"""Facts: what stands in a media file, read within fixed bounds and not interpreted."""

from collections.abc import Callable, Mapping

from media.errors import LimitReached, Malformed, Truncated, UnknownType
from media.facts.audio import read_id3
from media.facts.disguise import look_for_disguise
from media.facts.heif import read_heif
from media.facts.jpeg import read_jpeg, read_raf
from media.facts.matroska import read_matroska
from media.facts.model import READER_VERSION, Collector, Facts, Fault, Format, Value
from media.facts.movie import read_movie
from media.facts.pages import behind_space, read_markup
from media.facts.png import read_png
from media.facts.riff import read_riff
from media.facts.sniff import HEAD_BYTES, HEIFS, MOVIES, sniff
from media.facts.tiff import read_tiff_file
from media.source import READ_BUDGET_BYTES, ByteSource, Window

__all__ = ["READER_VERSION", "Facts", "Fault", "Format", "Value", "read_facts", "sniff"]

_READERS: Mapping[str, Callable[[Window, Collector], None]] = {
    **dict.fromkeys(MOVIES, read_movie),
    **dict.fromkeys(HEIFS, read_heif),
    **dict.fromkeys(("TIFF", "CR2", "RW2", "ORF"), read_tiff_file),
    "RAF": read_raf,
    "MP3": read_id3,
    **dict.fromkeys(("WEBP", "Extended WEBP", "WAV", "AVI"), read_riff),
    **dict.fromkeys(("MKV", "WEBM"), read_matroska),
    "JPEG": read_jpeg,
    "PNG": read_png,
    "XML": read_markup,
}


def read_facts(source: ByteSource, *, budget_bytes: int = READ_BUDGET_BYTES) -> Facts:
    """Read what ``source`` carries about its own capture.

    Whatever the file holds, the answer is ``Facts``: what could be read before a fault or a
    limit is kept, and both are named in it (docs/evidence.md §7).

    Raises:
        MediaError: only if the source itself fails to give its bytes.
    """
    window = Window(source, budget_bytes=budget_bytes)
    into = Collector()
    _run(_recognise, window, into)
    if into.type is not None:
        reader = _READERS.get(into.type)
        if reader is not None:
            _run(reader, window, into)
        _run(look_for_disguise, window, into)
    return into.facts(size=window.size, bytes_read=window.bytes_read)


def _recognise(window: Window, into: Collector) -> None:
    head = window.read(0, HEAD_BYTES)
    known = sniff(head) or behind_space(window, head)
    if known is None:
        into.fault(UnknownType(head=head))
    else:
        into.type, into.mime = known


def _run(reader: Callable[[Window, Collector], None], window: Window, into: Collector) -> None:
    try:
        reader(window, into)
    except (Truncated, Malformed, LimitReached) as error:
        # Only what the file is to blame for: a store that does not answer is no fact about it.
        into.fault(error)
