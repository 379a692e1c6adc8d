"""``carrier take``: sync by file, at the server's own machine (docs/protocol.md §5)."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click
from flask import Flask

from server import jobs
from server.app import create_app
from server.cli.export import administrator
from server.db import reading
from server.operations import uploads
from server.operations.carrier import (
    Counter,
    Shelf,
    Taken,
    open_carrier,
    take_carrier,
    write_reply,
)
from server.services import services
from server.settings import Settings
from sync import catalogue
from sync.carrier.errors import CarrierError, CarrierNotFound
from sync.carrier.reading import find_folders

_INCOMPLETE = 3
_LANG = catalogue.DEFAULT_LANGUAGE
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def carrier() -> None:
    """不经网络的文件同步 / Sync by file, where no network may be used."""


@carrier.command()
@click.argument("folder", type=_FOLDER)
@click.option("--reply", type=_FOLDER, help="回执写到哪里 / where to write the replies")
@click.option("--user", help="以哪位管理员的名义 / in which administrator's name (user name)")
@click.option("--json", "as_json", is_flag=True, help="输出一行 JSON / one JSON line each")
def take(folder: Path, reply: Path | None, user: str | None, as_json: bool) -> None:
    """收下 FOLDER 中的同步文件夹 / Take in the carriers in FOLDER.

    May be repeated at any time. Exit status 0 if every carrier was taken whole, 3
    if parts are missing, 1 if one cannot be taken.
    """
    app = create_app(Settings.from_env(os.environ))
    found = find_folders(folder, "carrier")
    with app.app_context():
        with reading() as session:
            person_id = administrator(session, user)
        status = 0
        for path in found.folders:
            try:
                taken, answer = _take(app, path, person_id, reply)
            except CarrierError as error:
                # One bad carrier keeps no other from being taken.
                click.echo(f"{error.code}: {error}", err=True)
                status = 1
                continue
            _tell(taken, answer, as_json)
            status = status or (0 if taken.complete else _INCOMPLETE)
    for key, names in (("ignored", found.ignored), ("unfinished", found.incomplete)):
        if names:
            _say(key, names=", ".join(names))
    if not found.folders:
        raise CarrierNotFound(str(folder))
    sys.exit(status)


def _take(
    app: Flask, folder: Path, person_id: str, reply: Path | None
) -> tuple[Taken, Path | None]:
    parts = services()
    counter = Counter(
        desk=uploads.open_desk(app),
        services=parts,
        shelf=Shelf(parts.settings.data_dir / "carriers"),
    )
    opened = open_carrier(counter, folder)
    taken = take_carrier(counter, opened, person_id=person_id)
    if taken.wants_check:
        jobs.wake(jobs.CHECK_MEDIA)
    return taken, None if reply is None else write_reply(counter, opened, reply)


def _tell(taken: Taken, reply: Path | None, as_json: bool) -> None:
    if as_json:
        values = {**asdict(taken), "complete": taken.complete, "reply": str(reply or "")}
        click.echo(json.dumps(values))
        return
    counts = {"lines": taken.lines, "fresh": taken.fresh, "media": taken.media}
    click.echo(catalogue.text("carrier.taken", _LANG, carrier=taken.carrier, **counts))
    if taken.revoked:
        _say("taken_revoked")
    if taken.quarantined:
        _say("taken_quarantined", count=taken.quarantined)
    for epoch, code in taken.stopped.items():
        _say("taken_stopped", epoch=epoch, code=code)
    for sha256, code in taken.failed.items():
        _say("taken_failed", sha256=sha256, code=code)
    for state in ("missing", "damaged", "waiting"):
        if numbers := getattr(taken, state):
            _say(f"taken_{state}", numbers=", ".join(map(str, numbers)))
    if taken.ignored:
        _say("ignored", names=", ".join(taken.ignored))
    if reply is not None:
        click.echo(catalogue.text("carrier.replied", path=reply))


def _say(key: str, **values: object) -> None:
    """A remark, beside the answer that scripts read."""
    click.echo(catalogue.text(f"carrier.{key}", _LANG, **values), err=True)
