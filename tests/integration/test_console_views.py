"""No evidence leaves the console without a leaf in the ledger that says who saw what."""

import shutil

import pytest

from server.console.permissions import RULES
from tests.support.console import (
    console_world,
    make_case,
    views,
    visitor,
)

_QUARTER_MS = 15 * 60_000

#: Routes outside the console and the device API, and why none of them is evidence.
_HARMLESS = {
    "health": "says ok",
}
#: Blueprints that hold no evidence: a certificate, commitments that tell nothing, a program.
_OTHERS = frozenset({"trust", "tlog", "field_app"})


@pytest.fixture(scope="module")
def scene(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    shutil.copyfile(sqlite_template, folder / "views.sqlite")
    world = console_world(f"sqlite:///{folder / 'views.sqlite'}", folder / "var")
    return world, make_case(world)


def _evidence_addresses(case):
    item = case.items["废水总排口"]
    return {
        "console.desk": "/",
        "console.inspection": f"/inspections/{case.inspection}",
        "console.item": f"/items/{item}",
        "console.thumbnail": f"/items/{item}/thumbnail",
        "console.derived": f"/items/{item}/derived/thumbnail",
        "console.original": f"/items/{item}/original",
        "console.download": f"/items/{item}/download",
        "console.redact": f"/items/{item}/redact",
        "console.display_copy": f"/items/{item}/copy",
        "console.device_statement": f"/devices/{case.device.id}/statement",
        "console.signed_sheet": f"/inspections/{case.inspection}/sheet",
        "console.signed_sheet_pdf": f"/inspections/{case.inspection}/sheet.pdf",
        "console.store": "/store",
        "console.erasure": "/erasure",
        "console.erasure_unit": f"/inspections/{case.inspection}/erasure",
        "console.foreign": "/foreign",
        "console.quarantine": "/quarantine",
        "console.quarantined": f"/quarantine/line/{case.device.lines[-1].digest}",
    }


def test_every_route_of_the_application_is_known_to_serve_evidence_or_not_to(scene):
    """The device API answers devices alone; whatever else there is must be named here."""
    for rule in scene[0].app.url_map.iter_rules():
        part = rule.endpoint.partition(".")[0]
        if rule.rule.startswith("/api/") or part in _OTHERS or rule.endpoint in _HARMLESS:
            continue
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            assert (method, rule.endpoint) in RULES, rule.rule


def test_without_a_device_token_the_api_gives_no_document_and_no_line(scene):
    world, case = scene
    open_to_all = {"/api/v1/hello", "/api/v1/openapi.json", "/api/v1/ledger/generations"}
    values = {
        "device_id": case.device.id,
        "epoch": case.device.epoch,
        "upload_id": case.inspection,
        "template_id": "site_inspection_record",
        "version": 2,
    }

    for rule in world.app.url_map.iter_rules():
        if not rule.rule.startswith("/api/") or "GET" not in rule.methods:
            continue
        if rule.rule in open_to_all:
            continue
        with world.app.test_request_context():
            known = {name: values.get(name, case.inspection) for name in rule.arguments}
            address = rule.build(known)[1]
        answer = world.app.test_client().get(address)
        assert answer.status_code >= 400, rule.rule


def test_every_route_that_serves_evidence_leaves_a_leaf(scene):
    world, case = scene
    addresses = _evidence_addresses(case)
    serving = {endpoint for (_, endpoint), rule in RULES.items() if rule.evidence}

    # These need something finished, made or taken in first, and have tests of their own.
    elsewhere = {
        name for name in serving if name.startswith(("console.package", "console.foreign_"))
    }
    elsewhere |= {"console.redaction", "console.receipt"}
    assert serving - elsewhere == set(addresses)
    for endpoint, address in addresses.items():
        role = "supervisor" if endpoint != "console.redact" else "reviewer"
        browser = visitor(world, role)
        before = len(views(world))
        answer = browser.get(address)
        assert answer.status_code == 200, endpoint
        assert len(views(world)) == before + 1, endpoint


def test_the_leaf_of_an_inspection_names_every_item_it_showed(scene):
    world, case = scene

    visitor(world, "leader").get(f"/inspections/{case.inspection}")

    leaf = views(world)[-1]
    assert leaf["actor"]["person"] == world.users["leader"]
    assert leaf["subject"]["page"] == "inspection"
    assert leaf["subject"]["inspections"] == [case.inspection]
    assert leaf["subject"]["items"] == sorted(case.items.values())


def test_thumbnails_of_a_page_belong_to_its_leaf_but_originals_do_not(scene):
    world, case = scene
    item = case.items["废水总排口"]
    browser = visitor(world, "leader")
    browser.get(f"/inspections/{case.inspection}")
    before = len(views(world))

    browser.get(f"/items/{item}/thumbnail")
    after_thumbnail = len(views(world))
    browser.get(f"/items/{item}/original")

    assert after_thumbnail == before
    assert views(world)[-1]["subject"] == {
        "page": "original",
        "items": [item],
        "inspections": [case.inspection],
    }


def test_the_original_on_an_evidence_page_belongs_to_that_page(scene):
    world, case = scene
    item = case.items["现场录像"]
    browser = visitor(world, "leader")
    browser.get(f"/items/{item}")
    before = len(views(world))

    for start in (0, 100, 200):
        browser.get(f"/items/{item}/original", headers={"Range": f"bytes={start}-"})

    assert len(views(world)) == before


def test_another_session_of_the_same_person_has_its_own_leaf(scene):
    world, case = scene
    visitor(world, "leader").get(f"/items/{case.items['雨水沟']}")
    before = len(views(world))

    visitor(world, "leader").get(f"/items/{case.items['雨水沟']}")

    assert len(views(world)) == before + 1


def test_after_a_quarter_of_an_hour_looking_again_is_seen_again(scene):
    world, case = scene
    address = f"/items/{case.items['雨水沟']}"
    browser = visitor(world, "leader")
    browser.get(address)
    first = len(views(world))

    browser.get(address)
    within = len(views(world))
    world.now_ms += _QUARTER_MS
    browser.get(address)

    assert (within, len(views(world))) == (first, first + 1)


def test_each_copy_that_is_taken_away_has_its_own_leaf(scene):
    world, case = scene
    address = f"/items/{case.items['雨水沟']}/download"
    browser = visitor(world, "leader")
    before = len(views(world))

    browser.get(address)
    browser.get(address)

    assert [leaf["subject"]["page"] for leaf in views(world)[before:]] == ["download", "download"]
    assert views(world)[-1]["snapshot"]["digests"]


def test_a_search_is_kept_with_what_was_searched_for(scene):
    world, _ = scene

    visitor(world, "officer").get("/", query_string={"q": "化工"})

    assert views(world)[-1]["snapshot"]["query"] == "化工"


def test_if_the_leaf_cannot_be_written_nothing_is_shown(scene, monkeypatch):
    world, case = scene
    browsers = {name: visitor(world, name) for name in ("leader", "reviewer")}

    def fails(*_args, **_more):
        raise OSError("disk full")

    monkeypatch.setattr("server.operations.custody.ledger.append", fails)
    for endpoint, address in _evidence_addresses(case).items():
        role = "leader" if endpoint != "console.redact" else "reviewer"
        answer = browsers[role].get(address)
        assert answer.status_code == 500, address
        assert "废水" not in answer.text


def test_the_chain_page_lists_the_views_of_others_and_this_one(scene):
    world, case = scene
    item = case.items["在线监测站房"]
    visitor(world, "supervisor").get(f"/items/{item}")

    page = visitor(world, "reviewer").get(f"/items/{item}").text

    custody = page.partition('id="custody"')[2]
    assert "supervisor某" in custody
    assert "reviewer某" in custody
