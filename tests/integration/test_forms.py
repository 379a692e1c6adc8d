"""Publishing forms by page and command, and what devices are given of them."""

import json
import shutil

import pytest
from jsonschema import Draft202012Validator

from server.cli.template import publish_template
from server.db import reading, transaction
from server.models.inspections import Document, TemplateVersion
from server.models.ledger import LedgerEvent
from server.operations import feed, forms
from tests.support.console import console_world, visitor

LABEL = {"zh": "天气", "en": "Weather"}
BODY = {
    "id": "weather_record",
    "version": 1,
    "title": {"zh": "天气记录", "en": "Weather record"},
    "in_force_from": "2026-01-01",
    "fields": [{"id": "weather", "type": "text", "required": True, "label": LABEL}],
}


@pytest.fixture
def console(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "forms.sqlite")
    return console_world(f"sqlite:///{tmp_path / 'forms.sqlite'}", tmp_path / "var")


def test_an_administrator_checks_previews_and_publishes_a_version(console):
    browser = visitor(console, "administrator")
    draft = json.dumps(BODY, ensure_ascii=False)

    preview = browser.post("/forms", {"form": draft, "act": "check"})
    assert preview.status_code == 200
    assert "天气记录" in preview.text
    assert not console.rows(TemplateVersion, id="weather_record")
    published = browser.post("/forms", {"form": draft, "act": "publish"})

    assert published.status_code == 303
    (row,) = console.rows(TemplateVersion, id="weather_record")
    assert (row.in_force_from, row.published_by is not None) == ("2026-01-01", True)
    kinds = [event.kind for event in console.rows(LedgerEvent)][-2:]
    assert kinds == ["policy", "document"]
    assert "天气记录" in browser.get("/forms").text
    again = browser.post("/forms", {"form": draft, "act": "publish"})
    assert (again.status_code, "已经发布" in again.text) == (409, True)


def test_everything_that_is_amiss_with_a_form_is_said_at_once(console):
    browser = visitor(console, "administrator")
    field = {"id": "told", "type": "boolean", "default": True, "label": {"zh": "已告知"}}
    draft = json.dumps({**BODY, "fields": [field]}, ensure_ascii=False)

    answer = browser.post("/forms", {"form": draft, "act": "publish"})

    assert answer.status_code == 422
    assert "不得预先勾选" in answer.text
    assert "fields.told.label" in answer.text
    assert not console.rows(TemplateVersion, id="weather_record")


def test_nobody_else_publishes(console):
    for role in ("officer", "reviewer", "leader", "supervisor"):
        answer = visitor(console, role).post("/forms", {"form": "{}", "act": "publish"})

        assert answer.status_code == 403


def test_a_form_from_a_file_is_published_or_refused_with_words(console, tmp_path, monkeypatch):
    monkeypatch.setattr("server.cli.template.create_app", lambda _settings: console.app)
    monkeypatch.setattr("server.cli.template.Settings.from_env", lambda _env: None)
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(BODY), "utf-8")
    bad.write_text("{", "utf-8")

    publish_template.callback(good, check=True)
    assert not console.rows(TemplateVersion, id="weather_record")
    publish_template.callback(good, check=False)

    assert console.rows(TemplateVersion, id="weather_record")
    with pytest.raises(forms.FormInvalid):
        publish_template.callback(bad, check=False)


def test_shipped_forms_come_once_and_replace_the_document_without_a_version(world):
    scope = feed.organization_scope(world.organization)
    old = {"scope": scope, "kind": "template", "identifier": "evidence_form"}
    with world.app.app_context(), transaction() as session:
        feed.put_document(session, **old, body={"id": "evidence_form"}, now_ms=world.now_ms)

    for _ in range(2):
        with world.app.app_context(), transaction() as session:
            forms.publish_shipped(session, world.organization, now_ms=world.now_ms)

    documents = {row.id: row.op for row in world.rows(Document, kind="template")}
    assert documents.pop("evidence_form") == "tombstone"
    assert set(documents.values()) == {"put"}
    versions = {(row.id, row.version) for row in world.rows(TemplateVersion)}
    assert versions == {(form["id"], form["version"]) for form in forms.shipped_forms()}


def test_devices_are_served_the_schema_of_a_version(world):
    device = world.enrol()
    with world.app.app_context(), transaction() as session:
        forms.publish_shipped(session, world.organization, now_ms=world.now_ms)

    address = "/api/v1/templates/sampling_record/1/schema"
    answer = world.client.get(address, headers=device.headers)
    missing = world.client.get(
        f"/api/v1/templates/sampling_record/{2**40}/schema", headers=device.headers
    )

    assert answer.content_type == "application/schema+json"
    Draft202012Validator.check_schema(json.loads(answer.data))
    assert missing.status_code == 404
    assert world.client.get(address).status_code == 401


def test_a_form_of_another_bureau_is_not_there(console):
    with console.app.app_context(), reading() as session, pytest.raises(forms.NotFound):
        forms.read_form(session, "elsewhere", "site_inspection_record", 1)


def test_the_preview_says_when_a_field_is_asked_and_from_which_day_the_form_is_in_force(console):
    rain = {"zh": "有雨", "en": "Rain"}
    asked = {"field": "rain", "is": [True]}
    fields = [
        {"id": "rain", "type": "boolean", "label": rain},
        {**BODY["fields"][0], "shown_when": asked},
        {"id": "note", "type": "text", "label": LABEL, "required": {"field": "weather"}},
    ]
    draft = json.dumps({**BODY, "fields": fields})

    page = visitor(console, "administrator").post("/forms", {"form": draft, "act": "check"}).text

    assert "“有雨”为“是”时出现" in page
    assert "填写“天气”后必填" in page
    assert "2026-01-01 起" in page
