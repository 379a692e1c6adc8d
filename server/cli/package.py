"""``package``: a finished package made ready for its way, cut for discs or encrypted."""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from server.failures import Invalid
from server.operations.export.encrypting import encrypted, parse_recipient
from server.operations.export.volumes import DISCS, volumes
from sync import catalogue

_STEP = 1 << 20

_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_OUT = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="存放文件夹（默认在原处）/ folder to write to (default: beside the file)",
)


@click.group()
def package() -> None:
    """证据包的交付：分盘、加密 / A finished package: cut for discs, or encrypted."""


@package.command()
@_FILE
@click.option("--disc", type=click.Choice(list(DISCS)), default="dvd", show_default=True)
@_OUT
def split(file: Path, disc: str, out: Path | None) -> None:
    """按光盘容量分卷 / Cut FILE into volumes that fit onto discs."""
    folder = _made(out or file.parent)
    for volume in volumes(file.stat().st_size, DISCS[disc]):
        path = folder / volume.name(file.name)
        write_whole(path, read_bytes(file, volume.offset, volume.size))
        click.echo(path)


@package.command()
@_FILE
@click.option("--to", "recipient", required=True, help="收件人的 age 公钥 / the age public key")
@_OUT
def encrypt(file: Path, recipient: str, out: Path | None) -> None:
    """加密给收件人 / Encrypt FILE to the recipient's age key."""
    try:
        key = parse_recipient(recipient)
    except Invalid as error:
        raise click.UsageError(catalogue.text("export.recipient_wrong")) from error
    path = _made(out or file.parent) / f"{file.name}.age"
    write_whole(path, encrypted(read_bytes(file, 0, file.stat().st_size), key))
    click.echo(path)


def read_bytes(file: Path, offset: int, size: int) -> Iterator[bytes]:
    """``size`` bytes of a file from ``offset`` on, in pieces."""
    with file.open("rb") as source:
        source.seek(offset)
        while size and (piece := source.read(min(_STEP, size))):
            size -= len(piece)
            yield piece


def write_whole(path: Path, pieces: Iterator[bytes]) -> None:
    """Write a file whole or not at all; durable on return."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
