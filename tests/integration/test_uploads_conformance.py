"""tus 1.0 requirement by requirement, asked of the whole program as it is served.

A row is a sentence of https://tus.io/protocols/resumable-upload, version 1.0.0, the
request that tries it, and the answer it demands.
"""

import re
import shutil
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from server.db import transaction
from tests.support.bureau import add_organization, environment
from tests.support.simdevice import new_id
from tests.support.tus import core, extensions
from tests.support.tus.asking import BODY, LIMIT, TEN, Served, begun, deferred, measured
from tests.support.webserver import WebServer
from tests.support.world import make_world

ERRORS = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")
ROWS = {
    f"{extension}: {row.requirement}": row
    for extension, rows in {
        "core": core.CORE,
        "creation": extensions.CREATION,
        "checksum": extensions.CHECKSUM,
        "expiration": extensions.EXPIRATION,
        "termination": extensions.TERMINATION,
        "concatenation": extensions.CONCATENATION,
    }.items()
    for row in rows
}


@pytest.fixture(scope="module")
def s3(any_s3):
    """Each of the stores that we run against, whatever LIUHEN_TEST_STORE says."""
    return any_s3


@pytest.fixture(scope="module")
def served(sqlite_template, tmp_path_factory, s3):
    folder = tmp_path_factory.mktemp("conformance")
    shutil.copyfile(sqlite_template, folder / "world.sqlite")
    url = f"sqlite:///{folder / 'world.sqlite'}"
    world = make_world(url, folder / "var")
    world.now_ms = time.time_ns() // 1_000_000
    elsewhere = new_id()
    with world.app.app_context(), transaction() as session:
        add_organization(session, elsewhere)
    device, stranger = world.enrol(), world.enrol(organization=elsewhere)
    variables = environment(
        folder / "var", s3, LIUHEN_DATABASE_URL=url, LIUHEN_MEDIA_LIMIT_BYTES=str(LIMIT)
    )
    with WebServer(variables, "server.launch.wsgi:application") as server:
        yield Served(
            f"http://127.0.0.1:{server.port}",
            str(folder / "world.sqlite"),
            device.headers,
            stranger.headers,
        )


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_tus_demands_that(served, row):
    path = row.on(served)
    headers = {
        name: value(served) if callable(value) else value for name, value in row.headers.items()
    }

    answer = served.ask(row.method, path, headers, row.body)

    assert answer.status_code == row.status, answer.text
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    for name, wanted in row.says.items():
        got = answer.headers.get(name)
        match wanted:
            case re.Pattern():
                assert got is not None, name
                assert wanted.fullmatch(got), (name, got)
            case _:
                assert got == wanted, name
    if row.status >= 400 and row.method != "HEAD":
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.json()["code"], answer.json()["status"]) == (row.code, row.status)
        assert f"`{row.code}` | {row.status} |" in ERRORS
    if row.status >= 400 and row.on in (begun, deferred, measured):
        assert served.ask("HEAD", path).headers["Upload-Offset"] == "5", "a refusal changed it"


def test_uploads_expire_in_the_future_and_later_with_every_piece(served):
    path = served.begin()
    first = served.ask("HEAD", path).headers["Upload-Expires"]
    time.sleep(1.1)
    served.append(path, b"0", 0)

    then = served.ask("HEAD", path).headers["Upload-Expires"]

    assert time.time() < parsedate_to_datetime(first).timestamp()
    assert parsedate_to_datetime(first) < parsedate_to_datetime(then)


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_uploads_of_another_organisation_are_not_found(served, method):
    path = begun(served)

    answer = served.ask(method, path, {**BODY, "Upload-Offset": "5", **served.stranger}, TEN[5:])

    assert answer.status_code == 404
    assert served.ask("HEAD", path).headers["Upload-Offset"] == "5"


def test_as_many_pieces_as_are_allowed_fit_into_the_header(served):
    pieces = []
    for _ in range(64):
        made = served.ask(
            "POST",
            "/api/v1/uploads",
            {**BODY, "Upload-Length": "1", "Upload-Concat": "partial"},
            b"x",
        )
        pieces.append(made.headers["Location"])

    path = served.begin(Upload_Concat="final;" + " ".join(pieces))

    look = served.ask("HEAD", path).headers
    assert (look["Upload-Offset"], look["Upload-Concat"]) == ("64", "final;" + " ".join(pieces))
