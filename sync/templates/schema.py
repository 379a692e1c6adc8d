"""The JSON Schema (2020-12) of a version: valid is what :func:`lacking` finds nothing in."""

from collections.abc import Sequence
from typing import Any

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
    Condition,
    Field,
    Template,
)

Schema = dict[str, Any]

_BLANK: Schema = {
    "anyOf": [{"type": "string", "pattern": BLANK.pattern}, {"type": "array", "maxItems": 0}]
}
_SAID: Schema = {"type": "string", "not": {"pattern": BLANK.pattern}}
_TEXT: Schema = {"type": "string"}
_ITEM: Schema = {"type": "string", "pattern": FORMS["uuid"]}


def json_schema(template: Template) -> Schema:
    """What the values of a record, by field, must be when it is sealed."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:liuhen:template:{template.id}:{template.version}",
        "title": template.title["zh"],
        **_object(template.fields),
    }


def _object(fields: Sequence[Field]) -> Schema:
    required = [_required(field) for field in fields if field.required]
    return {
        "type": "object",
        "properties": {
            field.id: {"title": field.label["zh"], "anyOf": [_BLANK, _typed(field)]}
            for field in fields
        },
        "additionalProperties": False,
        **({"allOf": required} if required else {}),
    }


def _required(field: Field) -> Schema:
    given = {"required": [field.id], "properties": {field.id: {"not": _BLANK}}}
    conditions = [one for one in (field.shown_when, field.required_when) if one is not None]
    if not conditions:
        return given
    return {"if": {"allOf": [_holds(one) for one in conditions]}, "then": given}


def _holds(condition: Condition) -> Schema:
    if condition.values:
        wanted = {"enum": list(condition.values)}
        value: Schema = {"anyOf": [wanted, {"type": "array", "contains": wanted}]}
    else:
        value = {"not": _BLANK}
    return {"required": [condition.field], "properties": {condition.field: value}}


def _typed(field: Field) -> Schema:
    match field.type:
        case "text" | "long_text":
            return {"type": "string", "maxLength": TEXT_LIMITS[field.type]}
        case "integer":
            low = -MAX_INTEGER if field.low is None else field.low
            high = MAX_INTEGER if field.high is None else field.high
            return _integer(low, high)
        case "boolean":
            return {"type": "boolean"}
        case "number":
            decimal = {"type": "string", "pattern": FORMS["decimal"]}
            return _members({"value": decimal, "unit": {"enum": list(field.units)}}, {})
        case "choice":
            option: Schema = {"enum": [name for name, _ in field.options]}
            if not field.multiple:
                return option
            return {"type": "array", "items": option, "uniqueItems": True}
        case "datetime":
            return {"type": "string", "pattern": FORMS["datetime"]}
        case "person":
            return _members({"name": _SAID}, dict.fromkeys(PERSON, _SAID))
        case "location":
            return _location()
        case "signature":
            return {"anyOf": [_signature(how) for how in SIGNATURES]}
        case "medium" | "sketch":
            return _members({"item": _ITEM}, {"note": _TEXT})
        case "group":
            bounds = {"minItems": field.low, "maxItems": field.high}
            entries = {"type": "array", "items": _object(field.fields)}
            return entries | {name: n for name, n in bounds.items() if n is not None}
        case _:
            return {}


def _location() -> Schema:
    needed = {
        "lat": _integer(-LATITUDE, LATITUDE),
        "lon": _integer(-LONGITUDE, LONGITUDE),
        "source_datum": {"enum": list(DATUMS)},
    }
    return _members(needed, {"acc": _integer(0, MAX_ACCURACY), "raw": _TEXT, "source": _TEXT})


def _signature(how: str) -> Schema:
    needed, allowed = (
        {name: _ITEM if name == "item" else _SAID for name in names} for names in SIGNATURES[how]
    )
    return _members({"how": {"const": how}, **needed}, allowed)


def _integer(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _members(needed: Schema, allowed: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {**needed, **allowed},
        "required": list(needed),
        "additionalProperties": False,
    }
