"""``witness``: who has seen the ledger, and having it seen where there is no network."""

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from flask import Flask
from sqlalchemy.orm import Session

from server.app import create_app
from server.db import reading
from server.operations import ledger, witnessing
from server.services import services
from server.settings import Settings
from sync import catalogue
from sync.evidence.policy import Policy, Witness
from sync.witness.submission import MAX_BYTES, format_submission

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
_STDIN = "-"


@click.group()
def witness() -> None:
    """总账的见证 / The ledger's witnesses."""


@witness.command()
def status() -> None:
    """谁见证到第几条；无人见证时状态码为 1 / Who saw how much; status 1 without a quorum."""
    with _app().app_context(), reading() as session:
        found = witnessing.exposure(session, _policy())
    for seen in found.witnesses:
        _say(
            "witness.state",
            name=seen.witness.key.name,
            size=seen.size,
            time=_time(seen.time_s),
            code=seen.code or "ok",
            detail=seen.detail,
        )
    _say("witness.quorum", size=found.size, time=_time(found.time_s), unseen=found.unseen)
    if not found.size:
        raise click.exceptions.Exit(1)


@witness.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--witness", "name", help="策略中的见证者名 / its name in the policy")
@click.option("--from", "old", type=int, help="见证者已见证的条数 / what the witness has seen")
def export(folder: Path, name: str | None, old: int | None) -> None:
    """为没有网络的见证者写出见证请求 / Write submissions for witnesses without a network.

    One file and one page to print for each witness of the policy without an address,
    or for the one named; with --from for whoever has seen so much.
    """
    with _app().app_context(), reading() as session:
        if old is not None:
            _write(folder, session, name or "from", old)
            return
        for one in _chosen(_policy(), name):
            generation = ledger.current_generation(session).number
            size = witnessing.confirmed_size(session, one.key, generation)
            _write(folder, session, one.key.name, size)


@witness.command("import")
@click.argument("file")
def import_(file: str) -> None:
    """读入见证者签过的检查点或签名行 / Read in a cosigned checkpoint or the line; - is stdin."""
    if file == _STDIN:
        data = sys.stdin.buffer.read(MAX_BYTES)
    else:
        with Path(file).open("rb") as source:
            data = source.read(MAX_BYTES)
    with _app().app_context():
        for size, cosignature in witnessing.read_cosigned(
            services(), data.decode("utf-8", "replace").replace("\r\n", "\n")
        ):
            _say(
                "witness.imported",
                name=cosignature.key.name,
                size=size,
                time=_time(cosignature.time_s),
            )


def _app() -> Flask:
    return create_app(Settings.from_env(os.environ))


def _policy() -> Policy:
    policy = services().settings.witness_policy
    if policy is None:
        raise witnessing.Unmatched("LIUHEN_WITNESS_POLICY")
    return policy


def _chosen(policy: Policy, name: str | None) -> list[Witness]:
    if name is None:
        offline = [one for one in policy.witnesses if not one.url]
        return offline or list(policy.witnesses)
    chosen = [one for one in policy.witnesses if name in (one.name, one.key.name)]
    if not chosen:
        raise click.BadParameter(name, param_hint="--witness")
    return chosen


def _write(folder: Path, session: Session, name: str, old: int) -> None:
    submission, newest = witnessing.submission_for(session, old=old)
    stem = f"{_UNSAFE.sub('_', name)}-{newest.generation}-{newest.size}"
    for suffix, data in (
        (".witness", format_submission(submission)),
        (".html", witnessing.submission_page(submission, now_ms=services().now_ms()).encode()),
    ):
        path = folder / (stem + suffix)
        path.write_bytes(data)
        _say("witness.exported", path=path, size=newest.size, old=old)


def _time(time_s: int | None) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat() if time_s else "-"


def _say(key: str, /, **values: object) -> None:
    for lang in catalogue.LANGUAGES:
        click.echo(catalogue.text(key, lang, **values))
