"""A plainly fictitious bureau: its people, one regulated entity, one approved task, one form."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.models.people import Organization, User
from server.operations import directory, ledger, people
from server.operations.directory import NewEntity, NewTask

ORGANIZATION = "示范区生态环境分局"
DIVISION_CODE = "000000"
FORM = "site_inspection_record"
#: A point at sea, so that no real place is accused of anything. WGS-84, 1e-7 degrees.
LAT_E7, LON_E7 = 295_000_000, 1_235_000_000
RADIUS_CM = 30_000

_BY = {"server": "demonstration"}
_DAY_MS = 86_400_000
_PEOPLE = (
    ("inspector-a", "示例检查员甲", ("officer",)),
    ("inspector-b", "示例检查员乙", ("officer",)),
    ("reviewer", "示例审核员丙", ("reviewer",)),
    ("leader", "示例负责人丁", ("leader",)),
    ("administrator", "示例内勤戊", ("administrator",)),
    ("supervisor", "示例监督员己", ("supervisor",)),
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """A person of the bureau and how they log in at the console."""

    username: str
    password: str
    name: str
    roles: tuple[str, ...]
    user_id: str
    person_id: str


@dataclass(frozen=True, kw_only=True)
class Bureau:
    """Everything that the patrol needs to know."""

    organization_id: str
    accounts: Mapping[str, Account]
    officers: tuple[str, str]
    entity_id: str
    task_id: str


def found_bureau(session: Session, *, now_ms: int) -> Bureau:
    """Turn the empty installation's first organisation into the fictitious bureau."""
    organization_id = session.execute(select(Organization.id)).scalar_one()
    people.rename_organization(
        session,
        organization_id,
        name=ORGANIZATION,
        division_code=DIVISION_CODE,
        by=_BY,
        now_ms=now_ms,
    )
    _close_first_account(session, now_ms=now_ms)
    accounts = {
        username: _account(session, organization_id, username, name, roles, now_ms=now_ms)
        for username, name, roles in _PEOPLE
    }
    officers = (
        _officer(session, organization_id, accounts["inspector-a"], number=1, now_ms=now_ms),
        _officer(session, organization_id, accounts["inspector-b"], number=2, now_ms=now_ms),
    )
    entity_id = _entity(session, organization_id, now_ms=now_ms)
    task_id = _task(
        session, organization_id, entity_id, officers, accounts["leader"], now_ms=now_ms
    )
    return Bureau(
        organization_id=organization_id,
        accounts=accounts,
        officers=officers,
        entity_id=entity_id,
        task_id=task_id,
    )


def _close_first_account(session: Session, *, now_ms: int) -> None:
    """Nobody needs the one-time login any more: the demonstration has its own administrator."""
    ledger.append(
        session,
        "policy",
        actor=_BY,
        subject={"username": people.FIRST_USERNAME},
        snapshot={"act": "user_disabled"},
        now_ms=now_ms,
    )
    session.execute(
        update(User).where(User.username == people.FIRST_USERNAME).values(disabled=True)
    )


def _account(
    session: Session,
    organization_id: str,
    username: str,
    name: str,
    roles: tuple[str, ...],
    *,
    now_ms: int,
) -> Account:
    person_id = people.create_person(session, name)
    password = people.create_user(
        session,
        organization_id=organization_id,
        person_id=person_id,
        username=username,
        roles=roles,
        by=_BY,
        now_ms=now_ms,
    )
    # A demonstration is not to begin with six changes of password.
    user = session.execute(select(User).where(User.username == username)).scalar_one()
    user.must_change_password = False
    return Account(
        username=username,
        password=password,
        name=name,
        roles=roles,
        user_id=user.id,
        person_id=person_id,
    )


def _officer(
    session: Session, organization_id: str, account: Account, *, number: int, now_ms: int
) -> str:
    return people.create_officer(
        session,
        organization_id=organization_id,
        person_id=account.person_id,
        certificate_no=f"示例-{number:04d}",
        issuer="示例发证机关",
        valid_from="2024-01-01",
        valid_to="2099-12-31",
        by=_BY,
        now_ms=now_ms,
    )


def _entity(session: Session, organization_id: str, *, now_ms: int) -> str:
    return directory.create_entity(
        session,
        organization_id,
        NewEntity(
            name="示例化工有限公司",
            # The check character is right (GB 32100); the rest is plainly made up.
            uscc="91000000DEM0000006",
            address="示范区演示路 1 号",
            lat_e7=LAT_E7,
            lon_e7=LON_E7,
            radius_cm=RADIUS_CM,
        ),
        now_ms=now_ms,
    )


def _task(
    session: Session,
    organization_id: str,
    entity_id: str,
    officers: tuple[str, str],
    leader: Account,
    *,
    now_ms: int,
) -> str:
    return directory.create_task(
        session,
        organization_id,
        NewTask(
            title="示例化工有限公司日常检查（演示）",
            source="plan",
            kind="daily",
            launch_mode="routine",
            entity_id=entity_id,
            officers=officers,
            due_at_ms=now_ms + 7 * _DAY_MS,
        ),
        approved_by=leader.person_id,
        approver={"person": leader.person_id, "user": leader.user_id, "name": leader.name},
        now_ms=now_ms,
    )
