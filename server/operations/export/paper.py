"""The pages of a package as PDF/A: what a page says in HTML, set on A4 by Typst.

A PDF is made from the finished HTML page, so that the two cannot say different things. It is
the same to the byte wherever it is made: the fonts come with the program, those of the system
are not looked at, and its date is the page's. PDF/A-2u demands a glyph for every character
and its text to be readable; characters without a glyph are spelled out as ``〔U+XXXX〕``.
"""

import base64
import codecs
import json
import re
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pylopdf_fonts_zh_cn

from server.operations.export.errors import PageNotSet
from server.operations.export.spool import Spool
from sync.evidence.package import PackageFile

_VOID: Final = frozenset(("br", "meta", "col", "img"))
#: Elements that say how a page looks on a screen.
_SILENT: Final = frozenset(("head", "colgroup", "style"))
_KEPT: Final = ("class", "colspan", "rowspan", "data-widths", "data-paper", "data-foot")

#: A picture within the page, as the sheet to sign has them (sync/sheet.py).
_PICTURE: Final = "data:image/svg+xml;base64,"
#: Elements within which spaces are no text.
_BETWEEN_ELEMENTS: Final = frozenset(("body", "table", "thead", "tbody", "tr", "ul"))
#: What is repeated in a page, and how many of these one PDF holds.
_UNITS: Final = frozenset(("article", "tbody"))
_PART_UNITS: Final = 500
#: How many parts are set at the same time; each takes up to 300 MB while it is.
_AT_ONCE: Final = 2
#: A part takes seconds; one that takes this long never ends.
_LONGEST_S: Final = 600

#: Signs in a row at which no line would be broken, and what marks a place to do so.
_UNBROKEN: Final = re.compile(r"[^\s\u2e80-\uffef]{16,}")
_STEPS: Final = re.compile(r".{1,8}")
_BREAK: Final = "\u200b"

Node = dict[str, Any]


def pdfs_of(page: PackageFile, spool: Spool, *, at_ms: int) -> Iterator[PackageFile]:
    """An HTML ``page`` of a package as PDF, dated ``at_ms``, under the same name.

    What is long comes in parts (``report.pdf``, ``report-2.pdf``), so that a case of any
    size is set in the same memory.

    Raises:
        PageNotSet
    """
    name = page.path.removesuffix(".html")
    for number, pdf in enumerate(render(page.chunks(), at_ms=at_ms), start=1):
        path = f"{name}.pdf" if number == 1 else f"{name}-{number}.pdf"
        yield spool.write(path, [pdf])


def render(page: Iterable[bytes], *, at_ms: int) -> Iterator[bytes]:
    """Set one of our own HTML pages; it may hold only what the pages of a package are made of.

    Raises:
        PageNotSet
    """
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for body, title in _parts(page):
            waiting.append(pool.submit(_set, body, title, at_ms))
            if len(waiting) > _AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _parts(page: Iterable[bytes]) -> Iterator[tuple[Node, str]]:
    """The trees of a page's parts, each with the page's title, while it is read."""
    reader = _Reader()
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in page:
        reader.feed(decoder.decode(chunk))
        yield from ((part, reader.title) for part in reader.finished())
    reader.close()
    yield reader.body, reader.title


def _set(body: Node, title: str, at_ms: int) -> bytes:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    content = {"title": title, "date": list(moment.timetuple()[:6]), "body": body}
    with TemporaryDirectory(prefix="liuhen-pdf-") as folder:
        root = Path(folder)
        root.joinpath("paper.typ").write_bytes(_layout())
        root.joinpath("page.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
        arguments = [folder, str(font_path().parent), str(at_ms // 1000)]
        try:
            # Without our environment: it holds secrets, and setting a page needs none of it.
            subprocess.run(
                [sys.executable, "-m", "server.typeset", *arguments],
                capture_output=True,
                text=True,
                check=True,
                env={},
                timeout=_LONGEST_S,
            )
        except subprocess.CalledProcessError as error:
            raise PageNotSet(title, "".join(error.stderr.splitlines()[-1:])) from error
        except subprocess.TimeoutExpired as error:
            raise PageNotSet(title, f"not set after {_LONGEST_S} s") from error
        return root.joinpath("page.pdf").read_bytes()


def spelled(text: str) -> str:
    """``text`` with what our font cannot draw spelled out; nothing is ever left blank."""
    known = _drawable()
    return "".join(
        sign if ord(sign) in known or sign in "\n\t" else f"〔U+{ord(sign):04X}〕" for sign in text
    )


class _Reader(HTMLParser):
    """Reads a page into trees of ``{tag, …attributes, children}`` and texts, one for each part."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.body: Node = {"tag": "body", "children": []}
        self._open = [self.body]
        self._silent: list[str] = []
        self._titled = False
        self._text = ""
        self._units = 0
        self._finished: list[Node] = []

    def finished(self) -> list[Node]:
        """The parts that are whole, each given once."""
        parts, self._finished = self._finished, []
        return parts

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._end_text()
        self._titled = tag == "title"
        if self._silent or tag in _SILENT:
            if tag not in _VOID:
                self._silent.append(tag)
            return
        if tag == "body":
            self.body.update(_attributes(attrs))
        if tag in ("html", "body"):
            return
        if tag in _UNITS:
            self._units += 1
            if self._units > _PART_UNITS:
                self._begin_part()
        node: Node = {"tag": tag, **_attributes(attrs), "children": []}
        self._open[-1]["children"].append(node)
        if tag not in _VOID:
            self._open.append(node)

    def _begin_part(self) -> None:
        """Go on in a tree of its own, within the same elements and under the same table head."""
        self._finished.append(self.body)
        self._units = 1
        opened: list[Node] = []
        for node in self._open:
            heads = [c for c in node["children"] if isinstance(c, dict) and c["tag"] == "thead"]
            again: Node = {**node, "children": heads}
            if opened:
                opened[-1]["children"].append(again)
            opened.append(again)
        self._open, self.body = opened, opened[0]

    def handle_endtag(self, tag: str) -> None:
        self._end_text()
        self._titled = False
        if self._silent:
            self._silent.pop()
        elif tag not in ("html", "body") and tag not in _VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        # A text comes in as many pieces as the page was read in.
        self._text += data

    def close(self) -> None:
        super().close()
        self._end_text()

    def _end_text(self) -> None:
        text, self._text = self._text, ""
        if self._titled:
            self.title = spelled(text)
        if self._silent or not text:
            return
        inside = self._open[-1]
        if not any(node["tag"] == "pre" or "lines" in _classes(node) for node in self._open):
            text = _single_spaced(text)
        if text.strip() or inside["tag"] not in _BETWEEN_ELEMENTS:
            text = spelled(text)
            # A digest fits where it stands; any other text may be longer than its column.
            inside["children"].append(text if inside["tag"] == "code" else _breakable(text))


def _breakable(text: str) -> str:
    """``text`` with places to break a line in what has none: it must not run over its column."""
    return _UNBROKEN.sub(lambda run: _BREAK.join(_STEPS.findall(run.group())), text)


def _attributes(attrs: list[tuple[str, str | None]]) -> Node:
    kept: Node = {name: value or "" for name, value in attrs if name in _KEPT}
    source = dict(attrs).get("src") or ""
    if source.startswith(_PICTURE):
        kept["picture"] = base64.b64decode(source.removeprefix(_PICTURE)).decode("ascii")
    return kept


def _classes(node: Node) -> list[str]:
    names: list[str] = node.get("class", "").split()
    return names


def _single_spaced(text: str) -> str:
    """As a browser shows it: any run of spaces and line ends is one space."""
    words = text.split()
    if not words:
        return " " if text else ""
    return (
        (" " if text[0].isspace() else "") + " ".join(words) + (" " if text[-1].isspace() else "")
    )


@cache
def _layout() -> bytes:
    return resources.files(__package__ or "").joinpath("templates/paper.typ").read_bytes()


def font_path() -> Path:
    """The font for Chinese that comes with the program (SIL Open Font License)."""
    return pylopdf_fonts_zh_cn.serif_path()


@cache
def _drawable() -> frozenset[int]:
    """The code points for which the font has a glyph, from its table ``cmap`` (format 12)."""
    data = font_path().read_bytes()
    (count,) = struct.unpack_from(">H", data, 4)
    tables = {
        data[12 + 16 * n :][:4]: struct.unpack_from(">L", data, 20 + 16 * n)[0]
        for n in range(count)
    }
    cmap = tables[b"cmap"]
    (subtables,) = struct.unpack_from(">H", data, cmap + 2)
    points: set[int] = set()
    for n in range(subtables):
        (offset,) = struct.unpack_from(">L", data, cmap + 8 + 8 * n)
        if struct.unpack_from(">H", data, cmap + offset)[0] == 12:
            points.update(_groups(data, cmap + offset))
    return frozenset(points)


def _groups(data: bytes, at: int) -> Iterator[int]:
    (count,) = struct.unpack_from(">L", data, at + 12)
    for n in range(count):
        first, last, glyph = struct.unpack_from(">LLL", data, at + 16 + 12 * n)
        yield from range(first + (glyph == 0), last + 1)
