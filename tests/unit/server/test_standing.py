"""Which runs of the rules the report of a package takes its findings from."""

import pytest

from media.findings import Finding
from server.operations.export.items import Check, standing


def run(*codes):
    findings = tuple(Finding(code, "warn", {}) for code in codes)
    return Check(
        rule_version="3",
        verdict="explainable",
        claims="[]",
        context="{}",
        checked_at_ms=1,
        ledger_index=1,
        findings=findings,
    )


WHOLE, DOUBTED, FAILED = run(), run("ORDER"), run("CHECK_FAILED")


@pytest.mark.parametrize(
    ("runs", "standing_ones"),
    [
        ((), ()),
        ((DOUBTED, WHOLE), (WHOLE,)),
        ((WHOLE, DOUBTED, FAILED, FAILED), (DOUBTED, FAILED, FAILED)),
        ((FAILED, DOUBTED), (DOUBTED,)),
        ((FAILED, run("CHECK_FAILED", "REUSED_BYTES")), (run("CHECK_FAILED", "REUSED_BYTES"),)),
    ],
)
def test_a_run_that_failed_adds_to_the_newest_whole_one(runs, standing_ones):
    assert standing(runs) == standing_ones
