"""``template``: publish a version of a form from a JSON file (docs/forms.md §3)."""

import os
from pathlib import Path

import click
from sqlalchemy import select

from server import clock
from server.app import create_app
from server.db import transaction
from server.models.people import Organization
from server.operations import forms
from server.settings import Settings
from sync import catalogue

_BY = {"server": "command line"}


@click.command("template")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="只检查，不发布 / Only check it.")
def publish_template(file: Path, check: bool) -> None:
    """发布一版文书模板 / Publish a version of a form from FILE (JSON).

    Says everything that is amiss, or publishes the version to all devices.
    """
    body = forms.read_body(file.read_text("utf-8", errors="replace"))
    name = forms.document_id(body["id"], body["version"])
    if not check:
        app = create_app(Settings.from_env(os.environ))
        with app.app_context(), transaction() as session:
            organization_id = session.scalars(select(Organization.id)).one()
            forms.publish(session, organization_id, body, by=_BY, now_ms=clock.now_ms())
    key = "forms.in_order" if check else "forms.published"
    click.echo(catalogue.text(key, "zh", name=name))
    click.echo(catalogue.text(key, "en", name=name))
