"""``liuhen list``: what the other commands can name, from what was pulled and from the journal."""

from typing import Any

import click

from sync.client.console import Console, both
from sync.client.device import Device
from sync.client.results import Kept

#: Documents that a person names on the command line, each under its heading.
_KINDS = {"officer": "officers", "task": "tasks", "entity": "entities", "template": "templates"}


@click.command("list", help=both("client.help.list"))
@click.option("--inspection", default=None, metavar="ID", help=both("client.help.items_of"))
@click.pass_obj
def list_(console: Console, inspection: str | None) -> None:
    with console.device() as device:
        if inspection is not None:
            _tell_items(console, device.items(inspection))
        else:
            _tell_documents(console, device)


def _tell_items(console: Console, items: list[Kept]) -> None:
    console.dump({"items": [console.plain(item) for item in items]})
    for item in items:
        key = "client.list.discarded" if item.discarded else "client.list.item"
        console.say(key, **console.plain(item))


def _tell_documents(console: Console, device: Device) -> None:
    found = {kind: device.documents.all(kind) for kind in _KINDS}
    console.dump(found)
    parties = {body["id"]: body.get("name", "") for body in found["entity"]}
    for kind, bodies in found.items():
        console.say(f"client.list.{_KINDS[kind]}", count=len(bodies))
        for body in bodies:
            party = parties.get(body.get("entity"), "—")
            values = {"title": "", "name": "", "certificate_no": "", **body, "party": party}
            values["title"] = _in(console, values["title"])
            console.say(f"client.list.{kind}", **values)
            for field in body.get("fields", []):
                label = _in(console, field.get("label", ""))
                of_type = field.get("type", "text")
                console.say("client.list.field", id=field["id"], label=label, type=of_type)


def _in(console: Console, words: Any) -> str:
    """``words`` in the language of the output, where a form gives both."""
    return str(words.get(console.lang, "") if isinstance(words, dict) else words)


COMMANDS = (list_,)
