"""``liuhen-verify``: the verifier on the command line, also inside every package as one file.

Exit codes: 0 every claim that was checked holds, 1 at least one fails, 2 there
is nothing to verify or the command was misused.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from contextlib import contextmanager
from typing import Iterator, List, Mapping, Optional, Sequence

from .foreign_bag import check_any_bag
from .note import VerifierKey, parse_verifier_key
from .p256 import KeyMalformed
from .policy import Policy, PolicyMalformed, parse_policy
from .texts import LANGUAGES, load_texts
from .verifier import Options, verify_package
from .verifier_claims import STEPS, Claim, Result, Verdict, shown
from .verifier_source import PackageUnusable
from .verify_fork import judge_fork

Texts = Mapping[str, Mapping[str, str]]

_SHOWN = 200
_MARKS = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.NOT_CHECKED: "not_checked"}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Verify one package and print what was found; returns the exit code."""
    texts = load_texts()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(texts, _language(given)).parse_args(given)
    _speak_utf8()

    def say(key: str, **values: object) -> str:
        return texts["verify.cli." + key][options.lang].format(**values)

    if options.bag:
        return _bag(options.package, texts, options.lang, as_json=options.json)
    try:
        keys = tuple(key for text in options.key for key in _read_keys(text))
        policy = _read_policy(options.policy)
        if options.fork:
            return judge_fork(
                options.package, options.against, keys, texts, options.lang, as_json=options.json
            )
        with _nothing_collected():
            result = verify_package(
                options.package,
                Options(
                    keys,
                    all_signatures=options.all,
                    pure=options.pure,
                    policy=policy,
                    tsa_roots=tuple(_read_roots(path) for path in options.tsa_ca),
                    checkpoints=tuple(options.checkpoint),
                    tiles=options.tiles,
                    findings=options.findings,
                    papers=tuple(options.paper),
                ),
            )
    except KeyMalformed as error:
        sys.stderr.write(say("bad_key", reason=error) + "\n")
        return 2
    except PolicyMalformed as error:
        sys.stderr.write(say("bad_policy", reason=error) + "\n")
        return 2
    except PackageUnusable as error:
        sys.stderr.write(say("unusable", reason=error) + "\n")
        return 2
    if options.json:
        sys.stdout.write(_json(result, options.package, texts, options.lang) + "\n")
    else:
        limit = None if options.verbose else _SHOWN
        rows = _report(result, options.package, texts, options.lang, limit)
        sys.stdout.write("\n".join(rows) + "\n")
    return 1 if result.verdict is Verdict.FAIL else 0


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Records of a package hold no cycles, so looking for some only costs time, a sixth of it."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _parser(texts: Texts, lang: str) -> argparse.ArgumentParser:
    def say(key: str) -> str:
        return texts["verify.cli." + key][lang]

    parser = argparse.ArgumentParser(prog="liuhen-verify", description=say("description"))
    parser.add_argument("package", help=say("package"))
    parser.add_argument("--key", action="append", default=[], help=say("key"))
    parser.add_argument("--tsa-ca", action="append", default=[], help=say("tsa_ca"))
    parser.add_argument(
        "--checkpoint", action="append", default=[], metavar="FILE", help=say("checkpoint")
    )
    parser.add_argument("--paper", action="append", default=[], metavar="HEAD", help=say("paper"))
    parser.add_argument("--findings", action="store_true", help=say("findings"))
    parser.add_argument("--tiles", metavar="FOLDER", help=say("tiles"))
    parser.add_argument("--policy", help=say("policy"))
    parser.add_argument("--fork", action="store_true", help=say("fork"))
    parser.add_argument("--against", metavar="PACKAGE", help=say("against"))
    parser.add_argument("--all", action="store_true", help=say("all"))
    parser.add_argument("--pure", action="store_true", help=say("pure"))
    parser.add_argument("--bag", action="store_true", help=say("bag"))
    parser.add_argument("--json", action="store_true", help=say("json"))
    parser.add_argument("--verbose", action="store_true", help=say("verbose"))
    parser.add_argument("--lang", choices=LANGUAGES, default=LANGUAGES[0], help=say("lang"))
    return parser


def _bag(path: str, texts: Texts, lang: str, *, as_json: bool) -> int:
    """Check a BagIt folder that others made; returns the exit code."""

    def say(key: str, **values: object) -> str:
        return texts["verify.cli." + key][lang].format(**values)

    if not os.path.isdir(path):
        sys.stderr.write(say("unusable", reason=path) + "\n")
        return 2
    faults = check_any_bag(path)
    verdict = Verdict.FAIL if faults else Verdict.PASS
    if as_json:
        named = [{"file": fault.file, "reason": fault.reason} for fault in faults]
        value = {"package": path, "verdict": verdict.value, "faults": named}
        sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
    else:
        for fault in faults:
            sys.stdout.write("  %s: %s\n" % (shown(fault.file), shown(fault.reason)))
        sys.stdout.write(say("bag_" + _MARKS[verdict]) + "\n")
    return 1 if faults else 0


def _language(arguments: Sequence[str]) -> str:
    """The language of the help itself, before the arguments are parsed."""
    return "en" if "--lang=en" in arguments or " --lang en" in " " + " ".join(arguments) else "zh"


def _speak_utf8() -> None:
    # A Windows console may default to a code page without these characters.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")


def _read_keys(text: str) -> List[VerifierKey]:
    """The keys in ``text``: one as it stands, or a file of one on each line.

    Raises:
        KeyMalformed.
    """
    if not os.path.isfile(text):
        return [parse_verifier_key(text)]
    try:
        with open(text, encoding="utf-8") as file:
            return [parse_verifier_key(row) for row in file if row.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise KeyMalformed(str(error)) from error


def _read_roots(path: str) -> str:
    """The certificates in a file, as PEM.

    Raises:
        KeyMalformed.
    """
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(1 << 20)
    except (OSError, UnicodeDecodeError) as error:
        raise KeyMalformed(str(error)) from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise KeyMalformed("no certificate in PEM in " + path)
    return text


def _read_policy(path: Optional[str]) -> Optional[Policy]:
    """The policy in the file ``path``; None where none was brought.

    Raises:
        PolicyMalformed.
    """
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return parse_policy(file.read())
    except OSError as error:
        raise PolicyMalformed(str(error)) from error


def _json(result: Result, package: str, texts: Texts, lang: str) -> str:
    value = {
        "package": package,
        "verdict": result.verdict.value,
        "passed": result.count(Verdict.PASS),
        "failed": result.count(Verdict.FAIL),
        "not_checked": result.count(Verdict.NOT_CHECKED),
        "claims": [claim.to_json(texts, lang) for claim in result.claims],
    }
    return json.dumps(value, ensure_ascii=False, indent=1)


def _report(
    result: Result, package: str, texts: Texts, lang: str, limit: Optional[int]
) -> List[str]:
    def say(key: str, **values: object) -> str:
        return texts["verify." + key][lang].format(**values)

    rows = [say("cli.title", package=shown(os.path.basename(package.rstrip("/\\"))))]
    failures = 0
    for number, step in enumerate(STEPS, start=1):
        rows += ["", say("cli.step", number=number, title=say("step." + step))]
        for claim in _of_step(result, step):
            if claim.verdict is Verdict.FAIL:
                failures += 1
                if limit is not None and failures > limit:
                    continue
            mark = say("cli." + _MARKS[claim.verdict])
            rows.append("  [%s] %s" % (mark, claim.text(texts, lang)))
    if limit is not None and failures > limit:
        rows.append(say("cli.more", count=failures - limit))
    counts = {
        "passed": result.count(Verdict.PASS),
        "failed": result.count(Verdict.FAIL),
        "unchecked": result.count(Verdict.NOT_CHECKED),
    }
    if result.verdict is Verdict.FAIL:
        return [*rows, "", say("cli.verdict_fail", **counts), say("cli.limits_fail")]
    return [*rows, "", say("cli.verdict_pass", **counts), say("cli.limits")]


def _of_step(result: Result, step: str) -> List[Claim]:
    return [claim for claim in result.claims if claim.step == step]


if __name__ == "__main__":
    sys.exit(main())
