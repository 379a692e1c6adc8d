"""How the value of a field reads on a page and on paper."""

import json
from typing import Any

from sync import catalogue
from sync.templates.gaps import is_well_formed
from sync.templates.model import PERSON, Field, is_blank


def value_text(field: Field | None, value: Any, lang: str) -> str:
    """``value`` in words; one that is not of its field's type, or of no field, as it was signed."""
    if is_blank(value):
        return ""
    if field is not None and field.type == "group" and _is_entries(value):
        return "\n".join(
            f"{place}. {_entry(field, entry, lang)}" for place, entry in enumerate(value, start=1)
        )
    if field is None or field.type == "group" or not is_well_formed(field, value):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _words(field, value, lang)


def _entry(field: Field, entry: dict[str, Any], lang: str) -> str:
    parts = [
        f"{one.label[lang]}: {value_text(one, entry[one.id], lang)}"
        for one in field.fields
        if not is_blank(entry.get(one.id, ""))
    ]
    known = {one.id for one in field.fields}
    parts += [
        f"{name}: {value_text(None, entry[name], lang)}" for name in sorted(set(entry) - known)
    ]
    return "; ".join(parts)


def _words(field: Field, value: Any, lang: str) -> str:
    match field.type:
        case "boolean":
            return catalogue.text(f"forms.truth.{'yes' if value else 'no'}", lang)
        case "number":
            return f"{value['value']} {value['unit']}"
        case "choice":
            labels = {name: label[lang] for name, label in field.options}
            chosen = value if isinstance(value, list) else [value]
            return catalogue.text("forms.comma", lang).join(labels[one] for one in chosen)
        case "datetime":
            day, clock = value[:10], value[11:16]
            return f"{day} {clock} {value[16:] or '+08:00'}"
        case "person":
            more = [
                f"{catalogue.text(f'forms.person.{name}', lang)} {value[name]}"
                for name in PERSON
                if name in value
            ]
            return catalogue.text("forms.comma", lang).join([value["name"], *more])
        case "location":
            return _location(value)
        case "signature":
            return _signature(value, lang)
        case "medium" | "sketch":
            note = f" ({value['note']})" if value.get("note") else ""
            return catalogue.text("forms.item", lang, item=value["item"]) + note
        case _:
            return str(value)


def _location(value: dict[str, Any]) -> str:
    accuracy = f" ± {value['acc'] / 100:g} m" if "acc" in value else ""
    raw = f" [{value['raw']}]" if value.get("raw") and value["source_datum"] != "WGS-84" else ""
    degrees = f"{value['lat'] / 1e7:.7f}, {value['lon'] / 1e7:.7f}"
    # What the device signed is WGS-84; another datum is where it was read from.
    datum = "" if value["source_datum"] == "WGS-84" else f" ({value['source_datum']})"
    return f"{degrees} (WGS-84){accuracy}{datum}{raw}"


def _signature(value: dict[str, Any], lang: str) -> str:
    words = catalogue.text(f"forms.signature.{value['how']}", lang)
    for name in ("name", "reason", "witness"):
        if name in value:
            words += " · " + catalogue.text(f"forms.signature.by_{name}", lang, text=value[name])
    if "item" in value:
        words += " · " + catalogue.text("forms.item", lang, item=value["item"])
    return words


def _is_entries(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
