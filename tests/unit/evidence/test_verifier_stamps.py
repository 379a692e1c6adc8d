"""What the verifier says of outside time stamps, also of those meant to deceive a court."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.small_package import START_MS, build_small_package
from tests.support.tsa import Authority

HOUR_MS = 3_600_000
DAY = timedelta(days=1)
START = datetime.fromtimestamp(START_MS / 1000, UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(
        tmp_path_factory.mktemp("tsa"), valid_from=START - 9 * DAY, valid_to=START + 9 * DAY
    )


@pytest.fixture
def judged(tmp_path, authority):
    """Builds a package in which ``stamp`` has done something to the ledger, and verifies it."""

    def build(stamp, **changes):
        small = build_small_package(before_export=lambda _devices, ledger: stamp(ledger))
        files = {**small.files, **changes.get("files", lambda files: {})(small.files)}
        path = tmp_path / "small.zip"
        path.write_bytes(small.pack_signed(files))
        roots = changes.get("roots", (authority.root.read_text(),))
        result = verify_package(str(path), Options(tsa_roots=roots))
        return {
            verdict: [claim.code for claim in result.claims if claim.verdict is verdict]
            for verdict in Verdict
        }

    return build


def test_a_stamp_over_a_state_of_the_ledger_holds(judged, authority):
    said = judged(lambda ledger: ledger.outside_stamp(authority, START_MS + HOUR_MS))

    assert said[Verdict.FAIL] == []
    assert {"stamps.good", "time.outside"} <= set(said[Verdict.PASS])
    assert "time.bureau_clock" not in said[Verdict.NOT_CHECKED]


def test_a_renewal_holds_over_the_stamp_that_it_renews(judged, authority):
    def stamp(ledger):
        older = ledger.outside_stamp(authority, START_MS + HOUR_MS)
        ledger.outside_stamp(authority, START_MS + 24 * HOUR_MS, renews=older)

    said = judged(stamp)

    assert said[Verdict.FAIL] == []
    assert said[Verdict.PASS].count("stamps.good") == 2


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"gen_time_ms": START_MS}, "stamps.differs"),
        ({"margin_ms": 0}, "stamps.differs"),
        ({"serial": "ff"}, "stamps.differs"),
        ({"imprint": b"\x11" * 32}, "stamps.other_bytes"),
        ({"root": "22" * 32}, "stamps.other_ledger"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_stamp_that_is_not_what_its_event_says_is_named(judged, authority, wrong, code):
    if "gen_time_ms" in wrong:
        wrong = {"gen_time_ms": START_MS - HOUR_MS}

    said = judged(lambda ledger: ledger.outside_stamp(authority, START_MS + HOUR_MS, **wrong))

    assert code in said[Verdict.FAIL]
    assert "time.outside" not in said[Verdict.PASS]


def test_a_renewal_of_a_stamp_that_is_not_there_is_named(judged, authority):
    def stamp(ledger):
        older = ledger.outside_stamp(authority, START_MS + HOUR_MS)
        older_file = next(iter(ledger.stamp_files))
        ledger.outside_stamp(authority, START_MS + 24 * HOUR_MS, renews=older)
        del ledger.stamp_files[older_file]

    said = judged(stamp)

    assert {"stamps.missing", "stamps.other_bytes"} <= set(said[Verdict.FAIL])


def test_a_key_for_other_purposes_stamps_nothing(judged, tmp_path):
    other = Authority(
        tmp_path / "tls",
        valid_from=START - DAY,
        valid_to=START + DAY,
        purpose=ExtendedKeyUsageOID.SERVER_AUTH,
    )

    said = judged(
        lambda ledger: ledger.outside_stamp(other, START_MS + HOUR_MS),
        roots=(other.root.read_text(),),
    )

    assert said[Verdict.FAIL] == ["stamps.signer"]


def test_a_stamp_after_its_certificate_ended_stamps_nothing(judged, authority):
    said = judged(lambda ledger: ledger.outside_stamp(authority, START_MS + 240 * HOUR_MS))

    assert "stamps.signer" in said[Verdict.FAIL]


def test_a_bureaus_own_authority_under_a_known_name_convinces_nobody(judged, tmp_path):
    own = Authority(tmp_path / "own", valid_from=START - DAY, valid_to=START + DAY)

    said = judged(lambda ledger: ledger.outside_stamp(own, START_MS + HOUR_MS))

    assert {"stamps.unknown_ca", "time.outside_claimed"} <= set(said[Verdict.NOT_CHECKED])
    assert "time.outside" not in said[Verdict.PASS]


def test_two_clocks_that_cannot_both_be_right_are_told(judged, authority):
    # The authority says that what the bureau dates later was there a day before.
    said = judged(lambda ledger: ledger.outside_stamp(authority, START_MS - 24 * HOUR_MS))

    assert said[Verdict.FAIL] == []
    assert "time.clocks_differ" in said[Verdict.NOT_CHECKED]


def test_an_interval_that_hides_a_stamp_is_not_the_ledgers(judged, authority):
    def without(files):
        index = files["data/case-index.json"]
        start = index.index(b',"outside":{')
        return {"data/case-index.json": index[:start] + index[index.index(b"}", start) + 1 :]}

    said = judged(lambda ledger: ledger.outside_stamp(authority, START_MS + HOUR_MS), files=without)

    assert "time.interval_differs" in said[Verdict.FAIL]
