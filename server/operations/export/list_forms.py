"""The forms of the lists that go with a package: for each route of a transfer, and for a court.

They are data (``server/lists_data``): what a list is called, under which headings materials
stand, its columns and who signs. Practice differs by place and law, the program does not.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

Words = Mapping[str, str]

#: The route (移送去向) of a package for which nobody chose one.
DEFAULT_ROUTE = "crime"
COURT = "court"
_TRANSFER = "transfer."


@dataclass(frozen=True, kw_only=True)
class Column:
    """One value of each material; ``width`` is a share of the page, such as ``2fr`` or ``8mm``."""

    field: str
    label: Words
    width: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what stands under it: ``record``, ``image``, ``video``, ``audio``, ``other``.

    ``record:ID`` takes the records of one form alone. Nothing to take means paper.
    """

    id: str
    title: Words
    takes: tuple[str, ...]

    def wants(self, sort: str) -> bool:
        """Whether it takes a material of ``sort``, such as ``record:interview_record``."""
        return sort in self.takes or sort.partition(":")[0] in self.takes


@dataclass(frozen=True, kw_only=True)
class ListForm:
    """One version of a list; ``details`` stand in a line of their own beneath each row."""

    id: str
    version: int
    in_force_from: str
    title: Words
    name: Words
    basis: Words
    recipient: Words
    note: Words
    sections: tuple[Section, ...]
    columns: tuple[Column, ...]
    details: tuple[Column, ...]
    signatures: tuple[Words, ...]

    @property
    def route(self) -> str:
        """The route of a transfer list; empty for another list."""
        return self.id.removeprefix(_TRANSFER) if self.id.startswith(_TRANSFER) else ""


@cache
def list_forms() -> tuple[ListForm, ...]:
    """Every version of every list."""
    folder = resources.files("server").joinpath("lists_data")
    forms = (_form(json.loads(file.read_text("utf-8"))) for file in folder.iterdir())
    return tuple(sorted(forms, key=lambda form: (form.id, form.version)))


def routes() -> Mapping[str, Words]:
    """The names of the routes that a package can go, the default first."""
    named = {form.route: form.name for form in list_forms() if form.route}
    return {DEFAULT_ROUTE: named[DEFAULT_ROUTE], **named}


def transfer_form(route: str, day: str) -> ListForm:
    return _in_force(_TRANSFER + route, day)


def court_form(day: str) -> ListForm:
    return _in_force(COURT, day)


def _in_force(identifier: str, day: str) -> ListForm:
    """The newest version in force on ``day`` (``YYYY-MM-DD``); the first one for days before."""
    versions = [form for form in list_forms() if form.id == identifier]
    return next((x for x in reversed(versions) if x.in_force_from <= day), versions[0])


def _form(body: Mapping[str, Any]) -> ListForm:
    return ListForm(
        **{
            **body,
            "sections": tuple(
                Section(**{**section, "takes": tuple(section["takes"])})
                for section in body["sections"]
            ),
            "columns": _columns(body["columns"]),
            "details": _columns(body["details"]),
            "signatures": tuple(body["signatures"]),
        }
    )


def _columns(rows: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    return tuple(Column(**{"width": "", **row}) for row in rows)
