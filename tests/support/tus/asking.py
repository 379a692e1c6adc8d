"""A server that is asked, uploads in each state it can be asked about, and the form of a row."""

import base64
import hashlib
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests

from tests.support.bureau import TUS
from tests.support.simdevice import new_id

LIMIT = 1 << 20
TEN = b"0123456789"
BODY = {"Content-Type": "application/offset+octet-stream"}


@dataclass
class Served:
    """The running program and a device that may upload to it."""

    url: str
    database: str
    bearer: dict[str, str]
    stranger: dict[str, str]

    def ask(self, method, path, headers=None, body=b""):
        return requests.request(
            method,
            f"{self.url}{path}",
            headers={**TUS, **self.bearer, **(headers or {})},
            data=body,
            timeout=30,
        )

    def begin(self, **headers):
        """The path of a new upload of ten bytes, unless ``headers`` say otherwise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        made = self.ask("POST", "/api/v1/uploads", named or {"Upload-Length": "10"})
        assert made.status_code == 201, made.text
        return urlsplit(made.headers["Location"]).path

    def append(self, path, body, at, **headers):
        done = self.ask("PATCH", path, {**BODY, "Upload-Offset": str(at), **headers}, body)
        assert done.status_code == 204, done.text


# The uploads that requests are tried on. Each answers its path.


def collection(_):
    return "/api/v1/uploads"


def unknown(_):
    return f"/api/v1/uploads/{new_id()}"


def fresh(served):
    return served.begin()


def begun(served):
    path = served.begin()
    served.append(path, TEN[:5], 0)
    return path


def described(served):
    return served.begin(Upload_Length="10", Upload_Metadata=DESCRIPTION)


def deferred(served):
    path = served.begin(Upload_Defer_Length="1")
    served.append(path, TEN[:5], 0)
    return path


def measured(served):
    """Deferred, and told by now."""
    path = served.begin(Upload_Defer_Length="1")
    served.append(path, TEN[:5], 0, **{"Upload-Length": "10"})
    return path


def stored(served):
    path = served.begin()
    served.append(path, TEN, 0)
    return path


def piece(served):
    path = served.begin(Upload_Length="5", Upload_Concat="partial")
    served.append(path, TEN[:5], 0)
    return path


def joined(served):
    return served.begin(Upload_Concat=f"final;{piece(served)} {piece(served)}")


def given_up(served):
    path = begun(served)
    assert served.ask("DELETE", path).status_code == 204
    return path


def expired(served):
    path = begun(served)
    with closing(sqlite3.connect(served.database)) as database, database:
        database.execute(
            "UPDATE upload SET expires_at_ms = 1 WHERE id = ?", (path.rpartition("/")[2],)
        )
    return path


def set_aside(served):
    """Its bytes are not those that were announced."""
    digest = base64.b64encode(hashlib.sha256(b"others").hexdigest().encode()).decode()
    path = served.begin(Upload_Length="10", Upload_Metadata=f"sha256 {digest}")
    answer = served.ask("PATCH", path, {**BODY, "Upload-Offset": "0"}, TEN)
    assert answer.status_code == 460
    return path


def digest_of(data, algorithm="sha256"):
    return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()


DESCRIPTION = f"filename {base64.b64encode('照片.jpg'.encode()).decode()},is_private"
ABSENT = None
ANY = re.compile(r".+")
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
LOCATION = re.compile(r"http://127\.0\.0\.1:\d+/api/v1/uploads/[0-9a-f-]{36}")
OF_TEN = f"sha-256=:{digest_of(TEN)}:"
BARE = dict.fromkeys(TUS)


@dataclass(frozen=True)
class Row:
    """``method`` with ``headers`` and ``body`` on an upload of the kind ``on``, and the answer.

    ``says`` of the answer are whole header values, patterns, or None for none.
    """

    requirement: str
    method: str
    on: Callable[[Served], str]
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    says: dict = field(default_factory=dict)
    code: str = ""


def patch(requirement, on, at, body, status, says=None, code="", **more):
    headers = {**BODY, "Upload-Offset": str(at), **more.pop("headers", {})}
    return Row(requirement, "PATCH", on, status, headers, body, says or {}, code)


def create(requirement, headers, status, says=None, code="", body=b""):
    return Row(requirement, "POST", collection, status, headers, body, says or {}, code)
