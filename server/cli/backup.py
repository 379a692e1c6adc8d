"""``backup``: copy database and originals while the server runs, and tell devices how far."""

import os
from pathlib import Path

import click

from server.app import create_app
from server.db import reading, transaction
from server.operations import backups, generations
from server.services import services
from server.settings import Settings
from sync import catalogue


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--with-keys", is_flag=True, help="连同密钥 / the server's keys and secrets, too")
@click.option(
    "--without-objects", is_flag=True, help="不含原件，备份不计入 / no originals; is not marked"
)
@click.option("--size", "tell", is_flag=True, help="显示总账长度，先于自行备份 / print the size")
@click.option("--mark", type=int, help="自行备份完成 / the size from before your backup")
def backup(
    folder: Path | None, with_keys: bool, without_objects: bool, tell: bool, mark: int | None
) -> None:
    """备份数据库与原件 / Back up the database and the originals while the server runs.

    On PostgreSQL, or with your own copy of the bucket: --size, your backup, then --mark SIZE.
    """
    if sum((folder is not None, tell, mark is not None)) != 1:
        raise click.UsageError(catalogue.text("ledger.backup_which"))
    with create_app(Settings.from_env(os.environ)).app_context():
        with reading() as session:
            present = generations.standing(session)
        if tell:
            click.echo(present.size)
        elif folder is not None:
            _copy(folder, with_keys=with_keys, without_objects=without_objects)
        elif mark is not None:
            _mark(present.generation, mark)


def _copy(folder: Path, *, with_keys: bool, without_objects: bool) -> None:
    parts = services()
    copy = backups.copy_database(parts.settings.database_url, folder, now_ms=parts.now_ms())
    if with_keys:
        backups.copy_keys(parts.settings.secrets_dir, folder / "secrets")
    if without_objects:
        _say("ledger.backup_database", path=copy.path, size=copy.size)
        return
    copied = backups.copy_objects(parts.store, copy.path, folder / "objects")
    _mark(copy.generation, copy.size)
    _say("ledger.backup_done", path=copy.path, copied=copied)


def _mark(generation: int, size: int) -> None:
    with transaction() as session:
        backups.mark(session, generation=generation, size=size, now_ms=services().now_ms())
    _say("ledger.backup_marked", size=size)


def _say(name: str, **values: object) -> None:
    for lang in catalogue.LANGUAGES:
        click.echo(catalogue.text(name, lang, **values))
