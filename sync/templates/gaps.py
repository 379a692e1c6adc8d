"""What a record still lacks (docs/forms.md §2).

A form never keeps evidence out. It says what a record must hold when it is sealed;
whatever is not so is listed as a gap, by the same rules as the JSON Schema of the form.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync import catalogue
from sync.templates.model import (
    BLANK,
    DATUMS,
    FORMS,
    LATITUDE,
    LONGITUDE,
    MAX_ACCURACY,
    MAX_INTEGER,
    PERSON,
    SIGNATURES,
    TEXT_LIMITS,
    Field,
    Template,
    is_blank,
)

_PATTERNS = {name: re.compile(pattern) for name, pattern in FORMS.items()}


@dataclass(frozen=True, kw_only=True)
class Gap:
    """What a record lacks at ``path``: field ids and, within groups, places from 0.

    ``kind`` is ``missing``, ``malformed``, ``too_few``, ``too_many`` or ``unknown``;
    ``labels`` are the field's titles by language.
    """

    path: tuple[str | int, ...]
    kind: str
    labels: Mapping[str, str]

    def message(self, lang: str) -> str:
        return catalogue.text(f"forms.gap.{self.kind}", lang, field=self.labels[lang])


def lacking(template: Template, record: Mapping[str, Any]) -> tuple[Gap, ...]:
    """What keeps ``record``, the values by field, from being complete; nothing if it is."""
    return tuple(_gaps(template.fields, record, (), {"zh": "", "en": ""}))


def _gaps(
    fields: Sequence[Field],
    record: Mapping[str, Any],
    path: tuple[str | int, ...],
    within: Mapping[str, str],
) -> Iterator[Gap]:
    known = set()
    for field in fields:
        known.add(field.id)
        labels = {lang: within[lang] + field.label[lang] for lang in catalogue.LANGUAGES}
        yield from _field_gaps(field, record, (*path, field.id), labels)
    for name in sorted(record.keys() - known):
        labels = {lang: within[lang] + name for lang in catalogue.LANGUAGES}
        yield Gap(path=(*path, name), kind="unknown", labels=labels)


def _field_gaps(
    field: Field, record: Mapping[str, Any], path: tuple[str | int, ...], labels: Mapping[str, str]
) -> Iterator[Gap]:
    value = record.get(field.id, "")
    if is_blank(value):
        if field.is_required(record):
            yield Gap(path=path, kind="missing", labels=labels)
    elif field.type == "group":
        yield from _group_gaps(field, value, path, labels)
    elif not is_well_formed(field, value):
        yield Gap(path=path, kind="malformed", labels=labels)


def _group_gaps(
    field: Field, value: Any, path: tuple[str | int, ...], labels: Mapping[str, str]
) -> Iterator[Gap]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        yield Gap(path=path, kind="malformed", labels=labels)
        return
    if field.low is not None and len(value) < field.low:
        yield Gap(path=path, kind="too_few", labels=labels)
    if field.high is not None and len(value) > field.high:
        yield Gap(path=path, kind="too_many", labels=labels)
    for place, entry in enumerate(value):
        within = {lang: f"{labels[lang]} {place + 1} · " for lang in catalogue.LANGUAGES}
        yield from _gaps(field.fields, entry, (*path, place), within)


def is_well_formed(field: Field, value: Any) -> bool:
    """Whether ``value``, which is not blank, is of the field's type; not for groups."""
    match field.type:
        case "text" | "long_text":
            return isinstance(value, str) and len(value) <= TEXT_LIMITS[field.type]
        case "integer":
            low = -MAX_INTEGER if field.low is None else field.low
            high = MAX_INTEGER if field.high is None else field.high
            return _is_integer(value, low, high)
        case "boolean":
            return isinstance(value, bool)
        case "number":
            return _has(value, ("value", "unit")) and (
                _is_form("decimal", value["value"]) and value["unit"] in field.units
            )
        case "choice":
            return _is_choice(field, value)
        case "datetime":
            return _is_form("datetime", value)
        case "person":
            return _has(value, ("name",), PERSON) and _all_text(value)
        case "location":
            return _is_location(value)
        case "signature":
            return _is_signature(value)
        case "medium" | "sketch":
            return _has(value, ("item",), ("note",)) and (
                _is_form("uuid", value["item"]) and isinstance(value.get("note", ""), str)
            )
        case _:
            return True


def _is_choice(field: Field, value: Any) -> bool:
    options = {option for option, _ in field.options}
    if not field.multiple:
        return isinstance(value, str) and value in options
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return False
    return set(value) <= options and len(set(value)) == len(value)


def _is_location(value: Any) -> bool:
    if not _has(value, ("lat", "lon", "source_datum"), ("acc", "raw", "source")):
        return False
    return (
        _is_integer(value["lat"], -LATITUDE, LATITUDE)
        and _is_integer(value["lon"], -LONGITUDE, LONGITUDE)
        and value["source_datum"] in DATUMS
        and _is_integer(value.get("acc", 0), 0, MAX_ACCURACY)
        and isinstance(value.get("raw", ""), str)
        and isinstance(value.get("source", ""), str)
    )


def _is_signature(value: Any) -> bool:
    how = value.get("how") if isinstance(value, dict) else None
    if not isinstance(how, str) or how not in SIGNATURES:
        return False
    needed, allowed = SIGNATURES[how]
    if not _has(value, ("how", *needed), allowed):
        return False
    texts = {name: text for name, text in value.items() if name != "item"}
    return _all_text(texts) and ("item" not in value or _is_form("uuid", value["item"]))


def _has(value: Any, needed: Sequence[str], allowed: Sequence[str] = ()) -> bool:
    """Whether ``value`` is an object with all of ``needed`` and nothing beyond ``allowed``."""
    if not isinstance(value, dict):
        return False
    return set(needed) <= value.keys() <= {*needed, *allowed}


def _all_text(value: Mapping[str, Any]) -> bool:
    return all(isinstance(one, str) and BLANK.search(one) is None for one in value.values())


def _is_form(name: str, value: Any) -> bool:
    return isinstance(value, str) and _PATTERNS[name].search(value) is not None


def _is_integer(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high
