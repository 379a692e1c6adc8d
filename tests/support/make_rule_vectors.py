"""Writes what the newest rules find into rules.json: ``python -m tests.support.make_rule_vectors``.

The inputs and what earlier versions found in them are never written again: a version
that has judged evidence finds the same for ever (docs/decisions/0016-rules-have-versions.md).
The inputs are facts of sample files as the first released reader stored them, one for each
set of tags, beside contexts drawn once, and one scenario of each kind. What version 2 found
was written by the program as it was before there was a version 3.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media.findings import RULE_VERSION, claims, compare, context_from_json, to_json

PATH = Path(__file__).parent.parent / "vectors" / "rules.json"


def found(vector: Mapping[str, Any], case: Mapping[str, Any], version: str) -> dict[str, Any]:
    """What the rules of ``version`` find in one case: the digest of the bytes, and their gist."""
    context = context_from_json(json.dumps(case["context"]))
    facts = vector["facts"][case["facts"]]
    findings = compare(claims(facts, context.hints, version), context, version)
    return {
        "sha256": hashlib.sha256(to_json(findings).encode()).hexdigest(),
        "gist": [
            f"{one.code} {one.severity} {one.evidence['expected']['reason']}" for one in findings
        ],
    }


def main() -> None:
    vector = json.loads(PATH.read_text("utf-8"))
    for case in vector["cases"]:
        case["found"][RULE_VERSION] = found(vector, case, RULE_VERSION)
    write(vector)


def write(vector: Mapping[str, Any]) -> None:
    """One line for each set of facts and each case, so that changes can be reviewed."""
    parts = [
        f'"{name}":[\n' + ",\n".join(_line(each) for each in vector[name]) + "\n]"
        for name in ("facts", "cases")
    ]
    PATH.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


if __name__ == "__main__":
    main()
