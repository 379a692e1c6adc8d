"""Packages and outside time stamps: what is enclosed, what stands beside, what nobody can forge."""

import hashlib
import io
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from server.authorities import Authority as Named
from server.db import reading, transaction
from server.operations import ledger, stamps
from sync.evidence import tsp, verifier_stamps
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.casework import Case
from tests.support.stores import MemoryStore
from tests.support.tsa import Authority
from tests.support.world import make_world

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Stamped:
    """A case whose ledger one authority stamped before, while and after its lines came."""

    case: Case
    authority: Authority
    data: bytes
    sha256: str
    package_id: str

    @property
    def roots(self):
        return (self.authority.root.read_text(),)


@pytest.fixture(scope="module")
def stamped(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stamped")
    shutil.copyfile(sqlite_template, folder / "one.sqlite")
    world = make_world(f"sqlite:///{folder}/one.sqlite", folder / "var", store=MemoryStore())
    now = datetime.fromtimestamp(world.now_ms / 1000, UTC)
    # Ended long before this test runs, as an old package's has.
    authority = Authority(
        folder / "tsa", valid_from=now - timedelta(days=30), valid_to=now + timedelta(days=10)
    )
    authority.answer = lambda request: authority.stamp_at(request, world.now_ms)
    with authority.serving() as url:
        named = Named(name="national", url=url, roots=authority.root.read_text())
        object.__setattr__(world.settings, "authorities", (named,))
        sign_and_stamp(world)
        case = Case(world)
        world.now_ms += 11 * MINUTE_MS
        sign_and_stamp(world)
        world.now_ms += 11 * MINUTE_MS
        case.judge("outfall", "accepted")
        sign_and_stamp(world)
        row = case.build(case.request())
        assert row.state == "ready", row.failure
        world.now_ms += MINUTE_MS
        with world.app.app_context():
            stamps.stamp_what_is_due(world.services)
    return Stamped(case, authority, case.bytes_of(row), row.sha256, row.id)


def sign_and_stamp(world):
    with world.app.app_context():
        with transaction() as session:
            ledger.sign_checkpoint(session, world.services.ledger_signer, now_ms=world.now_ms)
        stamps.stamp_what_is_due(world.services)


@pytest.fixture
def package(stamped, tmp_path):
    path = tmp_path / "case.zip"
    path.write_bytes(stamped.data)
    return path


def sidecars(stamped):
    with stamped.case.world.app.app_context(), reading() as session:
        return stamps.sidecars(session, stamped.package_id, "case.zip")


def codes(path, verdict, **options):
    result = verify_package(str(path), Options(**options))
    return [claim.code for claim in result.claims if claim.verdict is verdict]


def test_the_stamps_of_a_package_hold_by_the_authoritys_root(stamped, package):
    passed = codes(package, Verdict.PASS, tsa_roots=stamped.roots)

    assert passed.count("stamps.good") == 2
    assert "time.outside" in passed
    assert codes(package, Verdict.FAIL, tsa_roots=stamped.roots) == []
    assert "time.bureau_clock" not in codes(package, Verdict.NOT_CHECKED, tsa_roots=stamped.roots)


def test_without_a_root_from_outside_nothing_is_said_to_hold(stamped, package):
    unchecked = codes(package, Verdict.NOT_CHECKED)

    assert {"stamps.as_enclosed", "time.outside_claimed"} <= set(unchecked)
    assert codes(package, Verdict.FAIL) == []


def test_another_authoritys_root_bears_out_no_stamp(stamped, package, tmp_path):
    stranger = Authority(tmp_path / "stranger")

    unchecked = codes(package, Verdict.NOT_CHECKED, tsa_roots=(stranger.root.read_text(),))

    assert {"stamps.unknown_ca", "time.outside_claimed"} <= set(unchecked)


def test_without_openssl_the_signatures_are_not_checked_and_this_is_said(
    stamped, package, monkeypatch
):
    monkeypatch.setattr(verifier_stamps.shutil, "which", lambda name: None)

    unchecked = codes(package, Verdict.NOT_CHECKED, tsa_roots=stamped.roots)

    assert {"stamps.no_openssl", "time.outside_claimed"} <= set(unchecked)
    assert codes(package, Verdict.FAIL, tsa_roots=stamped.roots) == []


def test_a_stamp_beside_the_zip_shows_when_it_existed(stamped, package):
    for name, answer in sidecars(stamped).items():
        (package.parent / name).write_bytes(answer)

    assert list(sidecars(stamped)) == ["case.zip.tsr"]
    assert "stamps.zip" in codes(package, Verdict.PASS, tsa_roots=stamped.roots)


def test_a_stamp_of_another_file_beside_the_zip_fails(stamped, package):
    request = tsp.build_request(hashlib.sha256(b"other").digest(), nonce=1)
    (package.parent / "case.zip.tsr").write_bytes(stamped.authority.answer(request))

    assert codes(package, Verdict.FAIL, tsa_roots=stamped.roots) == ["stamps.zip_other"]


def test_a_renewal_beside_the_zip_stands_for_the_stamp_beside_it(stamped, package):
    (answer,) = sidecars(stamped).values()
    (package.parent / "case.zip.tsr").write_bytes(answer)
    imprint = tsp.renewal_digest(tsp.parse_stamp(answer).imprint, answer)
    newer = stamped.authority.answer(tsp.build_request(imprint, nonce=2))
    (package.parent / "case.zip.2.tsr").write_bytes(newer)

    assert codes(package, Verdict.PASS, tsa_roots=stamped.roots).count("stamps.zip") == 2
    (package.parent / "case.zip.tsr").unlink()
    assert codes(package, Verdict.FAIL, tsa_roots=stamped.roots) == ["stamps.zip_other"]


def test_a_forged_stamp_beside_the_zip_fails(stamped, package):
    ((name, answer),) = sidecars(stamped).items()
    forged = bytearray(answer)
    forged[-10] ^= 1
    (package.parent / name).write_bytes(bytes(forged))

    assert codes(package, Verdict.FAIL, tsa_roots=stamped.roots) == ["stamps.rejected"]


def change(package, choose, edit):
    """Unpack, change the first file that ``choose`` takes, and verify the folder."""
    folder = package.parent / "unpacked"
    zipfile.ZipFile(io.BytesIO(package.read_bytes())).extractall(folder)
    path = sorted(path for path in folder.rglob("*") if path.is_file() and choose(path.name))[0]
    edit(path)
    return folder


def test_a_stamp_taken_out_of_the_package_is_missed(stamped, package):
    folder = change(package, lambda name: name.endswith(".tsr"), lambda path: path.unlink())

    assert "stamps.missing" in codes(folder, Verdict.FAIL, tsa_roots=stamped.roots)


def test_a_stamp_put_in_anothers_place_is_not_the_one_of_the_ledger(stamped, package, tmp_path):
    stranger = Authority(tmp_path / "stranger")

    def exchange(path):
        stamp = tsp.parse_stamp(path.read_bytes())
        request = tsp.build_request(stamp.imprint, nonce=stamp.nonce)
        path.write_bytes(stranger.stamp_at(request, stamp.gen_time_ms - 86_400_000))

    folder = change(package, lambda name: name.endswith(".tsr"), exchange)

    assert "stamps.differs" in codes(folder, Verdict.FAIL, tsa_roots=stamped.roots)


@pytest.fixture
def laid_out(stamped, package):
    """As VERIFY.txt asks for it: the ZIP, its stamp and the root in one place, unpacked beside."""
    for name, answer in sidecars(stamped).items():
        (package.parent / name).write_bytes(answer)
    shutil.copy(stamped.authority.root, package.parent / "tsa-ca.pem")
    folder = package.parent / "unpacked"
    zipfile.ZipFile(package).extractall(folder)
    return folder


def run(folder, step):
    """Run one command of VERIFY.txt as it is printed."""
    rows = (folder / "verify" / "VERIFY.txt").read_text("utf-8").splitlines()
    (command,) = {row[5:] for row in rows if row.startswith(f"  {step}) ")}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False
    )


def test_verify_txt_has_at_most_five_commands_and_all_hold_though_the_certificate_ended(
    stamped, laid_out
):
    assert stamped.authority.valid_to < datetime.now(UTC)

    done = [run(laid_out, step) for step in range(1, 6)]

    assert [one.returncode for one in done] == [0] * 5, done
    assert done[3].stdout.count("Verification: OK") == 2
    assert done[4].stdout.count("Verification: OK") == 1
    assert "  6) " not in (laid_out / "verify" / "VERIFY.txt").read_text("utf-8")


@pytest.mark.parametrize("ending", ["*.tsr", "*.data"])
def test_verify_txt_notices_a_changed_stamp_in_the_package(laid_out, ending):
    path = next((laid_out / "proofs" / "timestamps").glob(ending))
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(bytes(data))

    assert run(laid_out, 4).returncode != 0


def test_verify_txt_notices_a_zip_that_is_not_the_one_that_was_stamped(laid_out, package):
    data = bytearray(package.read_bytes())
    data[len(data) // 2] ^= 1
    package.write_bytes(bytes(data))

    assert run(laid_out, 5).returncode != 0


@pytest.mark.parametrize("step", [4, 5])
def test_verify_txt_believes_no_other_authority(laid_out, tmp_path, step):
    stranger = Authority(tmp_path / "stranger")
    shutil.copy(stranger.root, laid_out.parent / "tsa-ca.pem")

    assert run(laid_out, step).returncode != 0


def test_every_item_says_between_which_outside_stamps_it_lies(stamped, package):
    index = zipfile.ZipFile(package).read("data/case-index.json")

    assert index.count(b'"outside":{') == len(stamped.case.items)


def test_the_stand_alone_verifier_says_the_same(stamped, package, tmp_path):
    verifier = tmp_path / "liuhen_verify.py"
    verifier.write_bytes(zipfile.ZipFile(package).read("verify/liuhen_verify.py"))

    done = subprocess.run(
        ["python3", "-I", verifier, package, "--lang", "en", "--tsa-ca", stamped.authority.root],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert done.stdout.count("this state of the ledger existed at 2026-05-04T") == 2
    assert "hold (step 10)" in done.stdout
