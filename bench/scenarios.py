"""What the rules make of items that somebody has tampered with, and of files that nobody has.

Scenarios are drawn from a seed and differ from an innocent visit in one respect, whose finding
must come. Camera files come from a folder of samples with ``truth.json``, what ExifTool reads;
they are judged as imports of today that nothing but themselves speaks about.
"""

import argparse
import json
import os
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from bench.machine import machine
from media.facts import read_facts
from media.findings import Context, Finding, Hints, claims, compare
from media.findings.model import FAIL, WARN, Content, Named, Pixels, SecondReading
from media.second import PixelFacts, SecondFacts, SecondFailed, SecondReader
from media.source import FileSource
from tests.support.scenarios import complaint, scenarios

#: A collection of files as cameras wrote them, nothing else.
ORIGINALS = "digicam_corpus"
_EDITORS = re.compile(
    "photoshop|lightroom|camera raw|gimp|picasa|darktable|irrfan|irfan|meitu|quicktime|viewer"
    "|camedia|photo editor|frontier|^pil$",
    re.IGNORECASE,
)


def run(arguments: list[str]) -> dict[str, object]:
    """Judge ``--count`` scenarios, and the files of ``--samples`` if there is such a folder."""
    parser = argparse.ArgumentParser(prog="scripts/bench scenarios")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--samples", type=Path, default=os.environ.get("LIUHEN_SAMPLES"))
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", file=sys.stderr)
    began = time.monotonic()
    missed = [
        f"{one.name}: {found}"
        for one in islice(scenarios(options.seed), options.count)
        if (found := complaint(one))
    ]
    seconds = round(time.monotonic() - began, 2)
    for line in missed:
        print(line, file=sys.stderr)
    return {
        "bench": "scenarios",
        "seed": options.seed,
        "count": options.count,
        "as_expected": options.count - len(missed),
        "seconds": seconds,
        "files": judge_files(options.samples) if options.samples else {},
        "machine": machine(),
    }


def judge_files(samples: Path) -> dict[str, object]:
    """Shares of files with a failure or a doubt, by how far they are known to be as taken."""
    truth = json.loads((samples / "truth.json").read_text("utf-8"))
    groups: dict[str, dict[str, tuple[Finding, ...]]] = {}
    with SecondReader() as second:
        for name, known in truth.items():
            if group := _group(known):
                groups.setdefault(group, {})[name] = judge(samples / name, known, second)
    return {group: _shares(judged) for group, judged in sorted(groups.items())}


def _group(known: Mapping[str, Any]) -> str:
    """``originals``, other files that name a ``camera``, or such that name an ``edited``."""
    if known["source"].endswith(ORIGINALS):
        return "originals"
    if not (known["make"] and known["model"]):
        return ""
    return "edited" if _EDITORS.search(known["software"] or "") else "camera"


def judge(path: Path, known: Mapping[str, Any], second: SecondReader) -> tuple[Finding, ...]:
    """What the rules say of one file alone."""
    source = FileSource(path)
    facts = json.loads(read_facts(source).to_json())
    content = Content(known["sha256"], source.size)
    name = Path(known["source_path"]).name
    context = Context(
        hints=Hints(),
        received_at_ms=time.time_ns() // 1_000_000,
        announced=content,
        received=content,
        second=_reading(second.read(path)),
        pixels=_pixels(second.pixels(path)),
        named=Named(name, facts["mime"]),
    )
    return compare(claims(facts, context.hints), context)


def _reading(seen: SecondFacts | SecondFailed) -> SecondReading | None:
    match seen:
        case SecondFacts():
            return SecondReading(seen.reader, tuple(sorted(seen.values.items())))
        case SecondFailed():
            # Half of the samples are of formats that the second reader does not know.
            return None


def _pixels(seen: PixelFacts | SecondFailed) -> Pixels | None:
    match seen:
        case PixelFacts():
            return Pixels(seen.width, seen.height, seen.thumbnail_distance)
        case SecondFailed():
            return None


def _shares(judged: Mapping[str, Iterable[Finding]]) -> dict[str, object]:
    codes: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    for name, findings in judged.items():
        severities = {one.severity for one in findings}
        for severity in (FAIL, WARN):
            marked[severity] += severity in severities
        codes.update({f"{one.code} {one.severity}" for one in findings})
        for one in findings:
            if one.severity in (FAIL, WARN):
                said = one.evidence
                print(
                    f"{one.severity} {one.code} {said['expected']['reason']} {name}"
                    f" {said['tag']}={said['raw'][:60]}",
                    file=sys.stderr,
                )
    total = len(judged)
    return {
        "files": total,
        "fail": _percent(marked[FAIL], total),
        "warn": _percent(marked[WARN], total),
        "codes": {code: _percent(number, total) for code, number in sorted(codes.items())},
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1)
