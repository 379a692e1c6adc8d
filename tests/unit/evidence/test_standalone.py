"""The single file that goes into every package."""

import ast
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sync.evidence
from sync.evidence import package, standalone
from sync.evidence.verify_cli import main
from tests.support.small_package import build_small_package

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def small():
    return build_small_package()


@pytest.fixture
def folder(tmp_path, small):
    """An empty place with nothing but the verifier and a package."""
    (tmp_path / "liuhen_verify.py").write_bytes(standalone.build())
    (tmp_path / "case.zip").write_bytes(small.pack())
    return tmp_path


def run(folder, *arguments, python=(sys.executable,)):
    return subprocess.run(
        [*python, "-I", "-S", "liuhen_verify.py", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_it_is_the_same_bytes_on_each_build():
    assert standalone.build() == standalone.build()


def test_it_and_all_it_carries_keep_to_python_3_8():
    ast.parse(standalone.build().decode(), feature_version=(3, 8))
    for path in Path(sync.evidence.__file__).parent.glob("*.py"):
        ast.parse(path.read_text("utf-8"), feature_version=(3, 8))


def test_it_carries_the_sources_unchanged_and_readable():
    text = standalone.build().decode()

    for name in standalone.MODULES:
        source = (REPOSITORY / "sync/evidence" / f"{name}.py").read_text("utf-8")
        assert source in text


def test_it_imports_nothing_that_it_does_not_carry():
    carried = {name.rpartition(".")[2] for name in standalone.MODULES}
    for name in standalone.MODULES:
        tree = ast.parse((REPOSITORY / "sync/evidence" / f"{name}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                modules = [node.module] if node.module else [alias.name for alias in node.names]
                assert set(modules) <= carried
            elif isinstance(node, ast.ImportFrom | ast.Import):
                names = [node.module] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if not names else []
                roots = {str(module).partition(".")[0] for module in names}
                assert roots <= {*sys.stdlib_module_names, "cryptography"}


def test_it_passes_a_genuine_package_without_any_installed_library(folder):
    done = run(folder, "case.zip")

    assert (done.returncode, done.stderr) == (0, b"")
    assert "结论：通过（PASS）" in done.stdout.decode()
    assert sorted(path.name for path in folder.iterdir()) == ["case.zip", "liuhen_verify.py"]


def test_it_fails_a_changed_package_and_names_the_file(folder, small):
    data = bytearray(small.pack())
    place = bytes(data).index(b"photophoto")
    data[place] ^= 1
    (folder / "case.zip").write_bytes(data)

    done = run(folder, "case.zip", "--lang", "en", "--json")

    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (1, "FAIL")
    named = {claim.get("file") for claim in report["claims"] if claim["verdict"] == "FAIL"}
    assert small.index.items[0].file in named
    said = run(folder, "case.zip", "--lang", "en").stdout.decode()
    assert "unaltered since" not in said
    assert "does not prove that nothing was altered" in said


def test_it_says_in_one_sentence_that_there_is_nothing_to_verify(folder):
    done = run(folder, "nothing.zip", "--lang", "en")

    assert done.returncode == 2
    assert done.stderr.decode().startswith("Cannot verify")
    assert len(done.stderr.decode().splitlines()) == 1


def test_it_verifies_the_package_that_it_lies_in(tmp_path, small):
    files = {**small.files, package.VERIFIER: standalone.build()}
    data = small.pack_signed(files)
    (tmp_path / "case.zip").write_bytes(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extract(package.VERIFIER, tmp_path)
    shutil.move(tmp_path / package.VERIFIER, tmp_path / "liuhen_verify.py")

    assert run(tmp_path, "case.zip").returncode == 0


def test_the_command_and_the_single_file_say_the_same(folder, capsys):
    code = main([str(folder / "case.zip"), "--pure"])

    said = capsys.readouterr().out.replace(str(folder) + "/", "")
    assert (code, said) == (0, run(folder, "case.zip").stdout.decode())


def test_a_key_from_outside_is_taken_as_text_or_from_a_file(folder, small, capsys):
    key = small.ledger.key.verifier_key
    (folder / "key.txt").write_text(key + "\n", "utf-8")

    for given in (key, str(folder / "key.txt")):
        assert main([str(folder / "case.zip"), "--key", given, "--json"]) == 0
        claims = json.loads(capsys.readouterr().out)["claims"]
        assert "trust.key_known" in {claim["code"] for claim in claims}


def test_a_key_that_is_none_is_refused(folder, capsys):
    assert main([str(folder / "case.zip"), "--key", "nonsense", "--lang", "en"]) == 2
    assert "not a usable verifier key" in capsys.readouterr().err


def test_wrong_use_is_told_apart_from_a_failed_verification(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--lang", "fr", "x.zip"])

    assert caught.value.code == 2
    capsys.readouterr()


def test_many_failures_are_counted_unless_all_are_asked_for(folder, small, capsys):
    rows = small.files[package.CUSTODY].splitlines(keepends=True)
    spoiled = b"".join(rows) + b"spoiled\n" * 250
    (folder / "case.zip").write_bytes(small.pack({**small.files, package.CUSTODY: spoiled}))

    assert main([str(folder / "case.zip"), "--lang", "en"]) == 1
    short = capsys.readouterr().out
    assert main([str(folder / "case.zip"), "--lang", "en", "--verbose"]) == 1
    whole = capsys.readouterr().out

    assert "more failures" in short
    assert "more failures" not in whole
    assert whole.count("Line ") == 250
