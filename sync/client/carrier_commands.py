"""Commands for sync by file: ``carrier write`` and ``carrier read`` (docs/client.md §8)."""

import re
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from sync.carrier.writing import SMALLEST_SPLIT
from sync.client.carrier_replies import RepliesRead, ReplyRead
from sync.client.console import DONE, UNSENT, Console, both

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


class _Size(click.ParamType[int]):
    """A number of bytes with an optional decimal unit, ``4000M``."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        match = re.fullmatch(r"(\d{1,12})([KMG]?)", str(value).upper())
        size = int(match[1]) * _UNITS[match[2]] if match else 0
        if size < SMALLEST_SPLIT:
            self.fail(str(value), param, ctx)
        return size


@click.group(help=both("carrier.help"))
def carrier() -> None:
    pass


@carrier.command(help=both("carrier.help.write"))
@click.argument("folder", type=_FOLDER)
@click.option("--split", type=_Size(), default="4000M", help=both("carrier.help.split"))
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), default=None, help=both("carrier.help.since")
)
@click.pass_obj
def write(console: Console, folder: Path, split: int, since: datetime | None) -> None:
    with console.device() as device:
        written = device.write_carrier(
            folder,
            split=split,
            since_ms=None if since is None else int(since.timestamp() * 1000),
        )
    console.tell("carrier.written", written)
    for name in written.damaged:
        console.say("carrier.written_damaged", name=name)
    if written.left:
        console.say("carrier.written_left", count=written.left)


@carrier.command(help=both("carrier.help.read"))
@click.argument("folder", type=_FOLDER)
@click.pass_context
def read(ctx: click.Context, folder: Path) -> None:
    console = ctx.ensure_object(Console)
    with console.device() as device:
        replies = device.read_replies(folder)
    _dump(console, replies)
    for reply in replies.read:
        _tell(console, reply)
    for error in replies.refused:
        if not console.as_json:
            click.echo(console.problem(error)["message"], err=True)
    if replies.incomplete:
        console.say("carrier.unfinished", names=", ".join(replies.incomplete))
    if replies.ignored:
        console.say("carrier.ignored", names=", ".join(replies.ignored))
    last = replies.read[-1]
    unsent = last.lines_unsent or last.media_unsent
    problems = any(reply.problems for reply in replies.read)
    ctx.exit(UNSENT if unsent or problems else DONE)


def _dump(console: Console, replies: RepliesRead) -> None:
    console.dump(
        {
            "read": [
                {**asdict(reply), "problems": [console.problem(e) for e in reply.problems]}
                for reply in replies.read
            ],
            "refused": [console.problem(error) for error in replies.refused],
            "incomplete": list(replies.incomplete),
            "ignored": list(replies.ignored),
        }
    )


def _tell(console: Console, reply: ReplyRead) -> None:
    counts = {"lines": reply.lines, "media": reply.media, "documents": reply.documents}
    console.say("carrier.read", reply=reply.reply, **counts)
    if reply.checkpoint and not reply.problems:
        console.say("carrier.read_checkpoint", size=reply.checkpoint)
    for epoch, seq, code in reply.stopped:
        console.say("carrier.read_stopped", epoch=epoch, seq=seq, code=code)
    for error in reply.problems:
        if not console.as_json:
            click.echo(console.problem(error)["message"], err=True)
    if reply.lines_unsent or reply.media_unsent:
        console.say("carrier.read_lacking", lines=reply.lines_unsent, media=reply.media_unsent)


COMMANDS = (carrier,)
