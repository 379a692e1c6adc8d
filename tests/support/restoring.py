"""What an administrator does around a restored backup, over a world's real database."""

import sqlite3
from contextlib import closing
from dataclasses import replace

from server.app import create_app
from server.db import db, reading, transaction
from server.operations import checkpoint_folder, generations, ledger
from server.services import open_services


def sign(world):
    """What the sequencer does: sign, and keep the note outside the database."""
    with world.app.app_context():
        with transaction() as session:
            text = ledger.sign_checkpoint(
                session, world.services.ledger_signer, now_ms=world.now_ms
            ).note
        checkpoint_folder.keep_newest(world.settings.checkpoint_dir, text)
    return text


def restart(world):
    """The processes end, and start again over what the database holds now."""
    with world.app.app_context():
        db.engine.dispose()
        with reading() as session:
            origin = ledger.current_generation(session).origin
    world.services = replace(
        open_services(world.settings, origin=origin),
        store=world.services.store,
        now_ms=lambda: world.now_ms,
        clock_state=lambda: "synchronised",
    )
    world.app = create_app(world.settings, services=world.services)
    world.client = world.app.test_client()


def restore(world, reason="磁盘损坏，换用备份"):
    """``liuhen-admin ledger restore``, and the processes started again."""
    with world.app.app_context():
        with transaction() as session:
            text = generations.restore(
                session, world.settings, reason=reason, now_ms=world.now_ms
            ).note
        checkpoint_folder.keep_newest(world.settings.checkpoint_dir, text)
    restart(world)


def copy_database(source, target):
    """Put the whole of one SQLite database in place of another, as a restore does."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
