"""A form as a value: its fields, their types, and when they are asked for (docs/forms.md §1)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Text that is nothing: it counts as a field that was left empty.
BLANK = re.compile(r"^[ \t\r\n\u3000]*$(?!\n)")

#: ``$(?!\n)`` is the end in every dialect: Python's ``$`` alone also stands before a last newline.
FORMS = {
    "decimal": r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$(?!\n)",
    "datetime": (
        r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]"
        r"([01][0-9]|2[0-3]):[0-5][0-9]([+-][0-9]{2}:[0-9]{2})?$(?!\n)"
    ),
    "uuid": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$(?!\n)",
}

TEXT_LIMITS = {"text": 2_000, "long_text": 20_000}
LATITUDE, LONGITUDE = 900_000_000, 1_800_000_000
MAX_ACCURACY = 2_000_000_000
MAX_INTEGER = 2**53 - 1
DATUMS = ("WGS-84", "GCJ-02", "BD-09")

#: Members of a person beside the name, all of them text.
PERSON = ("identity_number", "phone", "certificate_no", "organization", "position", "address")
#: How a signature was given, and which members each way may have beside ``how``.
SIGNATURES = {
    "image": (("item",), ("name",)),
    "paper": ((), ("item", "name")),
    "refused": (("reason",), ("witness",)),
    "absent": (("reason",), ("witness",)),
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Whether another field of the same level has one of ``values``, or with none any value."""

    field: str
    values: tuple[Any, ...] = ()

    def holds(self, record: Mapping[str, Any]) -> bool:
        value = record.get(self.field, "")
        if not self.values:
            return not is_blank(value)
        given = value if isinstance(value, list) else [value]
        return any(_same(one, wanted) for one in given for wanted in self.values)


_INFORMANT: Final = "informant"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field; ``units``, ``options``, ``fields`` and the bounds belong to some types only.

    ``shown_when`` and ``required_when`` hold always where they are None; ``low`` and
    ``high`` bound an integer, or the number of entries of a group.
    """

    id: str
    type: str
    label: Mapping[str, str]
    required: bool = False
    sensitive: bool = False
    shown_when: Condition | None = None
    required_when: Condition | None = None
    units: tuple[str, ...] = ()
    options: tuple[tuple[str, Mapping[str, str]], ...] = ()
    multiple: bool = False
    low: int | None = None
    high: int | None = None
    fields: tuple["Field", ...] = ()

    def is_required(self, record: Mapping[str, Any]) -> bool:
        """Whether ``record`` must hold it at its seal."""
        if not self.required or (self.shown_when and not self.shown_when.holds(record)):
            return False
        return self.required_when is None or self.required_when.holds(record)


@dataclass(frozen=True, kw_only=True)
class Template:
    """One version of a form; the dates are ``YYYY-MM-DD``, both inclusive, empty if open."""

    id: str
    version: int
    title: Mapping[str, str]
    fields: tuple[Field, ...]
    in_force_from: str = ""
    in_force_to: str = ""

    def field(self, identifier: str) -> Field | None:
        return next((field for field in self.fields if field.id == identifier), None)

    def in_force(self, day: str) -> bool:
        """Whether the form may be begun on ``day``."""
        return self.in_force_from <= day and (not self.in_force_to or day <= self.in_force_to)


def is_informant(identifier: object) -> bool:
    """Whether a field is about an informant (举报人), by its id; no package ever shows it."""
    return isinstance(identifier, str) and identifier.startswith(_INFORMANT)


def parse_template(body: Mapping[str, Any]) -> Template:
    """The form that a document describes; it must be one in which nothing is amiss."""
    return Template(
        id=body["id"],
        version=body["version"],
        title=body["title"],
        fields=tuple(map(_parse_field, body["fields"])),
        in_force_from=body.get("in_force_from", ""),
        in_force_to=body.get("in_force_to", ""),
    )


def _parse_field(body: Mapping[str, Any]) -> Field:
    required = body.get("required", False)
    shown_when = body.get("shown_when")
    return Field(
        id=body["id"],
        type=body["type"],
        label=body.get("label") or dict.fromkeys(("zh", "en"), body["id"]),
        required=required is not False,
        sensitive=body.get("sensitive", False),
        shown_when=None if shown_when is None else _parse_condition(shown_when),
        required_when=_parse_condition(required) if isinstance(required, dict) else None,
        units=tuple(body.get("units", ())),
        options=tuple((option["id"], option["label"]) for option in body.get("options", ())),
        multiple=body.get("multiple", False),
        low=body.get("min"),
        high=body.get("max"),
        fields=tuple(map(_parse_field, body.get("fields", ()))),
    )


def _parse_condition(body: Mapping[str, Any]) -> Condition:
    return Condition(field=body["field"], values=tuple(body.get("is", ())))


def in_force(templates: Sequence[Template], day: str) -> Template | None:
    """Of the versions of one form the newest that may be begun on ``day``, ``YYYY-MM-DD``."""
    usable = [template for template in templates if template.in_force(day)]
    return max(usable, key=lambda one: (one.in_force_from, one.version), default=None)


def is_blank(value: Any) -> bool:
    """Whether ``value`` counts as left empty; a record clears a field with ``""``."""
    if isinstance(value, str):
        return BLANK.search(value) is not None
    return isinstance(value, list) and not value


def _same(first: Any, second: Any) -> bool:
    """Equality as JSON has it: ``true`` is not 1."""
    return type(first) is type(second) and bool(first == second)
