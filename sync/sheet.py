"""The signed sheet (签名页): a record printed with the journal's head, for the party to sign.

Pure: the same values give the same page. Devices print it without a network, the console
prints it too; the page has no script and fetches nothing.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources

import segno

from sync import catalogue, shortcode
from sync.shortcode import FullHead

Words = Mapping[str, str]

#: How much of a digest stands on paper: 64 bits name an item, the journal's head proves it.
SHOWN_DIGEST = 16


@dataclass(frozen=True, kw_only=True)
class SheetField:
    label: Words
    value: Words


@dataclass(frozen=True, kw_only=True)
class SheetRecord:
    title: Words
    fields: Sequence[SheetField]


@dataclass(frozen=True, kw_only=True)
class SheetItem:
    """One item; ``sha256`` in hexadecimal, of which the paper shows the beginning."""

    title: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SheetHead:
    """A journal's head with the name of the device that writes it."""

    device: str
    head: FullHead


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What the paper says; ``printed`` is the time of the device or server that prints it."""

    inspection: str
    title: str
    printed: str
    officers: Sequence[str]
    records: Sequence[SheetRecord]
    items: Sequence[SheetItem]
    heads: Sequence[SheetHead]


def page(sheet: Sheet) -> str:
    """The sheet as one self-contained HTML page for A4."""
    title = catalogue.text("sheet.title")
    # Each page bears the heads, so that none can be exchanged for another.
    codes = " ".join(shortcode.spell(one.head.seq, one.head.head) for one in sheet.heads)
    parts = [
        '<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        f"<title>{escape(title)} – {escape(sheet.title)}</title>\n",
        f"<style>\n{_style()}{_foot(codes)}</style>\n",
        f'</head>\n<body data-paper="portrait" data-foot="{codes}">\n',
        f"<h1>{_both('sheet.title')}</h1>\n",
        _facts(sheet),
        *(_record(record) for record in sheet.records),
        _items(sheet.items),
        _heads(sheet.heads),
        _signatures(),
        "</body>\n</html>\n",
    ]
    return "".join(parts)


@cache
def _style() -> str:
    return resources.files("sync").joinpath("sheet.css").read_text("utf-8")


def _foot(codes: str) -> str:
    """The heads at the foot of every page; a code is letters, digits and hyphens."""
    return '@page { @bottom-left { content: "' + codes + '"; font-size: 7pt; } }\n'


def _facts(sheet: Sheet) -> str:
    rows = (
        ("sheet.inspection", f"{escape(sheet.title)}<br><code>{escape(sheet.inspection)}</code>"),
        ("sheet.officers", "<br>".join(escape(officer) for officer in sheet.officers)),
        ("sheet.printed", escape(sheet.printed)),
    )
    cells = "".join(f"<tr><th>{_both(key)}</th><td>{value}</td></tr>\n" for key, value in rows)
    return f'<table class="facts">\n{cells}</table>\n'


def _record(record: SheetRecord) -> str:
    rows = "".join(
        f'<tr><th>{_beside(field.label)}</th><td class="lines">{_beside(field.value)}</td></tr>\n'
        for field in record.fields
    )
    return f'<h2>{_beside(record.title)}</h2>\n<table class="facts">\n{rows}</table>\n'


def _items(items: Sequence[SheetItem]) -> str:
    head = "".join(
        f"<th>{_both(key)}</th>" for key in ("sheet.number", "sheet.item", "sheet.digest")
    )
    rows = "".join(
        f"<tr><td>{number}</td><td>{escape(item.title)}</td>"
        f"<td><code>{escape(item.sha256[:SHOWN_DIGEST])}</code></td></tr>\n"
        for number, item in enumerate(items, start=1)
    )
    return (
        f"<h2>{_both('sheet.items', count=len(items))}</h2>\n"
        f'<table data-widths="12mm 3fr 2fr">\n<thead><tr>{head}</tr></thead>\n{rows}</table>\n'
    )


def _heads(heads: Sequence[SheetHead]) -> str:
    rows = "".join(
        f'<tr><td class="qr">{_qr(one.head)}</td><td>{escape(one.device)}<br>'
        f'<code class="code">{shortcode.spell(one.head.seq, one.head.head)}</code></td></tr>\n'
        for one in heads
    )
    return (
        f"<h2>{_both('sheet.heads')}</h2>\n<p>{_both('sheet.meaning')}</p>\n"
        f'<table data-widths="44mm 1fr">\n{rows}</table>\n'
    )


def _signatures() -> str:
    labels = ("sheet.party", "sheet.witness", "sheet.officers_sign")
    heads = "".join(f"<th>{_both(label)}</th>" for label in labels)
    boxes = '<td class="box"></td>' * len(labels)
    return (
        f"<h2>{_both('sheet.signatures')}</h2>\n<p>{_both('sheet.agreed')}</p>\n"
        f"<table>\n<tr>{heads}</tr>\n<tr>{boxes}</tr>\n</table>\n"
    )


def _qr(head: FullHead) -> str:
    """A head as a picture within the page, which needs nothing else to be shown."""
    picture = io.BytesIO()
    code = segno.make(shortcode.spell_full(head), error="m", micro=False)
    code.save(picture, kind="svg", xmldecl=False, svgns=True, nl=False, border=2)
    data = base64.b64encode(picture.getvalue()).decode("ascii")
    return f'<img alt="{shortcode.spell_full(head)}" src="data:image/svg+xml;base64,{data}">'


def _both(key: str, **values: object) -> str:
    return _beside({lang: catalogue.text(key, lang, **values) for lang in catalogue.LANGUAGES})


def _beside(words: Words) -> str:
    """The Chinese text with the English one small beside it, where they differ."""
    zh, en = escape(words["zh"]), escape(words["en"])
    return zh if zh == en else f'{zh} <span class="en" lang="en">{en}</span>'
