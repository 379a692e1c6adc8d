"""``stamp``: what outside authorities have stamped, and stamping where no cable leads."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click
from flask import Flask

from server.app import create_app
from server.db import reading, transaction
from server.failures import ServerError
from server.operations import stamps
from server.services import services
from server.settings import Settings
from sync import catalogue


@click.group()
def stamp() -> None:
    """外部时间戳 / Time stamps by outside authorities."""


@stamp.command()
def status() -> None:
    """各授时机构的情况；有失败或尚无时间戳时状态码为 1 / Each authority; status 1 if one fails."""
    with _app().app_context(), reading() as session:
        found = stamps.standing(session, services().settings)
    for one in found.authorities:
        _say(
            "stamp.state",
            name=one.name,
            stamps=one.stamps,
            time=_time(one.gen_time_ms),
            size=one.size or 0,
            expires=_time(one.expires_at_ms),
            waiting=one.waiting,
        )
        if one.code:
            _say("stamp.fails", name=one.name, code=one.code, detail=one.detail, count=one.failures)
    if not found.authorities:
        _say("stamp.no_authority")
    if not found.cross_checked:
        _say("stamp.one_tool")
    if any(one.code or one.gen_time_ms is None for one in found.authorities):
        raise click.exceptions.Exit(1)


@stamp.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--authority", "name", help="只为这一机构 / for this authority alone")
def export(folder: Path, name: str | None) -> None:
    """写出应盖时间戳的请求文件 / Write the requests (.tsq) for what should be stamped now.

    For each authority without an address, or for the one that is named.
    """
    with _app().app_context():
        parts = services()
        chosen = [
            one
            for one in parts.settings.authorities
            if (one.name == name if name is not None else not one.url)
        ]
        if not chosen:
            raise click.UsageError(catalogue.text("stamp.no_such_authority"))
        folder.mkdir(parents=True, exist_ok=True)
        with transaction() as session:
            files = stamps.write_requests(session, parts.settings, chosen, now_ms=parts.now_ms())
            # Before the commit: a request that is remembered is on the disk.
            for file, request in files.items():
                (folder / file).write_bytes(request)
    for file in files:
        click.echo(folder / file)
    _say("stamp.exported", count=len(files))


@stamp.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def import_(files: tuple[Path, ...]) -> None:
    """读入授时机构的应答文件 / Take in authorities' answers (.tsr); status 1 if one is refused."""
    refused = False
    with _app().app_context():
        for path in files:
            try:
                row = stamps.take_answer(services(), stamps.read_file(path))
            except ServerError as error:
                refused = True
                _say("stamp.refused", file=path, code=error.code, detail=error)
            else:
                _say(
                    "stamp.imported",
                    file=path,
                    name=row.authority,
                    time=_time(row.gen_time_ms),
                    index=row.ledger_index,
                    tools=row.checked_by,
                )
    if refused:
        raise click.exceptions.Exit(1)


def _app() -> Flask:
    return create_app(Settings.from_env(os.environ))


def _time(ms: int | None) -> str:
    if ms is None:
        return "—"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _say(key: str, **values: object) -> None:
    for lang in catalogue.LANGUAGES:
        click.echo(catalogue.text(key, lang, **values))
