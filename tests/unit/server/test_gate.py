"""The gate's defects: each has its sentence in both languages and stands in the documents."""

import re
from pathlib import Path

from server.operations.export import gate
from server.operations.export.gate import Defect, defect_of
from sync import catalogue

_ROOT = Path(__file__).parents[3]
_FOUND = re.compile(r'yield (?:from \(\()?"([a-z_]+)", ')
_CODES = {gate.ANCHOR_UNKNOWN, *_FOUND.findall(Path(gate.__file__).read_text("utf-8"))}


def test_every_defect_has_its_sentence_and_stands_in_the_documents():
    told = {key.removeprefix("gate.") for key in catalogue.area("gate")} - {"comma"}
    text = (_ROOT / "docs" / "evidence.md").read_text("utf-8")

    assert told == _CODES
    assert {code for code in _CODES if f"`{code}`" not in text} == set()


def test_a_defect_goes_into_the_ledger_and_comes_back():
    defect = Defect(code="fact_missing", count=9, names=("排口", "车间"))

    assert defect_of(defect.to_snapshot()) == defect


def test_more_cases_than_are_named_are_hinted_at():
    defect = Defect(code="fact_missing", count=9, names=("排口", "车间"))

    assert defect.sentence("zh") == "未写证明对象 9 件：排口、车间…"
    assert defect.sentence("en") == "The fact to prove is not given (9): 排口, 车间…"
