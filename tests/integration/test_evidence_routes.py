"""Every route there is, asked by everybody: whatever answer holds evidence stands on the ledger.

What counts as evidence is looked for in the answers themselves: bytes of originals, of
what was made from them and of packages, lines, texts and titles of the journal, and what
files say about themselves. So a new route is judged by what it gives, not by its name.
"""

import json
import shutil

import pytest

from server.models.base import place_of
from server.models.inspections import Document, EvidencePackage
from server.models.ledger import LedgerEvent
from server.operations import export
from tests.support.console import ROLES, console_world, make_case, visitor

#: What is open to all, and so may hold none.
_OPEN = frozenset({"trust", "tlog", "field_app", "health", "static"})
_LEAST = 64


class Scene:
    """A case with a finished package, and all that somebody could want to see of it."""

    def __init__(self, world):
        self.world = world
        self.case = make_case(world)
        browser = visitor(world, "administrator")
        browser.post(
            f"/inspections/{self.case.inspection}/packages",
            {"reason": "移送公安", "despite": "笔录原件另行移交"},
        )
        with world.app.app_context():
            export.build_waiting_packages(world.services)
        (self.package,) = world.rows(EvidencePackage)
        assert self.package.state == "ready", self.package.failure
        self.marks = self._marks()

    def _marks(self):
        """What may be in no answer without a leaf, by what it is."""
        marks = {
            f"object {key}": data[:_LEAST] + data[_LEAST : 4 * _LEAST]
            for key, data in self.world.services.store.objects.items()
            if key.startswith(("media/", "derived/", "quarantine/")) and len(data) > _LEAST
        }
        stored = self.world.services.store.objects[self.package.key]
        marks["package"] = stored[-200:]
        for number, line in enumerate(self.case.device.lines):
            marks[f"line {number}"] = line.header_bytes
        marks["text of a record"] = "废水呈乳白色".encode()
        marks["title of an item"] = "废水总排口".encode()
        marks["what a file says"] = b"2026:05:04 10:10:00"
        return marks

    def found_in(self, data):
        # JSON spells what is not ASCII in its own way.
        plain = json.dumps(data.decode("utf-8", "replace"), ensure_ascii=False).encode()
        spelt = {
            name: json.dumps(mark.decode("utf-8", "ignore"))[1:-1].encode()
            for name, mark in self.marks.items()
            if name.startswith(("text", "title"))
        }
        return {
            name
            for name, mark in self.marks.items()
            if mark in data or mark in plain or spelt.get(name, mark) in data
        }

    def leaves(self):
        return len(
            [e for e in self.world.rows(LedgerEvent) if e.kind in ("view", "export", "document")]
        )

    def addresses(self):
        """Endpoint and address of every route that answers a GET."""
        case, item = self.case, self.case.items["废水总排口"]
        nobody = "00000000-0000-4000-8000-000000000000"
        known = {
            "inspection_id": case.inspection,
            "item_id": item,
            "package_id": self.package.id,
            "device_id": case.device.id,
            "epoch": case.device.epoch,
            "upload_id": case.inspection,
            "kind": "line",
            "subject": case.device.lines[-1].digest,
            "purpose": "thumbnail",
            "template_id": "site_inspection_record",
            "filename": "console.css",
            "disc": "dvd",
            "version": 1,
            "number": 1,
            "path": "0/000.p/1",
            "name": "index.html",
        }
        for rule in self.world.app.url_map.iter_rules():
            if "GET" not in rule.methods:
                continue
            values = {
                name: known.get(name, nobody if name.endswith("_id") else None)
                for name in rule.arguments
            }
            assert None not in values.values(), f"what is {rule.arguments} in {rule.rule}?"
            with self.world.app.test_request_context():
                yield rule.endpoint, rule.build(values)[1]


@pytest.fixture(scope="module")
def scene(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("routes")
    shutil.copyfile(sqlite_template, folder / "routes.sqlite")
    return Scene(console_world(f"sqlite:///{folder / 'routes.sqlite'}", folder / "var"))


def test_this_test_would_notice_evidence(scene):
    """The marks are really in the answers that show it."""
    case, browser = scene.case, visitor(scene.world, "supervisor")
    item = case.items["废水总排口"]

    page = scene.found_in(browser.get(f"/items/{item}?lang=zh").data)
    original = scene.found_in(browser.get(f"/items/{item}/original").data)
    package = scene.found_in(
        visitor(scene.world, "leader").get(f"/packages/{scene.package.id}").data
    )

    assert "title of an item" in page
    assert any(name.startswith("object media/") for name in original)
    assert "package" in package


@pytest.mark.parametrize("role", ROLES)
def test_nobody_sees_evidence_in_the_console_without_a_leaf(scene, role):
    shown = set()
    for endpoint, address in scene.addresses():
        if address.startswith("/api/"):
            continue
        # Each with a login of its own: an earlier page may not cover for it.
        browser = visitor(scene.world, role)
        before = scene.leaves()

        answer = browser.get(address, headers={"Accept": "*/*"})

        if found := scene.found_in(answer.data):
            shown.add(endpoint)
            assert scene.leaves() > before, (endpoint, found)
    assert {"console.inspection", "console.item", "console.original"} <= shown
    assert not {endpoint for endpoint in shown if endpoint.partition(".")[0] in _OPEN}


def test_without_a_login_or_a_token_no_route_gives_evidence(scene):
    client = scene.world.app.test_client()

    found = {
        endpoint: marks
        for endpoint, address in scene.addresses()
        if (marks := scene.found_in(client.get(address).data))
    }

    assert found == {}


def test_a_device_gets_documents_alone_and_each_stands_at_a_leaf(scene):
    """What a bureau's devices pull follows from events; never bytes, lines or packages."""
    world, device = scene.world, scene.case.device
    places = {(event.generation, event.index) for event in world.rows(LedgerEvent)}
    rows = {(row.kind, row.id): place_of(row.position) for row in world.rows(Document)}

    shown = {}
    for endpoint, address in scene.addresses():
        answer = world.client.get(address, headers=device.headers)
        if found := scene.found_in(answer.data):
            shown[endpoint] = found
    documents = world.client.get("/api/v1/feed", headers=device.headers).json["documents"]

    assert set(shown) == {"feed.changes"}
    assert shown["feed.changes"] <= {"title of an item", "text of a record"}
    assert documents
    assert all(rows[one["kind"], one["id"]] in places for one in documents)
