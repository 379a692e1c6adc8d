"""An act in its place, as the rules of the projection see it, and finding stored acts again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.journal import JournalLine, JournalPart, same_line
from sync.evidence import canonical
from sync.evidence.line import Header, parse_header
from sync.wire import Projection

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MAX_NAME = 200


class NotShown(Exception):
    """Why a line is quarantined; ``code`` is a reason of the catalogue.

    ``inspection_id`` is the inspection that it touches, where the act names none itself.
    """

    def __init__(self, code: str, inspection_id: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.inspection_id = inspection_id


@dataclass(frozen=True)
class Outcome:
    """What became of one line on the screens."""

    projection: Projection
    code: str = ""
    inspection_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Act:
    """An act in its place: all that a rule may look at."""

    header: Header
    digest: str
    branch: str
    #: Its place in the ledger (``server.models.base.position_of``).
    position: int
    body: dict[str, Any]
    #: The canonical bytes of the line's further parts, by number.
    parts: Mapping[int, bytes] = field(default_factory=dict)
    #: Whether a reviewer lets the line through in spite of what keeps it back.
    released: bool = False
    #: Whether a reviewer has looked at the frame that the line was read from.
    seen: bool = False

    def text(self, name: str, limit: int = _MAX_NAME) -> str:
        """A text for the screens; the signed line keeps it whole."""
        value = self.body.get(name, "")
        # PostgreSQL takes no U+0000: it would cost the whole push, so it is shown as U+FFFD.
        return value[:limit].replace("\0", "\ufffd") if isinstance(value, str) else ""

    def uuid(self, name: str) -> str:
        value = self.body[name]
        if not is_uuid(value):
            raise NotShown("projection.malformed_act")
        return str(value)


def is_uuid(value: object) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def header_of(row: JournalLine) -> Header:
    """The header of a stored line."""
    return parse_header(row.header)


def act_of_digest(session: Session, digest: str) -> dict[str, Any] | None:
    """The act of the stored line ``digest``; None if it was lawfully erased."""
    body = session.execute(
        select(JournalPart.body)
        .join(
            JournalLine,
            same_line(JournalLine, JournalPart),
        )
        .where(JournalLine.digest == digest, JournalPart.number == 0)
    ).scalar_one_or_none()
    return None if body is None else canonical.loads(body)


def within(value: object, limit: int) -> int | None:
    """``value`` if it is an integer of at most ``limit`` in size; a claim beyond it is absent."""
    return value if type(value) is int and abs(value) <= limit else None
