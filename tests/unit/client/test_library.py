"""The local copy answers without a network: tasks, one document whole, and search."""

import json
import sqlite3

import pytest
from click.testing import CliRunner

from sync.client import outbox as outbox_module
from sync.client import search
from sync.client.cli import cli
from sync.client.device import Device
from sync.client.errors import AmbiguousName, UnknownDocument
from sync.client.library import Library
from sync.client.outbox import Outbox
from tests.support.fieldkit import OFFICERS, TEMPLATE, acts_of, on_patrol, said, write

DUE_MS = 1_781_500_000_000


@pytest.fixture
def library(device):
    return Library(device._outbox)


def put(device, kind, body, op="put"):
    with device._outbox.transaction():
        device.documents.apply([{"op": op, "kind": kind, "id": body["id"], "body": body}])


def shown(kit, wanted):
    options = ["--device", str(kit.folder), "show", wanted]
    return CliRunner().invoke(cli, options, catch_exceptions=False).stdout


def words(found):
    return {(one.kind, one.id) for one in found}


def test_tasks_come_in_the_order_of_their_deadlines(device, library):
    put(device, "task", {"id": "late", "title": "复查", "due_at_ms": DUE_MS + 1})
    put(
        device,
        "task",
        {
            "id": "soon",
            "title": "夜查",
            "due_at_ms": DUE_MS,
            "entity": "entity-1",
            "officers": list(OFFICERS),
            "state": "assigned",
        },
    )

    rows = library.tasks()

    assert [row.id for row in rows] == ["soon", "late", "task-1"]
    assert (rows[0].target, rows[0].officers) == ("示例化工", ("检查员1", "检查员2"))


@pytest.mark.parametrize("wanted", ["entity-1", "示例化工", "化工"])
def test_a_document_is_shown_by_its_id_its_name_or_a_piece_of_it(library, wanted):
    assert library.show(wanted).found.id == "entity-1"


def test_what_names_a_document_is_shown_with_it(device, library):
    put(device, "task", {"id": "t", "title": "夜查", "entity": "entity-1"})
    put(device, "dossier", {"id": "d", "entity": "entity-1", "permits": ["许可证甲"]})

    task, entity = library.show("t"), library.show("entity-1")

    assert [entry.found.id for entry in task.related] == ["entity-1"]
    assert {entry.found.id for entry in entity.related} == {"t", "d"}


def test_a_name_that_fits_several_is_not_guessed_at(device, library):
    put(device, "entity", {"id": "entity-2", "name": "示例电镀"})

    with pytest.raises(AmbiguousName, match="entity-2"):
        library.show("示例")
    with pytest.raises(UnknownDocument):
        library.show("没有这家")


def test_an_inspection_that_was_never_synced_is_shown_with_its_items_and_records(
    device, library, tmp_path
):
    inspection = on_patrol(device)
    taken = device.capture(write(tmp_path / "a.jpg", b"\xff\xd8\xff"), inspection, title="排放口")
    device.save_record(inspection, TEMPLATE, {"weather": "晴"})
    device.save_record(inspection, TEMPLATE, {"outlets": 2})

    whole = library.show(inspection)

    assert [entry.found.id for entry in whole.related] == [taken.item]
    [record] = whole.records
    assert record.values == {"weather": "晴", "outlets": 2}


def test_what_a_colleague_saved_is_merged_with_what_was_saved_here(device, library):
    inspection = on_patrol(device)
    saved = device.save_record(inspection, TEMPLATE, {"weather": "晴", "outlets": 2})
    put(
        device,
        "revision",
        {
            "id": "a" * 64,
            "inspection": inspection,
            "record": saved.record,
            "template": {"id": TEMPLATE, "version": 2},
            "fields": {"weather": "雨"},
            "base": [],
        },
    )

    [record] = library.show(inspection).records

    assert record.values["outlets"] == 2
    assert set(record.conflicts["weather"]) == {"晴", "雨"}


@pytest.mark.parametrize("piece", ["示例化工", "化工", "化"])
def test_any_piece_of_a_text_finds_its_document(library, piece):
    assert ("entity", "entity-1") in words(library.find([piece]))


def test_every_word_must_be_found_and_own_notes_count(device, library):
    inspection = on_patrol(device)
    device.note(inspection, "门卫拒绝签字，现场有泡沫")

    assert words(library.find(["泡沫", "签字"])) == {("inspection", inspection)}
    assert library.find(["泡沫", "无关"]) == []
    assert library.find(["salt"]) == []


def test_a_sign_of_the_query_language_is_not_one_for_the_searcher(library):
    for strange in ("%", "_", '"', "化工 OR", "NEAR(", "*", "'"):
        library.find([strange])


def test_search_works_where_sqlite_has_no_trigrams(kit, monkeypatch, tmp_path):
    monkeypatch.setattr(search, "_INDEXED", "CREATE VIRTUAL TABLE x USING nothing(y)")
    database = Outbox(tmp_path / "plain.sqlite")
    with database.transaction() as db:
        number = db.execute(
            "INSERT INTO document (kind, id, body) VALUES ('entity', 'e', ?) RETURNING number",
            (json.dumps({"id": "e", "name": "示例化工"}),),
        ).fetchone()[0]
        search.index(db, number, {"name": "示例化工"})

    assert words(Library(database).find(["例化"])) == {("entity", "e")}


def test_what_is_deleted_or_changed_is_not_found_by_its_old_words(device, library):
    put(device, "entity", {"id": "entity-1", "name": "新名电镀"})
    put(device, "task", {"id": "task-1"}, op="tombstone")

    assert library.find(["示例化工"]) == []
    assert library.find(["日常检查"]) == []
    assert words(library.find(["新名"])) == {("entity", "entity-1")}


def test_what_was_taken_away_stays_marked_until_own_work_is_handed_in(device, library):
    put(device, "task", {"id": "task-1", "title": "日常检查"}, op="evict")

    marked = library.tasks()
    with device._outbox.transaction():
        device.documents.let_go()

    assert [row.leaving for row in marked] == [True]
    assert library.tasks() == []


def test_a_reset_feed_takes_nothing_away_before_it_has_been_read_to_its_end(device, library):
    with device._outbox.transaction():
        device.documents.begin_again()
    put(device, "entity", {"id": "entity-1", "name": "示例化工"})

    halfway = len(library.tasks())
    with device._outbox.transaction():
        device.documents.came_whole()
        device.documents.let_go()

    assert halfway == 1
    assert library.tasks() == []
    assert library.show("entity-1").found.leaving is False


def test_a_folder_of_the_first_version_is_brought_up_with_its_documents(tmp_path):
    database = sqlite3.connect(tmp_path / "journal.sqlite")
    first = outbox_module._VERSIONS[0]
    database.executescript(f"{first}PRAGMA user_version=1;")
    database.execute("INSERT INTO document VALUES ('entity', 'e', ?)", ('{"name":"示例化工"}',))
    database.execute("INSERT INTO medium (sha256, name, size, media_type) VALUES ('a','b',1,'c')")
    database.commit()
    database.close()

    with Device.open(tmp_path) as device:
        assert words(Library(device._outbox).find(["化工"])) == {("entity", "e")}
        assert device._outbox.medium("a").state == "kept"
        assert not device._outbox.outdated()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_commands_answer_while_another_process_works(kit, device, lang):
    inspection = on_patrol(device)
    device.save_record(inspection, TEMPLATE, {"weather": "晴"})

    def run(*arguments, as_json=False):
        options = ["--device", str(kit.folder), "--lang", lang, *(["--json"] if as_json else [])]
        result = CliRunner().invoke(cli, [*options, *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    assert "日常检查" in run("tasks").stdout
    assert said(run("tasks", as_json=True))["tasks"][0]["id"] == "task-1"
    assert "晴" in run("show", inspection).stdout
    assert said(run("show", "示例化工", as_json=True))["body"]["name"] == "示例化工"
    assert said(run("search", "化工", as_json=True))["found"][0]["id"] == "entity-1"
    assert "entity-1" in run("search", "化工").stdout


def test_what_a_fellow_officer_sealed_counts_as_sealed_here(device):
    inspection = on_patrol(device)
    put(device, "inspection", {"id": inspection, "state": "sealed"})

    device.note(inspection, "事后补记")

    assert acts_of(device, "addendum.added")[0]["text"] == "事后补记"
    assert [one.sealed for one in device.status().inspections] == [True]


def test_a_document_is_shown_in_words_and_names_not_in_codes_and_ids(kit, device):
    put(device, "entity", {"id": "entity-9", "name": "示例印染"})
    put(device, "task", {"id": "t", "title": "夜查", "entity": "entity-9", "kind": "daily"})
    inspection = on_patrol(device)
    device.save_record(inspection, TEMPLATE, {"weather": "晴"})

    task, seen = (shown(kit, wanted) for wanted in ("t", inspection))

    assert "检查对象：示例印染" in task
    assert "类别：日常检查" in task
    assert "栏：晴" in seen
