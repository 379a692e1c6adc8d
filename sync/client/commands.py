"""Commands about the device itself: enrolling, logging in, status and sync."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

import click

from sync.client.console import DONE, FAILED, UNSENT, Console, both
from sync.client.device import Device
from sync.client.enrolling import normalised
from sync.client.sessions import Method
from sync.client.status import Status, Trouble, read_status
from sync.client.stuck import Stuck
from sync.client.syncing import SyncReport

_KINDS = ("dock", "phone", "body_recorder", "computer")
METHODS = ("none", "pin")


@click.command(help=both("client.help.enrol"))
@click.option("--server", required=True, metavar="URL", help=both("client.help.server"))
@click.option("--code", required=True, help=both("client.help.code"))
@click.option("--name", default="", help=both("client.help.name"))
@click.option("--serial", default="", help=both("client.help.serial"))
@click.option("--kind", type=click.Choice(_KINDS), default=_KINDS[0], show_default=True)
@click.option(
    "--ca",
    "authority",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=both("client.help.ca"),
)
@click.pass_obj
def enrol(
    console: Console,
    server: str,
    code: str,
    name: str,
    serial: str,
    kind: str,
    authority: Path | None,
) -> None:
    if not server.startswith(("http://", "https://")):
        raise click.BadParameter(server, param_hint="--server")
    if not normalised(code).isalnum():
        raise click.BadParameter(code, param_hint="--code")
    with Device.open(console.folder) as device:
        enrolment = device.enrol(
            server=server, code=code, name=name, serial=serial, kind=kind, authority=authority
        )
        officers = len(device.documents.all("officer"))
    console.tell("client.enrolled", enrolment, officers=officers)


@click.command(help=both("client.help.login"))
@click.argument("officer")
@click.option("--method", type=click.Choice(METHODS), default="none", show_default=True)
@click.pass_obj
def login(console: Console, officer: str, method: str) -> None:
    with console.device() as device:
        pins = ask_pins(console, device, [officer], method)
        session = device.login(officer, method=cast(Method, method), pin=pins.get(officer, ""))
        name = device.documents.officer(officer).name
    console.tell("client.logged_in", session, name=name)


@click.command(help=both("client.help.logout"))
@click.argument("officer")
@click.pass_obj
def logout(console: Console, officer: str) -> None:
    with console.device() as device:
        person = device.documents.officer(officer)
        device.logout(officer)
    console.tell("client.logged_out", person)


@click.command(help=both("client.help.sync"))
@click.option("--check", is_flag=True, help=both("client.help.check"))
@click.option("--all-now", is_flag=True, help=both("client.help.all_now"))
@click.pass_context
def sync(ctx: click.Context, check: bool, all_now: bool) -> None:
    console = ctx.ensure_object(Console)
    with console.device() as device, console.progress() as progress:
        report = device.sync(progress, check=check, all_now=all_now)
        worst = device.status().worst
    _tell_sync(console, report)
    _tell_worst(console, worst)
    if report.complete:
        ctx.exit(DONE)
    unsent = report.lines_unsent or report.media_unsent or report.alarms
    ctx.exit(UNSENT if unsent else FAILED)


@click.command(help=both("client.help.status"))
@click.pass_context
def status(ctx: click.Context) -> None:
    console = ctx.ensure_object(Console)
    state = read_status(console.folder)
    _tell_status(console, state)
    ctx.exit(DONE if state.clear else UNSENT)


@click.command(help=both("client.help.free"))
@click.option("--yes", "really", is_flag=True, help=both("client.help.free_yes"))
@click.pass_obj
def free(console: Console, really: bool) -> None:
    with console.device() as device:
        freed = device.free(really=really)
    key = "client.freed" if freed.done else "client.free_could"
    console.tell(key if freed.sha256 else "client.free_none", freed, count=len(freed.sha256))


def ask_pins(
    console: Console, device: Device, officers: Sequence[str], method: str
) -> dict[str, str]:
    """Ask each of ``officers`` for their PIN, twice where it is their first on this device."""
    if method != "pin":
        return {}
    pins = {}
    for officer in officers:
        name = device.documents.officer(officer).name
        key = "client.pin" if device.has_pin(officer) else "client.new_pin"
        pins[officer] = click.prompt(
            console.phrase(key, name=name),
            hide_input=True,
            confirmation_prompt=not device.has_pin(officer),
            err=True,
        )
    return pins


def _tell_sync(console: Console, report: SyncReport) -> None:
    console.dump(
        {
            "complete": report.complete,
            "wiped": report.wiped,
            "documents": report.documents,
            "documents_repaired": report.documents_repaired,
            "lines_safe": report.lines_safe,
            "lines_unsent": report.lines_unsent,
            "lines_quarantined": report.lines_quarantined,
            "media_safe": report.media_safe,
            "media_unsent": report.media_unsent,
            "alarms": list(report.alarms),
            "held": asdict(report.held),
            "offset": None if report.offset is None else asdict(report.offset),
            "problems": [console.problem(error) for error in report.problems],
        }
    )
    console.say("client.synced", **vars(report))
    if report.held.count:
        console.say(f"client.held_{report.held.reason}", count=report.held.count)
    if report.offset is not None:
        console.say(
            "client.clock_compared",
            offset=f"{report.offset.offset_ms:+}",
            error=report.offset.error_ms,
        )
    if report.wiped or report.wipe_waits:
        console.say("client.wiped" if report.wiped else "client.wipe_waits")
    if report.lines_quarantined:
        console.say("client.quarantined", count=report.lines_quarantined)
    for error in report.problems:
        if not console.as_json:
            click.echo(console.problem(error)["message"], err=True)
    for alarm in report.alarms:
        console.say("client.alarm", name=alarm)


def _tell_status(console: Console, state: Status) -> None:
    console.dump({**asdict(state), "clear": state.clear})
    console.say("client.status", **asdict(state), last_seq=state.next_seq - 1)
    if state.offset_ms is not None:
        console.say(
            "client.clock_compared", offset=f"{state.offset_ms:+}", error=state.offset_error_ms
        )
    room = state.room
    console.say("client.room", free=_gigabytes(room.free), freeable=_gigabytes(room.freeable))
    if room.days_left is not None:
        console.say("client.room_days", days=room.days_left)
    if not room.recordings:
        console.say("client.room_low", mark=_gigabytes(room.stop_below))
    for inspection in state.inspections:
        key = "client.status_sealed" if inspection.sealed else "client.status_open"
        console.say(key, **asdict(inspection))
    _tell_troubles(console, "client.status_quarantined", state.quarantined)
    _tell_troubles(console, "client.status_stuck", state.stuck)
    for alarm in state.alarms:
        console.say("client.alarm", name=alarm)
    for orphan in state.orphans:
        console.say("client.orphan", name=orphan)
    _tell_worst(console, state.worst)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f}"


def _tell_worst(console: Console, worst: Stuck | None) -> None:
    """The last sentence: what is most in the way, how much of it, since when, and what to do."""
    if worst is not None:
        age = _age(console, worst.since_ms)
        reason = worst.reason.get(console.lang, "")
        console.say(f"client.stuck.{worst.cause}", count=worst.count, age=age, reason=reason)


def _age(console: Console, since_ms: int | None) -> str:
    """How long ago in the largest unit that fits; a clock that was set back since says nothing."""
    if since_ms is None or (minutes := (time.time_ns() // 10**6 - since_ms) // 60_000) < 0:
        return console.phrase("client.age.unknown")
    for unit, length in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * length:
            return console.phrase(f"client.age.{unit}", count=minutes // length)
    return console.phrase("client.age.minutes", count=minutes)


def _tell_troubles(console: Console, key: str, troubles: Sequence[Trouble]) -> None:
    for trouble in troubles:
        reason = console.reason(trouble.code)
        console.say(key, what=trouble.what, where=trouble.where, reason=reason)


COMMANDS = (enrol, login, logout, sync, status, free)
