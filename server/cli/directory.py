"""``directory``: enter officers, accounts, inspected parties and tasks from one JSON file."""

import json
import os
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from server import clock
from server.app import create_app
from server.db import transaction
from server.failures import Invalid, NotFound
from server.models.inspections import RegulatedEntity
from server.models.people import ROLES, Officer, Organization, Person, User, UserRole
from server.operations import directory, grid, people
from server.operations.directory import NewEntity, NewTask
from server.operations.grid import NewCell
from server.settings import Settings
from sync import catalogue

_BY = {"server": "command line"}
_NAME = validate.Length(1, 200)


class _CertificateSchema(Schema):
    certificate_no = fields.String(required=True, validate=_NAME)
    issuer = fields.String(load_default="", validate=validate.Length(max=200))
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(required=True)


class _PersonSchema(Schema):
    name = fields.String(required=True, validate=_NAME)
    username = fields.String(validate=validate.Regexp(r"^[a-z0-9._-]{2,64}$"))
    roles = fields.List(fields.String(validate=validate.OneOf(ROLES)), load_default=list)
    certificate = fields.Nested(_CertificateSchema)


def _external_ids() -> fields.Dict:
    """Names in other systems by scheme, such as ``provincial_task``, ``case`` or ``permit``."""
    return fields.Dict(
        keys=fields.String(validate=validate.Regexp(r"^[a-z][a-z0-9_]{0,31}\Z")),
        values=fields.String(validate=_NAME),
        load_default=dict,
        validate=validate.Length(max=16),
    )


class _PermitSchema(Schema):
    number = fields.String(required=True, validate=_NAME)
    kind = fields.String(load_default="", validate=validate.Length(max=100))
    valid_to = fields.Date()


class _DossierSchema(Schema):
    """What a target's dossier (一厂一档) holds beside name, place and past visits."""

    legal_representative = fields.String(validate=_NAME)
    contact = fields.String(validate=_NAME)
    grade = fields.String(validate=_NAME)
    classes = fields.List(fields.String(validate=_NAME), validate=validate.Length(max=20))
    permits = fields.List(fields.Nested(_PermitSchema), validate=validate.Length(max=50))
    sensitive_areas = fields.List(fields.String(validate=_NAME), validate=validate.Length(max=50))
    notes = fields.String(validate=validate.Length(max=4000))


class _GridCellSchema(Schema):
    code = fields.String(required=True, validate=validate.Length(1, 32))
    name = fields.String(required=True, validate=_NAME)
    boundary = fields.List(
        fields.Tuple(
            (
                fields.Decimal(validate=validate.Range(-180, 180)),
                fields.Decimal(validate=validate.Range(-90, 90)),
            )
        ),
        load_default=list,
        validate=validate.Length(max=1000),
    )


class _EntitySchema(Schema):
    name = fields.String(required=True, validate=_NAME)
    uscc = fields.String(load_default="", validate=validate.Length(max=18))
    address = fields.String(load_default="", validate=validate.Length(max=200))
    lat = fields.Decimal(validate=validate.Range(-90, 90))
    lon = fields.Decimal(validate=validate.Range(-180, 180))
    radius_m = fields.Integer(validate=validate.Range(1, 100_000))
    grid_cell = fields.String(validate=validate.Length(1, 32))
    external_ids = _external_ids()
    dossier = fields.Nested(_DossierSchema, load_default=dict)


class _TaskSchema(Schema):
    title = fields.String(required=True, validate=_NAME)
    source = fields.String(load_default="plan", validate=validate.Length(max=32))
    kind = fields.String(
        load_default="daily", validate=validate.OneOf(("daily", "special", "individual"))
    )
    launch_mode = fields.String(
        load_default="routine", validate=validate.OneOf(("routine", "special", "emergency"))
    )
    entity = fields.String()
    officers = fields.List(fields.String(), required=True, validate=validate.Length(min=2))
    approved_by = fields.String(required=True)
    due_at_ms = fields.Integer(
        load_default=None, allow_none=True, validate=validate.Range(0, 2**53 - 1)
    )
    external_ids = _external_ids()


class _OrganizationSchema(Schema):
    name = fields.String(required=True, validate=_NAME)
    division_code = fields.String(required=True, validate=validate.Regexp(r"^\d{6}(\d{3})?$"))


class DirectorySchema(Schema):
    """The whole file; docs/operations.md §9 shows one."""

    organization = fields.Nested(_OrganizationSchema)
    people = fields.List(fields.Nested(_PersonSchema), load_default=list)
    grid_cells = fields.List(fields.Nested(_GridCellSchema), load_default=list)
    entities = fields.List(fields.Nested(_EntitySchema), load_default=list)
    tasks = fields.List(fields.Nested(_TaskSchema), load_default=list)


@dataclass
class Entered:
    """What was entered: passwords to hand over once, and doubts to look at."""

    passwords: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@click.command("directory")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def enter_directory(file: Path) -> None:
    """录入人员、账户、检查对象和任务 / Enter people, accounts, parties and tasks from FILE (JSON).

    All of the file is entered or nothing. Prints one JSON object with the
    one-time passwords of new accounts.
    """
    try:
        data = DirectorySchema().loads(file.read_text(encoding="utf-8"))
    except (ValidationError, ValueError) as error:
        reason = getattr(error, "messages", str(error))
        raise Invalid(file.name, json.dumps(reason, ensure_ascii=False)) from error
    app = create_app(Settings.from_env(os.environ))
    with app.app_context(), transaction() as session:
        entered = enter(session, data, now_ms=clock.now_ms())
    click.echo(json.dumps({"passwords": entered.passwords}, ensure_ascii=False, indent=1))
    for warning in entered.warnings:
        click.echo(warning, err=True)


def enter(session: Session, data: dict[str, Any], *, now_ms: int) -> Entered:
    """Enter a loaded :class:`DirectorySchema` in this transaction.

    Raises:
        Conflict: if a user name is taken.
        NotFound: if a task or party names an officer, party, leader or cell that is not here.
    """
    entered = Entered()
    organization_id = session.scalars(select(Organization.id)).one()
    if "organization" in data:
        people.rename_organization(
            session, organization_id, **data["organization"], by=_BY, now_ms=now_ms
        )
    for person in data["people"]:
        _enter_person(session, organization_id, person, entered, now_ms=now_ms)
    for cell in data["grid_cells"]:
        grid.enter_cell(session, organization_id, _new_cell(cell), now_ms=now_ms)
    for entity in data["entities"]:
        new = _new_entity(session, organization_id, entity)
        directory.create_entity(session, organization_id, new, now_ms=now_ms)
        if entity["uscc"] and not directory.is_uscc(entity["uscc"]):
            entered.warnings.append(catalogue.text("directory.uscc", **entity))
    for task in data["tasks"]:
        _enter_task(session, organization_id, task, now_ms=now_ms)
    return entered


def _enter_person(
    session: Session, organization_id: str, person: dict[str, Any], entered: Entered, *, now_ms: int
) -> None:
    person_id = people.create_person(session, person["name"])
    if "certificate" in person:
        certificate = {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in person["certificate"].items()
        }
        people.create_officer(
            session,
            organization_id=organization_id,
            person_id=person_id,
            **certificate,
            by=_BY,
            now_ms=now_ms,
        )
    if "username" in person:
        entered.passwords[person["username"]] = people.create_user(
            session,
            organization_id=organization_id,
            person_id=person_id,
            username=person["username"],
            roles=person["roles"],
            by=_BY,
            now_ms=now_ms,
        )


def _new_cell(cell: dict[str, Any]) -> NewCell:
    ring = [(_e7(lon), _e7(lat)) for lon, lat in cell["boundary"]]
    return NewCell(code=cell["code"], name=cell["name"], boundary=ring)


def _new_entity(session: Session, organization_id: str, entity: dict[str, Any]) -> NewEntity:
    radius_m, code = entity.get("radius_m"), entity.get("grid_cell")
    cell = None if code is None else grid.cell_of_code(session, organization_id, code)
    if code is not None and cell is None:
        raise NotFound("grid_cell", code)
    return NewEntity(
        name=entity["name"],
        uscc=entity["uscc"],
        address=entity["address"],
        lat_e7=_e7(entity["lat"]) if "lat" in entity else None,
        lon_e7=_e7(entity["lon"]) if "lon" in entity else None,
        radius_cm=radius_m * 100 if radius_m is not None else None,
        grid_cell_id=cell.id if cell is not None else None,
        external_ids=entity["external_ids"],
        dossier=_DossierSchema().dump(entity["dossier"]),
    )


def _e7(degrees: Decimal) -> int:
    return int((degrees * 10_000_000).to_integral_value())


def _enter_task(
    session: Session, organization_id: str, task: dict[str, Any], *, now_ms: int
) -> None:
    leader = session.execute(
        select(User, Person)
        .join(Person, Person.id == User.person_id)
        .join(UserRole, UserRole.user_id == User.id)
        .where(User.username == task["approved_by"], UserRole.role == "leader")
    ).first()
    if leader is None:
        raise NotFound("leader", task["approved_by"])
    user, person = leader
    directory.create_task(
        session,
        organization_id,
        NewTask(
            title=task["title"],
            source=task["source"],
            kind=task["kind"],
            launch_mode=task["launch_mode"],
            entity_id=_entity_id(session, organization_id, task.get("entity")),
            officers=[_officer_id(session, organization_id, no) for no in task["officers"]],
            due_at_ms=task["due_at_ms"],
            external_ids=task["external_ids"],
        ),
        approved_by=person.id,
        approver={"person": person.id, "user": user.id, "name": person.name},
        now_ms=now_ms,
    )


def _entity_id(session: Session, organization_id: str, name: str | None) -> str | None:
    if name is None:
        return None
    found = session.scalars(
        select(RegulatedEntity.id).where(
            RegulatedEntity.organization_id == organization_id, RegulatedEntity.name == name
        )
    ).first()
    if found is None:
        raise NotFound("entity", name)
    return found


def _officer_id(session: Session, organization_id: str, certificate_no: str) -> str:
    found = session.scalars(
        select(Officer.id).where(
            Officer.organization_id == organization_id, Officer.certificate_no == certificate_no
        )
    ).first()
    if found is None:
        raise NotFound("officer", certificate_no)
    return found
