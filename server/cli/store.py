"""``store``: checking the object store against the tables, and reading originals again."""

import json
import os
import sys
from collections.abc import Iterator

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from media.errors import MediaError
from server.app import create_app
from server.operations import uploads
from server.operations.storekeeping import Report, rehash, sentence, summary, sweep
from server.services import services
from server.settings import Settings
from sync import catalogue

_DOUBTS, _CANNOT = 1, 2


@click.group()
def store() -> None:
    """对象存储的核对 / Checking the object store."""


@store.command()
@click.option("--repair", is_flag=True, help="清理残留、收编无记录的对象 / tidy up, and adopt")
@click.option(
    "--rehash",
    "amount",
    metavar="N|all",
    default=None,
    help="重读 N 字节（或全部）原件并核对 / read N bytes of originals (or all) again",
)
@click.option("--json", "as_json", is_flag=True, help="输出 JSON / print JSON")
def check(*, repair: bool, amount: str | None, as_json: bool) -> None:
    """核对对象存储与记录；证据从不删除 / Compare store and tables; evidence is never deleted.

    Exit status: 0 nothing doubtful, 1 doubts, 2 the store or the database does not answer.
    """
    if amount is not None and amount != "all" and not (amount.isascii() and amount.isdigit()):
        raise click.BadParameter("N or all", param_hint="--rehash")
    budget = None if amount in (None, "all") else int(amount or "0")
    reports: list[Report] = []
    lacks: tuple[str, ...] = ()
    trouble = ""
    try:
        app = create_app(Settings.from_env(os.environ))
        with app.app_context():
            parts = services()
            lacks = parts.store.traits().lacks(locking=parts.settings.object_lock_mode != "off")
            for report in _reports(app, repair=repair, again=amount is not None, budget=budget):
                reports.append(report)
                if not as_json:
                    _tell(report)
    except MediaError as error:
        trouble = f"errors.{error.code}"
    except SQLAlchemyError:
        trouble = "store.database_away"
    if as_json:
        click.echo(json.dumps([json.loads(report.to_json()) for report in reports]))
    for lang in catalogue.LANGUAGES:
        if trouble:
            click.echo(catalogue.text(trouble, lang), err=True)
        elif not as_json:
            for name in lacks:
                click.echo(catalogue.text(f"store.lacks.{name}", lang))
    if trouble:
        sys.exit(_CANNOT)
    sys.exit(_DOUBTS if any(report.doubts for report in reports) else 0)


def _reports(app: Flask, *, repair: bool, again: bool, budget: int | None) -> Iterator[Report]:
    """What is asked for, each report when it is there."""
    yield sweep(uploads.open_desk(app), repair=repair)
    if again:
        yield from rehash(services(), budget_bytes=budget)


def _tell(report: Report) -> None:
    plain = json.loads(report.to_json())
    for lang in catalogue.LANGUAGES:
        for line in summary(plain, lang):
            click.echo(line)
    for doubt in plain["doubts"]:
        for lang in catalogue.LANGUAGES:
            click.echo(sentence(doubt, lang))
