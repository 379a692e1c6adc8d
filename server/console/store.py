"""The store: what the last runs over it found, what changed, what has not come, how much room."""

from flask import current_app, g, render_template

from media.store import StoreUnavailable
from server.console import session
from server.console.blueprint import bp
from server.db import reading
from server.operations import ledger_audit, stamps, witnessing
from server.operations.custody import Shown
from server.operations.room import gauge_of
from server.operations.storekeeping import read_store, sentence, summary
from server.services import Services, services
from sync import catalogue


@bp.get("/store")
def store() -> str:
    parts = services()
    with reading() as db_session:
        view = read_store(db_session, session.current_actor())
        audit = ledger_audit.read_audit(db_session)
        policy = parts.settings.witness_policy
        exposure = witnessing.exposure(db_session, policy) if policy else None
        room = gauge_of(current_app, parts.settings).room(db_session, parts.now_ms())
        stamped = stamps.standing(db_session, parts.settings)
    session.leave_leaf(Shown(page="store", items=sorted(view.shown_items)))
    return render_template(
        "store.html",
        view=view,
        audit=audit,
        audit_summary=ledger_audit.summary,
        audit_sentence=ledger_audit.sentence,
        room=room,
        exposure=exposure,
        stamps=stamped,
        lock=parts.settings.object_lock_mode,
        lock_days=parts.settings.object_lock_days,
        lacks=_lacks(parts),
        hours=parts.settings.recording_hours,
        summary=summary,
        sentence=sentence,
    )


def _lacks(parts: Services) -> dict[str, str] | None:
    """What the store cannot do, by name, in sentences; None while it does not answer."""
    try:
        lacks = parts.store.traits().lacks(locking=parts.settings.object_lock_mode != "off")
    except StoreUnavailable:
        return None
    return {name: catalogue.text(f"store.lacks.{name}", g.lang) for name in lacks}
