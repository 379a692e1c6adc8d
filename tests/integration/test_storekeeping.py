"""The store is compared with the tables: what vanished or changed is named, nothing is deleted."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from media.s3 import S3Store
from media.s3_objects import open_client
from media.store import StoreUnavailable
from server.app import create_app
from server.cli.store import store as store_commands
from server.db import reading
from server.models.inspections import EvidenceItem
from server.models.ledger import LedgerEvent
from server.models.uploads import AdoptedObject, MediaObject, ObjectFixity, StoreCheck, Upload
from server.operations import uploads
from server.operations.access import Actor
from server.operations.doubts import doubts_of
from server.operations.storekeeping import read_store, rehash, sweep
from server.settings import Settings, SettingsError
from tests.support import draw
from tests.support.bureau import environment
from tests.support.simdevice import new_id
from tests.support.world import World

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bucket(s3):
    """A bucket of this test's own: what a sweep finds is all there is."""
    access_key, secret_key = s3.administrator or (s3.access_key, s3.secret_key)
    own = replace(s3, bucket=f"keeping-{new_id()}", access_key=access_key, secret_key=secret_key)
    open_client(own.address()).create_bucket(Bucket=own.bucket)
    return own


@pytest.fixture
def variables(database_url, tmp_path, bucket):
    return environment(tmp_path / "var", bucket, LIUHEN_DATABASE_URL=database_url)


@pytest.fixture
def world(variables):
    return World(Settings.from_env(variables))


class House:
    """A world with an officer's device whose pictures are in the store."""

    def __init__(self, world):
        self.world = world
        self.device = world.on_patrol()
        self.store = world.services.store

    def announce(self, data, media_type="image/jpeg"):
        item = new_id()
        self.device.write(
            "media.captured",
            officer=self.world.officers[0],
            inspection=self.device.inspection,
            item=item,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            media_type=media_type,
            **{"class": "B"},
        )
        self.world.push(self.device)
        return item

    def begin(self, data, filetype="image/jpeg"):
        named = {"sha256": hashlib.sha256(data).hexdigest(), "filetype": filetype}
        packed = ",".join(
            f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in named.items()
        )
        return self.world.client.post(
            "/api/v1/uploads",
            headers={
                **self.device.headers,
                "Tus-Resumable": "1.0.0",
                "Upload-Length": str(len(data)),
                "Upload-Metadata": packed,
            },
        )

    def upload(self, data):
        made = self.begin(data)
        assert made.status_code == 201, made.text
        address = made.headers["Location"].removeprefix("http://localhost")
        answer = self.world.client.patch(
            address,
            data=data,
            headers={
                **self.device.headers,
                "Tus-Resumable": "1.0.0",
                "Upload-Offset": "0",
                "Content-Type": "application/offset+octet-stream",
            },
        )
        assert answer.status_code == 204, answer.text
        return address.rpartition("/")[2]

    def keep(self, colour):
        data = draw.photo(colour=colour)
        item = self.announce(data)
        self.upload(data)
        return item, hashlib.sha256(data).hexdigest()

    def key(self, sha256):
        [row] = self.world.rows(MediaObject, sha256=sha256)
        return row.key

    def vanish(self, key):
        self.store.client.delete_object(Bucket=self.store.bucket, Key=key)

    def overwrite(self, key, data):
        self.store.client.put_object(Bucket=self.store.bucket, Key=key, Body=data)

    def keys(self):
        return {found.key for prefix in ("media/", "quarantine/") for found in self.list(prefix)}

    def list(self, prefix):
        return list(self.store.list(prefix))

    def sweep(self, repair=False):
        with self.world.app.app_context():
            return sweep(uploads.open_desk(self.world.app), repair=repair)

    def rehash(self, **options):
        with self.world.app.app_context():
            return tuple(rehash(self.world.services, **options))

    def doubts(self, item):
        with self.world.app.app_context(), reading() as session:
            return [
                (doubt.code, doubt.evidence["expected"]["reason"])
                for doubt in doubts_of(session, [item]).get(item, ())
            ]


@pytest.fixture
def house(world):
    return House(world)


def _actor(world):
    return Actor(
        user_id="", person_id="", name="", organization_id=world.organization, roles=frozenset()
    )


def _kinds(world):
    """The ledger's events, oldest first."""
    return [row.kind for row in sorted(world.rows(LedgerEvent), key=lambda row: row.index)]


def named(report):
    return sorted((doubt.kind, doubt.key) for doubt in report.doubts)


def test_a_store_that_agrees_with_the_tables_raises_no_doubt(house):
    house.keep("navy")

    report = house.sweep()

    assert (report.doubts, report.adopted) == ((), ())
    assert (report.objects, report.bytes) == (1, house.world.rows(MediaObject)[0].size)
    (row,) = house.world.rows(StoreCheck)
    assert json.loads(row.report)["doubt_count"] == 0
    assert _kinds(house.world)[-1] == "verify"


def test_each_altered_original_is_found_and_named(house):
    items = {colour: house.keep(colour) for colour in ("red", "green", "blue", "black")}
    house.vanish(house.key(items["red"][1]))
    house.overwrite(house.key(items["green"][1]), b"other bytes")
    true = house.store.read(house.key(items["blue"][1]), 0, 1 << 20)
    house.overwrite(house.key(items["blue"][1]), true[:-1] + bytes([true[-1] ^ 1]))

    swept = house.sweep()
    (read,) = house.rehash()

    assert named(swept) == sorted(
        [("missing", house.key(items["red"][1])), ("size", house.key(items["green"][1]))]
    )
    assert named(read) == sorted(
        [
            ("missing", house.key(items["red"][1])),
            ("changed", house.key(items["green"][1])),
            ("changed", house.key(items["blue"][1])),
        ]
    )
    assert house.doubts(items["red"][0]) == [("FIXITY_LOST", "missing")]
    assert house.doubts(items["blue"][0]) == [("FIXITY_LOST", "changed")]
    assert house.doubts(items["black"][0]) == []
    assert _kinds(house.world)[-4:] == ["verify", "alarm", "rehash", "alarm"]

    house.overwrite(house.key(items["blue"][1]), true)
    house.world.now_ms += 1
    house.rehash()
    assert house.doubts(items["blue"][0]) == []


def test_those_are_read_first_that_were_not_read_for_longest(house):
    digests = [house.keep(colour)[1] for colour in ("red", "green", "blue")]
    size = max(row.size for row in house.world.rows(MediaObject))

    house.rehash(budget_bytes=size)
    first = {row.sha256 for row in house.world.rows(ObjectFixity)}
    house.world.now_ms += 1000
    house.rehash(budget_bytes=2 * size)

    assert len(first) == 1
    assert {row.sha256 for row in house.world.rows(ObjectFixity)} == set(digests)
    assert [(one.objects, one.doubts) for one in house.rehash(before_ms=1)] == [(0, ())]


def test_a_whole_object_without_a_row_is_adopted_and_its_item_checked(house):
    data = draw.photo(colour="gold")
    item, sha256 = house.announce(data), hashlib.sha256(data).hexdigest()
    key = f"media/{sha256[:2]}/{sha256}"
    house.store.put_once(key, data, size=len(data), sha256=sha256)

    assert named(house.sweep()) == [("unadopted", key)]
    assert house.world.rows(MediaObject) == []
    report = house.sweep(repair=True)

    assert (report.adopted, report.doubts) == ((key,), ())
    (row,) = house.world.rows(MediaObject)
    assert (row.sha256, row.size, row.status) == (sha256, len(data), "stored")
    assert [one.key for one in house.world.rows(AdoptedObject)] == [key]
    (mine,) = house.world.rows(EvidenceItem, id=item)
    assert (mine.state, mine.check_wanted) == ("stored", True)
    assert house.sweep(repair=True).adopted == ()


def test_objects_that_cannot_be_adopted_are_named_and_stay(house):
    _, sha256 = house.keep("navy")
    data = house.store.read(house.key(sha256), 0, 1 << 20)
    wrong = "media/00/" + "0" * 64
    twin = f"media/long/{new_id()}"
    house.overwrite(wrong, b"not those bytes")
    house.overwrite(twin, data)

    report = house.sweep(repair=True)

    assert named(report) == [("duplicate", twin), ("misnamed", wrong)]
    assert {wrong, twin} <= house.keys()


def test_what_ended_uploads_left_over_is_collected_and_evidence_never(house, monkeypatch):
    house.keep("navy")
    data = bytes(range(256)) * 40
    house.announce(data)
    made = house.begin(data)
    address = made.headers["Location"].removeprefix("http://localhost")
    house.world.client.patch(
        address,
        data=data[:5000],
        headers={
            **house.device.headers,
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": "0",
            "Content-Type": "application/offset+octet-stream",
        },
    )
    house.overwrite(f"tail/{new_id()}/0-1", b"left over")
    house.overwrite(f"quarantine/{new_id()}", b"set aside")
    monkeypatch.setattr("server.operations.uploads.leftovers.LEFTOVER_AGE_MS", -(10**13))
    before = house.keys()

    preview = house.sweep()
    assert preview.done == {"expired": 0, "tails": 1, "multiparts": 0}
    assert len(house.list("tail/")) == 2
    house.sweep(repair=True)

    assert len(house.list("tail/")) == 1
    assert house.keys() == before
    house.world.now_ms += 8 * 86_400_000
    assert house.sweep().done["expired"] == 1
    assert house.sweep(repair=True).done["expired"] == 1
    assert house.list("tail/") == []
    assert house.keys() == before
    assert {row.status for row in house.world.rows(Upload)} == {"stored", "expired"}


def test_the_command_says_what_it_found_and_ends_with_its_status(house, variables):
    _, sha256 = house.keep("navy")
    run = CliRunner(env=variables)

    sound = run.invoke(store_commands, ["check", "--rehash", "all"])
    assert (sound.exit_code, "疑点 0 项" in sound.output) == (0, True)

    house.vanish(house.key(sha256))
    doubtful = run.invoke(store_commands, ["check", "--rehash", "1000000"])
    assert doubtful.exit_code == 1
    assert f"Missing: a row names {house.key(sha256)}" in doubtful.output
    plain = json.loads(run.invoke(store_commands, ["check", "--json"]).output)
    assert plain[0]["doubts"] == [
        {"kind": "missing", "key": house.key(sha256), "sha256": sha256, "found": ""}
    ]

    assert run.invoke(store_commands, ["check", "--rehash", "some"]).exit_code == 2
    away = {**variables, "LIUHEN_S3_ENDPOINT": "http://127.0.0.1:9"}
    gone = CliRunner(env=away).invoke(store_commands, ["check"])
    assert gone.exit_code == 2


def test_the_command_tidies_up_and_takes_nothing_away(house, variables, monkeypatch):
    house.keep("navy")
    lost = draw.photo(colour="gold")
    digest = hashlib.sha256(lost).hexdigest()
    house.overwrite(f"media/{digest[:2]}/{digest}", lost)
    house.overwrite(f"media/00/{'0' * 64}", b"not those bytes")
    house.overwrite(f"quarantine/{new_id()}", b"set aside")
    house.overwrite(f"derived/00/{'1' * 64}", b"drawn")
    house.overwrite(f"tail/{new_id()}/0-1", b"left over")
    monkeypatch.setattr("server.operations.uploads.leftovers.LEFTOVER_AGE_MS", -(10**13))
    before = {found.key for found in house.list("")}

    repaired = CliRunner(env=variables).invoke(store_commands, ["check", "--repair"])

    assert repaired.exit_code == 1
    assert "Adopted 1 objects that no row named." in repaired.output
    assert "收编了 1 个没有记录的对象。" in repaired.output
    assert "collected 1 tails" in repaired.output
    gone = before - {found.key for found in house.list("")}
    assert [key.partition("/")[0] for key in gone] == ["tail"]


def test_the_command_goes_on_after_what_the_store_does_not_give(house, variables, monkeypatch):
    keys = [house.key(house.keep(colour)[1]) for colour in ("navy", "gold")]
    stream = S3Store.stream

    def refuse(store, key):
        if key == keys[0]:
            raise StoreUnavailable(f"{key}: InternalError 500", status=500)
        return stream(store, key)

    monkeypatch.setattr(S3Store, "stream", refuse)
    found = CliRunner(env=variables).invoke(store_commands, ["check", "--rehash", "all"])

    assert found.exit_code == 1
    assert f"The store does not give {keys[0]}; it is tried again." in found.output
    assert f"读不出：{keys[0]}，下次再试。" in found.output
    assert "Read 1 originals again" in found.output


def test_the_command_tells_what_it_had_found_before_the_store_went_away(
    house, variables, monkeypatch
):
    house.keep("navy")

    def gone(_store, key, *_more):
        raise StoreUnavailable(f"{key}: no answer")

    house.keep("gold")
    monkeypatch.setattr(S3Store, "stream", gone)
    monkeypatch.setattr(S3Store, "read", gone)
    monkeypatch.setattr("server.operations.storekeeping.fixity._SUSPICIOUS", 1)
    house.overwrite(f"media/long/{new_id()}", b"whole")
    found = CliRunner(env=variables).invoke(store_commands, ["check", "--rehash", "all"])

    assert found.exit_code == 2
    assert "Compared 3 objects" in found.stdout
    assert "核对了 3 个对象" in found.stdout
    assert "Read" not in found.stdout
    assert len(found.stderr.splitlines()) == 2


def test_a_database_that_does_not_answer_is_said_in_a_sentence(variables):
    away = {**variables, "LIUHEN_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none"}

    found = CliRunner(env=away).invoke(store_commands, ["check", "--json"])

    assert (found.exit_code, json.loads(found.stdout)) == (2, [])
    assert found.stderr.splitlines() == ["数据库没有应答。", "The database does not answer."]


def _two_at_once(variables, *how):
    """Two workers that begin at the same moment; what they told in the end."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.nights", *how],
            cwd=_ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    told = [worker.communicate(timeout=120) for worker in workers]
    assert [out for out, _ in told] == ["done\n"] * 2
    assert [err for _, err in told if "night_failed" in err or "Traceback" in err] == []


@pytest.mark.parametrize(("how", "times"), [((), 1), (("anyway",), 2)], ids=["nights", "by hand"])
def test_of_two_workers_one_does_the_night_and_two_at_once_are_no_error(
    house, variables, how, times
):
    house.keep("navy")
    lost = {f"media/{digest[:2]}/{digest}": data for data, digest in _named_bytes(20)}
    for key, data in lost.items():
        house.overwrite(key, data)

    _two_at_once(variables, *how)

    reports = [json.loads(row.report) for row in house.world.rows(StoreCheck)]
    sweeps = [report for report in reports if report["kind"] == "sweep"]
    # What the other adopts meanwhile may be a reading more.
    assert len(reports) >= 2 * times
    assert [report["doubts"] for report in reports if report["doubts"]] == []
    assert [report["objects"] for report in sweeps] == [21] * times
    assert sorted(key for report in sweeps for key in report["adopted"]) == sorted(lost)
    assert {row.key for row in house.world.rows(AdoptedObject)} == set(lost)
    assert len(house.world.rows(ObjectFixity)) == 21


def _named_bytes(count):
    for number in range(count):
        data = f"{new_id()} {number}".encode()
        yield data, hashlib.sha256(data).hexdigest()


def test_the_page_names_what_is_lost_and_what_has_not_come(house):
    item, sha256 = house.keep("navy")
    waiting = house.announce(b"a film that has not come", "video/mp4")
    house.vanish(house.key(sha256))
    house.sweep()
    house.rehash()

    with house.world.app.app_context(), reading() as session:
        view = read_store(session, _actor(house.world))

    assert [(one.sha256, one.outcome) for one in view.lost] == [(sha256, "missing")]
    assert view.lost[0].items[0][0] == item
    assert [one.item_id for one in view.expected] == [waiting]
    assert (view.stored, view.never_read, view.expected_count) == (1, 0, 1)
    assert view.sweep.report["doubt_count"] == view.rehash.report["doubt_count"] == 1


def test_recordings_wait_when_the_store_runs_low_and_photos_do_not(variables, world):
    settings = Settings.from_env(
        {
            **variables,
            "LIUHEN_STORE_CAPACITY_BYTES": "1000",
            "LIUHEN_RECORDINGS_STOP_PERCENT": "90",
            "LIUHEN_RECORDING_HOURS": "18:00-07:00@4000, 12:00-13:00",
        }
    )
    house = House(world)
    photo = draw.photo(colour="red").ljust(2000, b"\0")
    house.announce(photo)
    house.upload(photo)
    full = create_app(settings, services=replace(world.services, settings=settings))
    world.client = full.test_client()

    hello = world.client.get("/api/v1/hello").json
    assert hello["room"] == {"free_bytes": 0, "days_left": 0, "recordings": False}
    assert hello["limits"]["windows"] == [
        {"from": "18:00", "to": "07:00", "kbit_s": 4000},
        {"from": "12:00", "to": "13:00", "kbit_s": 0},
    ]
    refused = house.begin(b"film", filetype="video/mp4")
    assert (refused.status_code, refused.json["code"]) == (507, "media.store_low")
    film = b"announced as a film"
    house.announce(film, "audio/mp4")
    assert house.begin(film, filetype="").status_code == 507
    assert house.begin(b"another photo").status_code == 201


@pytest.mark.parametrize("hours", ["18-7", "25:00-01:00", "18:00-18:00", "18:00-19:00@fast"])
def test_hours_that_cannot_be_read_stop_the_start_with_their_name(variables, hours):
    with pytest.raises(SettingsError) as raised:
        Settings.from_env({**variables, "LIUHEN_RECORDING_HOURS": hours})

    assert raised.value.names == ("LIUHEN_RECORDING_HOURS",)
