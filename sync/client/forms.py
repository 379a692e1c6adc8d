"""Forms on the device: which version is in force, and reading what a person typed into a field."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sync.client.documents import Documents
from sync.client.errors import UnknownDocument, UnknownField
from sync.templates import Field, Template, in_force, is_blank, lacking, parse_template

#: Beijing time: the law asks for the declared time to the minute, in the zone of the place.
_ZONE = timedelta(hours=8)
_TRUTH = {"true": True, "yes": True, "1": True, "是": True}
_TRUTH |= {"false": False, "no": False, "0": False, "否": False}
_MINUTE = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})([+-]\d{2}:\d{2})?")


def form_in_force(documents: Documents, wanted: str, at_ms: int) -> Template:
    """The version of the form ``wanted`` that is in force on the Beijing day of ``at_ms``.

    Raises:
        UnknownDocument: if none has been pulled.
    """
    day = (datetime.fromtimestamp(at_ms / 1000, UTC) + _ZONE).date().isoformat()
    found = in_force(_versions(documents, wanted), day)
    if found is None:
        raise UnknownDocument("template", wanted)
    return found


def form_version(documents: Documents, wanted: str, version: int) -> Template:
    """One version of a form, in force or not: what was begun on it goes on with it.

    Raises:
        UnknownDocument: if it has not been pulled.
    """
    for form in _versions(documents, wanted):
        if form.version == version:
            return form
    raise UnknownDocument("template", f"{wanted}.v{version}")


def _versions(documents: Documents, wanted: str) -> list[Template]:
    bodies = documents.all("template")
    return [parse_template(body) for body in bodies if body.get("id") == wanted]


def check_values(form: Template, values: Mapping[str, Any]) -> None:
    """Insist that ``values`` are of their fields' types; nothing need be complete yet.

    Raises:
        UnknownField: for a field that the form does not have, or a value of another form.
    """
    given = {name: value for name, value in values.items() if not is_blank(value)}
    for gap in lacking(form, given):
        if gap.kind in ("malformed", "unknown", "too_many"):
            raise UnknownField(form.id, ".".join(map(str, gap.path)), gap.kind)


def read_field(form: Template, name: str, text: str) -> Any:
    """The value that a person typed as ``text`` into the field ``name``.

    Raises:
        UnknownField: if there is no such field, or the text is not of its type.
    """
    field = form.field(name)
    if field is None:
        raise UnknownField(form.id, name, "unknown")
    if not text.strip():
        return ""
    try:
        value = _read(field, text)
        check_values(form, {name: value})
    except (ValueError, KeyError, InvalidOperation) as error:
        raise UnknownField(form.id, name, field.type) from error
    return value


def _read(field: Field, text: str) -> Any:
    match field.type:
        case "integer":
            return int(text)
        case "boolean":
            return _TRUTH[text.strip().lower()]
        case "text" | "long_text":
            return text
        case "datetime":
            return _minute(text.strip())
        case _ if text.lstrip().startswith(("{", "[")):
            return json.loads(text, parse_float=str)
        case "number":
            return _number(field, text.strip())
        case "choice":
            return _choice(field, text)
        case "person":
            return {"name": text.strip()}
        case "location":
            return _location(text)
        case "signature":
            return {"how": "paper"} if text.strip() == "paper" else json.loads(text)
        case "medium" | "sketch":
            return {"item": text.strip()}
        case _:
            return json.loads(text)


def _minute(text: str) -> str:
    found = _MINUTE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return f"{found[1]}T{found[2]}{found[3] or '+08:00'}"


def _number(field: Field, text: str) -> dict[str, str]:
    """``1.5 mg/L``; the unit may be left out where the form knows only one."""
    number, _, unit = text.partition(" ")
    if not Decimal(number).is_finite():
        raise ValueError(text)
    return {
        "value": number,
        "unit": unit.strip() or (field.units[0] if len(field.units) == 1 else ""),
    }


def _choice(field: Field, text: str) -> str | list[str]:
    """Options by id or by title; of several, apart by commas."""
    named = {title: name for name, label in field.options for title in (*label.values(), name)}
    if not field.multiple:
        return named[text.strip()]
    return [named[one.strip()] for one in re.split("[,，、]", text) if one.strip()]


def _location(text: str) -> dict[str, Any]:
    """``latitude, longitude`` in degrees WGS-84, as a person reads them off."""
    degrees = [Decimal(part.strip()) for part in re.split("[,，]", text)]
    lat, lon = (int((degree * 10_000_000).to_integral_value()) for degree in degrees)
    return {"lat": lat, "lon": lon, "source_datum": "WGS-84", "raw": text.strip()}
