"""Printing the signed sheet on the device: the page from its own records, and its line.

The page is written first and the line second, since the line holds the page's digest; a crash
between the two leaves a page that no line knows, and printing again makes another.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sync import catalogue, sheet, shortcode
from sync.client import forms
from sync.client.clock import Clock
from sync.client.documents import Documents
from sync.client.errors import SheetTooLarge, SheetUnwritable, UnknownDocument
from sync.client.fieldwork import Fieldwork
from sync.client.records import Record
from sync.client.results import Place, place_of
from sync.evidence import acts
from sync.evidence.errors import LineTooLong
from sync.evidence.line import DeviceTime
from sync.shortcode import FullHead
from sync.templates import Template, value_text


@dataclass(frozen=True)
class Printed:
    """A sheet that was written to ``path``, and the ``head`` that it shows."""

    path: str
    sha256: str
    items: int
    head: str
    place: Place


class Sheets(Fieldwork):
    """Prints what the party signs."""

    _clock: Clock

    def print_sheet(
        self, inspection: str, path: Path, *, device_name: str = "", officer: str | None = None
    ) -> Printed:
        """Write the inspection's records and items with this journal's head as a page to ``path``.

        Everything that stood in this device's journal by then is fixed by a signature on it.

        Raises:
            UnknownInspection, NoSession.
            SheetUnwritable: if ``path`` exists or cannot be written.
            SheetTooLarge: if the list of items does not fit into one line.
        """
        acting = self.acting(inspection, officer)
        records = self.records(inspection)
        items = [item for item in self.items(inspection) if not item.discarded]
        head = self._outbox.head()
        shown = FullHead(self._journal.device, head.epoch, head.next_seq - 1, head.digest)
        page = sheet.page(
            sheet.Sheet(
                inspection=inspection,
                title=self._title(inspection),
                printed=_moment(self._clock.read()),
                officers=[self._named(who) for who in self._officers(inspection)],
                records=[_shown(self._documents, record) for record in records],
                items=[
                    sheet.SheetItem(title=item.title or item.name or item.item, sha256=item.sha256)
                    for item in items
                ],
                heads=[sheet.SheetHead(device=device_name or shown.device, head=shown)],
            )
        ).encode("utf-8")
        sha256 = hashlib.sha256(page).hexdigest()
        act = {
            "type": acts.SHEET_PRINTED,
            "officer": acting,
            "inspection": inspection,
            "seq": shown.seq,
            "head": shown.head,
            "sha256": sha256,
            "items": [{"item": item.item, "sha256": item.sha256} for item in items],
            "revisions": sorted({digest for record in records for digest in record.revisions}),
        }
        _write(path, page)
        try:
            line = self._journal.append(act)
        except LineTooLong as error:
            path.unlink()
            raise SheetTooLarge(len(items)) from error
        spelled = shortcode.spell(shown.seq, shown.head)
        return Printed(str(path), sha256, len(items), spelled, place_of(line))

    def _title(self, inspection: str) -> str:
        row = self._outbox.db.execute(
            "SELECT title FROM inspection WHERE id = ?", (inspection,)
        ).fetchone()
        return str(row[0]) or inspection

    def _named(self, officer: str) -> str:
        known = self._documents.officer(officer)
        return f"{known.name} ({known.certificate_no})"


def _shown(documents: Documents, record: Record) -> sheet.SheetRecord:
    """A record in words; where its form has left this device, as it was signed."""
    form: Template | None = None
    try:
        form = forms.form_version(documents, record.template, record.version)
    except UnknownDocument:
        title = dict.fromkeys(catalogue.LANGUAGES, record.template)
    else:
        title = dict(form.title)
    values = record.merged.values
    return sheet.SheetRecord(
        title=title,
        fields=[
            sheet.SheetField(
                label=_label(form, name),
                value=_value(form, name, values[name]),
            )
            for name in _ordered(form, list(values))
        ],
    )


def _ordered(form: Template | None, names: Sequence[str]) -> list[str]:
    order = [field.id for field in form.fields] if form else []
    return [*(name for name in order if name in names), *sorted(set(names) - set(order))]


def _label(form: Template | None, name: str) -> sheet.Words:
    field = form.field(name) if form else None
    return field.label if field else dict.fromkeys(catalogue.LANGUAGES, name)


def _value(form: Template | None, name: str, value: object) -> sheet.Words:
    field = form.field(name) if form else None
    return {lang: value_text(field, value, lang) for lang in catalogue.LANGUAGES}


def _moment(now: DeviceTime) -> str:
    """The device's own time, to the second with its zone."""
    local = datetime.fromtimestamp(now.wall_ms / 1000, UTC) + timedelta(minutes=now.tz_min)
    sign, minutes = ("-", -now.tz_min) if now.tz_min < 0 else ("+", now.tz_min)
    return f"{local:%Y-%m-%d %H:%M:%S} {sign}{minutes // 60:02d}:{minutes % 60:02d}"


def _write(path: Path, page: bytes) -> None:
    """Write a new file whole or not at all; an older sheet, perhaps signed, is never replaced."""
    try:
        with path.open("xb") as out:
            out.write(page)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise SheetUnwritable(str(path), error.strerror or str(error)) from error
