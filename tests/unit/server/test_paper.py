"""Pages as PDF: the same bytes each time, every character readable, and any length."""

import io
import json
from importlib import resources

import pytest
from pypdf import PdfReader

from server.operations.export import paper
from server.operations.export.list_forms import list_forms
from sync import catalogue

_AT_MS = 1_777_856_523_000


def _page(body, *, form="portrait"):
    head = '<meta charset="utf-8"><title>证据包说明</title><style>p { color: red }</style>'
    return (
        f'<!DOCTYPE html>\n<html lang="zh-CN">\n<head>{head}</head>\n'
        f'<body data-paper="{form}">{body}</body>\n</html>\n'
    )


def _render(body, **how):
    return list(paper.render([_page(body, **how).encode()], at_ms=_AT_MS))


def _text(pdf):
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def test_equal_pages_give_equal_bytes_however_they_come_in():
    page = _page("<h1>移送材料清单</h1><p>排污口位置</p>").encode()

    whole = list(paper.render([page], at_ms=_AT_MS))
    torn = list(paper.render([page[n : n + 1] for n in range(len(page))], at_ms=_AT_MS))

    assert whole == torn


def test_the_text_can_be_read_and_the_date_is_that_of_the_export():
    (pdf,) = _render(
        "<h1>证据目录<span class='en'>List of evidence</span></h1>"
        "<table><tr><th>制作人</th><td colspan='2'>示例检查员</td></tr></table>"
        "<ul><li>不早于 09:00</li></ul><pre>python3 -I x.py</pre>"
    )

    text = _text(pdf)
    for words in (
        "证据目录",
        "List of evidence",
        "制作人",
        "示例检查员",
        "不早于",
        "python3 -I x.py",
    ):
        assert words in text
    about = PdfReader(io.BytesIO(pdf)).metadata
    assert about.title == "证据包说明"
    assert about.creation_date.timestamp() == _AT_MS / 1000


def test_only_our_own_font_is_in_it_and_whole():
    (pdf,) = _render("<p>中文 and <code>0123abcd</code></p>")

    fonts = PdfReader(io.BytesIO(pdf)).pages[0]["/Resources"]["/Font"]
    assert {str(font.get_object()["/BaseFont"]).split("+")[1] for font in fonts.values()} == {
        "NotoSerifSC-Regular-Identity-H"
    }


def test_a_character_without_a_glyph_is_spelled_out():
    (pdf,) = _render("<p>𠮷野家 😀</p>")

    assert "〔U+20BB7〕野家 〔U+1F600〕" in _text(pdf)


def test_what_is_written_in_a_page_is_never_a_program_for_typst():
    (pdf,) = _render("<p>#read(&quot;/etc/passwd&quot;) *x* $y$ \\u{1} &lt;script&gt;</p>")

    assert '#read("/etc/passwd") *x* $y$ \\u{1} <script>' in _text(pdf)


def test_a_long_word_stays_within_its_column():
    row = f"<tr><td>{'A' * 400}</td><td>右栏</td></tr>"
    (pdf,) = _render(f'<table data-widths="1fr 1fr">{row}</table><p><code>{"0" * 64}</code></p>')

    lines = _text(pdf).splitlines()
    assert max(line.count("A") for line in lines) < 60
    assert sum(line.count("A") for line in lines) == 400
    assert "\u200b" not in _text(pdf)
    assert "0" * 64 in _text(pdf), "a digest can be copied whole"


def test_a_long_page_comes_in_parts_and_loses_nothing():
    rows = "".join(
        f"<tbody><tr><td rowspan='2'>材料{n:04d}</td><td>x</td></tr>"
        "<tr class='detail'><td>y</td></tr></tbody>"
        for n in range(1201)
    )
    body = f"<table><thead><tr><th>序号</th><th>名称</th></tr></thead>{rows}</table><p>签名</p>"

    parts = ["".join(_text(pdf).split()) for pdf in _render(body, form="landscape")]

    assert len(parts) == 3
    assert all("序号" in part for part in parts), "each part has the head of the table"
    assert [sum(part.count(f"材料{n:04d}") for part in parts) for n in range(1201)] == [1] * 1201
    assert "签名" in parts[-1]


def _texts():
    for area in ("report", "findings", "forms"):
        for text in catalogue.area(area).values():
            yield from text.values()
    for form in list_forms():
        yield from (form.title["zh"], form.note["zh"], form.basis["zh"])
    folder = resources.files("server").joinpath("templates_data")
    for file in folder.iterdir():
        yield json.dumps(json.loads(file.read_text("utf-8")), ensure_ascii=False)


def test_the_font_can_draw_every_character_that_the_program_itself_writes():
    for text in _texts():
        assert paper.spelled(text) == text


def test_a_page_that_cannot_be_set_fails_by_name(monkeypatch):
    monkeypatch.setattr(paper, "spelled", lambda text: text)

    with pytest.raises(paper.PageNotSet, match="could not be displayed"):
        _render("<p>𠮷</p>")
