"""The lists that go with a package: 移送材料清单 of the route, and 证据目录 for a court."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment
from markupsafe import Markup, escape

from media.findings import words
from server.operations.export.case import CaseState
from server.operations.export.list_forms import (
    Column,
    ListForm,
    Words,
    court_form,
    transfer_form,
)
from server.operations.export.materials import Material
from server.operations.export.pages import both, moment_text, side_by_side
from server.operations.export.spool import Spool
from sync.evidence import package
from sync.evidence.package import PackageFile

_RECORD_KINDS = ("site_inspection_record", "sampling_record", "interview_record")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A material as one row: its cells, and the values beneath with their labels."""

    cells: tuple[Markup, ...]
    details: tuple[tuple[Words, Markup], ...]


@dataclass(frozen=True, kw_only=True)
class FilledSection:
    title: Words
    rows: tuple[Row, ...]


def list_files(
    case: CaseState,
    materials: Sequence[Material],
    route: str,
    environment: Environment,
    spool: Spool,
) -> Iterator[PackageFile]:
    """The list of the route and that for a court as self-contained HTML."""
    day = moment_text(case.moment.exported_at_ms).partition(" ")[0]
    template = environment.get_template("list.html.j2")
    for path, form in (
        (package.TRANSFER_LIST, transfer_form(route, day)),
        (package.EVIDENCE_LIST, court_form(day)),
    ):
        pieces = template.generate(
            title=form.title, form=form, case=case, sections=fill(form, materials, case)
        )
        yield spool.write(path, (piece.encode("utf-8") for piece in pieces))


def fill(
    form: ListForm, materials: Sequence[Material], case: CaseState
) -> tuple[FilledSection, ...]:
    """Every material once, under the first heading that takes it, else under the last one."""
    placed: list[list[Material]] = [[] for _ in form.sections]
    for material in materials:
        places = (n for n, section in enumerate(form.sections) if section.wants(material.sort))
        placed[next(places, len(placed) - 1)].append(material)
    sections, number = [], 0
    for section, own in zip(form.sections, placed, strict=True):
        rows = tuple(
            _row(form, Entry(number=number + n, material=material, case=case))
            for n, material in enumerate(own, start=1)
        )
        number += len(own)
        sections.append(FilledSection(title=section.title, rows=rows))
    return tuple(sections)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A material and its number in the list."""

    number: int
    material: Material
    case: CaseState


def _row(form: ListForm, entry: Entry) -> Row:
    def cell(column: Column) -> Markup:
        return FIELDS[column.field](entry)

    # The values beneath a row run on in one paragraph.
    details = ((c.label, cell(c).replace("<br>", Markup("; "))) for c in form.details)
    return Row(
        cells=tuple(cell(column) for column in form.columns),
        details=tuple((label, value) for label, value in details if value),
    )


def _title(entry: Entry) -> Markup:
    titles = entry.material.titles
    return side_by_side(titles["zh"], titles["en"]) if titles else escape(entry.material.title)


def _kind(entry: Entry) -> Markup:
    sort, _, form = entry.material.sort.partition(":")
    if sort != "record":
        return both(f"report.kind.{sort}")
    return both(f"report.kind.{form if form in _RECORD_KINDS else 'documentary'}")


def _fact(entry: Entry) -> Markup:
    if entry.material.fact:
        return escape(entry.material.fact)
    return both("report.not_given") if entry.material.disposition else Markup()


def _maker(entry: Entry) -> Markup:
    """Who made it; of a file that was imported without a word about that, who imported it."""
    material = entry.material
    if material.maker_known:
        return escape(material.maker)
    return both("report.imported_by", name=material.maker)


def _interval(entry: Entry) -> Markup:
    material = entry.material
    parts = []
    if material.made_ms is not None:
        span = moment_text(material.made_ms)
        if material.ended_ms is not None:
            span = f"{span} – {moment_text(material.ended_ms)}"
        parts.append(escape(span))
    if material.interval is not None:
        before = material.interval.not_before_ms
        parts.append(
            both("report.not_before_unproved")
            if before is None
            else both("report.not_before", time=moment_text(before))
        )
        parts.append(both("report.not_after", time=moment_text(material.interval.not_after_ms)))
        outside = material.interval.outside
        if outside is not None and outside.not_after_ms is not None:
            time = moment_text(outside.not_after_ms)
            parts.append(both("report.not_after_outside", time=time))
    return Markup("<br>").join(parts)


def _place(entry: Entry) -> Markup:
    material = entry.material
    parts = [escape(material.place)] if material.place else []
    if material.position is not None:
        lat, lon = (words.degrees(value) for value in material.position)
        parts.append(both("report.place_value", lat=lat, lon=lon))
    return Markup("<br>").join(parts)


def _size(entry: Entry) -> Markup:
    material = entry.material
    parts = []
    if material.size is not None:
        parts.append(both("report.bytes", size=material.size))
    if material.duration_ms is not None:
        parts.append(both("report.plays", time=clock(material.duration_ms)))
    return Markup("<br>").join(parts)


def _pages(entry: Entry) -> Markup:
    """Recordings and photos have a length or are one; paper is counted by whoever prints it."""
    if entry.material.duration_ms is not None:
        return both("report.plays", time=clock(entry.material.duration_ms))
    return both("report.one_photo") if entry.material.sort == "image" else Markup()


def clock(duration_ms: int) -> str:
    """A length as hours, minutes and seconds, rounded up: ``00:03:07``."""
    seconds = -(-duration_ms // 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _source(entry: Entry) -> Markup:
    material = entry.material
    if not material.capture_class:
        return both("report.source.record")
    parts = [both(f"report.source.{material.capture_class}", device=material.device or "—")]
    if material.medium:
        parts.append(both("report.source.medium", medium=material.medium))
    return Markup("<br>").join(parts)


def _remarks(entry: Entry) -> Markup:
    material = entry.material
    parts = [both(f"report.disposition.{material.disposition}")] if material.disposition else []
    if material.discard_reason:
        parts.append(escape(material.discard_reason))
    if material.outside_seal:
        parts.append(both("report.outside_seal"))
    return Markup("<br>").join(parts)


def _digest(entry: Entry) -> Markup:
    code = Markup("<code>{}</code>").format(entry.material.sha256)
    if entry.material.disposition:
        return code
    return both("report.line_digest") + Markup(" ") + code


#: What a column of a list may show.
FIELDS: Mapping[str, Callable[[Entry], Markup]] = {
    "number": lambda entry: escape(entry.number),
    "title": _title,
    "kind": _kind,
    "fact": _fact,
    "maker": _maker,
    "method": lambda entry: escape(entry.material.method),
    "interval": _interval,
    "place": _place,
    "original": lambda entry: both(f"report.short.{entry.material.original}"),
    "size": _size,
    "pages": _pages,
    "source": _source,
    "digest": _digest,
    "file": lambda entry: escape(entry.material.file),
    "submitter": lambda entry: escape(entry.case.organization["name"]),
    "date": lambda entry: Markup(),
    "remarks": _remarks,
}
