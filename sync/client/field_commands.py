"""Commands in the field: the journal's head, a fellow's, the sheet to sign, handing over."""

import io
import re
from pathlib import Path
from typing import cast

import click
import segno

from sync import shortcode
from sync.client.commands import METHODS, ask_pins
from sync.client.console import Console, both
from sync.client.evidence_commands import inspection_option, officer_option
from sync.client.sessions import Method

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@click.command(help=both("client.help.head"))
@click.option("--qr/--no-qr", default=True, show_default=True, help=both("client.help.qr"))
@click.pass_obj
def head(console: Console, qr: bool) -> None:
    with console.device() as device:
        own = device.head()
    short, full = shortcode.spell(own.seq, own.head), shortcode.spell_full(own)
    console.tell("client.head", own, short=short, scanned=full)
    if qr and not console.as_json:
        picture = io.StringIO()
        segno.make(full, error="m", micro=False).terminal(out=picture, compact=True)
        click.echo(picture.getvalue())


@click.command(help=both("client.help.peer"))
@click.argument("text", nargs=-1, required=True)
@click.option("--peer", "owner", default=None, metavar="DEVICE", help=both("client.help.peer_of"))
@click.option("--inspection", default=None, metavar="ID", help=both("client.help.inspection"))
@click.pass_obj
def peer(
    console: Console, text: tuple[str, ...], owner: str | None, inspection: str | None
) -> None:
    for name, value in (("--peer", owner), ("--inspection", inspection)):
        if value is not None and not _UUID.fullmatch(value):
            raise click.BadParameter(value, param_hint=name)
    said = "".join(text)
    with console.device() as device:
        place = device.note_head(said, device=owner, inspection=inspection)
    console.tell("client.head_noted", place, said=said)


@click.command(help=both("client.help.sheet"))
@inspection_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
@officer_option
@click.pass_obj
def sheet(console: Console, inspection: str, out: Path, officer: str | None) -> None:
    with console.device() as device:
        name = device.enrolment.name if device.enrolment else ""
        printed = device.print_sheet(inspection, out, device_name=name, officer=officer)
    console.tell("client.sheet", printed, count=printed.items)


@click.command(help=both("client.help.handover"))
@click.argument("leaving")
@click.argument("taking")
@click.option("--method", type=click.Choice(METHODS), default="none", show_default=True)
@click.pass_obj
def handover(console: Console, leaving: str, taking: str, method: str) -> None:
    with console.device() as device:
        pins = ask_pins(console, device, [taking], method)
        session = device.hand_over(
            leaving, taking, method=cast(Method, method), pin=pins.get(taking, "")
        )
        names = [device.documents.officer(who).name for who in (leaving, taking)]
    console.tell("client.handed_over", session, leaving=names[0], taking=names[1])


COMMANDS = (head, peer, sheet, handover)
