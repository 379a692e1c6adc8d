"""The local authority vouches for one DNS name and nothing else."""

import datetime
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from server.launch import certificates
from server.launch.errors import CertificateUnusable

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
NAME = "liuhen.example"


def days(count):
    return datetime.timedelta(days=count)


def verify(leaf, root, name, at):
    store = Store([root])
    verifier = PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName(name))
    return verifier.verify(leaf, [])


def load(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.fixture
def folder(tmp_path):
    certificates.ensure_local(tmp_path, NAME, now=NOW)
    return tmp_path


def test_a_browser_that_trusts_the_root_accepts_the_leaf(folder):
    assert verify(load(folder / "leaf.pem"), load(folder / "root.pem"), NAME, NOW)


def test_the_root_can_vouch_for_no_other_name(folder):
    authority = certificates.Authority(load(folder / "root.pem"), _key(folder / "root.key"))
    forged = certificates.issue(authority, "bank.example", now=NOW, days=100)

    with pytest.raises(VerificationError):
        verify(forged.certificate, authority.certificate, "bank.example", NOW)


if shutil.which("openssl"):

    def test_openssl_agrees_about_the_right_and_the_wrong_name(folder, tmp_path):
        authority = certificates.Authority(load(folder / "root.pem"), _key(folder / "root.key"))
        leaf = certificates.issue(authority, "bank.example", now=NOW, days=100)
        forged = tmp_path / "forged.pem"
        forged.write_bytes(leaf.certificate.public_bytes(Encoding.PEM))

        assert _openssl(folder / "root.pem", folder / "leaf.pem").returncode == 0
        assert "permitted subtree" in _openssl(folder / "root.pem", forged).stderr


def test_the_constraints_are_critical_and_exclude_every_address(folder):
    extension = load(folder / "root.pem").extensions.get_extension_for_class(x509.NameConstraints)

    assert extension.critical
    assert [name.value for name in extension.value.permitted_subtrees] == [NAME]
    assert {str(name.value) for name in extension.value.excluded_subtrees} == {
        "0.0.0.0/0",
        "::/0",
    }


def test_the_root_signs_no_further_authority_and_lasts_ten_years(folder):
    root = load(folder / "root.pem")
    basic = root.extensions.get_extension_for_class(x509.BasicConstraints).value

    assert (basic.ca, basic.path_length) == (True, 0)
    assert root.not_valid_after_utc == NOW + days(3650)


def test_the_leaf_stays_below_the_398_days_that_phones_accept(folder):
    leaf = load(folder / "leaf.pem")

    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < days(398)


def test_a_restart_keeps_root_and_leaf(folder):
    before = (folder / "root.pem").read_bytes(), (folder / "leaf.pem").read_bytes()

    certificates.ensure_local(folder, NAME, now=NOW + days(300))

    assert ((folder / "root.pem").read_bytes(), (folder / "leaf.pem").read_bytes()) == before


def test_the_leaf_is_renewed_under_the_same_root_in_its_last_sixty_days(folder):
    root, leaf = (folder / "root.pem").read_bytes(), (folder / "leaf.pem").read_bytes()
    later = NOW + days(397 - 59)

    certificates.ensure_local(folder, NAME, now=later)

    assert (folder / "root.pem").read_bytes() == root
    assert (folder / "leaf.pem").read_bytes() != leaf
    assert certificates.days_left(folder / "leaf.pem", now=later) >= 396


def test_keys_are_readable_by_their_owner_only(folder):
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}

    assert set(modes) == {"root.pem", "root.key", "leaf.pem", "leaf.key"}
    assert set(modes.values()) == {0o600}


def test_a_good_bureau_certificate_tells_its_days(folder):
    left = certificates.check_bureau(folder / "leaf.pem", folder / "leaf.key", NAME, now=NOW)

    assert left == 397


@pytest.mark.parametrize(
    ("certificate", "key", "name", "later", "reason"),
    [
        ("leaf.pem", "leaf.key", "other.example", 0, "not issued for"),
        ("leaf.pem", "leaf.key", NAME, 400, "expired"),
        ("leaf.pem", "root.key", NAME, 0, "does not belong"),
        ("absent.pem", "leaf.key", NAME, 0, "No such file"),
        ("leaf.key", "leaf.key", NAME, 0, "PEM"),
    ],
)
def test_an_unusable_bureau_certificate_is_refused(folder, certificate, key, name, later, reason):
    with pytest.raises(CertificateUnusable, match=reason):
        certificates.check_bureau(folder / certificate, folder / key, name, now=NOW + days(later))


def _key(path):
    return load_pem_private_key(path.read_bytes(), None)


def _openssl(root, leaf):
    at = str(int(NOW.timestamp()))
    command = ["openssl", "verify", "-attime", at, "-CAfile", str(root), str(leaf)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
