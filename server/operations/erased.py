"""Whether something was erased by law, and on what basis (``server.operations.erasure``)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, literal, select
from sqlalchemy.orm import Session, aliased

from server.models.erasure import ErasedItem, ErasureOrder
from server.models.inspections import EvidenceItem

#: The state of an inspection whose text was erased.
ERASED = "erased"
#: Orders whose text and rows are gone; of the second all bytes, too.
GONE = ("erasing", "done")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The lawful basis on which something is not here; ``done`` once its last byte is gone."""

    order_id: str
    law: str
    basis: str
    erased_at_ms: int
    done: bool


def text_mark(session: Session, inspection_id: str) -> Mark | None:
    """Why an inspection has no text any more; None if it has."""
    order = session.scalars(
        select(ErasureOrder)
        .where(
            ErasureOrder.inspection_id == inspection_id,
            ErasureOrder.unit == "inspection",
            ErasureOrder.state.in_(GONE),
        )
        .order_by(ErasureOrder.erased_at_ms)
        .limit(1)
    ).one_or_none()
    return None if order is None else _mark(order)


def marks_of_items(session: Session, items: Iterable[str]) -> dict[str, Mark]:
    """Those of ``items`` whose bytes were erased."""
    wanted, found = list(items), {}
    for start in range(0, len(wanted), 500):
        rows = session.execute(
            select(ErasedItem.item_id, ErasureOrder)
            .join(ErasureOrder, ErasureOrder.id == ErasedItem.order_id)
            .where(ErasedItem.item_id.in_(wanted[start : start + 500]))
        )
        found.update({item_id: _mark(order) for item_id, order in rows})
    return found


def is_erased(item_id: Any) -> ColumnElement[bool]:
    """Whether the bytes of that item, a column or a value, were erased."""
    return select(literal(1)).where(ErasedItem.item_id == item_id).exists()


def all_erased(sha256: Any, organization_id: str) -> ColumnElement[bool]:
    """Whether the organisation announced these bytes, and each of its items of them is erased."""
    item = aliased(EvidenceItem)
    own = select(literal(1)).where(item.sha256 == sha256, item.organization_id == organization_id)
    return own.exists() & ~own.where(~is_erased(item.id)).exists()


def _mark(order: ErasureOrder) -> Mark:
    return Mark(
        order_id=order.id,
        law=order.law,
        basis=order.basis,
        erased_at_ms=order.erased_at_ms or 0,
        done=order.state == "done",
    )
