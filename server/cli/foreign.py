"""``import-package``: take in packages that other bureaus made, as foreign evidence."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from server.app import create_app
from server.cli.export import administrator
from server.db import reading
from server.failures import ForeignRejected
from server.models.people import User
from server.operations.foreign import Taken, take_in
from server.services import services
from server.settings import Settings
from sync import catalogue
from sync.evidence.note import VerifierKey, parse_verifier_key
from sync.evidence.p256 import KeyMalformed
from sync.evidence.verifier_source import PackageUnusable

_REFUSED, _UNUSABLE = 1, 2
_SHOWN = 50


@click.command("import-package")
@click.argument(
    "packages",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="对方总账公钥（另行取得的文本或文件），可重复 / their ledger's key, got by another way",
)
@click.option(
    "--keep-anyway",
    default="",
    metavar="REASON",
    help="未通过核验仍须保存的理由，写入总账 / why it must be kept although it fails; logged",
)
@click.option("--user", help="以哪位管理员的名义 / in which administrator's name (user name)")
@click.option("--json", "as_json", is_flag=True, help="每个包输出一行 JSON / a JSON line each")
def import_package(
    packages: tuple[Path, ...],
    keys: tuple[str, ...],
    keep_anyway: str,
    user: str | None,
    *,
    as_json: bool,
) -> None:
    """接收外来证据包 / Take in other bureaus' packages, verified and kept apart from our journal.

    Exit status: 0 all are taken in (or were before); 1 some do not verify and were refused, or
    something failed; 2 a file is no package, a key is unusable, or wrong usage.
    """
    known = [key for text in keys for key in _keys(text)]
    app = create_app(Settings.from_env(os.environ))
    status = 0
    with app.app_context():
        with reading() as session:
            person_id = administrator(session, user)
            query = select(User.organization_id).where(User.person_id == person_id)
            # Somebody may have an account at several bureaus: the one that was named counts.
            named = query.where(User.username == user) if user is not None else query
            organization_id = session.scalars(named.order_by(User.username).limit(1)).one()
        for path in packages:
            try:
                taken = take_in(
                    services(),
                    path,
                    organization_id=organization_id,
                    person_id=person_id,
                    keys=known,
                    keep_anyway=keep_anyway,
                )
            except ForeignRejected as error:
                status = max(status, _REFUSED)
                _tell(list(_refusal(path, error, as_json=as_json)))
            except PackageUnusable as error:
                status = _UNUSABLE
                told = {"file": str(path), "state": "unusable", "reason": str(error)}
                _tell([json.dumps(told)] if as_json else _both("unusable", **told))
            else:
                _tell(_success(path, taken, with_keys=bool(known), as_json=as_json))
    if status:
        sys.exit(status)


def _keys(text: str) -> Iterator[VerifierKey]:
    """One key as it was typed, or all those of a file, a line each."""
    file = Path(text)
    lines = [text]
    if file.is_file():
        lines = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
    try:
        yield from (parse_verifier_key(line) for line in lines)
    except KeyMalformed as error:
        raise click.BadParameter(str(error), param_hint="--key") from error


def _success(path: Path, taken: Taken, *, with_keys: bool, as_json: bool) -> list[str]:
    state = "already" if taken.already else "taken" if taken.verdict == "PASS" else "kept"
    told = {"file": str(path), "state": state, **asdict(taken)}
    if as_json:
        return [json.dumps(told)]
    return [*_both(state, **told), *([] if with_keys else _both("no_key"))]


def _refusal(path: Path, error: ForeignRejected, *, as_json: bool) -> Iterator[str]:
    if as_json:
        codes = list(dict.fromkeys(code for code, _, _ in error.failed))
        yield json.dumps({"file": str(path), "state": "refused", "failed": codes})
        return
    yield from _both("refused", file=str(path), count=len(error.failed))
    for _, zh, en in error.failed[:_SHOWN]:
        yield from (f"  {zh}", f"  {en}")


def _both(key: str, **values: Any) -> list[str]:
    return [catalogue.text(f"foreign.{key}", lang, **values) for lang in catalogue.LANGUAGES]


def _tell(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)
