"""Carrying an approved order out: rows first, then objects, then the word that it is done.

The rows go in one transaction, which writes down every object that must follow.
Whoever is killed between two steps finds the rest written down: each step can
be done again, and nothing is called gone before the store has it no more.
"""

import json
import logging
from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.store import (
    PACKAGE_PREFIX,
    DeletionRefused,
    ObjectLocked,
    Store,
    StoreUnavailable,
)
from server.db import db, reading, transaction
from server.failures import ErasureUnderWay, ServerError
from server.models.base import position_of
from server.models.erasure import ErasureObject, ErasureOrder
from server.models.inspections import (
    Document,
    EvidenceItem,
    EvidencePackage,
    Inspection,
    RecordRevision,
)
from server.models.uploads import Upload
from server.operations import dossiers, ledger, visit_documents
from server.operations.erased import is_named
from server.operations.erasure.holds import held_inspections
from server.operations.erasure.listing import INSPECTION, items_of, living_elsewhere, pages_of
from server.operations.erasure.ordering import note_order, unit_of
from server.operations.erasure.rows import (
    Reaper,
    announced_in_quarantine,
    erase_events,
    erase_files,
    erase_item_words,
    erase_lines,
    erase_packages,
    erase_writings,
)
from server.operations.erasure.terms import Terms
from server.operations.feed.documents import Put, inspection_scope, publish
from server.operations.feed.revisions import REVISION
from server.services import Services

_log = logging.getLogger(__name__)

_SERVER = {"server": "erasure"}
#: How many items one event names: the largest order needs several.
_NAMED = 500
#: Objects between two commits; a kill has so many asked for again, which changes nothing.
_BATCH = 50
#: A locked object is asked for again after so long.
_AGAIN_MS = 3_600_000

ON_HOLD, BEING_PACKED, BEING_SENT = "erasure.on_hold", "package.not_ready", "upload.busy"


def erase_waiting(services: Services) -> None:
    """Carry out every order that was approved, as far as it goes now."""
    with reading() as session:
        waiting = session.scalars(
            select(ErasureOrder.id)
            .where(ErasureOrder.state.in_(("approved", "erasing")))
            .order_by(ErasureOrder.decided_at_ms, ErasureOrder.id)
        ).all()
    for order_id in waiting:
        try:
            carry_out(services, order_id)
        except StoreUnavailable as error:
            _log.warning("erasure_postponed order=%s reason=%s", order_id, error)
        # Whatever is wrong with one order holds up no other; its page says what it waits for.
        except Exception as error:
            code = error.code if isinstance(error, MediaError | ServerError) else ""
            _log.warning("erasure_failed order=%s code=%s", order_id, code, exc_info=not code)
            with transaction() as session:
                session.get_one(ErasureOrder, order_id).waits = code or ServerError.code


def carry_out(services: Services, order_id: str) -> str:
    """Carry one order out as far as it goes now; returns its state.

    Raises:
        StoreUnavailable: if the store does not answer; what went before is written down.
    """
    with transaction() as session:
        erased = _erase_rows(session, order_id, services)
    _erase_objects(services, order_id)
    with transaction() as session:
        state = _settle(session, order_id, now_ms=services.now_ms())
    # Whoever was killed after the rows went still comes by here when all is done.
    if erased or state == "done":
        _forget_pages()
    return state


def _erase_rows(session: Session, order_id: str, services: Services) -> bool:
    """Erase all that the database holds; False if that was done, or something stands in the way."""
    now_ms = services.now_ms()
    ledger.lock_head(session)
    order = session.get_one(ErasureOrder, order_id, populate_existing=True)
    if order.state != "approved":
        return False
    inspection = session.get_one(Inspection, order.inspection_id)
    terms = Terms.of(services.settings)
    # What became due since it was asked for was not on the list that was approved.
    listed = {one["item"] for one in _listed(order)}
    items = [
        item
        for item in items_of(session, inspection.id, unit_of(order), terms, now_ms=now_ms)
        if item.id in listed or order.unit == INSPECTION
    ]
    named = {item.sha256 for item in items}
    if order.unit == INSPECTION:
        named |= announced_in_quarantine(session, inspection.id)
    order.waits = _obstacle(session, inspection.id, named)
    if order.waits:
        return False
    gone = named - living_elsewhere(session, named, {item.id for item in items})
    reaper = Reaper(session, order, now_ms)
    erase_files(reaper, items, gone)
    if items or order.unit == INSPECTION:
        erase_packages(reaper, inspection.id, words=order.unit == INSPECTION)
    lines = ""
    documents: list[Put] = []
    if order.unit == INSPECTION:
        documents = _tombstones(session, inspection.id)
        lines = erase_lines(reaper, inspection.id)
        erase_writings(reaper, inspection)
        erase_item_words(session, items)
        erase_events(
            reaper, [f"inspection:{inspection.id}", *(f"item:{item.id}" for item in items)]
        )
    order.state, order.erased_at_ms = "erasing", now_ms
    session.flush()
    index = _note_erased(session, order, items, reaper, lines=lines, now_ms=now_ms)
    position = position_of(ledger.current_generation(session).number, index)
    if order.unit == INSPECTION:
        publish(session, documents, position=position, now_ms=now_ms)
        if inspection.entity_id is not None:
            dossiers.publish_dossier(
                session, inspection.entity_id, position=position, now_ms=now_ms
            )
    else:
        visit_documents.items_changed(session, items, position=position, now_ms=now_ms)
    return True


def _listed(order: ErasureOrder) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(order.listed)["items"]
    return found


def _obstacle(session: Session, inspection_id: str, digests: set[str]) -> str:
    """The code of what must end before anything may be erased; empty if nothing must."""
    if held_inspections(session, [inspection_id]):
        return ON_HOLD
    packing = select(EvidencePackage.id).where(
        EvidencePackage.inspection_id == inspection_id,
        EvidencePackage.state.in_(("queued", "building")),
    )
    if session.scalars(packing.limit(1)).first() is not None:
        return BEING_PACKED
    for page in pages_of(sorted(digests)):
        sending = select(Upload.id).where(
            Upload.sha256.in_(page), Upload.status.in_(("open", "committing"))
        )
        if session.scalars(sending.limit(1)).first() is not None:
            return BEING_SENT
    return ""


def _tombstones(session: Session, inspection_id: str) -> list[Put]:
    """What takes the place of all that devices were sent of the inspection."""
    scope = inspection_scope(inspection_id)
    sent = session.execute(select(Document.kind, Document.id).where(Document.scope == scope))
    revisions = session.scalars(
        select(RecordRevision.line_digest).where(RecordRevision.inspection_id == inspection_id)
    )
    return [
        *(Put(scope=scope, kind=kind, id=identifier, body=None) for kind, identifier in sent),
        *(Put(scope=scope, kind=REVISION, id=digest, body=None) for digest in revisions),
    ]


def _note_erased(
    session: Session,
    order: ErasureOrder,
    items: Sequence[EvidenceItem],
    reaper: Reaper,
    *,
    lines: str,
    now_ms: int,
) -> int:
    """Say on the ledger what went, by digests; returns the index of the last event."""
    objects, size = session.execute(
        select(func.count(), func.coalesce(func.sum(ErasureObject.size), 0)).where(
            ErasureObject.order_id == order.id
        )
    ).one()
    pages = list(pages_of(list(items))) or [[]]
    index = 0
    for number, page in enumerate(pages, start=1):
        index = note_order(
            session,
            order,
            "erased",
            actor=_SERVER,
            snapshot={
                "unit": order.unit,
                "law": order.law,
                "basis": order.basis,
                "page": number,
                "pages": len(pages),
                "items": [
                    {
                        "item": item.id,
                        "sha256": item.sha256,
                        "size": item.size,
                        "line": item.line_digest,
                    }
                    for item in page
                ],
                "lines": reaper.counts.get("lines", 0),
                "lines_sha256": lines,
                "events": reaper.counts.get("ledger_event", 0),
                "objects": int(objects),
                "bytes": int(size),
            },
            now_ms=now_ms,
            about=tuple(f"item:{item.id}" for item in page),
        )
    return index


def _erase_objects(services: Services, order_id: str) -> None:
    """Have the store give up what is written down and not gone."""
    tried: set[str] = set()
    while True:
        now_ms = services.now_ms()
        with transaction() as session:
            keys = _claim(session, order_id, tried, now_ms=now_ms)
        if not keys:
            return
        # What the store was not asked for, since it went away, can be used again.
        outcomes: dict[str, str | None] = dict.fromkeys(keys)
        try:
            for key in keys:
                outcomes[key] = _erase_object(services.store, key)
        finally:
            tried |= outcomes.keys()
            with transaction() as session:
                _note_outcomes(session, order_id, outcomes, now_ms=now_ms)


def _claim(session: Session, order_id: str, tried: set[str], *, now_ms: int) -> Sequence[str]:
    """The keys of the next objects, marked as just being erased: no upload makes them meanwhile.

    Bytes that came again since for somebody else are not this order's any more.
    """
    ledger.hold_head(session)
    if _is_held(session, order_id):
        return ()
    pending = (ErasureObject.order_id == order_id) & (ErasureObject.state == "pending")
    session.execute(delete(ErasureObject).where(pending, is_named(ErasureObject.key)))
    keys = session.scalars(
        select(ErasureObject.key)
        .where(
            pending,
            ErasureObject.code.in_(("", ErasureUnderWay.code))
            | (func.coalesce(ErasureObject.tried_at_ms, 0) <= now_ms - _AGAIN_MS),
            ErasureObject.key.not_in(tried),
        )
        .order_by(ErasureObject.key)
        .limit(_BATCH)
    ).all()
    session.execute(
        update(ErasureObject)
        .where(pending, ErasureObject.key.in_(keys))
        .values(code=ErasureUnderWay.code)
    )
    return keys


def _is_held(session: Session, order_id: str) -> bool:
    """Whether a hold that came after the rows went keeps what the store still has."""
    order = session.get_one(ErasureOrder, order_id)
    return bool(held_inspections(session, [order.inspection_id]))


def _erase_object(store: Store, key: str) -> str:
    """Erase one object; returns why the store keeps it, or nothing once it is gone."""
    try:
        store.erase(key)
        if key.startswith(PACKAGE_PREFIX):
            # What lies beside a package, such as its signature.
            for beside in list(store.list(key)):
                store.erase(beside.key)
    except (ObjectLocked, DeletionRefused) as error:
        return error.code
    return ""


def _note_outcomes(
    session: Session, order_id: str, outcomes: dict[str, str | None], *, now_ms: int
) -> None:
    """Write down why the store keeps an object, or that it is gone; None if it was not asked."""
    for key, code in outcomes.items():
        row = session.get_one(ErasureObject, (order_id, key))
        row.code = code or ""
        if code is not None:
            row.tried_at_ms = now_ms
        if code == "":
            row.state = "gone"


def _settle(session: Session, order_id: str, *, now_ms: int) -> str:
    """Say that it is done once nothing is left; otherwise what it waits for."""
    ledger.lock_head(session)
    order = session.get_one(ErasureOrder, order_id, populate_existing=True)
    if order.state != "erasing":
        return order.state
    left = session.scalars(
        select(ErasureObject.code)
        .where(ErasureObject.order_id == order.id, ErasureObject.state == "pending")
        .order_by(ErasureObject.code.desc())
    ).all()
    order.waits = ON_HOLD if left and _is_held(session, order_id) else left[0] if left else ""
    if left:
        return order.state
    order.state, order.done_at_ms = "done", now_ms
    session.flush()
    objects = session.scalar(
        select(func.count()).select_from(ErasureObject).where(ErasureObject.order_id == order.id)
    )
    note_order(
        session,
        order,
        "done",
        actor=_SERVER,
        snapshot={"law": order.law, "objects": objects or 0},
        now_ms=now_ms,
    )
    return order.state


def _forget_pages() -> None:
    """Let SQLite's write-ahead log go: it holds the pages as they were before."""
    if db.engine.dialect.name != "sqlite":
        return
    with db.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
