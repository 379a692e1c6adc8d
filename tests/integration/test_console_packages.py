"""Asking for an evidence package in the console, and taking it away."""

import hashlib
import re
import shutil

import pyrage
import pytest

from server.db import transaction
from server.models.inspections import EvidencePackage
from server.operations.export import build, volumes
from tests.support.console import console_world, make_case, path_of, views, visitor

_ASKED = {"reason": "移送公安", "despite": "笔录原件另行移交"}


@pytest.fixture
def scene(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "packages.sqlite")
    world = console_world(f"sqlite:///{tmp_path / 'packages.sqlite'}", tmp_path / "var")
    return world, make_case(world, checked=False)


def _finish(world, data):
    """As if the worker had built the queued package out of ``data``."""
    digest = hashlib.sha256(data).hexdigest()
    world.services.store.put_once("package/x.zip", data, size=len(data), sha256=digest)
    with world.app.app_context(), transaction() as session:
        row = session.query(EvidencePackage).one()
        row.state, row.key, row.size, row.sha256 = "ready", "package/x.zip", len(data), digest
        row.verdict = "pass"
        return row.id


def test_an_administrator_asks_with_a_reason_and_sees_how_far_it_is(scene):
    world, case = scene
    browser = visitor(world, "administrator")

    answer = browser.post(f"/inspections/{case.inspection}/packages", _ASKED)

    assert path_of(answer) == f"/inspections/{case.inspection}"
    page = browser.get(f"/inspections/{case.inspection}?lang=zh").text
    assert "移送公安" in page
    assert "排队中" in page
    assert world.services.ledger_signer.verifier_key in page


def test_a_package_that_failed_says_why_in_the_language_of_the_page(scene):
    world, case = scene
    browser = visitor(world, "administrator")
    browser.post(f"/inspections/{case.inspection}/packages", _ASKED)
    with world.app.app_context(), transaction() as session:
        row = session.query(EvidencePackage).one()
        row.state, row.failure = "failed", "package.source_missing: item x"

    page = browser.get(f"/inspections/{case.inspection}?lang=zh").text

    assert "存储中找不到一件原件" in page
    assert "item x" in page


def test_defects_are_listed_and_going_on_needs_a_reason(scene):
    world, case = scene
    browser = visitor(world, "administrator")
    asked = {"reason": "移送公安", "route": "detention", "sm3": "on"}

    refused = browser.post(f"/inspections/{case.inspection}/packages?lang=zh", asked)
    assert refused.status_code == 422
    assert "检查尚未定稿锁定" in refused.text
    assert 'name="despite"' in refused.text
    assert 'value="detention" selected' in refused.text, "what was chosen stays"
    assert 'name="sm3" checked' in refused.text
    assert world.rows(EvidencePackage) == []

    browser.post(f"/inspections/{case.inspection}/packages", {**asked, "despite": "时限将至"})
    assert len(world.rows(EvidencePackage)) == 1


def test_without_a_reason_there_is_no_package_and_the_page_says_so(scene):
    world, case = scene

    answer = visitor(world, "administrator").post(
        f"/inspections/{case.inspection}/packages", {"reason": " "}
    )

    assert answer.status_code == 422
    assert "请写明导出原因" in answer.text
    assert world.rows(EvidencePackage) == []


@pytest.mark.parametrize("role", ["administrator", "leader"])
def test_a_finished_package_is_given_to_the_byte_and_leaves_a_leaf(scene, role):
    world, case = scene
    visitor(world, "administrator").post(f"/inspections/{case.inspection}/packages", _ASKED)
    package = _finish(world, b"zip" * 500_000)
    browser = visitor(world, role)

    answer = browser.get(f"/packages/{package}")

    assert answer.data == b"zip" * 500_000
    assert answer.mimetype == "application/zip"
    assert "attachment" in answer.headers["Content-Disposition"]
    leaf = views(world)[-1]
    assert leaf["subject"]["page"] == "package"
    assert leaf["subject"]["inspections"] == [case.inspection]
    assert leaf["actor"]["person"] == world.users[role]


def test_the_signature_of_a_package_is_beside_it(scene):
    world, case = scene
    browser = visitor(world, "administrator")
    browser.post(f"/inspections/{case.inspection}/packages", _ASKED)
    package = _finish(world, b"zip")
    note = b"note"
    world.services.store.put_once(
        "package/x.zip.sig", note, size=len(note), sha256=hashlib.sha256(note).hexdigest()
    )

    answer = browser.get(f"/packages/{package}/signature")

    assert answer.data == note
    assert ".zip.sig" in answer.headers["Content-Disposition"]


def test_an_unfinished_package_cannot_be_taken(scene):
    world, case = scene
    browser = visitor(world, "administrator")
    browser.post(f"/inspections/{case.inspection}/packages", _ASKED)
    (row,) = world.rows(EvidencePackage)

    answer = browser.get(f"/packages/{row.id}")

    assert answer.status_code == 409
    assert "package.not_ready" in answer.text


def _asked(world, case, data):
    visitor(world, "administrator").post(f"/inspections/{case.inspection}/packages", _ASKED)
    return _finish(world, data)


def test_a_download_that_was_cut_off_goes_on(scene):
    world, case = scene
    data = bytes(range(256)) * 10_000
    package = _asked(world, case, data)
    browser = visitor(world, "leader")
    tag = browser.get(f"/packages/{package}").headers["ETag"]

    rest = browser.get(f"/packages/{package}", headers={"Range": "bytes=1500000-", "If-Range": tag})
    other = browser.get(
        f"/packages/{package}", headers={"Range": "bytes=1500000-", "If-Range": '"other"'}
    )

    assert rest.status_code == 206
    assert rest.data == data[1_500_000:]
    assert (other.status_code, other.data) == (200, data)


def test_volumes_joined_in_order_are_the_package(scene, monkeypatch):
    world, case = scene
    monkeypatch.setitem(volumes.DISCS, "cd", 1_000_000)
    data = bytes(range(256)) * 10_000
    package = _asked(world, case, data)
    browser = visitor(world, "leader")

    page = browser.get(f"/packages/{package}/take?lang=zh").text
    parts = [browser.get(f"/packages/{package}/volumes/cd/{number}") for number in (1, 2, 3)]

    assert "3 卷" in page
    assert b"".join(part.data for part in parts) == data
    assert ".zip.003" in parts[2].headers["Content-Disposition"]
    assert views(world)[-1]["subject"]["page"] == "package"
    assert browser.get(f"/packages/{package}/volumes/cd/4").status_code == 404
    assert browser.get(f"/packages/{package}/volumes/tape/1").status_code == 404


def test_only_the_recipient_opens_an_encrypted_package(scene):
    world, case = scene
    package = _asked(world, case, b"zip" * 500_000)
    browser = visitor(world, "leader")
    recipient = pyrage.x25519.Identity.generate()

    answer = browser.get(f"/packages/{package}/encrypted?recipient={recipient.to_public()}")

    assert ".zip.age" in answer.headers["Content-Disposition"]
    assert pyrage.decrypt(answer.data, [recipient]) == b"zip" * 500_000
    assert views(world)[-1]["subject"]["page"] == "package"


def test_what_is_no_key_of_a_recipient_is_told_and_nothing_leaves(scene):
    world, case = scene
    package = _asked(world, case, b"zip")
    browser = visitor(world, "leader")
    before = len(views(world))

    answer = browser.get(f"/packages/{package}/encrypted?recipient=age1x&lang=zh")

    assert answer.status_code == 422
    assert "这不是 age 公钥" in answer.text
    assert len(views(world)) == before


def test_a_package_that_is_being_built_says_how_far_it_is(scene, monkeypatch):
    world, case = scene
    browser = visitor(world, "administrator")
    browser.post(f"/inspections/{case.inspection}/packages", _ASKED)
    [row] = world.rows(EvidencePackage)
    seen = []
    kept = build.keeping.keep

    def look(*args, **more):
        seen.append(browser.get(f"/inspections/{case.inspection}?lang=zh").text)
        return kept(*args, **more)

    monkeypatch.setattr(build, "_TELL_S", 0.0)
    monkeypatch.setattr(build.keeping, "keep", look)
    with world.app.app_context():
        build.build_package(world.services, row.id)

    assert re.search(r'<span class="under">\d+ %</span>', seen[0])
    assert " %</span>" not in browser.get(f"/inspections/{case.inspection}").text
