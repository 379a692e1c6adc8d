"""Commands of an inspection: opening, capturing, recording, importing, sealing."""

import json
import re
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, cast

import click

from sync.client.commands import METHODS, ask_pins
from sync.client.console import FAILED, Console, both
from sync.client.device import Device
from sync.client.errors import ClientError, RecordIncomplete, UnknownCandidate
from sync.client.forms import read_field
from sync.client.records import Record
from sync.client.results import Position, Unchanged
from sync.client.sessions import Method

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]+")
_SCHEME = re.compile(r"[a-z][a-z0-9_]{0,31}")

inspection_option = click.option(
    "--inspection", required=True, metavar="ID", help=both("client.help.inspection")
)
officer_option = click.option("--officer", default=None, help=both("client.help.officer"))


@click.command("open", help=both("client.help.open"))
@click.option("--officer", "officers", multiple=True, required=True, help=both("client.help.two"))
@click.option("--task", default=None, metavar="ID", help=both("client.help.task"))
@click.option("--entity", default=None, metavar="ID", help=both("client.help.entity"))
@click.option("--title", default="", help=both("client.help.title"))
@click.option("--purpose", default="", help=both("client.help.purpose"))
@click.option("--external", multiple=True, metavar="NAME=ID", help=both("client.help.external"))
@click.option("--join", default=None, metavar="ID", help=both("client.help.join"))
@click.option("--method", type=click.Choice(METHODS), default="none", show_default=True)
@click.pass_obj
def open_(
    console: Console,
    officers: tuple[str, ...],
    task: str | None,
    entity: str | None,
    title: str,
    purpose: str,
    external: tuple[str, ...],
    join: str | None,
    method: str,
) -> None:
    if join is not None and not _UUID.fullmatch(join):
        raise click.BadParameter(join, param_hint="--join")
    with console.device() as device:
        asked = [o for o in officers if not _logged_in(device, o)]
        opened = device.open_inspection(
            officers,
            task=task,
            entity=entity,
            title=title,
            purpose=purpose,
            external_ids=_external_ids(external),
            method=cast(Method, method),
            pins=ask_pins(console, device, asked, method),
            inspection=join,
        )
        names = {
            device.documents.officer(officer).name: console.phrase(f"client.method.{how}")
            for officer, how in opened.confirmed.items()
        }
    listed = console.phrase("client.comma").join(f"{n}（{how}）" for n, how in names.items())
    console.tell("client.opened", opened, listed=listed)


@click.command(help=both("client.help.camera"))
@inspection_option
@officer_option
@click.pass_obj
def camera(console: Console, inspection: str, officer: str | None) -> None:
    with console.device() as device:
        console.tell("client.camera", device.open_camera(inspection, officer=officer))


@click.command(help=both("client.help.capture"))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@inspection_option
@officer_option
@click.option("--title", default="", help=both("client.help.title"))
@click.option("--fact", default="", help=both("client.help.fact"))
@click.option("--method", default="", help=both("client.help.method"))
@click.option("--lat", default=None, help=both("client.help.lat"))
@click.option("--lon", default=None, help=both("client.help.lon"))
@click.option("--acc", default=None, help=both("client.help.acc"))
@click.option("--class", "capture_class", type=click.Choice(("A", "B")), default="B")
@click.option("--sheet", default="", metavar="HEAD", help=both("client.help.capture_sheet"))
@click.pass_context
def capture(
    ctx: click.Context,
    files: tuple[Path, ...],
    inspection: str,
    officer: str | None,
    title: str,
    fact: str,
    method: str,
    lat: str | None,
    lon: str | None,
    acc: str | None,
    capture_class: str,
    sheet: str,
) -> None:
    console = ctx.ensure_object(Console)
    position = _position(lat, lon, acc)
    captured, errors = [], []
    with console.device() as device:
        device.acting(inspection, officer)
        for path in files:
            try:
                one = device.capture(
                    path,
                    inspection,
                    officer=officer,
                    title=title,
                    fact_to_prove=fact,
                    method=method,
                    position=position,
                    capture_class=capture_class,
                    sheet=sheet,
                )
            except ClientError as error:
                # One unreadable file costs only itself.
                errors.append(console.problem(error))
                if not console.as_json:
                    click.echo(errors[-1]["message"], err=True)
                continue
            captured.append(console.plain(one))
            console.say("client.captured", path=path, item=one.item, sha256=one.sha256)
    console.dump({"captured": captured, "errors": errors})
    ctx.exit(FAILED if errors else 0)


@click.command(help=both("client.help.record"))
@inspection_option
@officer_option
@click.option("--template", required=True, metavar="ID", help=both("client.help.template"))
@click.option("--record", default=None, metavar="ID", help=both("client.help.record_id"))
@click.option("--set", "pairs", multiple=True, metavar="FIELD=VALUE", help=both("client.help.set"))
@click.option(
    "--json",
    "source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=both("client.help.record_json"),
)
@click.pass_obj
def record(
    console: Console,
    inspection: str,
    officer: str | None,
    template: str,
    record: str | None,
    pairs: tuple[str, ...],
    source: Path | None,
) -> None:
    values = _values_of(source) if source else {}
    typed = {}
    for pair in pairs:
        field, equals, typed[field] = pair.partition("=")
        if not equals:
            raise click.BadParameter(pair, param_hint="--set")
    if not values and not typed:
        raise click.UsageError("--set, --json")
    if record is not None and not _UUID.fullmatch(record):
        raise click.BadParameter(record, param_hint="--record")
    with console.device() as device:
        # Who acts is settled before the form is looked up: an unknown inspection has none.
        device.acting(inspection, officer)
        form = device.form(inspection, template)
        values |= {field: read_field(form, field, text) for field, text in typed.items()}
        saved = device.save_record(inspection, template, values, record=record, officer=officer)
    if isinstance(saved, Unchanged):
        console.tell("client.unchanged", saved, changed=[])
    else:
        console.tell("client.saved", saved, fields=", ".join(saved.changed))


@click.command(help=both("client.help.discard"))
@click.argument("item")
@click.option("--reason", required=True, help=both("client.help.reason"))
@officer_option
@click.pass_obj
def discard(console: Console, item: str, reason: str, officer: str | None) -> None:
    with console.device() as device:
        place = device.discard(item, reason, officer=officer)
    console.tell("client.discarded", place, item=item)


@click.command(help=both("client.help.note"))
@click.argument("text")
@inspection_option
@officer_option
@click.pass_obj
def note(console: Console, text: str, inspection: str, officer: str | None) -> None:
    with console.device() as device:
        console.tell("client.noted", device.note(inspection, text, officer=officer))


@click.command(help=both("client.help.addendum"))
@click.argument("text")
@inspection_option
@officer_option
@click.option("--record", default=None, metavar="ID", help=both("client.help.record_id"))
@click.option("--field", default=None, help=both("client.help.settled_field"))
@click.option("--choose", default=None, metavar="DIGEST", help=both("client.help.choose"))
@click.pass_obj
def addendum(
    console: Console,
    text: str,
    inspection: str,
    officer: str | None,
    record: str | None,
    field: str | None,
    choose: str | None,
) -> None:
    with console.device() as device:
        if field is None:
            place = device.note(inspection, text, officer=officer, addendum=True)
            console.tell("client.noted", place)
            return
        disputed = [
            one
            for one in device.records(inspection)
            if record in (None, one.id) and field in one.merged.fields
        ]
        if choose is None:
            _tell_candidates(console, disputed, field)
            return
        named = [
            one.id
            for one in disputed
            if any(c.digest.startswith(choose) for c in one.merged.fields[field].candidates)
        ]
        if len(named) != 1:
            raise UnknownCandidate(record or "", field, choose)
        place = device.settle(
            inspection, text, record=named[0], field=field, chosen=choose, officer=officer
        )
    console.tell("client.settled", place, field=field)


def _tell_candidates(console: Console, records: list[Record], field: str) -> None:
    """The values of a field, each with the digest by which ``--choose`` names it."""
    found = [
        {"record": one.id, "digest": candidate.digest, "value": candidate.value}
        for one in records
        for candidate in one.merged.fields[field].candidates
    ]
    console.dump({"candidates": found})
    for candidate in found:
        console.say("client.candidate", **candidate)


@click.command("peer-head", help=both("client.help.peer_head"))
@click.argument("device_id", metavar="DEVICE")
@click.argument("epoch")
@click.argument("seq", type=click.IntRange(0))
@click.argument("head")
@click.pass_obj
def peer_head(console: Console, device_id: str, epoch: str, seq: int, head: str) -> None:
    for name, value, good in (
        ("DEVICE", device_id, _UUID.fullmatch(device_id)),
        ("EPOCH", epoch, len(epoch) == 32 and _HEX.fullmatch(epoch)),
        ("HEAD", head, len(head) == 64 and _HEX.fullmatch(head)),
    ):
        if not good:
            raise click.BadParameter(value, param_hint=name)
    with console.device() as device:
        place = device.peer_head(device=device_id, epoch=epoch, seq=seq, head=head)
    console.tell("client.peer_noted", place, peer=device_id)


@click.command(help=both("client.help.seal"))
@click.argument("inspection")
@officer_option
@click.option("--yes", is_flag=True, help=both("client.help.yes"))
@click.pass_obj
def seal(console: Console, inspection: str, officer: str | None, yes: bool) -> None:
    with console.device() as device:
        device.acting(inspection, officer)
        gaps = device.lacking(inspection)
        messages = [f"{gap.title[console.lang]}：{gap.gap.message(console.lang)}" for gap in gaps]
        for message in messages:
            console.say("client.lacking", message=message)
        if gaps and not yes:
            if console.as_json or not sys.stdin.isatty():
                raise RecordIncomplete(len(gaps))
            click.confirm(console.phrase("client.seal_anyway", count=len(gaps)), abort=True)
        sealed = device.seal(inspection, officer=officer)
    console.tell("client.sealed", sealed, lacking=messages)


@click.command("import", help=both("client.help.import"))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--inspection", default=None, metavar="ID", help=both("client.help.inspection"))
@officer_option
@click.pass_context
def import_(ctx: click.Context, folder: Path, inspection: str | None, officer: str | None) -> None:
    console = ctx.ensure_object(Console)
    with console.device() as device, console.progress() as progress:
        done = device.import_folder(
            folder, officer=officer, inspection=inspection, progress=progress
        )
    console.tell("client.imported", done, count=len(done.new), bad=len(done.unreadable))
    for path in done.unreadable:
        console.say("client.unreadable", path=path)
    for path in done.stopped:
        console.say("client.stopped", path=path)
    ctx.exit(FAILED if done.unreadable or done.stopped else 0)


def _external_ids(pairs: tuple[str, ...]) -> dict[str, str]:
    """What the inspection is called in other systems, by scheme (docs/protocol.md §4.1)."""
    found = {}
    for pair in pairs:
        scheme, equals, name = pair.partition("=")
        if not equals or not _SCHEME.fullmatch(scheme) or not 0 < len(name) <= 200:
            raise click.BadParameter(pair, param_hint="--external")
        found[scheme] = name
    return found


def _logged_in(device: Device, officer: str) -> bool:
    person = device.documents.officer(officer).id
    return any(session.officer == person for session in device.sessions())


def _position(lat: str | None, lon: str | None, acc: str | None) -> Position | None:
    if lat is None and lon is None:
        return None
    if lat is None or lon is None:
        raise click.UsageError("--lat, --lon")
    return Position(
        lat_e7=_scaled(lat, "--lat", 10_000_000, 90),
        lon_e7=_scaled(lon, "--lon", 10_000_000, 180),
        acc_cm=None if acc is None else _scaled(acc, "--acc", 100, 20_000_000),
    )


def _scaled(text: str, option: str, factor: int, limit: int) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise click.BadParameter(text, param_hint=option) from error
    if not value.is_finite() or abs(value) > limit:
        raise click.BadParameter(text, param_hint=option)
    return int((value * factor).to_integral_value())


def _values_of(source: Path) -> dict[str, Any]:
    """The fields in a JSON file; fractions stay text, because signed values know no floats."""
    try:
        values = json.loads(source.read_text("utf-8"), parse_float=str)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint="--json") from error
    if not isinstance(values, dict):
        raise click.BadParameter(str(source), param_hint="--json")
    return values


COMMANDS = (open_, camera, capture, record, discard, note, addendum, peer_head, seal, import_)
