"""The desk (工作台): the organisation's inspections, searched and paged."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.db import reading
from server.operations import desk as operations
from server.operations.custody import Shown


@bp.get("/")
def desk() -> ResponseReturnValue:
    query, after = request.args.get("q", ""), request.args.get("after", "")
    with reading() as db_session:
        page = operations.read_desk(db_session, session.current_actor(), query=query, after=after)
    session.leave_leaf(
        Shown(page="desk", inspections=[row.id for row in page.rows], query=query.strip())
    )
    return render_template("desk.html", page=page, query=query, after=after)
