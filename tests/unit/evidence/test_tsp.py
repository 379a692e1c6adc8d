"""Time stamps taken apart: what openssl made is read as openssl reads it, and nothing crashes."""

import hashlib
import random
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from sync.evidence import der, tsp
from sync.evidence.errors import SyncError
from tests.support.tsa import Authority, in_ber

DATA = b"liuhen.test/ledger\n7\nroot\n"
DIGEST = hashlib.sha256(DATA).digest()
NONCE = 0xF123456789ABCDEF


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def answer(authority):
    return authority.stamp(tsp.build_request(DIGEST, nonce=NONCE))


def openssl_text(kind, data, folder):
    path = folder / f"read.{kind}"
    path.write_bytes(data)
    return subprocess.run(
        ["openssl", "ts", f"-{kind}", "-in", path, "-text"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout


def test_openssl_reads_our_request_as_we_meant_it(tmp_path):
    text = openssl_text("query", tsp.build_request(DIGEST, nonce=NONCE), tmp_path)

    assert "Hash Algorithm: sha256" in text
    assert "Nonce: 0xF123456789ABCDEF" in text
    assert "Certificate required: yes" in text


def test_a_stamp_says_what_openssl_says_of_it(answer, tmp_path):
    text = openssl_text("reply", answer, tmp_path)
    stamp = tsp.parse_stamp(answer)

    assert (stamp.imprint, stamp.hash_oid, stamp.nonce) == (DIGEST, tsp.SHA256_OID, NONCE)
    assert f"Serial number: 0x{stamp.serial:02X}" in text
    assert f"Policy OID: {stamp.policy}" in text
    assert (stamp.accuracy_ms, stamp.margin_ms) == (1000, 1000)
    said = re.search(r"Time stamp: (.+)", text)[1]
    moment = datetime.strptime(said, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    assert stamp.gen_time_ms == 1000 * int(moment.timestamp())


def test_the_signers_certificate_is_found_with_its_times_and_its_only_purpose(authority, answer):
    signer = tsp.parse_stamp(answer).signer

    assert signer.name == "示例授时 Signer"
    assert signer.stamps
    assert signer.valid_from_ms == 1000 * int(authority.valid_from.timestamp())
    assert signer.valid_to_ms == 1000 * int(authority.valid_to.timestamp())


def test_a_signer_with_another_purpose_is_seen_not_to_stamp(tmp_path):
    other = Authority(tmp_path, purpose=ExtendedKeyUsageOID.SERVER_AUTH)

    stamp = tsp.parse_stamp(other.stamp_at(tsp.build_request(DIGEST, nonce=1), 1_790_000_000_000))

    assert not stamp.signer.stamps


def test_certificates_in_an_order_that_is_not_ders_do_not_hide_the_signer(tmp_path):
    chained = Authority(tmp_path, chained=True)

    stamp = tsp.parse_stamp(chained.stamp(tsp.build_request(DIGEST, nonce=1)))

    assert stamp.signer.name == "示例授时 Signer"


def test_a_fraction_of_a_second_is_kept_to_the_millisecond(authority):
    stamp = tsp.parse_stamp(
        authority.stamp_at(tsp.build_request(DIGEST, nonce=5), 1_790_000_000_250)
    )

    assert stamp.gen_time_ms == 1_790_000_000_250


def test_a_bare_token_is_read_like_the_answer_around_it(answer):
    stamp = tsp.parse_stamp(answer)

    assert tsp.parse_stamp(stamp.token) == stamp


def test_a_refusal_is_told_with_the_authoritys_words():
    words = der.encode(der.SEQUENCE, der.encode(der.UTF8_STRING, b"unknown  policy"))
    status = der.encode(der.SEQUENCE, der.encode_integer(2), words)

    with pytest.raises(tsp.StampRefused, match="status 2: unknown policy"):
        tsp.parse_stamp(der.encode(der.SEQUENCE, status))


@pytest.mark.parametrize(
    "data", [b"", b"0", b"<html>busy</html>", b"\x30\x80\x00\x00", b"\x30\x00"]
)
def test_what_is_no_answer_is_refused(data):
    with pytest.raises(tsp.StampMalformed):
        tsp.parse_stamp(data)


def test_more_bytes_than_any_answer_has_are_not_looked_at():
    with pytest.raises(tsp.StampMalformed, match="larger"):
        tsp.parse_stamp(bytes(tsp.MAX_BYTES + 1))


def test_an_answer_cut_off_anywhere_is_refused(answer):
    for end in range(len(answer)):
        with pytest.raises(tsp.StampMalformed):
            tsp.parse_stamp(answer[:end])


def test_changed_bytes_are_refused_or_read_and_never_crash(answer):
    chance = random.Random(3161)
    for _ in range(4000):
        data = bytearray(answer)
        for _ in range(chance.choice((1, 1, 2, 8))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            tsp.parse_stamp(bytes(data))
        except SyncError:
            continue


@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_refused_or_read(data):
    for wrapped in (data, der.encode(der.SEQUENCE, data)):
        try:
            tsp.parse_stamp(wrapped)
        except SyncError:
            continue


@given(st.integers(min_value=0, max_value=2**256))
def test_numbers_survive_being_written_and_read(number):
    assert der.integer(der.parse(der.encode_integer(number))) == number


@pytest.mark.parametrize("text", ["1.2.840.113549.1.9.16.1.4", "2.16.840.1.101.3.4.2.1", "2.999.3"])
def test_object_identifiers_survive_being_written_and_read(text):
    assert der.oid(der.parse(der.encode_oid(text))) == text


def test_an_answer_wrapped_in_ber_says_the_same(answer, authority, tmp_path):
    (tmp_path / "ber.tsr").write_bytes(in_ber(answer))

    stamp, same = tsp.parse_stamp(in_ber(answer)), tsp.parse_stamp(answer)
    command = ["openssl", "ts", "-verify", "-digest", DIGEST.hex(), "-in", tmp_path / "ber.tsr"]
    done = subprocess.run(
        [*command, "-CAfile", authority.root], capture_output=True, text=True, check=False
    )

    assert replace(stamp, token=same.token) == same
    assert "Verification: OK" in done.stdout, done.stderr


def test_values_without_an_end_are_refused_however_deep():
    for data in (b"\x30\x80" * 5, b"\x30\x80" * 5000, b"\x04\x80\x00\x00", b"\x30\x80\x00"):
        with pytest.raises(SyncError):
            der.parse(data)


@pytest.mark.parametrize(
    "data",
    ["02020001", "1f0100", "0201", "050000", "3084ffffffff", "06028001", "308500000000 00"],
)
def test_what_is_cut_off_doubled_or_not_the_shortest_number_is_refused(data):
    with pytest.raises(der.NotDer):
        node = der.parse(bytes.fromhex(data))
        der.oid(node) if node.tag == der.OID else der.integer(node)
