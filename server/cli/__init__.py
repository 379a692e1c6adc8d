"""``liuhen-admin``: what an administrator runs on the server's own machine."""

import json
import logging
import os
import signal
import sys
import threading

import click
from flask import Flask
from sqlalchemy import select

from media.errors import MediaError
from server import clock, jobs, migrations
from server import db as database
from server.app import create_app, create_database_app
from server.cli.backup import backup
from server.cli.carrier import carrier
from server.cli.directory import enter_directory
from server.cli.erase import erase
from server.cli.export import export_package
from server.cli.foreign import import_package
from server.cli.ledger import ledger as ledger_commands
from server.cli.package import package
from server.cli.stamp import stamp
from server.cli.store import store
from server.cli.template import publish_template
from server.cli.witness import witness
from server.db import db, transaction
from server.failures import GenerationEnded, LedgerBehind, ServerError
from server.models.people import Organization
from server.operations import (
    checkpoint_folder,
    forms,
    generations,
    installation,
    ledger,
    people,
    visit_documents,
)
from server.operations.checkpoint_store import CheckpointStore
from server.services import open_services, services
from server.settings import Settings
from sync.errors import SyncError
from sync.evidence.note import verifier_key

_log = logging.getLogger(__name__)

#: Twice within the minute in which a ledger that has grown is to be seen outside.
_PUBLISH_S = 30


@click.group()
def cli() -> None:
    """Liuhen administration (留痕管理命令)."""


@cli.command()
def init() -> None:
    """Bring the database up to date; on an empty one also make keys and a first login.

    Prints one JSON object: ``created``, on the first start ``username`` and the
    one-time ``password``, later ``behind``: whether the database was put back.
    """
    settings = Settings.from_env(os.environ)
    app = create_database_app(settings)
    with app.app_context():
        with db.engine.begin() as connection:
            migrations.upgrade(connection)
        installation.make_keys(settings)
        answer = _first_start(settings)
    if not answer["created"]:
        with create_app(settings).app_context():
            with database.reading() as session:
                answer["behind"] = generations.standing(session).behind
            if not answer["behind"]:
                _send_what_is_new()
    click.echo(json.dumps(answer))


def _first_start(settings: Settings) -> dict[str, object]:
    now_ms = clock.now_ms()
    with transaction() as session:
        if installation.origin_of(session) is not None:
            return {"created": False}
        origin = installation.open_first_generation(session, settings, now_ms=now_ms)
        parts = open_services(settings, origin=origin)
        password = people.bootstrap_administrator(session, now_ms=now_ms)
        forms.publish_shipped(
            session, session.scalars(select(Organization.id)).one(), now_ms=now_ms
        )
        ledger.sign_checkpoint(session, parts.ledger_signer, now_ms=now_ms)
    return {"created": True, "username": people.FIRST_USERNAME, "password": password}


def _send_what_is_new() -> None:
    """Send devices what a newer program brings along: forms, and what it did not send before."""
    with transaction() as session:
        for organization_id in session.scalars(select(Organization.id)).all():
            forms.publish_shipped(session, organization_id, now_ms=clock.now_ms())
        visit_documents.send_older_visits(session, now_ms=clock.now_ms())


@cli.command()
def sequencer() -> None:
    """Sign a checkpoint whenever the ledger has grown, until it is told to stop."""
    settings = Settings.from_env(os.environ)
    app = create_app(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    publishing = threading.Thread(target=publish_checkpoints, args=(app, stopping), daemon=True)
    publishing.start()
    with app.app_context():
        sign_checkpoints(stopping, interval_ms=settings.checkpoint_interval_ms)


def sign_checkpoints(stopping: threading.Event, *, interval_ms: int) -> None:
    """Sign and keep the newest checkpoint in rounds, whatever goes wrong in one of them."""
    kept = ""
    while not stopping.wait(interval_ms / 1000):
        try:
            kept = keep_checkpoints(kept)
        except (LedgerBehind, GenerationEnded) as error:
            # Reading goes on; an administrator is told by the pages and by liuhen-admin.
            _log.warning("no_checkpoint code=%s reason=%s", error.code, error)
        except Exception:
            # Such as a row that somebody spoiled: the audit names it, and the next may be sound.
            _log.exception("no_checkpoint")


def publish_checkpoints(app: Flask, stopping: threading.Event) -> None:
    """Bring the newest checkpoint to the object store; a store that is away holds nothing up."""
    with app.app_context():
        kept = CheckpointStore(services().store)
        while True:
            try:
                with database.reading() as session:
                    note = ledger.newest_note(session)
                if note:
                    kept.publish(note, now_ms=services().now_ms())
            except MediaError as error:
                _log.warning("checkpoint_unpublished code=%s", error.code)
            except Exception:
                _log.warning("checkpoint_unpublished", exc_info=True)
            if stopping.wait(_PUBLISH_S):
                return


def keep_checkpoints(kept: str) -> str:
    """Sign the ledger if it has grown, and keep what is newest outside the database, too."""
    parts = services()
    generations.look_outside(parts)
    with database.reading() as session:
        newest = ledger.newest_checkpoint(session)
        grown = newest is None or ledger.size(session) > newest.size
        note = newest.note if newest else ""
    if grown:
        with transaction() as session:
            note = ledger.sign_checkpoint(session, parts.ledger_signer, now_ms=parts.now_ms()).note
    if note != kept:
        checkpoint_folder.keep_newest(parts.settings.checkpoint_dir, note)
    return note


@cli.command()
@click.option(
    "--threads",
    type=click.IntRange(min=jobs.THREADS, clamp=True),
    default=jobs.THREADS,
    show_default=True,
    help="Jobs at a time; at least one of each kind.",
)
def worker(threads: int) -> None:
    """Do the work that nobody waits for, until it is told to stop."""
    settings = Settings.from_env(os.environ)
    app = create_app(settings)
    jobs.queue_of(app).create_consumer(workers=threads, max_delay=1.0).run()


@cli.command()
def ledger_key() -> None:
    """总账公钥，请另行公布，供 liuhen-verify --key 使用 / The ledger's public key, to publish."""
    settings = Settings.from_env(os.environ)
    with create_app(settings).app_context():
        parts = services()
        # The present one first: older packages were signed by those that follow.
        for key in parts.ledger_keys:
            click.echo(verifier_key(parts.ledger_signer.name, key))


cli.add_command(export_package)
cli.add_command(import_package)
cli.add_command(enter_directory)
cli.add_command(publish_template)
cli.add_command(ledger_commands)
cli.add_command(package)
cli.add_command(backup)
cli.add_command(carrier)
cli.add_command(stamp)
cli.add_command(store)
cli.add_command(erase)
cli.add_command(witness)


def main() -> None:
    """Run the command line: one plain sentence and exit code 1 for every expected failure."""
    try:
        cli(standalone_mode=True)
    except (ServerError, SyncError, MediaError, OSError) as error:
        click.echo(f"{getattr(error, 'code', 'system')}: {error}", err=True)
        sys.exit(1)
