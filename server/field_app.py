"""The field app under ``/app/``: built files, served with the headers that they need.

The app is built when the server is installed (docs/field-app.md); where that was
skipped, the page says so.
"""

import gzip
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import escape
from werkzeug.security import safe_join

from sync import catalogue

bp = Blueprint("field_app", __name__)

FOLDER = Path(__file__).parent / "static" / "field"
#: Where the folder of the built app stands in the configuration; tests put their own there.
CONFIG = "FIELD_APP_FOLDER"

#: All of it comes from this server; WebAssembly is what digests recordings as they are made.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; "
    "manifest-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_PERMISSIONS = (
    "camera=(self), microphone=(self), geolocation=(self), screen-wake-lock=(self), "
    "fullscreen=(self), display-capture=(), usb=(), serial=(), payment=()"
)
#: Names under here hold a digest of their content.
_HASHED = "assets/"
_YEAR_S = 365 * 24 * 3600
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_PACKED = frozenset({".css", ".html", ".js", ".svg", ".txt", ".webmanifest"})


def register_field_app(app: Flask) -> None:
    """Serve the built app, or the page that says there is none."""
    app.config.setdefault(CONFIG, FOLDER)
    app.register_blueprint(bp)


@bp.get("/app")
def without_slash() -> ResponseReturnValue:
    return redirect(url_for("field_app.index"), HTTPStatus.PERMANENT_REDIRECT)


@bp.get("/app/")
def index() -> ResponseReturnValue:
    """The app's page."""
    if _path("index.html") is None:
        return Response(_not_built(), HTTPStatus.SERVICE_UNAVAILABLE)
    return _file("index.html")


@bp.get("/app/<path:name>")
def file(name: str) -> ResponseReturnValue:
    """One built file; what is not there is not found, never the index in its place."""
    return _file(name)


@bp.after_request
def finish(answer: Response) -> Response:
    """Headers of every answer of the app."""
    answer.headers["Content-Security-Policy"] = PAGE_POLICY
    answer.headers["Permissions-Policy"] = _PERMISSIONS
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    answer.headers.setdefault("Cache-Control", "no-cache")
    return answer


def _file(name: str) -> Response:
    path = _path(name)
    if path is None:
        abort(HTTPStatus.NOT_FOUND)
    stat = path.stat()
    packed = path.suffix in _PACKED and request.accept_encodings["gzip"] > 0
    answer = Response(_bytes(path, stat.st_mtime_ns, stat.st_size, packed=packed))
    answer.content_type = _TYPES.get(path.suffix, "application/octet-stream")
    if path.suffix in _PACKED:
        answer.vary.add("Accept-Encoding")
    if packed:
        answer.content_encoding = "gzip"
    if name.startswith(_HASHED):
        answer.headers["Cache-Control"] = f"public, max-age={_YEAR_S}, immutable"
    if name == "sw.js":
        answer.headers["Service-Worker-Allowed"] = url_for("field_app.index")
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def _path(name: str) -> Path | None:
    """The file of the built app under ``name``, which came from a stranger."""
    joined = safe_join(str(current_app.config[CONFIG]), name)
    path = Path(joined) if joined is not None else None
    return path if path is not None and path.is_file() else None


@lru_cache(maxsize=64)
def _bytes(path: Path, _changed_ns: int, _size: int, *, packed: bool) -> bytes:
    """A file as it is sent; read and packed once for each version of it."""
    data = path.read_bytes()
    return gzip.compress(data, compresslevel=9, mtime=0) if packed else data


def _not_built() -> str:
    said = "".join(
        f'<section lang="{"zh-CN" if language == "zh" else language}">'
        f"<h1>{escape(catalogue.text('field.not_built.title', language))}</h1>"
        f"<p>{escape(catalogue.text('field.not_built.body', language))}</p></section>"
        for language in catalogue.LANGUAGES
    )
    title = escape(catalogue.text("field.title"))
    return (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title>{said}</html>"
    )
