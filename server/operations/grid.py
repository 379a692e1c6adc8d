"""Cells of the grid management (网格), sent to every device of the bureau."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.inspections import GridCell
from server.operations import feed
from sync.evidence import canonical


@dataclass(frozen=True, kw_only=True)
class NewCell:
    """A cell; ``boundary`` is a ring of (longitude, latitude) in 1e-7 degrees, WGS-84."""

    code: str
    name: str
    boundary: Sequence[tuple[int, int]]


def enter_cell(session: Session, organization_id: str, new: NewCell, *, now_ms: int) -> str:
    """Record a cell, or what changed of the one with its code; send it, return its id."""
    ring = [list(corner) for corner in new.boundary]
    row = cell_of_code(session, organization_id, new.code)
    if row is None:
        row = GridCell(id=str(uuid.uuid4()), organization_id=organization_id, code=new.code)
        session.add(row)
    row.name, row.boundary = new.name, canonical.dumps(ring).decode()
    session.flush()
    feed.put_document(
        session,
        scope=feed.organization_scope(organization_id),
        kind="grid_cell",
        identifier=row.id,
        body={"id": row.id, "code": new.code, "name": new.name, "boundary": ring},
        now_ms=now_ms,
    )
    return row.id


def cell_of_code(session: Session, organization_id: str, code: str) -> GridCell | None:
    """The organisation's cell of that code."""
    return session.scalars(
        select(GridCell).where(GridCell.organization_id == organization_id, GridCell.code == code)
    ).one_or_none()
