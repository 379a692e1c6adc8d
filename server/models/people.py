"""Organisations, persons, officers and console users.

Users and officers share ``person_id``: the separations of duty are between
persons, not accounts (docs/operations.md §9).
"""

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Millis, Name, Uuid

ROLES = ("officer", "reviewer", "leader", "administrator", "supervisor")


class Organization(Base):
    """A law-enforcement authority (执法机关) or a unit of one."""

    __tablename__ = "organization"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    name: Mapped[Name]
    kind: Mapped[str] = mapped_column(String(32))
    division_code: Mapped[str] = mapped_column(String(12))


class Person(Base):
    """A human being, whatever accounts or certificates they hold."""

    __tablename__ = "person"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    name: Mapped[Name]


class Officer(Base):
    """A person with an enforcement certificate (执法证) of one organisation.

    ``valid_from`` and ``valid_to`` are dates, ``YYYY-MM-DD``, both inclusive. One
    who is withdrawn has left or lost the certificate: the row stays for what they did.
    """

    __tablename__ = "officer"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    person_id: Mapped[Uuid] = mapped_column(ForeignKey("person.id"))
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"), index=True)
    certificate_no: Mapped[Name]
    issuer: Mapped[Name]
    valid_from: Mapped[str] = mapped_column(String(10))
    valid_to: Mapped[str] = mapped_column(String(10))
    withdrawn_at_ms: Mapped[Millis | None]


class User(Base):
    """An account of the console."""

    __tablename__ = "user_account"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    person_id: Mapped[Uuid] = mapped_column(ForeignKey("person.id"))
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"))
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    must_change_password: Mapped[bool]
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until_ms: Mapped[Millis] = mapped_column(default=0)
    disabled: Mapped[bool] = mapped_column(default=False)


class UserRole(Base):
    """One role of one user; a user may hold several."""

    __tablename__ = "user_role"
    __table_args__ = (CheckConstraint(f"role IN {ROLES}", name="role_known"),)

    user_id: Mapped[Uuid] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(32), primary_key=True)


class ConsoleSession(Base):
    """A login; the cookie holds a token of which only the SHA-256 is kept."""

    __tablename__ = "console_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[Uuid] = mapped_column(ForeignKey("user_account.id"), index=True)
    opened_at_ms: Mapped[Millis]
    expires_at_ms: Mapped[Millis]
    ended_at_ms: Mapped[Millis | None]
