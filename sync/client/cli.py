"""The command line ``liuhen``: a short shell around the device (docs/client.md §3)."""

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from sync.catalogue import LANGUAGES
from sync.client import (
    carrier_commands,
    commands,
    evidence_commands,
    field_commands,
    listing,
    process_commands,
    reading_commands,
)
from sync.client.console import FAILED, Console, both
from sync.client.folder import DeviceFolder
from sync.client.wiping import refuse_wiped
from sync.errors import SyncError

_PLUGINS = "liuhen.commands"


class Liuhen(click.Group):
    """Our commands and those of other packages; errors become one sentence and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(p.name for p in _plugins())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for plugin in _plugins():
            if plugin.name == cmd_name:
                return _loaded(plugin)
        return None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SyncError as error:
            console = ctx.find_object(Console)
            if console is None:
                raise
            console.fail(error)
            ctx.exit(FAILED)


def _plugins() -> Any:
    return entry_points(group=_PLUGINS)


def _loaded(plugin: Any) -> click.Command | None:
    """The command of ``plugin``; one that cannot be loaded never takes the others down."""
    try:
        command = plugin.load()
    except ImportError as error:
        click.echo(f"{plugin.name}: {error}", err=True)
        return None
    return command if isinstance(command, click.Command) else None


@click.group(cls=Liuhen, help=both("client.help.liuhen"))
@click.option(
    "--device",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="LIUHEN_DEVICE",
    default=lambda: Path.home() / ".liuhen",
    help=both("client.help.device"),
)
@click.option("--json", "as_json", is_flag=True, help=both("client.help.json"))
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    envvar="LIUHEN_LANG",
    default=LANGUAGES[0],
    help=both("client.help.lang"),
)
@click.pass_context
def cli(ctx: click.Context, folder: Path, as_json: bool, lang: str) -> None:
    ctx.obj = Console(folder, lang, as_json)
    refuse_wiped(DeviceFolder(folder))


for command in (
    *commands.COMMANDS,
    *carrier_commands.COMMANDS,
    *evidence_commands.COMMANDS,
    *field_commands.COMMANDS,
    *listing.COMMANDS,
    *process_commands.COMMANDS,
    *reading_commands.COMMANDS,
):
    cli.add_command(command)


def main() -> None:
    """Run ``liuhen``; text is UTF-8 whatever the locale says."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    cli.main(prog_name="liuhen")
