"""Exporting: what a package holds, that it verifies, and what happens when it cannot be made."""

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace

import pytest
from pypdf import PdfReader

from server.app import create_app
from server.db import reading, transaction
from server.failures import Invalid, NotFound, PackageNotReady
from server.models.inspections import EvidencePackage
from server.models.ledger import LedgerEvent
from server.operations import export
from server.operations.export.asked import Asked
from sync.evidence import canonical, note
from sync.evidence.encoding import sha256_hex
from sync.evidence.package import sidecar_text
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.casework import Case, copy_rows
from tests.support.stores import MemoryStore
from tests.support.world import make_world

_TRANSFER = "report/transfer-list.html"


@pytest.fixture
def case(database_url, tmp_path):
    return Case(make_world(database_url, tmp_path / "var", store=MemoryStore()))


@dataclass(frozen=True)
class Finished:
    """One finished package, its case, and the key to trust; tests only read them."""

    case: Case
    data: bytes
    signature: bytes
    key: str


@pytest.fixture(scope="module")
def finished(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    shutil.copyfile(sqlite_template, folder / "one.sqlite")
    world = make_world(f"sqlite:///{folder}/one.sqlite", folder / "var", store=MemoryStore())
    case = Case(world, checked=True)
    case.judge("outfall", "accepted")
    row = case.build(case.request())
    with world.app.app_context():
        signature = export.open_signature(world.services.store, row)
    return Finished(case, case.bytes_of(row), signature, world.services.ledger_signer.verifier_key)


@pytest.fixture
def unpacked(finished, tmp_path):
    zipfile.ZipFile(io.BytesIO(finished.data)).extractall(tmp_path)
    return tmp_path


def _index(data):
    return json.loads(_read(data, "data/case-index.json"))


def _read(data, name):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)


def _events(case, kind):
    with case.world.app.app_context(), reading() as session:
        rows = session.query(LedgerEvent).filter_by(kind=kind).order_by(LedgerEvent.index)
        return [canonical.loads(row.event) for row in rows]


def test_a_package_is_built_verified_and_kept(case):
    case.judge("outfall", "accepted")

    row = case.build(case.request())

    assert (row.state, row.verdict, row.failure) == ("ready", "PASS", None)
    assert sha256_hex(case.bytes_of(row)) == row.sha256


def test_nothing_is_left_unchecked_that_this_package_could_show(finished, tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(finished.data)
    path.with_name("x.zip.sig").write_bytes(finished.signature)

    result = verify_package(
        str(path), Options(ledger_keys=(note.parse_verifier_key(finished.key),))
    )

    by_verdict = {
        verdict: {claim.code for claim in result.claims if claim.verdict is verdict}
        for verdict in Verdict
    }
    assert by_verdict[Verdict.FAIL] == set()
    assert {"outside.sidecar", "duties.separate", "case.complete"} <= by_verdict[Verdict.PASS]
    assert by_verdict[Verdict.NOT_CHECKED] <= {
        # The first journal holds another case's line.
        "journal.withheld",
        "case.missing",
        "case.withheld",
        "case.findings_not_recomputed",
        "time.bureau_clock",
        "outside.time_stamps",
        "outside.witnesses",
    }


def test_the_index_lists_every_item_with_its_fate(finished):
    fates = {item["about"]["title"]: item for item in _index(finished.data)["items"]}

    assert {name: item["disposition"] for name, item in fates.items()} == {
        "outfall": "enclosed",
        "gauge": "enclosed",
        "pocket": "withheld",
        "unsent": "missing",
        "yard": "enclosed",
    }
    assert fates["pocket"]["about"]["discard_reason"] == "误拍口袋"
    assert fates["outfall"]["state"] == "accepted"
    assert _read(finished.data, fates["yard"]["file"]) == finished.case.media["yard"]
    assert fates["outfall"]["interval"]["not_after_ms"] >= finished.case.world.now_ms


def test_the_text_of_another_case_stays_out_while_its_lines_are_there(finished):
    case = finished.case

    journal = _read(finished.data, f"data/journal/{case.first.id}/{case.first.epoch}.ndjson")

    lines = [json.loads(line) for line in journal.splitlines()]
    assert [line["e"]["seq"] for line in lines] == list(range(len(case.first.lines)))
    assert [line["b"] for line in lines[4:6]] == [{}, {}]
    with zipfile.ZipFile(io.BytesIO(finished.data)) as archive:
        for name in archive.namelist():
            assert case.secret.encode() not in archive.read(name), name
            assert case.other.encode() not in archive.read(name), name


def test_building_twice_gives_the_same_bytes_whatever_happened_in_between(case):
    package_id = case.request()
    first = case.build(package_id)
    data = case.bytes_of(first)
    case.requeue(package_id)
    case.world.now_ms += 60_000
    case.upload("unsent")
    case.judge("gauge", "accepted")

    again = case.build(package_id)

    assert (again.sha256, again.size) == (first.sha256, first.size)
    assert case.bytes_of(again) == data


def test_both_databases_give_the_same_bytes(make_database, tmp_path):
    case = Case(
        make_world(make_database("sqlite"), tmp_path / "var", store=MemoryStore()), checked=True
    )
    package_id = case.request()
    copy = make_database("postgresql")
    copy_rows(case.world.settings.database_url, copy)
    twin = create_app(replace(case.world.settings, database_url=copy), services=case.world.services)

    here = case.build(package_id)
    with twin.app_context():
        export.build_package(case.world.services, package_id)
        with reading() as session:
            there = session.get_one(EvidencePackage, package_id)
            assert (there.sha256, there.size) == (here.sha256, here.size)


def test_a_later_package_shows_what_came_later(case):
    case.build(case.request())
    case.upload("unsent")

    data = case.bytes_of(case.build(case.request()))

    fates = {item["about"]["title"]: item["disposition"] for item in _index(data)["items"]}
    assert fates["unsent"] == "enclosed"
    custody = _read(data, "data/custody.ndjson").splitlines()
    kinds = [json.loads(line)["event"]["kind"] for line in custody]
    assert kinds.count("export") == 2, "the earlier export is part of the custody log"


def test_the_request_fixes_the_moment_before_its_own_leaf(case):
    package_id = case.request()

    row = case.build(package_id)

    requested, built = _events(case, "export")
    assert requested["snapshot"]["ledger_size"] == row.ledger_size
    assert requested["actor"]["name"] == "示例检查员1"
    assert built["snapshot"]["sha256"] == row.sha256


def test_a_missing_original_fails_the_package_and_names_the_item(case):
    key = next(key for key in case.world.services.store.objects if key.startswith("media/"))
    del case.world.services.store.objects[key]

    row = case.build(case.request())

    assert row.state == "failed"
    assert row.failure.startswith("package.source_missing")
    (alarm,) = _events(case, "alarm")
    assert alarm["snapshot"]["act"] == "export_failed"
    with case.world.app.app_context(), pytest.raises(PackageNotReady):
        export.open_package(case.world.services.store, row)


def test_an_altered_original_fails_the_package(case):
    store = case.world.services.store
    key = next(key for key in store.objects if key.startswith("media/"))
    store.objects[key] = store.objects[key][:-1] + b"\0"

    row = case.build(case.request())

    assert row.state == "failed"
    assert row.failure.startswith("package.source_damaged")


def test_the_worker_builds_whatever_waits(case):
    ids = [case.request(), case.request()]

    with case.world.app.app_context():
        export.build_waiting_packages(case.world.services)

    states = {row.id: row.state for row in case.world.rows(EvidencePackage)}
    assert states == dict.fromkeys(ids, "ready")


def test_a_package_needs_a_reason(case):
    for reason in ("", " ", "x" * 1001):
        with case.world.app.app_context(), pytest.raises(Invalid), transaction() as session:
            export.request_package(
                session,
                inspection_id=case.inspection,
                person_id=case.world.persons[0],
                reason=reason,
                now_ms=case.world.now_ms,
            )


def test_an_unknown_inspection_has_no_package(case):
    with pytest.raises(NotFound):
        case.request(inspection="00000000-0000-4000-8000-000000000000")


def test_findings_and_facts_are_the_texts_that_the_ledger_digested(finished):
    data = finished.data

    events = [json.loads(line)["event"] for line in _read(data, "data/custody.ndjson").splitlines()]
    digested = {v for e in events for v in e["snapshot"].values() if isinstance(v, str)}
    checked = json.loads(_read(data, "data/findings.json"))["items"]
    runs = [run for item in checked for run in item["checks"]]
    (reading_,) = json.loads(_read(data, f"data/facts/{checked[0]['sha256']}.json"))["readings"]

    assert len(runs) == 4, "the discarded photo is checked too"
    assert {sha256_hex(run["findings"].encode()) for run in runs} <= digested
    assert {sha256_hex(run["claims"].encode()) for run in runs} <= digested
    assert sha256_hex(reading_["facts"].encode()) in digested


def test_the_report_says_what_is_and_what_is_not_proved(finished):
    report = _read(finished.data, "report/report.html").decode()

    for words in (
        "误拍口袋",
        "示例检查员1",
        "排口有水流出",
        "各时间来源一致",
        "本包不证明什么",
        "does not prove",
    ):
        assert words in report


def test_the_list_of_materials_has_a_row_for_every_item(finished):
    listing = _read(finished.data, "report/transfer-list.html").decode()

    assert listing.count("排污口位置") == len(finished.case.items)
    assert all(item["sha256"] in listing for item in _index(finished.data)["items"])


def test_the_pages_are_there_as_pdf_and_say_the_same(finished):
    for name in ("report", "transfer-list", "evidence-list"):
        pdf = PdfReader(io.BytesIO(_read(finished.data, f"report/{name}.pdf")))
        text = "".join("".join(page.extract_text().split()) for page in pdf.pages)
        assert "示例化工有限公司" in text
        assert all(item["sha256"] in text for item in _index(finished.data)["items"])
        made_ms = pdf.metadata.creation_date.timestamp() * 1000
        assert made_ms == _index(finished.data)["exported_at_ms"]


def test_the_list_for_a_court_names_every_item_with_digest_source_and_submitter(finished):
    listing = _read(finished.data, "report/evidence-list.html").decode()

    assert all(item["sha256"] in listing for item in _index(finished.data)["items"])
    assert listing.count("系统相机") == len(finished.case.items)
    for words in ("证据目录", "提交人", "提交日期", "排污口位置", "示范区生态环境分局"):
        assert words in listing


def test_a_package_encloses_the_list_of_the_route_that_it_goes(case):
    row = case.build(case.request(asked=Asked(route="detention")))
    listing = _read(case.bytes_of(row), _TRANSFER).decode()

    assert "适用行政拘留" in listing
    assert "证据材料（原件）" in listing
    asked = [event["snapshot"] for event in _events(case, "export")]
    assert asked[0]["route"] == "detention"


def test_an_unknown_route_is_refused(case):
    with pytest.raises(Invalid) as refused:
        case.request(asked=Asked(route="newspaper"))

    assert refused.value.field == "route"


def test_what_a_device_wrote_cannot_become_markup_in_the_report(case):
    case.capture(case.first, "<script>alert(1)</script>", b"x")
    case.world.push(case.first)

    data = case.bytes_of(case.build(case.request()))

    assert b"<script" not in _read(data, "report/report.html")
    assert b"<script" not in _read(data, "report/transfer-list.html")


def _commands(data):
    """The commands as a person would copy them, by step; the same in both languages."""
    rows = _read(data, "verify/VERIFY.txt").decode().splitlines()
    found = [re.fullmatch(r"  ([1-5])\) (.+)", row) for row in rows]
    return {int(match[1]): match[2] for match in found if match}


def test_the_commands_of_verify_txt_work_as_printed(finished, unpacked):
    commands = _commands(finished.data)

    assert list(commands) == [1, 2, 3, 4, 5]
    for command in commands.values():
        done = _run(command, unpacked)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("step", "file"),
    [
        (1, "data/case-index.json"),
        (1, "report/report.html"),
        (2, "tagmanifest-sha256.txt"),
        (2, "proofs/package.note"),
        (3, "verify/journal-1.txt"),
    ],
)
def test_each_command_of_verify_txt_notices_its_file(finished, unpacked, step, file):
    path = unpacked / file
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))

    done = _run(_commands(finished.data)[step], unpacked)

    assert done.returncode != 0


def _run(command, folder):
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, check=False, timeout=60
    )


def test_the_enclosed_verifier_passes_the_package_alone(finished, tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(finished.data)
    script = tmp_path / "liuhen_verify.py"
    script.write_bytes(_read(finished.data, "verify/liuhen_verify.py"))

    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(path), "--lang", "en"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout


def test_the_sidecar_is_the_ledger_keys_note_over_the_zip(finished):
    text, _ = note.open_note(finished.signature.decode(), [note.parse_verifier_key(finished.key)])

    assert text == sidecar_text(sha256=sha256_hex(finished.data), size=len(finished.data))
