"""The evidence chain of one item, and the reviewer's word on it."""

from http import HTTPStatus

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.console.strip import item_strip
from server.console.timeline import draw_timeline
from server.db import reading, transaction
from server.failures import Invalid
from server.operations import redactions, review, witnessing
from server.operations.custody import Shown
from server.operations.evidence_view import owned_item, read_evidence
from server.operations.pairs import partners_of
from server.operations.review import VERDICTS, Word
from server.services import services
from sync.evidence.note import VerifierKey


@bp.get("/items/<uuid:item_id>")
def item(item_id: object) -> ResponseReturnValue:
    return _page(str(item_id))


@bp.post("/items/<uuid:item_id>/judgements")
def judge(item_id: object) -> ResponseReturnValue:
    word = Word(
        verdict=request.form.get("verdict", ""),
        reason=request.form.get("reason", ""),
        seen=_count(request.form.get("seen", "")),
    )
    try:
        with transaction() as db_session:
            review.judge(
                db_session,
                session.current_actor(),
                str(item_id),
                word,
                now_ms=services().now_ms(),
            )
    except Invalid as error:
        page = _page(str(item_id), word=word, problem=error.field)
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    answer: Response = redirect(  # type: ignore[assignment]  # Flask's redirect is a Response
        url_for("console.item", item_id=item_id, _anchor="review"), HTTPStatus.SEE_OTHER
    )
    return answer


def _page(item_id: str, *, word: Word | None = None, problem: str = "") -> str:
    """Leave the leaf first, so that the custody log of this very page shows it."""
    actor = session.current_actor()
    with reading() as db_session:
        found = owned_item(db_session, actor, item_id)
        case = [found.inspection_id] if found.inspection_id else []
        partners = partners_of(db_session, found)
    if partners:
        # A leaf of their own: of them only the thumbnails are shown, not the originals.
        cases = {one.inspection_id for one in partners.values() if one.inspection_id}
        session.leave_leaf(Shown(page="pair", items=list(partners), inspections=list(cases)))
    session.leave_leaf(Shown(page="item", items=[item_id], inspections=case))
    signer = services().ledger_signer
    with reading() as db_session:
        page = read_evidence(
            db_session, actor, item_id, key=VerifierKey(signer.name, signer.public_key)
        )
        place = page.line.ledger
        witnessed = witnessing.seen_at(
            db_session,
            services().settings.witness_policy,
            generation=place.generation,
            index=place.index,
        )
        copies = redactions.copies_of(db_session, item_id)
        can_redact = redactions.picture_shape(db_session, found) is not None
    return render_template(
        "item.html",
        page=page,
        witnessed=witnessed,
        partners=partners,
        redactions=copies,
        can_redact=can_redact,
        strip=item_strip(page),
        timeline=draw_timeline(page.times, page.line.interval),
        verdicts=VERDICTS,
        word_given=word,
        problem=problem,
    )


def _count(text: str) -> int:
    """The number of judgements that the form's page showed; -1 fits no item."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
