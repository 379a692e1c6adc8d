"""The page of the store: what the last runs found, what waits for how long, and what failed."""

import json

import pytest

from media.store import StoreUnavailable, Traits, media_key
from server.db import transaction
from server.models.ledger import LedgerEvent
from server.operations import uploads
from server.operations.room import Room
from server.operations.storekeeping import REHASH, SWEEP, keep_failure, rehash, sweep
from tests.support.console import console_world, make_case, visitor
from tests.support.keeping import digest

_DAY_MS = 86_400_000


class Scene:
    """A visit whose files are looked after, and somebody who looks at the page."""

    def __init__(self, world):
        self.world = world
        self.case = make_case(world)
        self.objects = world.services.store.objects

    def key(self, title):
        return media_key(digest(self.case.bytes[title]))

    def night(self):
        with self.world.app.app_context():
            sweep(uploads.open_desk(self.world.app), repair=True)
            # What a sweep has read again is not due before the clock goes on.
            self.world.now_ms += 60_000
            return list(rehash(self.world.services))

    def sweep(self):
        with self.world.app.app_context():
            sweep(uploads.open_desk(self.world.app), repair=True)

    def fail(self, kind, code):
        with self.world.app.app_context(), transaction() as session:
            now_ms = self.world.now_ms
            keep_failure(session, kind, code, began_ms=now_ms, now_ms=now_ms)

    def page(self, lang):
        # Sessions end with the hours that a test lets pass.
        answer = visitor(self.world, "supervisor").get(f"/store?lang={lang}")
        assert answer.status_code == 200
        return answer.text


@pytest.fixture
def scene(database_url, tmp_path):
    return Scene(console_world(database_url, tmp_path / "var"))


def _section(page, name):
    return page.partition(f'id="{name}"')[2].partition("</section>")[0]


def test_before_the_first_night_it_says_so(scene):
    # The sweep, the re-hash, and the audit of the ledger.
    assert scene.page("en").count("not yet (every night at 3:17)") == 3


def test_what_a_night_found_stands_there_by_kind_with_its_items(scene, monkeypatch):
    gone, changed, refused = "废水总排口", "在线监测站房", "雨水沟"
    del scene.objects[scene.key(gone)]
    scene.objects[scene.key(changed)] += b"?"
    stream = scene.world.services.store.stream

    def answer(key):
        if key == scene.key(refused):
            raise StoreUnavailable(f"{key}: InternalError 500", status=500)
        return stream(key)

    monkeypatch.setattr(scene.world.services.store, "stream", answer)
    scene.night()
    scene.world.now_ms += 3 * 3_600_000
    page = scene.page("en")

    runs = _section(page, "runs")
    assert "missing 1 · of another length 1" in runs
    assert "changed 1 · missing 1 · not given 1" in runs
    assert "Compared 4 objects" in runs
    assert "Read 4 originals again" in runs
    assert runs.count("3 h ago") == 2
    for title in (gone, changed, refused):
        assert f'href="/items/{scene.case.items[title]}"' in runs
    assert f'href="/items/{scene.case.items[refused]}"' in _section(page, "refused")
    assert "media.store_unavailable" in _section(page, "refused")
    assert scene.case.items[refused] not in _section(page, "lost")
    views = [json.loads(row.event) for row in scene.world.rows(LedgerEvent, kind="view")]
    shown = next(event["subject"] for event in views if event["subject"]["page"] == "store")
    assert {scene.case.items[title] for title in (gone, changed, refused)} <= set(shown["items"])
    assert "缺失 1 · 长度不符 1" in _section(scene.page("zh"), "runs")


@pytest.mark.parametrize(
    ("lang", "days", "hours"), [("zh", "3 天前", "5 小时前"), ("en", "3 days ago", "5 h ago")]
)
def test_what_has_not_come_is_shown_with_its_age(scene, lang, days, hours):
    waiting = scene.case.items["危废暂存间"]
    announced_ms = scene.world.now_ms

    for passed_ms, age in ((5 * 3_600_000 + 1, hours), (3 * _DAY_MS + 1, days)):
        scene.world.now_ms = announced_ms + passed_ms
        expected = _section(scene.page(lang), "expected")
        assert f'href="/items/{waiting}"' in expected
        assert age in expected


@pytest.mark.parametrize(
    ("lang", "sentences"),
    [
        ("zh", ["近 3 天", "还可存 12 天", "未传完的文件还需 5.0 GiB", "暂不接收"]),
        (
            "en",
            [
                "Last 3 days",
                "at this rate there is room for recordings for 12 days",
                "5.0 GiB still to come of files under way",
                "not taken: the store runs low",
            ],
        ),
    ],
)
def test_the_room_is_shown_with_the_days_that_it_lasts(scene, monkeypatch, lang, sentences):
    found = Room(
        capacity=100 << 30,
        free=20 << 30,
        stop_below=10 << 30,
        promised=5 << 30,
        daily=1 << 30,
        days=3,
        days_left=12,
        recordings=False,
    )
    monkeypatch.setattr("server.operations.room.measure", lambda *_, **_named: found)

    shown = _section(scene.page(lang), "room")

    assert [sentence for sentence in sentences if sentence not in shown] == []
    assert "20.0 GiB" in shown


def test_what_the_store_cannot_do_is_shown_one_by_one(scene, monkeypatch):
    store = scene.world.services.store
    assert "compares what is written, never overwrites" in _section(scene.page("en"), "room")

    lacking = Traits(refuses_damage=False, keeps_parts=False, lists_multiparts=False)
    monkeypatch.setattr(store, "traits", lambda: lacking)
    shown = _section(scene.page("en"), "room")
    for sentence in (
        "The store compares no SHA-256",
        "multipart uploads cannot be relied upon",
        "does not list unfinished multipart uploads",
        "The bucket has no Object Lock that works",
    ):
        assert sentence in shown
    assert "overwrites objects" not in shown

    def silent():
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(store, "traits", silent)
    assert "the store does not answer" in _section(scene.page("en"), "room")


def test_all_slices_of_a_run_are_shown_as_one(scene, monkeypatch):
    monkeypatch.setattr("server.operations.storekeeping.fixity._SLICE_OBJECTS", 2)
    key = scene.key("废水总排口")
    scene.objects[key] = bytes(len(scene.objects[key]))

    assert len(scene.night()) == 3

    runs = _section(scene.page("en"), "runs")
    assert "Read 5 originals again" in runs
    assert "changed 1" in runs


def test_what_a_sweep_has_read_again_is_not_shown_as_the_newest_run(scene):
    scene.night()
    del scene.objects[scene.key("废水总排口")]

    scene.world.now_ms += 60_000
    scene.sweep()
    runs = _section(scene.page("en"), "runs")
    assert "missing 1" in runs
    assert "Read 5 originals again" in runs

    scene.fail(REHASH, "media.store_unavailable")
    before = len(scene.world.rows(LedgerEvent))
    scene.world.now_ms += 60_000
    scene.sweep()
    scene.fail(REHASH, "media.store_unavailable")
    assert "<code>media.store_unavailable</code>" in _section(scene.page("en"), "runs")
    later = [json.loads(row.event) for row in scene.world.rows(LedgerEvent)[before:]]
    assert not [event for event in later if "failed" in event["snapshot"]]


@pytest.mark.parametrize(
    ("lang", "said"),
    [("zh", "重读原件未能完成，自"), ("en", "Reading originals again has been broken off since")],
)
def test_a_run_that_is_broken_off_again_and_again_is_told_once_with_the_reason(scene, lang, said):
    scene.night()
    before = len(scene.world.rows(LedgerEvent))
    for _ in range(3):
        scene.world.now_ms += 60_000
        scene.fail(REHASH, "media.store_unavailable")

    runs = _section(scene.page(lang), "runs")
    assert said in runs
    assert "<code>media.store_unavailable</code>" in runs
    assert "Compared" in runs or "核对了" in runs
    kinds = [row.kind for row in scene.world.rows(LedgerEvent)[before:]]
    assert kinds.count("rehash") == 1

    scene.world.now_ms += 60_000
    scene.night()
    assert said not in scene.page(lang)


def test_a_sweep_that_fails_for_another_reason_is_told_anew(scene):
    for code in ("media.store_unavailable", "OperationalError"):
        scene.fail(SWEEP, code)
        assert f"<code>{code}</code>" in _section(scene.page("en"), "runs")
