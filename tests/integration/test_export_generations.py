"""Packages after the ledger went on under a new name: each proves what one generation holds."""

import json
import zipfile
from io import BytesIO

import pytest

from server.failures import SeveralGenerations
from sync.evidence.note import parse_verifier_key, verifier_key
from sync.evidence.verifier import Options, verify_package
from tests.support.casework import Case
from tests.support.restoring import restore, sign
from tests.support.simdevice import SimDevice, new_id
from tests.support.stores import MemoryStore
from tests.support.world import make_world


@pytest.fixture
def case(make_database, tmp_path):
    case = Case(
        make_world(make_database("sqlite"), tmp_path / "var", store=MemoryStore()), checked=True
    )
    sign(case.world)
    return case


def _verdict(case, data, tmp_path):
    """The verdict with the key as the package's own generation calls it, and that generation."""
    ledger = json.loads(zipfile.ZipFile(BytesIO(data)).read("data/case-index.json"))["ledger"]
    public = parse_verifier_key(case.world.services.ledger_signer.verifier_key).public_key
    path = tmp_path / "package.zip"
    path.write_bytes(data)
    key = parse_verifier_key(verifier_key(ledger["origin"], public))
    return verify_package(str(path), Options(ledger_keys=(key,))).verdict.value, ledger


def _later(case, device):
    """The same device in an epoch of its own, as the client goes on after a restore."""
    later = SimDevice(id=device.id, key=device.key, now_ms=device.now_ms)
    later.headers = {"Authorization": f"Bearer {case.world.token(later)}"}
    later.open_epoch()
    for officer in case.world.officers:
        later.open_session(officer)
    return later


def test_a_case_from_before_the_restore_is_shown_as_its_generation_ended(case, tmp_path):
    before = case.world.services.ledger_signer.name
    restore(case.world)

    row = case.build(case.request())

    assert row.state == "ready", row.failure
    verdict, ledger = _verdict(case, case.bytes_of(row), tmp_path)
    assert (verdict, ledger["origin"], ledger["generation"]) == ("PASS", before, 1)


def test_a_new_case_of_a_known_device_is_proved_in_the_new_generation(case, tmp_path):
    restore(case.world)
    later = _later(case, case.first)
    inspection = new_id()
    later.write(
        "inspection.opened",
        officer=case.world.officers[0],
        inspection=inspection,
        officers=case.world.officers,
    )
    later.write("note.added", officer=case.world.officers[0], inspection=inspection, text="在场")
    assert case.world.push(later).status_code == 200

    row = case.build(case.request(inspection))

    assert row.state == "ready", row.failure
    verdict, ledger = _verdict(case, case.bytes_of(row), tmp_path)
    assert (verdict, ledger["generation"]) == ("PASS", 2)


def test_a_case_that_the_restore_cut_in_two_is_refused_by_name(case):
    restore(case.world)
    later = _later(case, case.first)
    later.write(
        "note.added", officer=case.world.officers[0], inspection=case.inspection, text="补充"
    )
    case.world.push(later)

    with pytest.raises(SeveralGenerations):
        case.request()
