"""Commands about the course of an inspection: steps, gaps in recording, recorders' clocks."""

import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from itertools import count

import click

from sync.client.clock import Clock, SystemClock
from sync.client.clock_screen import draw, head_picture, until_next_second
from sync.client.console import Console, both
from sync.client.evidence_commands import inspection_option, officer_option
from sync.client.processwork import OwnClock
from sync.evidence import acts
from sync.shortcode import FullHead


class _Moment(click.ParamType[int]):
    """A date and time; without an offset it is of this computer's zone."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Milliseconds UTC.

        Raises:
            click.BadParameter: if it is no ISO date and time.
        """
        try:
            return int(datetime.fromisoformat(str(value)).astimezone().timestamp() * 1000)
        except (ValueError, OverflowError):
            self.fail(str(value), param, ctx)


_MOMENT = _Moment()
_LONGEST_S = 86_400


@click.command(help=both("client.help.step"))
@click.argument("step")
@inspection_option
@click.option("--item", default=None, metavar="ID", help=both("client.help.step_item"))
@click.option("--text", default="", help=both("client.help.step_text"))
@officer_option
@click.pass_obj
def step(
    console: Console, step: str, inspection: str, item: str | None, text: str, officer: str | None
) -> None:
    with console.device() as device:
        place = device.mark_step(inspection, step, item=item, text=text, officer=officer)
    console.tell("client.step_marked", place, step=step)


@click.command(help=both("client.help.gap"))
@inspection_option
@click.option("--from", "from_ms", type=_MOMENT, required=True, help=both("client.help.gap_from"))
@click.option("--to", "to_ms", type=_MOMENT, required=True, help=both("client.help.gap_to"))
@click.option(
    "--reason",
    type=click.Choice(acts.GAP_REASONS),
    required=True,
    help=both("client.help.gap_reason"),
)
@click.option("--text", default="", help=both("client.help.step_text"))
@officer_option
@click.pass_obj
def gap(
    console: Console,
    inspection: str,
    from_ms: int,
    to_ms: int,
    reason: str,
    text: str,
    officer: str | None,
) -> None:
    if to_ms < from_ms:
        raise click.UsageError("--from > --to")
    with console.device() as device:
        place = device.explain_gap(inspection, from_ms, to_ms, reason, text=text, officer=officer)
    console.tell("client.gap_explained", place, reason=reason)


@click.command("recorder-clock", help=both("client.help.recorder_clock"))
@click.option("--recorder", default=None, metavar="SERIAL", help=both("client.help.recorder"))
@click.option("--shows", "shows_ms", type=_MOMENT, default=None, help=both("client.help.shows"))
@click.option("--item", default=None, metavar="ID", help=both("client.help.clock_item"))
@click.option("--frame", type=float, default=None, help=both("client.help.clock_frame"))
@click.option("--shown", "shown_ms", type=_MOMENT, default=None, help=both("client.help.shown"))
@click.option("--head", default="", help=both("client.help.clock_head"))
@click.option("--error", type=float, default=2.0, show_default=True, help=both("client.help.error"))
@officer_option
@click.pass_obj
def recorder_clock(
    console: Console,
    recorder: str | None,
    shows_ms: int | None,
    item: str | None,
    frame: float | None,
    shown_ms: int | None,
    head: str,
    error: float,
    officer: str | None,
) -> None:
    # Read at once: opening the device takes a moment, and that would count as an offset.
    now_ms = SystemClock().read().wall_ms
    with console.device() as device:
        # What is no number at all is in no range either.
        if not 0 <= error <= _LONGEST_S or not (frame is None or 0 <= frame <= _LONGEST_S):
            raise click.UsageError("--error, --frame: 0–86400")
        if item is not None and frame is not None and shown_ms is not None:
            place = device.compare_frame(
                item,
                round(frame * 1000),
                shown_ms,
                recorder_ms=shows_ms,
                head=head,
                error_ms=round(error * 1000),
                officer=officer,
            )
        elif recorder and shows_ms is not None and item is None:
            place = device.compare_docked(
                recorder, shows_ms, now_ms=now_ms, error_ms=round(error * 1000), officer=officer
            )
        else:
            raise click.UsageError("--recorder --shows | --item --frame --shown")
        alone = item is None and not device.own_clock().compared
    console.tell("client.recorder_compared", place)
    if alone:
        console.say("client.clock_alone")


@click.command("clock-screen", help=both("client.help.clock_screen"))
@click.option("--seconds", type=click.IntRange(1), default=None, help=both("client.help.seconds"))
@click.pass_obj
def clock_screen(console: Console, seconds: int | None) -> None:
    # No line is written while the folder is held, so that the head stays the newest one.
    with console.device() as device:
        head, own, clock = device.head(), device.own_clock(), SystemClock()
        if console.as_json:
            console.dump(
                asdict(own) | asdict(head) | {"shown_ms": draw(clock.read(), own).shown_ms}
            )
            return
        # Into a file there is nothing to film: one picture is enough.
        last = seconds or (None if sys.stdout.isatty() else 1)
        with suppress(KeyboardInterrupt):
            _show(console, clock, own, head, last=last)


def _show(
    console: Console, clock: Clock, own: OwnClock, head: FullHead, *, last: int | None
) -> None:
    """Draw the screen anew with each second, ``last`` times or until somebody stops it."""
    code = head_picture(head)
    for number in count(1):
        click.clear()
        click.echo(f"{draw(clock.read(), own).text}\n\n{code}")
        console.say("client.clock_screen" if own.compared else "client.clock_alone", **asdict(own))
        if number == last:
            return
        clock.sleep(until_next_second(clock.read(), own))


COMMANDS = (step, gap, recorder_clock, clock_screen)
