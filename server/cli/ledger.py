"""``ledger``: where the ledger stands, and beginning its next generation after a restore."""

import json
import os
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from media.errors import MediaError
from server import clock
from server.app import create_app, create_database_app
from server.db import reading, transaction
from server.operations import checkpoint_folder, generations, ledger_audit, rotation, tiles
from server.services import open_ledger_signer, services
from server.settings import Settings
from sync import catalogue
from sync.evidence.note import verifier_key

_DOUBTS, _CANNOT = 1, 2


@click.group()
def ledger() -> None:
    """存证总账的现状与恢复 / The ledger's standing, and its restoration."""


@ledger.command()
def status() -> None:
    """总账现状；数据库落后时以状态码 1 结束 / Where it stands; exit status 1 if it is behind."""
    with create_app(Settings.from_env(os.environ)).app_context(), reading() as session:
        found = generations.standing(session)
        key = services().ledger_signer.verifier_key
    _say(
        "ledger.stands",
        generation=found.generation,
        origin=found.origin,
        size=found.size,
        verifier_key=key,
    )
    if found.behind:
        for origin, size in found.known:
            _say("ledger.known", origin=origin, size=size)
        _say("ledger.behind_now_what")
        raise click.exceptions.Exit(1)


@ledger.command()
@click.option("--reason", required=True, help="事由，写入总账 / why; stands on the ledger")
def restore(reason: str) -> None:
    """数据库从备份恢复后，开启总账的下一代 / After a restore: begin the next generation.

    Stop the server first and start it again afterwards.
    """
    settings = Settings.from_env(os.environ)
    with create_database_app(settings).app_context():
        with transaction() as session:
            checkpoint = generations.restore(
                session, settings, reason=reason, now_ms=clock.now_ms()
            )
            note = checkpoint.note
        with reading() as session:
            found = generations.standing(session)
        checkpoint_folder.keep_newest(settings.checkpoint_dir, note)
    key = open_ledger_signer(settings, found.origin).verifier_key
    _say("ledger.restored", generation=found.generation, origin=found.origin, verifier_key=key)


@ledger.command()
@click.option("--reason", required=True, help="事由，写入总账 / why; stands on the ledger")
@click.option("--finish", is_flag=True, help="停用旧密钥 / end the overlap: the old key goes")
def rotate(reason: str, *, finish: bool) -> None:
    """更换总账密钥：先并行签名，再停用旧密钥 / Change the ledger's key, in two steps.

    Stop the server first and start it again afterwards, each time.
    """
    settings = Settings.from_env(os.environ)
    if not finish:
        rotation.prepare(settings)
    with create_database_app(settings).app_context():
        with reading() as session:
            signer = rotation.open_both(settings, session)
        act = rotation.finish if finish else rotation.begin
        with transaction() as session:
            note = act(session, signer, reason=reason, now_ms=clock.now_ms()).note
        checkpoint_folder.keep_newest(settings.checkpoint_dir, note)
    if finish:
        rotation.retire(settings, signer)
    old, new = (verifier_key(signer.name, key) for key in signer.public_keys)
    _say("ledger.rotated" if finish else "ledger.rotating", old=old, new=new)
    if finish and settings.ledger_next_signer:
        _say("ledger.rotated_command")


@ledger.command()
@click.argument("index", type=click.IntRange(min=0))
@click.option("--generation", type=click.IntRange(min=1), help="第几代 / of which generation")
@click.option("--event", is_flag=True, help="附上事件原文与盐 / disclose the event with its salt")
def proof(index: int, generation: int | None, *, event: bool) -> None:
    """打印第 INDEX 条的 C2SP tlog-proof / Print the C2SP tlog-proof of leaf INDEX."""
    with create_app(Settings.from_env(os.environ)).app_context(), reading() as session:
        text = tiles.proof_of(session, generation, index, disclose=event)
    click.echo(text, nl=False)


@ledger.command()
@click.option("--leaves", type=click.IntRange(min=1), help="至多核对几条 / at most so many leaves")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON / print JSON")
def audit(leaves: int | None, *, as_json: bool) -> None:
    """从事件重建总账并核对 / Rebuild the ledger from its events, and compare everything.

    Exit status: 0 nothing doubtful, 1 doubts, 2 the store or the database does not answer.
    """
    reports: list[dict[str, Any]] = []
    trouble = ""
    try:
        with create_app(Settings.from_env(os.environ)).app_context():
            for report in ledger_audit.audit(services(), most=leaves, anew=leaves is None):
                reports.append(json.loads(report.to_json()))
                if not as_json:
                    _tell(reports[-1])
    except MediaError as error:
        trouble = f"errors.{error.code}"
    except SQLAlchemyError:
        trouble = "store.database_away"
    if as_json:
        click.echo(json.dumps(reports))
    if trouble:
        for lang in catalogue.LANGUAGES:
            click.echo(catalogue.text(trouble, lang), err=True)
        raise click.exceptions.Exit(_CANNOT)
    raise click.exceptions.Exit(_DOUBTS if any(one["doubt_count"] for one in reports) else 0)


def _tell(report: dict[str, Any]) -> None:
    for lang in catalogue.LANGUAGES:
        for line in ledger_audit.summary(report, lang):
            click.echo(line)
    for doubt in report["doubts"]:
        for lang in catalogue.LANGUAGES:
            click.echo(ledger_audit.sentence(doubt, lang))


def _say(name: str, **values: object) -> None:
    for lang in catalogue.LANGUAGES:
        click.echo(catalogue.text(name, lang, **values))
