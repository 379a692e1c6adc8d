"""Whether a form may be published (docs/forms.md §3): all that is amiss, not the first thing."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sync import catalogue
from sync.evidence import canonical
from sync.evidence.errors import NotCanonical
from sync.templates.model import MAX_INTEGER, is_informant

MAX_BYTES = 128 * 1024
MAX_FIELDS = 200
MAX_ENTRIES = 500
MAX_OPTIONS = 200
#: Each takes a part of the line of its own, and a line has 64 (docs/protocol.md §4.1).
MAX_SENSITIVE = 60
MAX_VERSION = 2**31 - 1
_MAX_LABEL = 500

_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OPTION = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")

_MEMBERS = frozenset({"id", "version", "title", "basis", "in_force_from", "in_force_to", "fields"})
_OF_ALL = frozenset({"id", "type", "label", "hint", "required", "shown_when"})
#: The members of each type of field beside those of all.
_OF_TYPE: Mapping[str, frozenset[str]] = {
    "text": frozenset(),
    "long_text": frozenset(),
    "number": frozenset({"units"}),
    "integer": frozenset({"min", "max"}),
    "boolean": frozenset(),
    "choice": frozenset({"options", "multiple"}),
    "datetime": frozenset(),
    "person": frozenset(),
    "location": frozenset(),
    "signature": frozenset(),
    "medium": frozenset(),
    "sketch": frozenset(),
    "group": frozenset({"fields", "min", "max"}),
}
#: What would fill a field in before a person did; nothing is pre-ticked.
_PRESETS = frozenset({"default", "value", "checked", "preset", "selected"})


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is amiss at ``place``, such as ``fields.party.label``; ``code`` says what."""

    place: str
    code: str

    def message(self, lang: str) -> str:
        return catalogue.text(f"forms.problem.{self.code}", lang, place=self.place)


def problems(body: Any) -> tuple[Problem, ...]:
    """Everything that keeps ``body`` from being published; nothing if it may be."""
    if not isinstance(body, dict):
        return (Problem(place="", code="form"),)
    try:
        size = len(canonical.dumps(body))
    except NotCanonical:
        return (Problem(place="", code="not_canonical"),)
    return tuple(_of_form(body, size))


def _of_form(body: Mapping[str, Any], size: int) -> Iterator[Problem]:
    if size > MAX_BYTES:
        yield Problem(place="", code="too_large")
    for name in sorted(body.keys() - _MEMBERS):
        yield Problem(place=name, code="unknown_member")
    if not _is_id(body.get("id")):
        yield Problem(place="id", code="id")
    if not _is_integer(body.get("version"), 1, MAX_VERSION):
        yield Problem(place="version", code="version")
    if not _is_label(body.get("title")):
        yield Problem(place="title", code="label")
    if not isinstance(body.get("basis", ""), str):
        yield Problem(place="basis", code="text")
    yield from _of_dates(body)
    fields = body.get("fields")
    if not isinstance(fields, list) or not 0 < len(fields) <= MAX_FIELDS:
        yield Problem(place="fields", code="fields")
        return
    yield from _of_fields(fields, "fields", in_group=False)
    if sum(isinstance(one, dict) and one.get("sensitive") is True for one in fields) > (
        MAX_SENSITIVE
    ):
        yield Problem(place="fields", code="sensitive")


def _of_dates(body: Mapping[str, Any]) -> Iterator[Problem]:
    days = [body.get(name) for name in ("in_force_from", "in_force_to")]
    for name, day in zip(("in_force_from", "in_force_to"), days, strict=True):
        if day is not None and not _is_day(day):
            yield Problem(place=name, code="day")
    if all(map(_is_day, days)) and str(days[0]) > str(days[1]):
        yield Problem(place="in_force_to", code="day")


def _of_fields(fields: list[Any], place: str, *, in_group: bool) -> Iterator[Problem]:
    before: dict[str, Mapping[str, Any]] = {}
    for number, field in enumerate(fields):
        if not isinstance(field, dict):
            yield Problem(place=f"{place}.{number}", code="field")
            continue
        identifier = field.get("id")
        here = f"{place}.{identifier if _is_id(identifier) else number}"
        if not _is_id(identifier):
            yield Problem(place=here, code="id")
        elif identifier in before:
            yield Problem(place=here, code="repeated")
        yield from _of_field(field, here, before, in_group=in_group)
        if isinstance(identifier, str):
            before[identifier] = field


def _of_field(
    field: Mapping[str, Any], here: str, before: Mapping[str, Mapping[str, Any]], *, in_group: bool
) -> Iterator[Problem]:
    kind = field.get("type")
    if not isinstance(kind, str) or kind not in _OF_TYPE or (in_group and kind == "group"):
        yield Problem(place=f"{here}.type", code="type")
        return
    allowed = _OF_ALL | _OF_TYPE[kind] | (frozenset() if in_group else {"sensitive"})
    for name in sorted(field.keys() - allowed):
        code = "preset" if name in _PRESETS else "unknown_member"
        yield Problem(place=f"{here}.{name}", code=code)
    if not _is_label(field.get("label")):
        yield Problem(place=f"{here}.label", code="label")
    if "hint" in field and not _is_label(field["hint"]):
        yield Problem(place=f"{here}.hint", code="label")
    for name in ("sensitive", "multiple"):
        if not isinstance(field.get(name, False), bool):
            yield Problem(place=f"{here}.{name}", code="truth")
    required = field.get("required", False)
    if not isinstance(required, bool) and not _is_condition(required, before):
        yield Problem(place=f"{here}.required", code="condition")
    if "shown_when" in field and not _is_condition(field["shown_when"], before):
        yield Problem(place=f"{here}.shown_when", code="condition")
    if is_informant(field.get("id")) and (in_group or field.get("sensitive") is not True):
        yield Problem(place=f"{here}.sensitive", code="informant")
    yield from _of_type(field, kind, here)


def _of_type(field: Mapping[str, Any], kind: str, here: str) -> Iterator[Problem]:
    if kind == "number" and not _is_texts(field.get("units")):
        yield Problem(place=f"{here}.units", code="units")
    if kind == "choice":
        yield from _of_options(field.get("options"), f"{here}.options")
    if kind in ("integer", "group"):
        limit = MAX_INTEGER if kind == "integer" else MAX_ENTRIES
        lowest = -limit if kind == "integer" else 0
        low, high = field.get("min", lowest), field.get("max", limit)
        if not _is_integer(low, lowest, limit) or not _is_integer(high, low, limit):
            yield Problem(place=here, code="bounds")
    if kind == "group":
        fields = field.get("fields")
        if not isinstance(fields, list) or not 0 < len(fields) <= MAX_FIELDS:
            yield Problem(place=f"{here}.fields", code="fields")
        else:
            yield from _of_fields(fields, f"{here}.fields", in_group=True)


def _of_options(options: Any, here: str) -> Iterator[Problem]:
    if not isinstance(options, list) or not 0 < len(options) <= MAX_OPTIONS:
        yield Problem(place=here, code="options")
        return
    seen: set[str] = set()
    for number, option in enumerate(options):
        if not isinstance(option, dict) or not isinstance(option.get("id"), str):
            yield Problem(place=f"{here}.{number}", code="options")
            continue
        if not _OPTION.fullmatch(option["id"]) or option["id"] in seen:
            yield Problem(place=f"{here}.{number}", code="id")
        for name in sorted(option.keys() - {"id", "label"}):
            code = "preset" if name in _PRESETS else "unknown_member"
            yield Problem(place=f"{here}.{option['id']}.{name}", code=code)
        if not _is_label(option.get("label")):
            yield Problem(place=f"{here}.{option['id']}.label", code="label")
        seen.add(option["id"])


def _is_condition(value: Any, before: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether it asks for a field that stands earlier on the same level, and what it may hold."""
    if not isinstance(value, dict) or not {"field"} <= value.keys() <= {"field", "is"}:
        return False
    asked = before.get(value["field"]) if isinstance(value["field"], str) else None
    if asked is None or "is" not in value:
        return asked is not None
    wanted = value["is"]
    if not isinstance(wanted, list) or not 0 < len(wanted) <= MAX_OPTIONS:
        return False
    match asked.get("type"):
        case "boolean":
            return all(isinstance(one, bool) for one in wanted)
        case "integer":
            return all(_is_integer(one, -MAX_INTEGER, MAX_INTEGER) for one in wanted)
        case "choice":
            options = asked.get("options")
            known = (
                [one.get("id") for one in options if isinstance(one, dict)]
                if (isinstance(options, list))
                else []
            )
            return all(one in known for one in wanted)
        case _:
            return False


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_label(value: Any) -> bool:
    """A text in every language, and in no other."""
    return (
        isinstance(value, dict)
        and value.keys() == set(catalogue.LANGUAGES)
        and all(isinstance(one, str) and one.strip() for one in value.values())
        and all(len(one) <= _MAX_LABEL for one in value.values())
    )


def _is_texts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MAX_OPTIONS
        and all(isinstance(one, str) and 0 < len(one) <= 32 for one in value)
        and len(set(value)) == len(value)
    )


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_integer(value: Any, low: Any, high: int) -> bool:
    return type(value) is int and type(low) is int and low <= value <= high
