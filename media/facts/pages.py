"""Recognises texts that a browser or a system would run: pages, drawings, scripts.

They have no magic number. A page is what a browser takes for one by its first bytes
(WHATWG MIME Sniffing §7.1) and a little more, since files are opened by their names too.
"""

import re

from media.errors import Limit
from media.facts.model import Collector, Format
from media.source import Window

_MARKUP_LIMIT_BYTES = 3 * 1024 * 1024
_SPACE_LIMIT_BYTES = 64 * 1024

_HTML = Format("HTML", "text/html")
_XHTML = Format("HTML", "application/xhtml+xml")
_SVG = Format("SVG", "image/svg+xml")
_XML = Format("XML", "text/xml")
_SCRIPT = Format("SCRIPT", "text/plain")

_SPACE = b" \t\r\n\f"
_BYTE_ORDERS = (
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    # XML may leave the mark out.
    (b"<\0?\0x\0m\0l\0", "utf-16-le"),
    (b"\0<\0?\0x\0m\0l", "utf-16-be"),
)
_COMMENTS = re.compile(rb"(?:[ \t\r\n\f]++|<!--.*?-->)*+", re.DOTALL)
#: Comments, instructions, and a document type, whose own declarations stand in brackets.
_PROLOG = re.compile(
    rb"(?:[ \t\r\n\f]++|<!--.*?-->|<\?.*?\?>|<!doctype[^\[>]*+(?:\[.*?\][ \t\r\n\f]*+)?>)*+",
    re.DOTALL,
)
#: How texts begin that some program runs when the file is opened, in lower case.
_SCRIPTS = re.compile(
    rb"#!|<\?php|<\?=|<%@|"
    rb"@(?:echo|if|for|set|setlocal|start|cls|call|cd|cmd|del|copy|rem|title|powershell|mshta)\b|"
    rb"\[(?:internetshortcut|desktop entry|autorun)\]|windows registry editor version|regedit4"
)
#: The elements with which a page may begin: those that browsers look for, and those that run
#: or load something by themselves.
_PAGES = re.compile(
    rb"<(?:html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|"
    rb"img|math|video|audio|object|embed|applet|form|input|button|select|textarea|details|"
    rb"marquee|frameset|frame|link|meta|base|center|span|ul|ol|dl|pre|template|noscript|main|"
    rb"section|article|header|footer|nav|h[2-6]|hr|i|u|em|strong"
    rb")(?=[\s/>])"
)
_DRAWING = re.compile(rb"<(?:[a-z_][\w.-]{0,60}:)?svg(?=[\s/>])")
_DRAWING_SPACE, _PAGE_SPACE = b"http://www.w3.org/2000/svg", b"http://www.w3.org/1999/xhtml"


def sniff_text(text: bytes) -> Format | None:
    """The kind of page, drawing, script or markup that ``text`` begins as, or None."""
    text = _narrow(text).lstrip(_SPACE).lower()
    if text.startswith((b"<?xml", b"<!doctype")):
        return _markup(text)
    if _SCRIPTS.match(text):
        return _SCRIPT
    at = _behind(_COMMENTS, text)
    if _DRAWING.match(text, at):
        return _SVG
    # Browsers take a comment alone for the beginning of a page.
    return _HTML if text.startswith(b"<!--") or _PAGES.match(text, at) else None


def sniff_wide_text(text: bytes) -> Format | None:
    """As ``sniff_text`` for a text with the mark of 16 bits a character.

    It is asked for before sounds, whose frames may begin with the same two bytes.
    """
    return sniff_text(text) if text.startswith((b"\xff\xfe", b"\xfe\xff")) else None


def behind_space(window: Window, head: bytes) -> Format | None:
    """As ``sniff_text`` where all of ``head``, the start of the file, is white space."""
    if head and not _narrow(head).strip(_SPACE):
        return sniff_text(window.read(0, _SPACE_LIMIT_BYTES))
    return None


def read_markup(window: Window, into: Collector) -> None:
    """Tell a page or a drawing, which may begin anywhere in XML, from XML that nothing runs.

    Raises:
        LimitReached: when the read budget is spent.
    """
    if window.size > _MARKUP_LIMIT_BYTES:
        into.hit(Limit.BLOCK_SIZE)
    text = _narrow(window.read(0, _MARKUP_LIMIT_BYTES)).lstrip(_SPACE)
    into.type, into.mime = _markup(text.lower())


def _markup(text: bytes) -> Format:
    """What XML is to a browser: by its first element, and by whose elements it says to hold."""
    if text.startswith(b"<!doctype html"):
        return _HTML
    at = _behind(_PROLOG, text)
    if _DRAWING.match(text, at) or text.startswith(b"<!doctype svg") or _DRAWING_SPACE in text:
        return _SVG
    return _XHTML if _PAGES.match(text, at) or _PAGE_SPACE in text else _XML


def _behind(what: re.Pattern[bytes], text: bytes) -> int:
    found = what.match(text)
    return 0 if found is None else found.end()


def _narrow(text: bytes) -> bytes:
    """Text of 16 bits a character as one of 8, what is beyond Latin-1 as ``?``; else as it is."""
    for mark, encoding in _BYTE_ORDERS:
        if text.startswith(mark):
            return text.decode(encoding, "replace").lstrip("\ufeff").encode("latin-1", "replace")
    return text.removeprefix(b"\xef\xbb\xbf")
