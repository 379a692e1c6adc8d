"""What one item is compared with: the device's other photos, and other inspections' items."""

import base64
import hashlib
import io
import json
import random

import pytest
from PIL import Image
from sqlalchemy import event, update

from server.db import db, reading, transaction
from server.models.inspections import EvidenceItem, Finding, Inspection, ItemCheck
from server.models.traits import MediaTrait
from server.operations import likeness, media_checks, media_context
from server.operations.media_checks import rounds
from server.settings import Settings
from tests.support import draw
from tests.support.bureau import environment
from tests.support.simdevice import MORNING_MS, new_id
from tests.support.world import World, make_world

_HERE, _FAR = (225431000, 1140579000), (235431000, 1140579000)
_OTHERS = {
    "REUSED_BYTES",
    "REUSED_SCENE",
    "SPEED_IMPOSSIBLE",
    "ORDER",
    "DEVICE_MISMATCH",
    "QUANT_TABLE",
}


@pytest.fixture
def world(database_url, tmp_path, s3):
    return make_world(database_url, tmp_path / "var", s3)


class Phone:
    """A device on patrol: takes pictures, sends its journal and the files."""

    def __init__(self, world, **where):
        self.world, self.device = world, world.on_patrol(**where)

    def announce(self, sha256, size, place=_HERE, kind="media.captured", **more):
        fields = {
            "officer": self.world.officers[0],
            "inspection": self.device.inspection,
            "item": new_id(),
            "sha256": sha256,
            "size": size,
            "media_type": "image/jpeg",
            "class": "B",
            "pos": {"lat": place[0], "lon": place[1], "acc": 500},
        }
        return self.device.write(kind, **{**fields, **more}).act["item"]

    def take(self, data, **more):
        item = self.announce(hashlib.sha256(data).hexdigest(), len(data), **more)
        self.push()
        if not self.world.rows(EvidenceItem, id=item)[0].check_wanted:
            self.upload(data)
        return item

    def compare_clock(self):
        """The device's clock is right, and the server knows."""
        self.device.write("clock.compared", server_ms=self.device.now_ms, offset_ms=0, error_ms=50)

    def push(self):
        answer = self.world.push(self.device)
        assert {line["projection"] for line in answer.json["results"]} == {"applied"}

    def upload(self, data):
        tus = {**self.device.headers, "Tus-Resumable": "1.0.0"}
        digest = base64.b64encode(hashlib.sha256(data).hexdigest().encode()).decode()
        made = self.world.client.post(
            "/api/v1/uploads",
            headers={
                **tus,
                "Upload-Length": str(len(data)),
                "Upload-Metadata": f"sha256 {digest}",
                "Upload-Offset": "0",
                "Content-Type": "application/offset+octet-stream",
            },
            data=data,
        )
        assert made.status_code == 201, made.text


def _check(world):
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)
    assert not world.rows(EvidenceItem, check_wanted=True)


def _findings(world, item):
    """The findings of an item's newest check."""
    check = max(row.id for row in world.rows(ItemCheck, item_id=item))
    return world.rows(Finding, check_id=check)


def _codes(world, item):
    return {row.code: row.severity for row in _findings(world, item)}


def _newest(world, item):
    """Severity and expectation of the newest findings that rest on other items, by code."""
    return {
        row.code: (row.severity, json.loads(row.evidence)["expected"])
        for row in _findings(world, item)
        if row.code in _OTHERS
    }


def _scene(seed, size=(640, 480), quality=90, **exif):
    """A picture with contents, the same at every size."""
    draws = random.Random(seed)
    picture = Image.new("RGB", (64, 48))
    picture.putdata([tuple(draws.randrange(256) for _ in range(3)) for _ in range(64 * 48)])
    out = io.BytesIO()
    head = b"Exif\0\0" + draw.exif(taken="2026:05:04 09:00:20", zone="+08:00", **exif)
    picture = picture.resize((12, 9), Image.Resampling.BOX).resize((640, 480)).resize(size)
    picture.save(out, "JPEG", quality=quality, exif=head)
    return out.getvalue()


def test_a_file_in_two_cases_is_found_at_both(world):
    first, second, mate = Phone(world), Phone(world), Phone(world)
    data = _scene(1)
    item = first.take(data)
    _check(world)
    assert _newest(world, item) == {}

    again = first.take(data)
    _check(world)
    assert _newest(world, again) == {}, "sent again within one inspection"

    other = second.take(data)
    _check(world)

    severity, expected = _newest(world, other)["REUSED_BYTES"]
    assert (severity, expected["item"] in (item, again)) == ("fail", True)
    assert _newest(world, item)["REUSED_BYTES"][1]["item"] == other
    assert _newest(world, again)["REUSED_BYTES"][1]["inspection"] == second.device.inspection

    checks = len(world.rows(ItemCheck))
    mistaken = mate.take(data)
    mate.device.write(
        "media.discarded",
        officer=world.officers[0],
        inspection=mate.device.inspection,
        item=mistaken,
        reason="选错",
    )
    mate.push()
    _check(world)
    assert _newest(world, mistaken) == {}
    assert len(world.rows(ItemCheck)) == checks + 1, "nobody else is checked again"


def test_a_file_in_two_inspections_that_name_one_case_is_a_doubt_that_names_it(world):
    first, second, other = Phone(world), Phone(world), Phone(world)
    data = _scene(1)
    items = [phone.take(data) for phone in (first, second, other)]
    with world.app.app_context(), transaction() as session:
        for phone, case in ((first, "3"), (second, "3"), (other, "4")):
            session.execute(
                update(Inspection)
                .where(Inspection.id == phone.device.inspection)
                .values(external_ids=json.dumps({"case": case}))
            )

    _check(world)

    found = {
        (row.severity, told["item"], told.get("case"))
        for row in _findings(world, items[0])
        if row.code == "REUSED_BYTES"
        for told in [json.loads(row.evidence)["expected"]]
    }
    assert found == {("warn", items[1], "3"), ("fail", items[2], None)}


def test_photos_of_one_device_are_put_in_order_by_the_zones_that_they_name(world):
    phone = Phone(world)
    east = draw.photo(draw.exif(taken="2026:05:04 10:00:20", zone="+09:00"), colour="navy")
    here = draw.photo(draw.exif(taken="2026:05:04 09:00:30", zone="+08:00"), colour="olive")

    items = [phone.take(east), phone.take(here)]
    _check(world)

    assert not [item for item in items if "ORDER" in _newest(world, item)]


def test_a_picture_saved_again_in_another_case_is_found_at_both(world):
    first, second = Phone(world), Phone(world)
    item = first.take(_scene(2))
    flat = first.take(draw.photo(draw.exif(), size=(64, 48)))
    _check(world)

    smaller = second.take(_scene(2, size=(320, 240), quality=60))
    second.take(draw.photo(draw.exif(), size=(64, 50)))
    unlike = second.take(_scene(3))
    _check(world)

    assert _newest(world, smaller)["REUSED_SCENE"][1]["item"] == item
    severity, expected = _newest(world, item)["REUSED_SCENE"]
    assert (severity, expected["item"], expected["bits"] <= 6) == ("warn", smaller, True)
    assert "REUSED_SCENE" not in _newest(world, flat), "flat pictures all look alike"
    assert "REUSED_SCENE" not in _newest(world, unlike)
    assert len(world.rows(ItemCheck, item_id=item)) == 2


def test_two_workers_at_two_alike_pictures_find_both(world, monkeypatch):
    first, second = Phone(world), Phone(world)
    item, other = first.take(_scene(2)), second.take(_scene(2, size=(320, 240)))
    compare = rounds.compare

    def compare_while_another_worker_finishes(read, context):
        monkeypatch.setattr(rounds, "compare", compare)
        assert context.scenes == ()
        _check(world)
        return compare(read, context)

    monkeypatch.setattr(rounds, "compare", compare_while_another_worker_finishes)
    _check(world)

    assert _newest(world, item)["REUSED_SCENE"][1]["item"] == other
    assert _newest(world, other)["REUSED_SCENE"][1]["item"] == item


@pytest.mark.parametrize(("compared", "outcome"), [(True, "fail"), (False, "warn")])
def test_a_device_that_flies_is_found_at_both_ends(world, compared, outcome):
    phone = Phone(world)

    def take(seed, place=_HERE):
        if compared:
            phone.compare_clock()
        item = phone.take(_scene(seed), place=place)
        if compared:
            phone.compare_clock()
            phone.push()
        return item

    here = take(4)
    _check(world)
    there, later = take(5, _FAR), take(6, _FAR)
    _check(world)

    severity, expected = _newest(world, there)["SPEED_IMPOSSIBLE"]
    assert (severity, expected["reason"], expected["item"]) == (outcome, "previous", here)
    assert _newest(world, here)["SPEED_IMPOSSIBLE"][1]["item"] == there
    assert "SPEED_IMPOSSIBLE" not in _newest(world, later)


def test_the_camera_of_a_device_is_the_one_of_its_earlier_photos(world):
    phone = Phone(world)
    usual = phone.take(_scene(7))
    strange = [phone.take(_scene(8 + n, make="Other", model="X9")) for n in range(2)]
    _check(world)

    assert "DEVICE_MISMATCH" not in _newest(world, usual)
    for item in strange:
        severity, expected = _newest(world, item)["DEVICE_MISMATCH"]
        assert (severity, expected["known"]) == ("warn", ["Drawn"])

    with world.app.app_context(), transaction() as session:
        session.execute(
            update(EvidenceItem).where(EvidenceItem.id == strange[1]).values(state="accepted")
        )
    known = phone.take(_scene(10, make="Other", model="X9"))
    _check(world)
    assert "DEVICE_MISMATCH" not in _newest(world, known), "a reviewer has accepted that camera"


def test_a_recorders_clock_is_corrected_before_its_files_are_judged(world):
    phone = Phone(world)
    fast = draw.exif(taken="2026:05:04 12:00:20", zone="+08:00")
    item = phone.take(
        draw.photo(fast),
        kind="media.imported",
        source={"path": "x.jpg", "recorder": "DSJ00012"},
        **{"class": "C"},
    )
    _check(world)
    assert _codes(world, item)["TIME_AFTER_RECEIPT"] == "warn", "nobody knows that clock"

    phone.device.write(
        "recorder.compared",
        officer=world.officers[0],
        recorder="DSJ00012",
        method="docking",
        recorder_ms=MORNING_MS + 3 * 3_600_000,
        offset_ms=-3 * 3_600_000,
        error_ms=1000,
    )
    phone.push()
    _check(world)

    check = max(world.rows(ItemCheck, item_id=item), key=lambda row: row.id)
    recorder = json.loads(check.context)["hints"]["recorder"]
    assert recorder == {
        "offset_ms": 3 * 3_600_000,
        "error_ms": 1000,
        "recorder_ms": MORNING_MS + 3 * 3_600_000,
    }
    assert not {"TIME_AFTER_RECEIPT", "TIME_OUTSIDE_WINDOW"} & set(_codes(world, item))


def test_a_bureau_may_require_a_time_and_a_place(database_url, tmp_path, s3):
    variables = {"LIUHEN_REQUIRE_TIME": "1", "LIUHEN_REQUIRE_PLACE": "1"}
    settings = environment(tmp_path / "var", s3, LIUHEN_DATABASE_URL=database_url, **variables)
    world = World(Settings.from_env(settings))
    phone = Phone(world)
    item = phone.take(draw.photo(b""), place=_FAR)
    _check(world)

    codes = _codes(world, item)
    assert (codes["TIME_ABSENT"], codes["GPS_OFF_SITE"]) == ("fail", "fail")


def test_the_search_by_quarters_finds_what_comparing_all_finds(world):
    phone = Phone(world)
    draws = random.Random(20261123)
    numbers = []
    for origin in (draws.getrandbits(64) | 0xFFFF for _ in range(4)):
        for bits in range(9):
            flips = draws.sample(range(64), bits)
            numbers.append(origin ^ sum(1 << bit for bit in flips))
    mate = Phone(world)
    for number in numbers:
        mate.announce(f"{number:064x}", 5)
    mate.push()
    item = phone.take(draw.photo())
    with world.app.app_context(), transaction() as session:
        for number in numbers:
            parts = likeness.quarters(number)
            session.add(
                MediaTrait(
                    sha256=f"{number:064x}",
                    make="",
                    model="",
                    serial="",
                    quant_tables="",
                    likeness=(number ^ 1 << 63) - (1 << 63),
                    **{f"quarter{n}": part for n, part in enumerate(parts)},
                )
            )
    with world.app.app_context(), reading() as session:
        row = session.get_one(EvidenceItem, item)
        for number in numbers:
            found = [
                (scene.distance, scene.sha256) for scene in likeness.scenes(session, row, number)
            ]
            others = [((number ^ other).bit_count(), f"{other:064x}") for other in numbers]
            assert sorted(found) == sorted(pair for pair in others if pair[0] <= 6)[:10]


def test_the_cost_of_one_item_does_not_grow_with_its_inspection(world):
    phone = Phone(world)

    def cost(photos):
        """Statements for the one photo of many that is here."""
        data = _scene(photos)
        digests = [f"{photos:04x}{n:060x}" for n in range(photos)]
        digests[photos // 2] = hashlib.sha256(data).hexdigest()
        items = [phone.announce(digest, len(data)) for digest in digests]
        phone.push()
        phone.upload(data)
        statements = []

        def count(*_):
            statements.append(1)

        with world.app.app_context(), reading() as session:
            row = session.get_one(EvidenceItem, items[photos // 2])
            seen = media_context.Seen(facts="", second="", pixels="")
            event.listen(db.engine, "before_cursor_execute", count)
            media_context.gather(session, row, seen, world.settings)
            event.remove(db.engine, "before_cursor_execute", count)
        return len(statements)

    few, many = cost(4), cost(120)
    assert many <= few + 1 < 45
