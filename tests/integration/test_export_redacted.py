"""Redacted packages: copies for originals, sensitive fields withheld, and all proofs stay whole."""

import io
import json
import shutil
import zipfile

import pytest
from PIL import Image

from media.second import Region
from server.operations import redactions
from server.operations.access import Actor
from server.operations.export.asked import Asked
from sync.evidence import bag, package
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.casework import Case
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.world import make_world

_INFORMANT = "举报人示例某"
_PHONE = "13800000000"


@pytest.fixture(scope="module")
def case(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("redacted")
    shutil.copyfile(sqlite_template, folder / "one.sqlite")
    world = make_world(f"sqlite:///{folder}/one.sqlite", folder / "var", store=MemoryStore())
    case = Case(world, checked=True)
    case.second.write_parts(
        {
            "type": "record.saved",
            "officer": world.officers[1],
            "inspection": case.inspection,
            "record": new_id(),
            "template": {"id": "interview_record", "version": 1},
            "fields": {"place": "示范区"},
            "base": [],
        },
        {"field": "phone", "value": _PHONE},
        {"field": "informant_name", "value": _INFORMANT},
    )
    assert world.push(case.second).status_code == 200
    actor = Actor(
        user_id=new_id(),
        person_id=case.person("示例内勤"),
        name="示例内勤",
        organization_id=world.organization,
        roles=frozenset({"administrator"}),
    )
    with world.app.app_context():
        redactions.redact(
            world.services,
            actor,
            case.items["outfall"],
            [Region(0, 0, 5000, 5000, "black")],
            reason="无关人员面部",
        )
    return case


def _built(case, tmp_path, **asked):
    row = case.build(case.request(asked=Asked(**asked)))
    assert row.state == "ready", row.failure
    path = tmp_path / "case.zip"
    path.write_bytes(case.bytes_of(row))
    return path


def _codes(path, verdict):
    result = verify_package(str(path), Options())
    assert result.verdict is Verdict.PASS
    return {claim.code for claim in result.claims if claim.verdict is verdict}


def test_a_copy_stands_for_its_original_and_the_package_verifies(case, tmp_path):
    path = _built(case, tmp_path, redacted=True)

    passed, unchecked = (_codes(path, one) for one in (Verdict.PASS, Verdict.NOT_CHECKED))
    with zipfile.ZipFile(path) as archive:
        index = json.loads(archive.read(package.INDEX))
        [row] = json.loads(archive.read(package.DERIVATIONS))["derivations"]
        copy = archive.read(row["file"])
        report = archive.read(package.REPORT).decode()
    [item] = [one for one in index["items"] if one["item"] == case.items["outfall"]]
    assert "case.copies" in passed
    assert "case.redacted" in unchecked
    assert (item["disposition"], item["reason"], item["file"]) == ("withheld", "redacted", "")
    assert (row["source"], row["reason"]) == (item["sha256"], "无关人员面部")
    with Image.open(io.BytesIO(copy)) as picture:
        assert max(picture.getpixel((2, 2))) < 12
    assert "本包已脱敏" in report
    assert row["file"] in report


def test_a_redacted_package_holds_no_sensitive_field_and_no_original_it_covers(case, tmp_path):
    path = _built(case, tmp_path, redacted=True)

    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            assert case.media["outfall"] not in data, name
            assert _PHONE.encode() not in data, name
            assert _INFORMANT.encode() not in data, name


def test_an_informant_is_in_no_package_and_other_fields_are_in_a_whole_one(case, tmp_path):
    path = _built(case, tmp_path)

    with zipfile.ZipFile(path) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert _INFORMANT.encode() not in whole
    assert _PHONE.encode() in whole
    assert package.DERIVATIONS not in archive.namelist()
    assert _codes(path, Verdict.FAIL) == set()


def test_a_changed_copy_and_a_changed_reason_are_named(case, tmp_path):
    path = _built(case, tmp_path, redacted=True)
    folder = tmp_path / "open"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    told = json.loads((folder / package.DERIVATIONS).read_text())
    [row] = told["derivations"]
    row["reason"] = "另一理由"
    (folder / package.DERIVATIONS).write_text(
        json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    )

    failed = {c.code for c in verify_package(str(folder)).claims if c.verdict is Verdict.FAIL}
    assert {"case.copy_without_event", "bag.digest"} <= failed

    (folder / row["file"]).write_bytes(b"other")
    failed = {c.code for c in verify_package(str(folder)).claims if c.verdict is Verdict.FAIL}
    assert "case.copy_altered" in failed


def test_a_package_may_carry_a_second_manifest_by_sm3(case, tmp_path):
    path = _built(case, tmp_path, sm3=True)

    result = verify_package(str(path), Options())
    said = [claim for claim in result.claims if claim.values.get("file") == bag.SM3_MANIFEST]
    assert [(claim.code, claim.verdict) for claim in said] == [("bag.exact", Verdict.PASS)]
