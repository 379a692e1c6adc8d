"""Commands that read the local copy, with or without a network: tasks, show, search."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import click

from sync.catalogue import has
from sync.client.console import Console, both
from sync.client.library import Entry, Found, Record
from sync.templates.model import Template, is_blank
from sync.templates.words import value_text

#: Asia/Shanghai has had no daylight saving since 1991.
_BEIJING = timezone(timedelta(hours=8))
#: Members that say nothing to a person who has the document before them.
_SILENT = frozenset(
    {"id", "salt", "type", "base", "seq", "epoch", "inspection", "line", "rules"}
    | {"opened_line", "sealed_line"}
)
#: Members whose values have words of their own, and the areas of the catalogue that have them.
_WORDS = {
    "state": ("client.state.", "console.state."),
    "kind": ("console.task_kind.",),
    "source": ("console.task_source.",),
    "launch_mode": ("console.launch_mode.",),
    "severity": ("findings.severity.",),
    "verdict": ("findings.verdict.", "client.state."),
    "how": ("forms.signature.",),
}
_INDENT = "　"


@click.command(help=both("client.help.tasks"))
@click.pass_obj
def tasks(console: Console) -> None:
    with console.library() as library:
        rows = library.tasks()
    console.dump({"tasks": [console.plain(row) for row in rows]})
    console.say("client.tasks", count=len(rows))
    for row in rows:
        due = "—" if row.due_at_ms is None else moment(row.due_at_ms)
        who = console.phrase("client.comma").join(row.officers)
        state = _word(console, "state", row.state)
        console.say(
            "client.task", due=due, title=row.title, target=row.target, officers=who, state=state
        )
        console.say("client.task_id", id=row.id)
        _say_leaving(console, row.leaving)


@click.command(help=both("client.help.show"))
@click.argument("wanted")
@click.pass_obj
def show(console: Console, wanted: str) -> None:
    with console.library() as library:
        whole = library.show(wanted)
    console.dump(
        {
            **console.plain(whole.found),
            "body": whole.body,
            "related": [{**console.plain(e.found), "body": e.body} for e in whole.related],
            "records": [console.plain(record) for record in whole.records],
        }
    )
    if console.as_json:
        return
    _tell_entry(console, Entry(whole.found, whole.body), whole.names)
    for record in whole.records:
        _tell_record(console, record, whole.forms.get((record.template, record.version)))
    for entry in whole.related:
        click.echo()
        _tell_entry(console, entry, whole.names)


@click.command(help=both("client.help.search"))
@click.argument("words", nargs=-1, required=True)
@click.pass_obj
def search(console: Console, words: tuple[str, ...]) -> None:
    with console.library() as library:
        found = library.find(words)
    console.dump({"found": [console.plain(one) for one in found]})
    console.say("client.found_count", count=len(found))
    for one in found:
        console.say("client.found", kind=_kind(console, one), id=one.id, name=one.name)


def moment(ms: int) -> str:
    """A point in time as people here write it, to the minute."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).astimezone(_BEIJING).strftime("%F %H:%M")
    except (OverflowError, ValueError, OSError):
        return str(ms)


def _tell_entry(console: Console, entry: Entry, names: Mapping[str, str]) -> None:
    click.echo(f"【{_kind(console, entry.found)}】{entry.found.name}　{entry.found.id}")
    _say_leaving(console, entry.found.leaving)
    for line in _rows(console, entry.body, names):
        click.echo(_INDENT + line)


def _tell_record(console: Console, record: Record, form: Template | None) -> None:
    title = form.title[console.lang] if form else record.template
    console.say("client.record", template=title, id=record.id)
    for name, value in record.values.items():
        if not is_blank(value):
            words = value_text(form.field(name) if form else None, value, console.lang)
            click.echo(f"{_INDENT * 2}{_label(console, form, name)}：{words}")
    for name, values in record.conflicts.items():
        field = form.field(name) if form else None
        all_values = " / ".join(value_text(field, value, console.lang) for value in values)
        console.say("client.record_conflict", field=_label(console, form, name), values=all_values)


def _label(console: Console, form: Template | None, name: str) -> str:
    field = form.field(name) if form else None
    return field.label[console.lang] if field else name


def _rows(console: Console, body: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    for name, value in body.items():
        if name in _SILENT or value in ("", [], {}, None):
            continue
        label = _word(console, "field", name)
        if _is_nested(value):
            yield f"{label}："
            for member in [value] if isinstance(value, Mapping) else value:
                if isinstance(member, Mapping):
                    yield from (_INDENT + row for row in _rows(console, member, names))
                else:
                    yield _INDENT + str(member)
        else:
            yield f"{label}：{_plainly(console, name, value, names)}"


def _is_nested(value: Any) -> bool:
    """Whether ``value`` needs rows of its own: not a phrase in two languages, not a plain list."""
    if isinstance(value, Mapping):
        return set(value) - {"zh", "en"} != set()
    return isinstance(value, list) and any(isinstance(member, Mapping) for member in value)


def _plainly(console: Console, name: str, value: Any, names: Mapping[str, str]) -> str:
    """One value in a person's words, by its type and the unit in its name."""
    match value:
        case bool():
            return console.phrase("client.yes" if value else "client.no")
        case int() if name.endswith("_ms"):
            return moment(value)
        case int() if name.endswith("_e7"):
            return f"{value / 1e7:.7f}"
        case int() if name.endswith("_cm"):
            return f"{value / 100:g} m"
        case str() if name == "code" and has(f"findings.{value}.title"):
            return console.phrase(f"findings.{value}.title")
        case str():
            keys = [f"{area}{value}" for area in _WORDS.get(name, ())]
            known = next((key for key in keys if has(key)), None)
            return console.phrase(known) if known else names.get(value, value)
        case {"zh": _} | {"en": _}:
            return str(value.get(console.lang) or next(iter(value.values())))
        case list():
            said = (_plainly(console, "", one, names) for one in value)
            return console.phrase("client.comma").join(said)
    return str(value)


def _kind(console: Console, found: Found) -> str:
    return _word(console, "document", found.kind)


def _word(console: Console, area: str, name: str) -> str:
    """The reader's word for ``name``, or itself: a later server may send what we do not know."""
    key = f"client.{area}.{name}"
    return console.phrase(key) if has(key) else name


def _say_leaving(console: Console, leaving: bool) -> None:
    if leaving:
        console.say("client.leaving")


COMMANDS = (tasks, show, search)
