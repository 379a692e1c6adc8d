"""What a package calls erased is believed only as far as the ledger says so."""

import json

import pytest

from sync.evidence import canonical, package
from sync.evidence.verifier import verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.small_package import INSPECTION, build_small_package


@pytest.fixture
def check(tmp_path):
    """Verify a package that the ledger's own key signed."""

    def run(small):
        path = tmp_path / "case.zip"
        path.write_bytes(small.pack_signed())
        return verify_package(str(path))

    return run


def _codes(result, verdict):
    return {claim.code for claim in result.claims if claim.verdict is verdict}


def _call_erased(small):
    """Say of the item whose bytes are absent that it was erased by law."""
    index = json.loads(small.files[package.INDEX])
    item = next(one for one in index["items"] if one["disposition"] != "enclosed")
    item.update(disposition="erased", reason="lawfully_erased")
    small.files[package.INDEX] = canonical.dumps(index)
    return item


def test_an_item_that_is_called_erased_without_an_order_on_the_ledger_fails(check):
    small = build_small_package()
    _call_erased(small)

    result = check(small)

    assert "case.erased_unproved" in _codes(result, Verdict.FAIL)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "case.erased_lawfully"),
        ({"act": "approved"}, "case.erased_unproved"),
        ({"inspection": "another"}, "case.erased_unproved"),
        ({"sha256": "0" * 64}, "case.erased_unproved"),
        ({"line": "0" * 64}, "case.erased_elsewhere"),
        ({"persons": ("chief", "chief")}, "case.erased_unapproved"),
        ({"persons": ("clerk",)}, "case.erased_unapproved"),
        ({"persons": ()}, "case.erased_unapproved"),
        ({"order": "2"}, "case.erased_unapproved"),
    ],
)
def test_the_order_must_name_this_case_this_item_and_its_line(check, change, code):
    blank = build_small_package()
    named = _call_erased(blank)
    chain = f"data/journal/{named['line']['device']}/{named['line']['epoch']}.ndjson"
    assert chain in blank.files

    def order(devices, ledger):
        item = _item(devices, named["item"])
        subject = {"order": "1", "inspection": change.get("inspection", INSPECTION)}
        persons = change.get("persons", ("clerk", "chief"))
        for act, person in zip(("requested", "approved"), persons, strict=False):
            ledger.append("erase", actor={"person": person}, subject=subject, snapshot={"act": act})
        subject = {**subject, "order": change.get("order", "1")}
        one = {"item": named["item"], "sha256": item.act["sha256"], "line": item.digest}
        one.update({key: value for key, value in change.items() if key in one})
        ledger.append(
            "erase",
            actor={"server": "erasure"},
            subject=subject,
            snapshot={"act": change.get("act", "erased"), "law": "law", "items": [one]},
        )

    small = build_small_package(before_export=order)
    _call_erased(small)

    result = check(small)

    assert code in _codes(result, Verdict.PASS) | _codes(result, Verdict.FAIL)
    assert (result.verdict is Verdict.PASS) == (code == "case.erased_lawfully")


def _item(devices, name):
    return next(line for device in devices for line in device.lines if line.act.get("item") == name)
