"""Recipients' receipts: entered at the package, kept write-once, on the ledger with its digest."""

import hashlib
import io

import pytest

from server.models.handover import PackageReceipt
from server.models.ledger import LedgerEvent
from sync.evidence import canonical
from tests.support.casework import PackageDesk
from tests.support.console import console_world, make_case, visitor

_PDF = b"%PDF-1.7\n% signed by hand\n"


@pytest.fixture
def world(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


@pytest.fixture
def case(world):
    return make_case(world, checked=False)


@pytest.fixture
def package(world, case):
    desk = PackageDesk(world)
    row = desk.build(desk.request(case.inspection))
    assert row.state == "ready", row.failure
    return row


def _enter(browser, package, data=_PDF, **other):
    form = {
        "recipient": "示范区公安分局",
        "received_by": "王某",
        "received_at": "2026-05-04T18:30",
        "note": "光盘一张",
        "file": (io.BytesIO(data), "回执.pdf"),
        **other,
    }
    page = f"/packages/{package.id}/take"
    return browser.post(
        f"/packages/{package.id}/receipts", form, page=page, content_type="multipart/form-data"
    )


def _events(world):
    return [canonical.loads(row.event) for row in world.rows(LedgerEvent, kind="receipt")]


def test_a_receipt_is_kept_beside_the_package_and_named_on_the_ledger(world, case, package):
    administrator = visitor(world, "administrator")

    answer = _enter(administrator, package)

    assert answer.status_code == 303, answer.text
    digest = hashlib.sha256(_PDF).hexdigest()
    (event,) = _events(world)
    assert event["snapshot"]["package_sha256"] == package.sha256
    assert event["snapshot"]["sha256"] == digest
    assert event["subject"]["package"] == package.id
    assert world.store.objects[f"receipt/{digest[:2]}/{digest}"] == _PDF
    shown = administrator.get(f"/packages/{package.id}/take").text
    assert "示范区公安分局" in shown
    assert "王某" in shown


def test_taking_a_receipt_away_leaves_a_leaf_each_time(world, case, package):
    _enter(visitor(world, "administrator"), package)
    leader, receipt = visitor(world, "leader"), world.rows(PackageReceipt)[0]
    before = len(world.rows(LedgerEvent, kind="view"))

    taken = [leader.get(f"/receipts/{receipt.id}") for _ in range(2)]

    assert [answer.data for answer in taken] == [_PDF, _PDF]
    assert taken[0].headers["Content-Disposition"].startswith("attachment")
    assert len(world.rows(LedgerEvent, kind="view")) == before + 2
    assert visitor(world, "reviewer").get(f"/receipts/{receipt.id}").status_code == 403


def test_a_later_package_shows_the_receipt_in_its_custody_log(world, case, package):
    _enter(visitor(world, "administrator"), package)
    desk = PackageDesk(world)

    later = desk.build(desk.request(case.inspection))

    assert later.state == "ready", later.failure
    assert package.sha256.encode() in desk.bytes_of(later)
    assert "示范区公安分局".encode() in desk.bytes_of(later)


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipient": " "},
        {"received_by": ""},
        {"received_at": "yesterday"},
        {"received_at": "2001-01-01T00:00"},
        {"received_at": "2090-01-01T00:00"},
        {"note": "x" * 1001},
        {"data": b""},
        {"data": b"<html>no paper</html>"},
    ],
)
def test_what_cannot_be_a_receipt_comes_back_and_nothing_is_written(world, case, package, wrong):
    administrator = visitor(world, "administrator")

    answer = _enter(administrator, package, **wrong)

    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert world.rows(PackageReceipt) == []
    assert _events(world) == []


def test_the_same_scan_is_entered_once(world, case, package):
    administrator = visitor(world, "administrator")
    _enter(administrator, package)

    again = _enter(administrator, package)

    assert again.status_code == 409
    assert len(world.rows(PackageReceipt)) == 1


def test_a_scan_over_the_limit_is_refused_before_it_is_kept(world, case, package):
    administrator = visitor(world, "administrator")

    answer = _enter(administrator, package, data=_PDF + bytes(21 << 20))

    assert answer.status_code in (413, 422)
    assert not [key for key in world.store.objects if key.startswith("receipt/")]
