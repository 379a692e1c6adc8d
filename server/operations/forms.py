"""Forms (文书模板): publishing versions, and which of them an organisation has.

A published version is never changed: records name it for good (docs/forms.md §3).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib import resources
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from server.failures import FormInvalid, FormPublished, NotFound
from server.models.base import place_of
from server.models.inspections import Document, TemplateVersion
from server.operations import feed, ledger
from server.operations.cards import person_names
from server.operations.projection import Projector
from sync.evidence import canonical
from sync.evidence.encoding import sha256_hex
from sync.templates import MAX_VERSION, Problem, Template, parse_template, problems

_KIND = "template"
#: Where a shipped form says nothing, it is in force since ever.
_ALWAYS = "0001-01-01"
_BEIJING = timezone(timedelta(hours=8))


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


@dataclass(frozen=True, kw_only=True)
class FormRow:
    """A published version as a list shows it; ``published_by`` is empty for shipped ones."""

    id: str
    version: int
    title: Mapping[str, str]
    in_force_from: str
    in_force_to: str
    published_by: str
    published_at_ms: int


def list_forms(session: Session, organization_id: str) -> tuple[FormRow, ...]:
    """All published versions, the newest of each form first."""
    rows = session.scalars(
        select(TemplateVersion)
        .where(TemplateVersion.organization_id == organization_id)
        .order_by(TemplateVersion.id, TemplateVersion.version.desc())
    ).all()
    names = person_names(session, (row.published_by for row in rows if row.published_by))
    return tuple(
        FormRow(
            id=row.id,
            version=row.version,
            title=json.loads(row.body)["title"],
            in_force_from="" if row.in_force_from == _ALWAYS else row.in_force_from,
            in_force_to=row.in_force_to or "",
            published_by=names.get(row.published_by or "", ""),
            published_at_ms=row.published_at_ms,
        )
        for row in rows
    )


def read_form(
    session: Session, organization_id: str, template_id: str, version: int
) -> dict[str, Any]:
    """The document of one version.

    Raises:
        NotFound: if it was not published here.
    """
    row = None
    if 0 < version <= MAX_VERSION:
        row = session.get(TemplateVersion, (organization_id, template_id, version))
    if row is None:
        raise NotFound("template", document_id(template_id, version))
    body: dict[str, Any] = json.loads(row.body)
    return body


def read_body(text: str) -> dict[str, Any]:
    """The form in a text that somebody typed or uploaded, whole and with nothing amiss.

    Raises:
        FormInvalid: with everything that is amiss.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormInvalid((Problem(place="", code="form"),)) from error
    found = problems(body)
    if found:
        raise FormInvalid(found)
    checked: dict[str, Any] = body
    return checked


def publish(
    session: Session,
    organization_id: str,
    body: Mapping[str, Any],
    *,
    by: Mapping[str, str],
    now_ms: int,
) -> None:
    """Publish a version that :func:`read_body` accepted; ``by`` is the actor for the ledger.

    Without a date it is in force from today on. Records that waited for it are shown.

    Raises:
        FormPublished: if that version exists; a change needs a new one.
    """
    if session.get(TemplateVersion, (organization_id, body["id"], body["version"])) is not None:
        raise FormPublished(document_id(body["id"], body["version"]))
    form = {"in_force_from": _beijing_day(now_ms), **body}
    ledger.append(
        session,
        "policy",
        actor=by,
        subject={"template": body["id"], "version": body["version"]},
        snapshot={"act": "template_published", "sha256": sha256_hex(canonical.dumps(form))},
        now_ms=now_ms,
        about=(f"{_KIND}:{document_id(body['id'], body['version'])}",),
    )
    _publish(session, organization_id, form, published_by=by.get("person"), now_ms=now_ms)


def _beijing_day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, _BEIJING).date().isoformat()


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
