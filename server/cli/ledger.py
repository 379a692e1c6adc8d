"""``ledger``: where the ledger stands, and beginning its next generation after a restore."""

import os

import click

from server import clock
from server.app import create_app, create_database_app
from server.db import reading, transaction
from server.operations import checkpoint_folder, generations
from server.services import LEDGER_KEY, services
from server.settings import Settings
from server.signing import load_signer
from sync import catalogue


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
    key = load_signer(settings.secrets_dir / LEDGER_KEY, found.origin).verifier_key
    _say("ledger.restored", generation=found.generation, origin=found.origin, verifier_key=key)


def _say(name: str, **values: object) -> None:
    for lang in catalogue.LANGUAGES:
        click.echo(catalogue.text(name, lang, **values))
