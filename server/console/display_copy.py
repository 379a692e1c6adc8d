"""An item's picture for screen and paper, with a band that says what it shows."""

from flask import Response

from server.console import session
from server.console.blueprint import bp
from server.console.media import disposition
from server.db import reading
from server.operations import display_copies
from server.operations.custody import Shown
from server.operations.evidence_view import owned_item, read_evidence
from server.services import services
from sync.evidence.note import VerifierKey


@bp.get("/items/<uuid:item_id>/copy")
def display_copy(item_id: object) -> Response:
    """A JPEG made anew each time; each one that leaves has a leaf of its own."""
    actor, lang = session.current_actor(), session.language()
    signer = services().ledger_signer
    with reading() as db_session:
        item = owned_item(db_session, actor, str(item_id))
        key = display_copies.read_source(db_session, item)
        case = [item.inspection_id] if item.inspection_id else []
        page = read_evidence(
            db_session, actor, item.id, key=VerifierKey(signer.name, signer.public_key)
        )
        lines = display_copies.band_lines(page, display_copies.officers_of(db_session, item), lang)
    session.leave_leaf(
        Shown(page="copy", items=[page.id], inspections=case, digests=[page.sha256]), always=True
    )
    answer = Response(display_copies.draw(services(), key, lines).jpeg, mimetype="image/jpeg")
    answer.headers["Content-Disposition"] = disposition(
        "inline", f"copy-{page.sha256[:16]}.jpg", ""
    )
    return answer
