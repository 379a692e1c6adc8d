"""The sheet to sign (签名页), as a page to print and as PDF."""

from flask import Response

from server.console import session
from server.console.blueprint import bp
from server.db import reading
from server.operations.custody import Shown
from server.operations.export import paper
from server.operations.sheet_page import sheet_of
from server.services import services
from sync import sheet

#: The page is one file that holds its own style and pictures, as devices write it.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@bp.get("/inspections/<uuid:inspection_id>/sheet")
def signed_sheet(inspection_id: object) -> Response:
    """The record with the heads of its journals, for the party to sign."""
    answer = Response(_page(str(inspection_id)), mimetype="text/html")
    answer.headers["Content-Security-Policy"] = _POLICY
    return answer


@bp.get("/inspections/<uuid:inspection_id>/sheet.pdf")
def signed_sheet_pdf(inspection_id: object) -> Response:
    """The same page as PDF/A."""
    page = _page(str(inspection_id)).encode("utf-8")
    # It has no part that is repeated by the hundred: one file holds it.
    (pdf,) = paper.render([page], at_ms=services().now_ms())
    return Response(pdf, mimetype="application/pdf")


def _page(inspection_id: str) -> str:
    with reading() as db_session:
        shown = sheet_of(
            db_session, session.current_actor(), inspection_id, now_ms=services().now_ms()
        )
    session.leave_leaf(Shown(page="signed_sheet", inspections=[inspection_id]), always=True)
    return sheet.page(shown)
