"""Ids of another bureau's things, and texts that would like to be markup, on the newer pages."""

import hashlib
import json

import pytest

from server.db import transaction
from server.models.erasure import ErasureOrder, LegalHold
from server.models.handover import ForeignPackage, PackageReceipt
from server.models.inspections import EvidencePackage
from server.models.redaction import Redaction
from tests.support.console import add_stranger, console_world, make_case, visitor
from tests.support.simdevice import new_id

MARKUP = "<script>alert(1)</script>\"'><img src=x>"
#: Its first bytes are a PDF's, which is all that anybody looked at.
POLYGLOT = b"%PDF-1.7\n<html><script>alert(1)</script></html>"


@pytest.fixture
def scene(make_database, tmp_path):
    """A world with a stranger in it, and the id of one thing of each newer kind."""
    world = console_world(make_database("sqlite"), tmp_path / "var")
    add_stranger(world)
    case = make_case(world, checked=False)
    names = ("package", "receipt", "redaction", "order", "hold", "foreign")
    return world, case, _write(world, case, {name: new_id() for name in names})


def _write(world, case, ids):
    administrator, leader = world.users["administrator"], world.users["leader"]
    at = {"generation": 1, "ledger_index": 1}
    world.store.objects["kept"] = POLYGLOT
    kept = {"sha256": hashlib.sha256(POLYGLOT).hexdigest(), "size": len(POLYGLOT), "key": "kept"}
    item = case.items["废水总排口"]
    rows = [
        EvidencePackage(
            id=ids["package"],
            inspection_id=case.inspection,
            requested_by=administrator,
            requested_at_ms=world.now_ms,
            reason=MARKUP,
            state="ready",
            generation=1,
            ledger_size=2,
            verdict="PASS",
            **kept,
        ),
        PackageReceipt(
            id=ids["receipt"],
            package_id=ids["package"],
            package_sha256=kept["sha256"],
            media_type="application/pdf",
            recipient=MARKUP,
            received_by=MARKUP,
            received_at_ms=world.now_ms,
            note=MARKUP,
            entered_by=administrator,
            entered_at_ms=world.now_ms,
            **kept,
            **at,
        ),
        Redaction(
            id=ids["redaction"],
            item_id=item,
            source_sha256=kept["sha256"],
            regions="[]",
            reason=MARKUP,
            made_by=administrator,
            made_with="x",
            recipe="x",
            made_at_ms=world.now_ms,
            **kept,
            **at,
        ),
        ErasureOrder(
            id=ids["order"],
            organization_id=world.organization,
            unit="inspection",
            inspection_id=case.inspection,
            basis=MARKUP,
            law=MARKUP,
            requested_by=administrator,
            requested_at_ms=world.now_ms,
            listed='{"items":[],"lines":0,"bytes":0}',
            state="requested",
        ),
        LegalHold(
            id=ids["hold"],
            inspection_id=case.inspection,
            reason=MARKUP,
            set_by=leader,
            set_at_ms=world.now_ms,
            lift_reason=MARKUP,
            lift_asked_by=administrator,
            lift_asked_at_ms=world.now_ms,
        ),
        ForeignPackage(
            id=ids["foreign"],
            organization_id=world.organization,
            name=MARKUP,
            verdict="FAIL",
            claims=json.dumps(
                [{"step": "x", "code": MARKUP, "verdict": "FAIL", "zh": MARKUP, "en": MARKUP}]
            ),
            outside_keys=json.dumps([MARKUP]),
            kept_because=MARKUP,
            case_index="",
            imported_by=administrator,
            imported_at_ms=world.now_ms,
            **kept,
            **at,
        ),
    ]
    with world.app.app_context(), transaction() as session:
        for row in rows:
            session.add(row)
            session.flush()
    return {**ids, "inspection": case.inspection, "item": item}


GETS = [
    "/packages/{package}",
    "/packages/{package}/take",
    "/packages/{package}/encrypted?recipient=age1",
    "/packages/{package}/signature",
    "/packages/{package}/stamps/1",
    "/packages/{package}/volumes/cd/1",
    "/receipts/{receipt}",
    "/redactions/{redaction}",
    "/items/{item}/redact",
    "/inspections/{inspection}/erasure",
    "/foreign/{foreign}",
    "/foreign/{foreign}/package",
]
POSTS = [
    ("/erasure/{order}", {"decision": "approved"}),
    ("/erasure/{order}", {"decision": "refused", "word": "x"}),
    ("/erasure/{order}/withdrawal", {"word": "x"}),
    ("/holds/{hold}/request", {"reason": "x"}),
    ("/holds/{hold}/lifting", {}),
    ("/inspections/{inspection}/holds", {"reason": "x"}),
    (
        "/inspections/{inspection}/erasure",
        {"unit": "inspection", "basis": "x", "law": "x", "seen": "0"},
    ),
    ("/inspections/{inspection}/packages", {"reason": "x"}),
    ("/items/{item}/redact", {"regions": "0.0.9.9.black", "reason": "x"}),
    (
        "/packages/{package}/receipts",
        {"recipient": "x", "received_by": "x", "received_at": "2026-05-04T12:00"},
    ),
]


def test_whoever_has_every_role_of_another_bureau_finds_none_of_it(scene):
    world, _, ids = scene
    stranger = visitor(world, "stranger")

    gets = {path: stranger.get(path.format(**ids)).status_code for path in GETS}
    posts = {path: stranger.post(path.format(**ids), form).status_code for path, form in POSTS}

    assert set(gets.values()) | set(posts.values()) == {404}, (gets, posts)
    assert [row.state for row in world.rows(ErasureOrder)] == ["requested"]
    assert [row.lifted_by for row in world.rows(LegalHold)] == [None]


def test_nothing_is_done_without_the_forms_own_token(scene):
    world, _, ids = scene
    own = visitor(world, "leader")

    answers = {own.client.post(path.format(**ids), data=form).status_code for path, form in POSTS}

    assert answers == {403}


def test_no_text_becomes_markup_and_what_calls_itself_a_pdf_is_only_saved(scene):
    world, _, ids = scene
    own = visitor(world, "administrator")
    pages = [
        "/erasure",
        "/foreign",
        "/inspections/{inspection}",
        "/inspections/{inspection}/erasure",
        "/items/{item}",
        "/packages/{package}/take",
        "/foreign/{foreign}",
    ]

    shown = [own.get(path.format(**ids)) for path in pages]
    scan = own.get("/receipts/{receipt}".format(**ids))

    assert {page.status_code for page in shown} == {200}
    assert not [page.request.path for page in shown if "<script>" in page.text]
    assert not [page.request.path for page in shown if "<img src=x>" in page.text]
    assert sum("&lt;script&gt;" in page.text for page in shown) >= 5
    assert scan.mimetype == "application/octet-stream"
    assert scan.headers["Content-Disposition"].startswith("attachment")
    assert scan.headers["X-Content-Type-Options"] == "nosniff"
