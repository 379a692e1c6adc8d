"""The ledger as static tiles under /ledger, as anybody's tools read it (C2SP tlog-tiles).

Each generation is a log of its own with a prefix of its own, ``/ledger/<number>/``, where
nothing ever changes but the checkpoint. ``/ledger/`` itself is the present one, so that
what is read there must not be kept for long: after a restore it is another log.
"""

from http import HTTPStatus

from flask import Blueprint, Response, request

from server.api.auth import require_device
from server.db import reading
from server.operations import tiles
from server.services import services

bp = Blueprint("tlog", __name__, url_prefix="/ledger")

_FOR_GOOD = "max-age=31536000, immutable"
_A_MINUTE = "max-age=60"
_SECONDS = "max-age=2"


@bp.before_request
def admit() -> None:
    """Everybody where the bureau publishes its ledger, else devices alone."""
    if not services().settings.ledger_public:
        require_device(lambda: None)()


@bp.get("/checkpoint", defaults={"number": None})
@bp.get("/<int:number>/checkpoint")
def checkpoint(number: int | None) -> Response:
    """The newest checkpoint of a generation, with its cosignatures."""
    with reading() as session:
        note = tiles.note_of(session, tiles.checkpoint_of(session, number))
    return _answer(note.encode(), "text/plain; charset=utf-8", _SECONDS)


@bp.get("/tile/<path:path>", defaults={"number": None})
@bp.get("/<int:number>/tile/<path:path>")
def tile(number: int | None, path: str) -> Response:
    """A tile of hashes, or a bundle of entries."""
    named = tiles.parse_tile(path)
    with reading() as session:
        data = tiles.read_tile(session, number, named)
    lasting = _A_MINUTE if number is None else _FOR_GOOD
    return _answer(data, "application/octet-stream", lasting)


def _answer(data: bytes, content_type: str, lasting: str) -> Response:
    answer = Response(data, status=HTTPStatus.OK, content_type=content_type)
    shared = "public" if services().settings.ledger_public else "private"
    answer.headers["Cache-Control"] = f"{shared}, {lasting}"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    if shared == "public":
        # Whatever page reads the log may show it: it is the same for everybody.
        answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.add_etag()
    answer.make_conditional(request)
    return answer
