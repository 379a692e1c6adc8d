"""The page of one inspection."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.console.strip import inspection_strip
from server.db import reading
from server.operations import witnessing
from server.operations.custody import Shown
from server.operations.export.gate import Defect
from server.operations.export.list_forms import routes
from server.operations.inspection_view import read_inspection
from server.services import services

_NOTHING: Mapping[str, str] = {}


@bp.get("/inspections/<uuid:inspection_id>")
def inspection(inspection_id: object) -> ResponseReturnValue:
    return render_template("inspection.html", **inspection_page(str(inspection_id)))


def inspection_page(
    inspection_id: str,
    *,
    problem: str = "",
    defects: Sequence[Defect] = (),
    typed: Mapping[str, str] = _NOTHING,
) -> dict[str, Any]:
    """What the template shows; the page's leaf is committed when this returns.

    Args:
        problem: the field of the form for packages that was filled in wrongly.
        defects: why no package was made.
        typed: what that form held.
    """
    with reading() as db_session:
        page = read_inspection(db_session, session.current_actor(), inspection_id)
        seen = witnessing.seen_lines(db_session, services().settings.witness_policy, inspection_id)
    session.leave_leaf(
        Shown(page="inspection", items=[item.id for item in page.items], inspections=[page.id])
    )
    return {
        "page": page,
        "strip": inspection_strip(page, seen),
        "problem": problem,
        "defects": defects,
        "typed": typed,
        "routes": routes(),
        "ledger_key": services().ledger_signer.verifier_key,
    }
