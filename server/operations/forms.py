"""Forms (文书模板): publishing versions, and which of them an organisation has.

A published version is never changed: records name it for good (docs/forms.md §3).
"""

import json
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from server.models.base import place_of
from server.models.inspections import Document, TemplateVersion
from server.operations import feed
from server.operations.projection import Projector
from sync.evidence import canonical
from sync.templates import Template, parse_template

_KIND = "template"
#: Where a shipped form says nothing, it is in force since ever.
_ALWAYS = "0001-01-01"


def shipped_forms() -> list[dict[str, Any]]:
    """The forms that come with the program, each version once, older versions first."""
    folder = resources.files("server").joinpath("templates_data")
    forms = [json.loads(file.read_text("utf-8")) for file in folder.iterdir()]
    return sorted(forms, key=lambda form: (form["id"], form["version"]))


def publish_shipped(session: Session, organization_id: str, *, now_ms: int) -> None:
    """Send the shipped forms that the organisation does not have yet to its devices."""
    present = {
        (row.id, row.version)
        for row in session.execute(
            select(TemplateVersion.id, TemplateVersion.version).where(
                TemplateVersion.organization_id == organization_id
            )
        )
    }
    for form in shipped_forms():
        if (form["id"], form["version"]) not in present:
            _publish(session, organization_id, form, published_by=None, now_ms=now_ms)


def document_id(template_id: str, version: int) -> str:
    """The id under which a version flows down to devices."""
    return f"{template_id}.v{version}"


def _publish(
    session: Session,
    organization_id: str,
    form: Mapping[str, Any],
    *,
    published_by: str | None,
    now_ms: int,
) -> None:
    scope = feed.organization_scope(organization_id)
    template_id, version = form["id"], form["version"]
    # Until there were versions, a form was one document under its bare id.
    older = session.get(Document, (scope, _KIND, template_id))
    if older is not None and older.op == "put":
        feed.remove_document(
            session, scope=scope, kind=_KIND, identifier=template_id, now_ms=now_ms
        )
    position = feed.put_document(
        session,
        scope=scope,
        kind=_KIND,
        identifier=document_id(template_id, version),
        body=form,
        now_ms=now_ms,
    )
    generation, index = place_of(position)
    session.add(
        TemplateVersion(
            organization_id=organization_id,
            id=template_id,
            version=version,
            in_force_from=form.get("in_force_from", _ALWAYS),
            in_force_to=form.get("in_force_to"),
            body=canonical.dumps(dict(form)).decode(),
            published_by=published_by,
            published_at_ms=now_ms,
            generation=generation,
            ledger_index=index,
        )
    )
    session.flush()
    Projector(session, organization_id, now_ms=now_ms).retry("projection.unknown_template")


def read_templates(
    session: Session, organization_id: str, wanted: Collection[tuple[str, int]]
) -> dict[tuple[str, int], Template]:
    """The published versions among ``wanted``, by id and version."""
    rows = session.scalars(
        select(TemplateVersion).where(
            TemplateVersion.organization_id == organization_id,
            tuple_(TemplateVersion.id, TemplateVersion.version).in_(sorted(wanted)),
        )
    )
    return {(row.id, row.version): parse_template(json.loads(row.body)) for row in rows}
