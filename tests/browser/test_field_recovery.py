"""The field app where things go wrong: refused lines, restored servers, damage, lost phones."""

import json
import time

import pytest

from server.db import transaction
from server.models.inspections import EvidenceItem
from server.models.journal import JournalLine, LineOutcome
from server.models.uploads import MediaObject
from server.operations.access import Actor
from server.operations.revocation import revoke_device
from sync.evidence.fork import check_fork, parse_fork
from sync.evidence.note import parse_verifier_key
from tests.browser.conftest import CHROMIUM
from tests.protocol.conftest import sign_checkpoint
from tests.support.fieldphone import HARNESS, begin, kill, phone, sync, until
from tests.support.restoring import copy_database, restore
from tests.support.rotating import begin as begin_rotation
from tests.support.rotating import finish, grow
from tests.support.serving import served
from tests.support.simdevice import new_id

#: Turns one letter of a line's signature.
TURNED = 'text => text.replace(/"s":"(.)/, (_, c) => `"s":"${c === "A" ? "B" : "A"}`)'


@pytest.fixture
def page(playwright, world, tmp_path):
    """A phone whose server comes and goes: every sync of a test has it answer."""
    with served(world.app) as port:
        world.port = port
        context = phone(playwright, CHROMIUM, tmp_path / "profile", f"http://127.0.0.1:{port}")
        page = context.__enter__()
        page.inspection = begin(page, world)
    yield page
    context.__exit__(None, None, None)


def online(page, world):
    with served(world.app, world.port):
        return sync(page)


def keep(page, world, size=2000):
    return page.evaluate(
        """async ([officer, inspection, size]) => {
            const {item, sha256, line} = await harness.field.capture({officer, inspection,
                bytes: harness.noise(size), mediaType: "image/jpeg", captureClass: "B"});
            return {item, sha256, inspection, epoch: line.header.epoch, seq: line.header.seq};
        }""",
        [world.officers[0], page.inspection, size],
    )


def damage(page, saved, turn):
    """Let ``turn``, a JavaScript function of text, spoil the line of ``saved`` on the disk."""
    page.evaluate(
        """async ([{epoch, seq}, turn]) => {
            const spoil = eval(turn);
            await harness.field.database.write(["lines"], async (tx) => {
                const row = await tx.get("lines", [epoch, seq]);
                const raw = new TextEncoder().encode(spoil(new TextDecoder().decode(row.raw)));
                tx.put("lines", {...row, raw});
            });
        }""",
        [saved, turn],
    )


def codes(problems):
    return [problem.split(":")[0].split(" ")[0] for problem in problems]


def troubles(page):
    return [one["code"] for one in page.evaluate("harness.field.troubles()")]


def status(page):
    return page.evaluate("harness.field.status()")


def stored(world):
    return {row.sha256 for row in world.rows(MediaObject) if row.status == "stored"}


def applied_items(world):
    return {row.id for row in world.rows(EvidenceItem)}


def test_behind_a_refused_line_the_journal_goes_on_and_says_it_again(page, world):
    first = keep(page, world)
    second = keep(page, world)
    third = keep(page, world)
    damage(page, second, TURNED)

    report = online(page, world)
    again = online(page, world)

    assert codes(report["problems"]) == ["journal.refused"]
    assert [(one["seq"], one["code"]) for one in report["refused"]] == [
        (second["seq"], "journal.bad_signature")
    ]
    assert (again["problems"], again["refused"], again["stuck"]) == ([], [], [])
    assert (status(page)["linesOnlyHere"], status(page)["itemsOnlyHere"]) == (0, 0)
    assert applied_items(world) == {one["item"] for one in (first, second, third)}
    assert stored(world) == {one["sha256"] for one in (first, second, third)}
    assert {row.projection for row in world.rows(LineOutcome)} == {"applied"}
    fates = page.evaluate("id => harness.field.items(id)", page.inspection)
    assert {one["fate"] for one in fates} == {"safe"}
    opened = [act for act in acts(page) if act["type"] == "epoch.opened"]
    assert [act["reason"] for act in opened] == ["enrolled", "refused"]
    assert opened[1]["before"]["seq"] == second["seq"] - 1
    assert opened[1]["refused"][0]["code"] == "journal.bad_signature"
    said_again = [act["restates"] for act in acts(page) if "restates" in act]
    assert [one["seq"] for one in said_again] == [second["seq"], third["seq"]]
    assert all("line_b64" in one for one in said_again)
    assert troubles(page) == []


def acts(page):
    texts = page.evaluate(
        """harness.field.database.read(["lines"], async (tx) =>
            (await tx.all("lines")).map((row) => new TextDecoder().decode(row.raw)))"""
    )
    order = page.evaluate(
        """harness.field.database.read(["epochs"], async (tx) =>
            (await tx.by("epochs", "order")).map((row) => row.epoch))"""
    )
    lines = []
    for text in texts:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    lines.sort(key=lambda line: (order.index(line["e"]["epoch"]), line["e"]["seq"]))
    return [line["b"][0] for line in lines]


def test_what_was_said_again_counts_once_on_the_phone_and_in_its_seal(page, world):
    saved = keep(page, world)
    page.evaluate(
        """([officer, inspection]) => harness.field.act("record.saved", {officer, inspection,
            record: crypto.randomUUID(), template: {id: "note", version: 1},
            fields: {weather: "晴"}, base: []})""",
        [world.officers[0], page.inspection],
    )
    damage(page, saved, TURNED)

    online(page, world)

    (record,) = page.evaluate("id => harness.field.records(id)", page.inspection)
    sealed = page.evaluate("id => harness.field.sealList(id)", page.inspection)
    types = [row["type"] for row in page.evaluate("id => harness.field.lines(id)", page.inspection)]
    held = {row.digest for row in world.rows(JournalLine)}
    assert (len(record["revisions"]), record["conflicts"]) == (1, [])
    assert sealed["revisions"] == record["revisions"]
    assert set(record["revisions"]) <= held
    assert sorted(types) == ["inspection.opened", "media.captured", "record.saved"]


def test_a_visit_whose_first_line_went_bad_is_still_there(page, world):
    (opened,) = page.evaluate("id => harness.field.lines(id)", page.inspection)
    damage(page, opened, "text => text.slice(0, 40)")
    saved = keep(page, world)

    (visit,) = page.evaluate("harness.visits(harness.field.database)")
    online(page, world)
    lines = page.evaluate("id => harness.field.lines(id)", page.inspection)

    assert (visit["inspection"], visit["title"]) == (page.inspection, "")
    assert [row["type"] for row in lines] == ["media.captured"]
    assert troubles(page) == ["journal.lost", "journal.quarantined"]
    assert saved["sha256"] in stored(world)


def test_kills_while_the_journal_goes_on_cost_and_double_nothing(playwright, world, tmp_path):
    profile = tmp_path / "profile"
    with served(world.app) as port:
        address = f"http://127.0.0.1:{port}"
        with phone(playwright, CHROMIUM, profile, address) as page:
            page.inspection = begin(page, world)
            kept = [keep(page, world) for _ in range(12)]
            damage(page, kept[2], TURNED)
        for passed_ms in (150, 300, 450):
            with phone(playwright, CHROMIUM, profile, address) as page:
                page.evaluate("harness.field.unlock(harness.PIN)")
                page.evaluate("void harness.field.sync()")
                page.wait_for_timeout(passed_ms)
                kill(profile)
        with phone(playwright, CHROMIUM, profile, address) as page:
            page.evaluate("harness.field.unlock(harness.PIN)")
            report = sync(page)
            left = status(page)
            restated = [act for act in acts(page) if "restates" in act]

    assert report["stuck"] == []
    assert (left["linesOnlyHere"], left["itemsOnlyHere"]) == (0, 0)
    assert len({act["item"] for act in restated}) == len(restated) == 10
    assert applied_items(world) == {one["item"] for one in kept}
    assert stored(world) == {one["sha256"] for one in kept}
    assert {row.projection for row in world.rows(LineOutcome)} == {"applied"}


def test_the_file_of_a_line_that_went_bad_on_the_disk_is_announced_anew(page, world):
    saved = keep(page, world)
    other = keep(page, world)
    damage(page, saved, "text => text.slice(0, 40)")

    report = online(page, world)

    assert codes(report["problems"]) == ["journal.refused"]
    assert applied_items(world) == {saved["item"], other["item"]}
    assert stored(world) == {saved["sha256"], other["sha256"]}
    assert status(page)["linesOnlyHere"] == 0


def test_a_line_that_nothing_can_say_again_stays_here_with_a_sentence(page, world):
    note = page.evaluate(
        """async ([officer, inspection]) => (await harness.field.act("note.added",
            {officer, inspection, text: "管道渗漏"})).header""",
        [world.officers[0], page.inspection],
    )
    damage(page, note, "text => text.slice(0, 40)")

    online(page, world)
    again = online(page, world)

    assert again["problems"] == []
    assert (troubles(page), status(page)["linesOnlyHere"]) == (["journal.lost"], 1)


def test_a_phone_that_was_put_back_forks_its_journal_and_goes_on_beside_it(page, world):
    online(page, world)
    page.evaluate(
        """async () => { globalThis.before = await harness.field.database.read(
            ["epochs", "lines"], async (tx) => ({epochs: await tx.all("epochs"),
            lines: await tx.all("lines")})) }"""
    )
    lost = keep(page, world)
    online(page, world)
    page.evaluate(
        """harness.field.database.write(["epochs", "lines", "items", "receipts"], async (tx) => {
            for (const store of ["epochs", "lines", "items"]) tx.clear(store);
            for (const row of before.epochs) tx.put("epochs", row);
            for (const row of before.lines) tx.put("lines", row);
        })"""
    )
    own = keep(page, world)

    online(page, world)
    after = keep(page, world)
    again = online(page, world)

    assert (again["problems"], again["stuck"]) == ([], [])
    assert "journal.forked" in troubles(page)
    assert status(page)["linesOnlyHere"] == 0
    assert "forked" in [act["reason"] for act in acts(page) if act["type"] == "epoch.opened"]
    assert {lost["item"], after["item"]} <= applied_items(world)
    assert {lost["sha256"], own["sha256"], after["sha256"]} <= stored(world)


def test_what_becomes_of_a_line_after_its_push_is_learnt(page, world):
    inspection = page.evaluate("crypto.randomUUID()")
    line = page.evaluate(
        """async ([officer, inspection]) => (await harness.field.act("note.added",
            {officer, inspection, text: "提前写下"})).header""",
        [world.officers[0], inspection],
    )
    online(page, world)
    waiting = troubles(page)
    page.evaluate(
        """([first, second, inspection]) => harness.field.act("inspection.opened",
            {officer: first, officers: [first, second], inspection, title: "补开"})""",
        [*world.officers[:2], inspection],
    )

    online(page, world)
    online(page, world)

    row = page.evaluate(
        "([e, s]) => harness.field.database.read(['lines'], (tx) => tx.get('lines', [e, s]))",
        [line["epoch"], line["seq"]],
    )
    assert waiting == ["journal.quarantined"]
    assert (row["projection"], troubles(page)) == ("applied", [])


def test_a_restored_server_is_followed_with_its_proof_and_filled_again(page, world, tmp_path):
    live, backup = tmp_path / "world.sqlite", tmp_path / "backup.sqlite"
    online(page, world)
    copy_database(live, backup)
    saved = keep(page, world)
    online(page, world)
    sign_checkpoint(world)
    online(page, world)

    copy_database(backup, live)
    stopped = online(page, world)
    restore(world)
    followed = online(page, world)
    again = online(page, world)

    assert codes(stopped["problems"])[0] == "trust.ledger_forked"
    assert codes(followed["problems"]) == ["trust.ledger_restored"]
    assert " 0 " not in followed["problems"][0]
    assert again["problems"] == []
    assert (status(page)["linesOnlyHere"], status(page)["itemsOnlyHere"]) == (0, 0)
    assert applied_items(world) == {saved["item"]}
    assert len(world.rows(JournalLine)) == len(acts(page))
    opened = [act for act in acts(page) if act["type"] == "epoch.opened"]
    assert [act["reason"] for act in opened] == ["enrolled", "restored"]
    assert troubles(page) == ["trust.ledger_forked"]


def test_a_phone_proves_to_anyone_that_a_server_went_on_from_an_old_copy(page, world, tmp_path):
    """The database went back and was written on, past what the phone had seen."""
    live, backup = tmp_path / "world.sqlite", tmp_path / "backup.sqlite"
    online(page, world)
    copy_database(live, backup)
    keep(page, world)
    online(page, world)
    sign_checkpoint(world)
    online(page, world)
    copy_database(backup, live)
    for _ in range(60):
        grow(world)
    sign_checkpoint(world)

    report = online(page, world)

    assert codes(report["problems"])[0] == "trust.ledger_forked"
    (alarm,) = page.evaluate("harness.field.alarms()")
    file = page.evaluate("alarm => harness.field.alarmFile(alarm)", alarm)
    key = page.evaluate("harness.field.enrolment()")["ledgerKey"]
    fork = check_fork(parse_fork(file.encode()), [parse_verifier_key(key)])
    assert (alarm["proved"], fork.basis) == (True, "start")


def test_after_a_lost_answer_the_server_is_asked_and_nothing_goes_up_twice(page, world):
    keep(page, world)
    pushed = []

    def lose_the_first_answer(route):
        if route.request.method != "POST":
            route.continue_()
            return
        pushed.append(route.request.url)
        answer = route.fetch()
        if len(pushed) == 1:
            route.abort()
        else:
            route.fulfill(response=answer)

    page.route("**/api/v1/journal/**", lose_the_first_answer)

    report = online(page, world)

    assert (report["problems"], report["stuck"], len(pushed)) == ([], [], 1)
    assert (status(page)["linesOnlyHere"], status(page)["itemsOnlyHere"]) == (0, 0)


def test_lines_that_cannot_go_on_are_told_until_they_can(page, world):
    saved = keep(page, world)
    gap = {"seq": 0, "digest": "", "journal": "gap", "projection": "none", "code": "journal.gap"}
    answer = {"results": [gap], "receipts": [], "next_seq": 0, "head": "0" * 64, "checkpoint": ""}
    page.route(
        "**/api/v1/journal/**",
        lambda route: (
            route.fulfill(json=answer) if route.request.method == "POST" else route.continue_()
        ),
    )

    report = online(page, world)
    told = troubles(page)
    page.unroute("**/api/v1/journal/**")
    later = online(page, world)

    assert codes(report["problems"]) == ["journal.stuck"]
    assert told == ["journal.stuck"]
    assert (later["problems"], troubles(page)) == ([], [])
    assert stored(world) == {saved["sha256"]}


def forge_salt(route):
    told = route.fetch().json()
    told["generations"][-1]["restore"]["salt"] = "00" * 16
    route.fulfill(json=told)


def test_a_generation_that_proves_nothing_is_not_followed(page, world):
    online(page, world)
    restore(world)
    page.route("**/ledger/generations", forge_salt)
    before = page.evaluate("harness.field.enrolment()")

    report = online(page, world)

    assert codes(report["problems"]) == ["trust.generation_changed"]
    assert page.evaluate("harness.field.enrolment()") == before


def test_another_ledger_key_is_taken_only_where_the_pinned_one_leads_to_it(page, world):
    online(page, world)
    old = page.evaluate("harness.field.enrolment()")["ledgerKey"]
    begin_rotation(world)
    grow(world)
    finish(world)
    grow(world)
    sign_checkpoint(world)

    first, second = online(page, world), online(page, world)

    enrolment = page.evaluate("harness.field.enrolment()")
    assert (first["problems"], second["problems"]) == ([], [])
    assert enrolment["ledgerKey"] == world.services.ledger_signer.verifier_key
    assert enrolment["earlierLedgerKeys"] == [old]


def revoke(page, world):
    """An administrator wants the phone emptied; answers its id."""
    device = page.evaluate("harness.field.enrolment()")["device"]
    administrator = Actor(
        user_id=new_id(),
        person_id=world.persons[0],
        name="示例",
        organization_id=world.organization,
        roles=frozenset({"administrator"}),
    )
    with world.app.app_context(), transaction() as session:
        revoke_device(session, administrator, device, reason="遗失", now_ms=world.now_ms, wipe=True)
    return device


def test_a_phone_that_was_told_to_hands_everything_in_and_then_is_empty(page, world):
    saved = keep(page, world)
    device = revoke(page, world)

    report = online(page, world)

    assert report["wipe"] == "done"
    assert stored(world) == {saved["sha256"]}
    left = page.evaluate(
        """harness.field.database.read(["meta", "lines", "items", "blobs"], async (tx) =>
            [await tx.count("lines"), await tx.count("items"), await tx.count("blobs"),
             (await tx.all("meta")).map((row) => row.name)])"""
    )
    assert left == [0, 0, 0, ["wiped"]]
    statement = page.evaluate("harness.field.wiped()")
    assert statement["device"] == device
    assert statement["receipts"]
    assert troubles(page) == ["device.wiped"]
    assert not page.evaluate("harness.field.unlocked")


def test_a_locked_phone_is_not_wiped_before_its_files_are_at_the_server(page, world):
    keep(page, world)
    revoke(page, world)
    page.evaluate("harness.field.lock()")

    report = online(page, world)

    assert report["wipe"] == "waits"
    assert status(page)["itemsOnlyHere"] == 1
    assert "device.revoked" in troubles(page)


def test_documents_that_silently_came_to_differ_are_repaired(page, world):
    online(page, world)
    spoilt = page.evaluate(
        """harness.field.database.write(["documents", "meta"], async (tx) => {
            const [first, second] = await tx.all("documents");
            tx.put("documents", {...first, body: {...first.body, name: "另一个"}});
            tx.delete("documents", [second.kind, second.id]);
            tx.put("documents", {kind: "task", id: "x", body: {id: "x"}, evicted: false});
            tx.delete("meta", "documentsComparedMs");
            return [first, second];
        })"""
    )

    report = online(page, world)
    again = online(page, world)

    held = page.evaluate("harness.field.database.read(['documents'], (tx) => tx.all('documents'))")
    bodies = {(one["kind"], one["id"]): one["body"] for one in held}
    assert (report["problems"], report["repaired"] >= 3) == ([], True)
    assert again["repaired"] == 0
    for one in spoilt:
        assert bodies[one["kind"], one["id"]] == one["body"]
    assert ("task", "x") not in bodies


def test_a_full_phone_says_so_and_keeps_what_it_has(playwright, world, tmp_path):
    profile = tmp_path / "profile"
    with served(world.app) as port:
        address = f"http://127.0.0.1:{port}"
        with phone(playwright, CHROMIUM, profile, address) as page:
            page.inspection = begin(page, world)
            saved = keep(page, world)
        # The browser remembers for a while how much room there was: another process does not.
        with phone(playwright, CHROMIUM, profile, "", "about:blank") as page:
            page.inspection = saved["inspection"]
            session = page.context.new_cdp_session(page)
            quota = {"origin": address, "quotaSize": 4 << 20}
            session.send("Storage.overrideQuotaForOrigin", quota)
            page.goto(f"{address}{HARNESS}")
            until(page, "document.title === 'ready'")
            page.evaluate("harness.field.unlock(harness.PIN)")
            refused = page.evaluate(
                """([officer, inspection]) => harness.outcome(harness.field.capture({officer,
                    inspection, bytes: harness.noise(8 << 20), mediaType: "image/jpeg",
                    captureClass: "B"}))""",
                [world.officers[0], page.inspection],
            )
            later = keep(page, world)
            audited = page.evaluate("harness.audit()")

    assert refused == "storage.full"
    assert set(audited["items"]) == {saved["item"], later["item"]}


def test_a_camera_that_is_forbidden_in_a_visit_says_so_and_keeps_what_was_taken(page, world):
    saved = keep(page, world)
    page.evaluate("async () => { globalThis.camera = new harness.Camera(); await camera.start(); }")
    taken = page.evaluate("camera.take().then((bytes) => bytes.length)")
    # As a system does that takes the camera away: the picture ends, and asking is of no use.
    page.evaluate(
        """() => {
            for (const track of camera.video.srcObject.getTracks()) track.stop();
            navigator.mediaDevices.getUserMedia = () =>
                Promise.reject(new DOMException("Permission denied", "NotAllowedError"));
        }"""
    )

    refused = page.evaluate("harness.outcome(camera.take())")
    report = online(page, world)

    assert (taken > 0, refused) == (True, "camera.denied")
    assert (report["problems"], stored(world)) == ([], {saved["sha256"]})


def test_recordings_wait_for_the_hours_that_the_server_asks_for(page, world):
    never = {"from": "00:00", "to": "00:01", "kbit_s": 0}
    if page.evaluate("new Date(Date.now() + 8 * 3600000).toISOString().slice(11, 15)") == "00:0":
        never = {"from": "12:00", "to": "12:01", "kbit_s": 0}
    photo = keep(page, world)
    film = page.evaluate(
        """async ([officer, inspection]) => (await harness.field.capture({officer, inspection,
            bytes: harness.noise(3000), mediaType: "video/mp4", captureClass: "B"})).sha256""",
        [world.officers[0], page.inspection],
    )

    def with_hours(route):
        told = route.fetch().json()
        told["limits"]["windows"] = [never]
        route.fulfill(json=told)

    page.route("**/api/v1/hello", with_hours)
    waiting = online(page, world)
    first = stored(world)
    page.unroute("**/api/v1/hello")
    sent = online(page, world)

    assert (waiting["problems"], waiting["uploads"]["held"]) == ([], 1)
    assert first == {photo["sha256"]}
    assert sent["uploads"]["held"] == 0
    assert stored(world) == {photo["sha256"], film}


def test_a_database_connection_that_was_lost_is_opened_anew(page, world):
    first = keep(page, world)
    page.evaluate("harness.field.database.connection.then((one) => one.close())")
    second = keep(page, world)
    page.evaluate("harness.field.database.connection.then((one) => one.close())")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    assert set(page.evaluate("harness.audit()")["items"]) == {first["item"], second["item"]}


def test_a_clock_in_1970_is_told_found_and_keeps_what_was_taken(page, world):
    keep(page, world)
    clean = troubles(page)
    page.clock.set_system_time(86_400)
    saved = keep(page, world)
    wrong = troubles(page)
    page.clock.set_system_time(time.time())

    report = online(page, world)

    assert clean == []
    assert wrong == ["clock.implausible", "clock.set_back"]
    assert report["problems"] == []
    assert saved["sha256"] in stored(world)
    assert troubles(page) == ["clock.set_back"]


@pytest.mark.parametrize("step_ms", [1_000, 60_000, 86_400_000, 3_650 * 86_400_000])
def test_a_clock_that_steps_in_a_visit_is_found_if_it_went_back_and_only_then(page, world, step_ms):
    keep(page, world)
    now = page.evaluate("Date.now()")
    page.clock.set_system_time((now + step_ms) / 1000)
    keep(page, world)
    forward = troubles(page)
    page.clock.set_system_time((page.evaluate("Date.now()") - step_ms) / 1000)
    keep(page, world)

    assert "clock.set_back" not in forward
    assert "clock.set_back" in troubles(page)
