"""The findings in a package: those of the ledger, all of them, and computed again."""

import io
import json
import shutil
import subprocess
import sys
import zipfile

import pytest

from sync.evidence import canonical, note, package
from sync.evidence.package import PackageFile
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.casework import Case
from tests.support.stores import MemoryStore
from tests.support.world import make_world


@pytest.fixture(scope="module")
def built(sqlite_template, tmp_path_factory):
    """The files of a package whose items were read and compared, and the case's world."""
    folder = tmp_path_factory.mktemp("findings")
    shutil.copyfile(sqlite_template, folder / "one.sqlite")
    world = make_world(f"sqlite:///{folder}/one.sqlite", folder / "var", store=MemoryStore())
    case = Case(world, checked=True)
    data = case.bytes_of(case.build(case.request()))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return files, world


@pytest.fixture
def ask(built, tmp_path):
    """Verify the package with some files changed, as the holder of the ledger's key could."""
    genuine, world = built

    def run(changed=None, **options):
        made_by_assembling = (
            *("bagit.txt", "bag-info.txt", "manifest-sha256.txt"),
            *("tagmanifest-sha256.txt", package.STATEMENT),
        )
        files = {n: d for n, d in genuine.items() if n not in made_by_assembling}
        files |= changed or {}
        statement = package.parse_statement(
            note.parse_note(genuine[package.STATEMENT].decode()).text
        )
        packed = package.assemble(
            [PackageFile.of(path, content) for path, content in files.items()],
            info=[],
            origin=statement.origin,
            ledger_size=statement.ledger_size,
            sign=world.services.ledger_signer.sign,
        )
        path = tmp_path / "case.zip"
        path.write_bytes(b"".join(package.write_package(packed)))
        return verify_package(str(path), Options(**options)).claims

    return run


def codes(claims, verdict):
    ours = ("case.findings", "case.facts")
    return {c.code for c in claims if c.verdict is verdict and c.code.startswith(ours)}


def changed_runs(built, change):
    value = canonical.loads(built[0][package.FINDINGS])
    [runs] = [item["checks"] for item in value["items"][:1]]
    change(runs)
    return {package.FINDINGS: canonical.dumps(value)}


def test_every_run_is_tied_to_the_ledger_and_repeated_with_the_same_result(ask):
    claims = ask(findings=True)

    assert codes(claims, Verdict.PASS) == {"case.findings_tied", "case.findings_recomputed"}
    assert codes(claims, Verdict.FAIL) == set()
    [count] = [c.values["count"] for c in claims if c.code == "case.findings_recomputed"]
    assert count >= 2


def test_without_the_option_it_is_said_that_they_were_not_computed_again(ask):
    assert codes(ask(), Verdict.NOT_CHECKED) == {"case.findings_not_recomputed"}


@pytest.mark.parametrize("name", ["claims", "findings", "context"])
def test_a_text_changed_by_the_holder_of_the_ledgers_key_is_named(ask, built, name):
    def change(runs):
        runs[0][name] = runs[0][name].replace("0", "1", 1) + " "

    assert codes(ask(changed_runs(built, change)), Verdict.FAIL) == {"case.findings_differ"}


def test_a_run_left_out_is_named(ask, built):
    claims = ask(changed_runs(built, lambda runs: runs.pop()))

    [left_out] = [c for c in claims if c.code == "case.findings_left_out"]
    assert left_out.verdict is Verdict.FAIL
    assert left_out.values["file"] == package.FINDINGS


def test_facts_other_than_those_read_are_named(ask, built):
    [path] = [name for name in built[0] if name.startswith("data/facts/")][:1]
    value = canonical.loads(built[0][path])
    value["readings"][0]["facts"] = json.dumps({**json.loads(value["readings"][0]["facts"])}) + " "

    claims = ask({path: canonical.dumps(value)}, findings=True)

    assert "case.facts_differ" in codes(claims, Verdict.FAIL)


def test_the_single_file_in_the_package_repeats_them_by_itself(built, tmp_path):
    files, _ = built
    for name, data in files.items():
        path = tmp_path / "case" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    done = subprocess.run(
        [sys.executable, "-I", "-S", "case/verify/liuhen_verify.py", "case", "--findings"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "逐字节相同" in done.stdout
