"""Whether something was erased by law, and on what basis (``server.operations.erasure``)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, literal, or_, select
from sqlalchemy.orm import Session, aliased

from server.failures import ErasureUnderWay
from server.models.erasure import ErasedItem, ErasureObject, ErasureOrder
from server.models.handover import PackageReceipt
from server.models.inspections import Derivative, EvidenceItem
from server.models.redaction import Redaction
from server.models.uploads import MediaObject

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


def is_here(session: Session, item: EvidenceItem) -> bool:
    """Whether the item's bytes are still here for it: work on them may end after an erasure."""
    stored = select(literal(1)).where(
        MediaObject.sha256 == item.sha256, MediaObject.status == "stored", ~is_erased(item.id)
    )
    return session.scalar(stored) is not None


def erase_too(session: Session, sha256: str, objects: Iterable[tuple[str, int]]) -> None:
    """Have objects (key and size) go that were made of bytes after these had been erased.

    The order that erased the bytes goes on until the store has none of them.
    """
    order = session.scalars(
        select(ErasureOrder)
        .join(ErasedItem, ErasedItem.order_id == ErasureOrder.id)
        .where(ErasedItem.sha256 == sha256)
        .order_by(ErasureOrder.erased_at_ms.desc())
        .limit(1)
    ).one_or_none()
    if order is None:
        return
    for key, size in objects:
        made = (select(model.sha256).where(model.key == key) for model in (Derivative, Redaction))
        if any(session.scalars(query.limit(1)).first() for query in made):
            continue
        row = session.get(ErasureObject, (order.id, key))
        if row is None:
            session.add(ErasureObject(order_id=order.id, key=key, size=size, state="pending"))
        else:
            row.state, row.code = "pending", ""
        order.state, order.done_at_ms = "erasing", None
    session.flush()


def is_named(key: Any) -> ColumnElement[bool]:
    """Whether a row keeps something under that key of the store, a column or a value."""
    kept = (MediaObject, Derivative, Redaction, PackageReceipt)
    return or_(*(select(literal(1)).where(model.key == key).exists() for model in kept))


def is_going(session: Session, key: str) -> bool:
    """Whether the object of that key is just being erased: nothing may be kept under it now."""
    going = select(ErasureObject.key).where(
        ErasureObject.key == key,
        ErasureObject.state == "pending",
        ErasureObject.code == ErasureUnderWay.code,
    )
    return session.scalars(going.limit(1)).first() is not None


def _mark(order: ErasureOrder) -> Mark:
    return Mark(
        order_id=order.id,
        law=order.law,
        basis=order.basis,
        erased_at_ms=order.erased_at_ms or 0,
        done=order.state == "done",
    )
