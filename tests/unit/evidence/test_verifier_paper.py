"""A head that stands on a paper, held against the enclosed journals by whoever has the paper."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sync import shortcode
from sync.evidence import standalone
from sync.evidence.line import parse_package_line
from sync.evidence.package import journal_chain
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from sync.evidence.verify_cli import main
from sync.shortcode import FullHead
from tests.support.small_package import build_small_package

_VECTORS = Path(__file__).parents[2] / "vectors" / "sheet.json"


@pytest.fixture(scope="module")
def small():
    return build_small_package()


@pytest.fixture
def package(tmp_path, small):
    (tmp_path / "case.zip").write_bytes(small.pack())
    return str(tmp_path / "case.zip")


@pytest.fixture
def heads(package):
    """Every line of the enclosed journals, as a paper would name it."""
    found = []
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            if journal_chain(name) is not None:
                for raw in archive.read(name).splitlines():
                    line = parse_package_line(raw)
                    header = line.header
                    found.append(FullHead(header.device, header.epoch, header.seq, line.digest))
    return found


def _said(package, *papers):
    claims = verify_package(package, Options(papers=papers)).claims
    return [
        (claim.code.partition(".")[2], claim.verdict)
        for claim in claims
        if claim.code.startswith("outside.paper")
    ]


def test_every_line_is_found_by_its_short_code_and_by_its_qr_code(package, heads):
    papers = [shortcode.spell(h.seq, h.head) for h in heads]
    papers += [shortcode.spell_full(h) for h in heads]

    said = _said(package, *papers)

    assert heads
    assert said == [("paper", Verdict.PASS)] * (2 * len(heads))


def test_as_people_type_it(package, heads):
    head = heads[-1]
    typed = f" {head.seq} - {shortcode.code_of(head.head).lower().replace('0', 'o')} "

    assert _said(package, typed) == [("paper", Verdict.PASS)]


def test_a_line_that_was_changed_or_cut_after_the_printing_fails(package, heads):
    head = heads[-1]
    other = shortcode.spell(head.seq, "ab" * 32)
    beyond = shortcode.spell(head.seq + 1000, head.head)
    moved = shortcode.spell_full(FullHead(head.device, head.epoch, head.seq, "cd" * 32))

    said = _said(package, other, beyond, moved)

    assert said == [("paper_other", Verdict.FAIL)] * 3
    assert verify_package(package, Options(papers=(other,))).verdict is Verdict.FAIL


def test_a_slip_of_the_finger_accuses_nobody(package, heads):
    head = heads[-1]
    code = shortcode.code_of(head.head)
    slip = ("Z" if code[0] != "Z" else "Y") + code[1:]

    assert _said(package, f"{head.seq}-{slip}") == [("paper_near", Verdict.NOT_CHECKED)]


@pytest.mark.parametrize("said", ["", "412", "412-UUUUU-UUUUU-UUUUU-UUUUU", "见纸质件", "x" * 5000])
def test_what_is_no_head_is_never_passed(package, said):
    assert _said(package, said) == [("paper_unreadable", Verdict.NOT_CHECKED)]


def test_verifier_and_clients_read_the_same_papers(package):
    """Whatever the shared vectors call no head is none for the verifier, and the other way."""
    for case in json.loads(_VECTORS.read_text("utf-8"))["said"]:
        [(code, _)] = _said(package, case["said"])
        assert (code == "paper_unreadable") == (case["shows"] is None), case["said"]


def test_the_command_and_the_single_file_take_the_option(package, heads, tmp_path, capsys):
    paper = shortcode.spell(heads[-1].seq, heads[-1].head)
    program = tmp_path / "liuhen_verify.py"
    program.write_bytes(standalone.build())

    assert main([package, "--paper", paper]) == 0
    assert paper in capsys.readouterr().out
    alone = subprocess.run(
        [sys.executable, "-I", str(program), package, "--paper", f"{heads[-1].seq}-{'7' * 20}"],
        capture_output=True,
        check=False,
    )
    assert alone.returncode == 1
