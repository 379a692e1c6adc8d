"""``store``: checking the object store against the tables, and reading originals again."""

import json
import os
import sys

import click

from media.errors import MediaError
from server.app import create_app
from server.operations import uploads
from server.operations.storekeeping import Report, rehash, sweep
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
    app = create_app(Settings.from_env(os.environ))
    with app.app_context():
        desk = uploads.open_desk(app)
        try:
            locking = services().settings.object_lock_mode != "off"
            lacks = services().store.traits().lacks(locking=locking)
            reports = [sweep(desk, repair=repair)]
            if amount is not None:
                budget = None if amount == "all" else int(amount)
                reports += rehash(services(), budget_bytes=budget)
        except MediaError as error:
            for lang in catalogue.LANGUAGES:
                click.echo(catalogue.text(f"errors.{error.code}", lang), err=True)
            sys.exit(_CANNOT)
    if as_json:
        click.echo(json.dumps([json.loads(report.to_json()) for report in reports]))
    else:
        for report in reports:
            _tell(report)
        for name in lacks:
            for lang in catalogue.LANGUAGES:
                click.echo(catalogue.text(f"store.lacks.{name}", lang))
    sys.exit(_DOUBTS if any(report.doubts for report in reports) else 0)


def _tell(report: Report) -> None:
    for lang in catalogue.LANGUAGES:
        click.echo(
            catalogue.text(
                f"store.{report.kind}",
                lang,
                objects=report.objects,
                megabytes=report.bytes // 1_000_000,
                doubts=len(report.doubts),
            )
        )
        if any(report.done.values()):
            name = "store.tidied" if report.repair else "store.to_tidy"
            click.echo(catalogue.text(name, lang, **report.done))
        if report.adopted:
            click.echo(catalogue.text("store.adopted", lang, count=len(report.adopted)))
    for doubt in report.doubts:
        for lang in catalogue.LANGUAGES:
            click.echo(catalogue.text(f"store.doubt.{doubt.kind}", lang, object=doubt.key))
