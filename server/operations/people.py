"""Organisations, persons, officers and accounts; whatever grants something is a ``policy`` leaf."""

import secrets
import uuid
from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import Conflict, Invalid, NotFound
from server.models.people import ROLES, Officer, Organization, Person, User, UserRole
from server.operations import deadlines, feed, ledger, scopes
from server.operations.access import hash_password

FIRST_USERNAME = "admin"

_FIRST_ORGANIZATION = "本机关（待命名）"
_FIRST_PERSON = "系统管理员"
#: Without letters and digits that are mistaken for each other when read aloud.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_INSTALLATION = {"server": "installation"}

#: How a ledger event names who granted something: ``Actor.for_ledger()`` or a server part.
By = Mapping[str, str]


def bootstrap_administrator(session: Session, *, now_ms: int) -> str:
    """Make the first organisation and administrator; return the one-time password.

    Raises:
        Conflict: if there is an account already.
    """
    if session.scalars(select(User.id).limit(1)).first() is not None:
        raise Conflict("an account exists")
    organization_id = create_organization(
        session,
        name=_FIRST_ORGANIZATION,
        kind="authority",
        division_code="000000",
        by=_INSTALLATION,
        now_ms=now_ms,
    )
    return create_user(
        session,
        organization_id=organization_id,
        person_id=create_person(session, _FIRST_PERSON),
        username=FIRST_USERNAME,
        roles=("administrator",),
        by=_INSTALLATION,
        now_ms=now_ms,
    )


def create_organization(
    session: Session, *, name: str, kind: str, division_code: str, by: By, now_ms: int
) -> str:
    """Create an organisation and return its id."""
    row = Organization(
        id=str(uuid.uuid4()), name=_named(name), kind=kind, division_code=division_code
    )
    session.add(row)
    session.flush()
    _publish_organization(session, row, by=by, act="organization_created", now_ms=now_ms)
    return row.id


def rename_organization(
    session: Session, organization_id: str, *, name: str, division_code: str, by: By, now_ms: int
) -> None:
    """Give an organisation its official name; the ledger keeps the old one's event.

    Raises:
        NotFound: if there is no such organisation.
    """
    row = session.get(Organization, organization_id)
    if row is None:
        raise NotFound("organization", organization_id)
    row.name, row.division_code = _named(name), division_code
    session.flush()
    _publish_organization(session, row, by=by, act="organization_renamed", now_ms=now_ms)


def create_person(session: Session, name: str) -> str:
    """Create a person and return the id."""
    row = Person(id=str(uuid.uuid4()), name=_named(name))
    session.add(row)
    session.flush()
    return row.id


def create_officer(
    session: Session,
    *,
    organization_id: str,
    person_id: str,
    certificate_no: str,
    issuer: str,
    valid_from: str,
    valid_to: str,
    by: By,
    now_ms: int,
) -> str:
    """Record a person's enforcement certificate, send it to devices, and return the officer id.

    ``valid_from`` and ``valid_to`` are ``YYYY-MM-DD``, both inclusive.
    """
    row = Officer(
        id=str(uuid.uuid4()),
        person_id=person_id,
        organization_id=organization_id,
        certificate_no=certificate_no,
        issuer=issuer,
        valid_from=valid_from,
        valid_to=valid_to,
    )
    session.add(row)
    session.flush()
    body = {
        "id": row.id,
        "name": session.get_one(Person, person_id).name,
        "certificate_no": certificate_no,
        "valid_from": valid_from,
        "valid_to": valid_to,
    }
    _policy(
        session,
        {"organization": organization_id, "person": person_id},
        {"act": "officer_created", **body, "issuer": issuer},
        by=by,
        now_ms=now_ms,
        about=(f"person:{person_id}", f"officer:{row.id}"),
    )
    position = feed.put_document(
        session,
        scope=feed.organization_scope(organization_id),
        kind="officer",
        identifier=row.id,
        body=body,
        now_ms=now_ms,
    )
    due = deadlines.deadline(
        "certificate", {"officer": row.id}, due_at_ms=deadlines.end_of_day_ms(valid_to)
    )
    mine = feed.Put(scope=feed.officer_scope(row.id), kind="deadline", id=due["id"], body=due)
    feed.publish(session, [mine], position=position, now_ms=now_ms)
    scopes.officer_changed(session, row, by=by, now_ms=now_ms)
    return row.id


def withdraw_officer(
    session: Session,
    organization_id: str,
    officer_id: str,
    *,
    reason: str,
    day: str,
    by: By,
    now_ms: int,
) -> None:
    """Let an officer go who has left or lost the certificate, from ``day`` (``YYYY-MM-DD``) on.

    What they did stays as it is, and so does whatever still comes of it.

    Raises:
        NotFound: if there is no such officer in force in the organisation.
        Invalid: without a reason.
    """
    if not reason.strip() or len(reason) > 1000:
        raise Invalid("reason", "between 1 and 1000 characters")
    ledger.lock_head(session)
    row = session.get(Officer, officer_id, populate_existing=True)
    if row is None or row.organization_id != organization_id or row.withdrawn_at_ms is not None:
        raise NotFound("officer", officer_id)
    row.withdrawn_at_ms, row.valid_to = now_ms, min(row.valid_to, day)
    _policy(
        session,
        {"organization": organization_id, "person": row.person_id},
        {"act": "officer_withdrawn", "officer": row.id, "day": day, "reason": reason.strip()},
        by=by,
        now_ms=now_ms,
        about=(f"person:{row.person_id}", f"officer:{row.id}"),
    )
    session.flush()
    feed.remove_document(
        session,
        scope=feed.organization_scope(organization_id),
        kind="officer",
        identifier=row.id,
        now_ms=now_ms,
    )
    scopes.officer_withdrawn(session, row, by=by, now_ms=now_ms)


def create_user(
    session: Session,
    *,
    organization_id: str,
    person_id: str,
    username: str,
    roles: Collection[str],
    by: By,
    now_ms: int,
) -> str:
    """Create an account and return its one-time password, which must be changed at once.

    Raises:
        Invalid: for an unknown role.
        Conflict: if the user name is taken.
    """
    unknown = sorted(set(roles) - set(ROLES))
    if unknown:
        raise Invalid("roles", f"unknown: {', '.join(unknown)}")
    if session.scalars(select(User.id).where(User.username == username)).first() is not None:
        raise Conflict(f"user name {username} is taken")
    password = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
    user = User(
        id=str(uuid.uuid4()),
        person_id=person_id,
        organization_id=organization_id,
        username=username,
        password_hash=hash_password(password),
        must_change_password=True,
    )
    session.add(user)
    session.flush()
    session.add_all(UserRole(user_id=user.id, role=role) for role in set(roles))
    session.flush()
    _policy(
        session,
        {"organization": organization_id, "person": person_id, "user": user.id},
        {"act": "user_created", "username": username, "roles": sorted(set(roles))},
        by=by,
        now_ms=now_ms,
        about=(f"person:{person_id}",),
    )
    return password


def _publish_organization(
    session: Session, row: Organization, *, by: By, act: str, now_ms: int
) -> None:
    body = {"id": row.id, "name": row.name, "division_code": row.division_code}
    _policy(
        session,
        {"organization": row.id},
        {"act": act, "name": row.name, "kind": row.kind, "division_code": row.division_code},
        by=by,
        now_ms=now_ms,
        about=(f"organization:{row.id}",),
    )
    feed.put_document(
        session,
        scope=feed.organization_scope(row.id),
        kind="organization",
        identifier=row.id,
        body=body,
        now_ms=now_ms,
    )


def _policy(
    session: Session,
    subject: Mapping[str, str],
    snapshot: Mapping[str, object],
    *,
    by: By,
    now_ms: int,
    about: tuple[str, ...],
) -> None:
    ledger.append(
        session, "policy", actor=by, subject=subject, snapshot=snapshot, now_ms=now_ms, about=about
    )


def _named(name: str) -> str:
    if not name.strip() or len(name) > 200:
        raise Invalid("name", "between 1 and 200 characters")
    return name.strip()
