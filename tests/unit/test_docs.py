"""The documents say what the program does: codes, settings, commands, texts, paths, sections."""

import json
import re
import string
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import click
import pytest

import bench
import media
import server
import sync
from media.errors import MediaError
from server.cli.directory import DirectorySchema
from server.errors import STATUS
from server.failures import ServerError
from server.settings import Settings
from sync.errors import SyncError
from sync.evidence import acts
from sync.evidence.line import parse_line
from sync.evidence.receipt import Receipt

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
CATALOGUES = sorted((ROOT / "sync" / "catalogue").glob("*.json"))
CODE = sorted(
    path
    for folder in ("server", "sync", "media", "scripts", "tests", "bench")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in ("", ".py")
    and path.is_file()
    and not {"__pycache__", "node_modules"} & set(path.parts)
)

#: Modules that take on a process as they are imported; none of them defines an error.
_NOT_IMPORTED = re.compile(
    r"(__main__|launch\.(wsgi|gunicorn)|migrations\.(env|versions.*)|second\.worker)$"
)
#: Errors that never answer a request, by module or code, with where they are told instead.
_NOT_OVER_HTTP = {
    "sync.client": "told by the device client",
    "sync.carrier": "told by the commands that write and take carriers",
    "sync.evidence.verif": "told by the verifier",
    "sync.evidence.bag": "told by the verifier",
    "sync.evidence.package": "told by the verifier",
    "sync.evidence.zip": "told by the verifier",
    "sync.evidence.note": "told by devices and the verifier",
    "sync.evidence.merkle": "told by devices and the verifier",
    "sync.evidence.tlog_proof": "told by whoever reads such a file",
    "sync.evidence.policy": "told by the verifier and by liuhen-admin",
    "sync.evidence.fork": "told by the verifier",
    "sync.witness": "told by liuhen-witness in answers of its own",
    "sync.evidence.p256": "told by devices and the verifier",
    "sync.evidence.der": "told by the verifier and by the console's page of time stamps",
    "sync.evidence.tsp": "told by the verifier and by the console's page of time stamps",
    "server.launch": "told by scripts/run",
    "server.settings": "told before there is an application",
    "server.app": "told before there is an application",
    "server.cli": "told by liuhen-admin",
    "server.demo": "told by scripts/run",
    "server.operations.export": "told by the package's row and by liuhen-admin",
    "server.operations.stamps": "told by the console's page of the store and by liuhen-admin",
    "server.operations.push": "the code of a line inside a 200",
    "server.operations.witnessing": "told by the console and by liuhen-admin",
    "media.errors": "facts about a file, told by liuhen inspect and the findings",
}
#: Read by scripts, tests and the device client, not by the server's settings.
_OTHER_VARIABLES = {
    "LIUHEN_PYTHON",
    "LIUHEN_TEST_WORKERS",
    "LIUHEN_TEST_STORE",
    "LIUHEN_SAMPLES",
    "LIUHEN_VECTORS",
    "LIUHEN_DEVICE",
    "LIUHEN_SKIP_WEB",
}
_TOP_LEVEL = "server|sync|media|scripts|tests|docs|bench|deploy|\\.ci"


def _texts(pattern: str) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob(pattern)))


def _text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@cache
def _errors() -> list[type[Exception]]:
    """Every error class of the program, found by importing all of it."""
    for package in (server, sync, media):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not _NOT_IMPORTED.search(module.name):
                import_module(module.name)

    def below(kind: type[Exception]) -> Iterator[type[Exception]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    ours = (server.__name__, sync.__name__, media.__name__)
    return [
        kind
        for base in (SyncError, MediaError, ServerError)
        for kind in below(base)
        if kind.__module__.partition(".")[0] in ours
    ]


TEXTS: dict[str, dict[str, str]] = {
    key: texts for path in CATALOGUES for key, texts in json.loads(path.read_text("utf-8")).items()
}


def _code_of(kind: type[Exception]) -> str:
    code: str = vars(kind)["code"]
    return code


def _documented_codes() -> dict[str, str]:
    """Code to status as docs/errors.md has them."""
    rows = re.findall(r"^\| `([a-z_]+\.[a-z0-9_]+)` \| (\S+) \|", _text("docs/errors.md"), re.M)
    assert len(rows) == len(dict(rows)), "a code is documented twice"
    return dict(rows)


def test_every_error_has_a_code_of_its_own():
    codes = [_code_of(kind) for kind in _errors()]

    assert sorted(codes) == sorted(set(codes))


def test_every_error_code_is_documented_with_its_status():
    documented = _documented_codes()

    expected = {_code_of(kind): str(int(STATUS.get(kind, 0)) or "—") for kind in _errors()}

    assert {code: documented.get(code) for code in expected} == expected


def test_every_documented_code_exists():
    known = {_code_of(kind) for kind in _errors()}
    known |= {key.removeprefix("errors.") for key in TEXTS if key.startswith("errors.http.")}
    known |= {key for key in TEXTS if key.startswith("projection.")}

    assert set(_documented_codes()) - known == set()


def test_every_error_that_can_answer_a_request_has_its_status():
    missing = [
        kind.__qualname__
        for kind in _errors()
        if kind not in STATUS
        and kind not in (SyncError, MediaError, ServerError)
        and not kind.__module__.startswith(tuple(_NOT_OVER_HTTP))
    ]

    assert missing == []


def test_every_error_that_can_answer_a_request_has_its_sentence():
    codes = {_code_of(kind) for kind in STATUS}

    assert {code for code in codes if f"errors.{code}" not in TEXTS} == set()


def test_every_reason_not_to_show_a_line_is_documented_in_words():
    operations = (ROOT / "server" / "operations").rglob("*.py")
    reasons = {
        reason
        for path in operations
        for reason in re.findall(r'"(projection\.[a-z_]+)"', path.read_text("utf-8"))
    }

    assert reasons
    assert reasons - set(TEXTS) == set()
    assert reasons - set(_documented_codes()) == set()
    assert {r for r in reasons if f"`{r}`" not in _text("docs/protocol.md")} == set()


def test_every_setting_is_documented_and_no_other():
    named = set(re.findall(r"LIUHEN_[A-Z0-9_]+", _text("docs/operations.md")))

    assert Settings.variables() - named == set()
    assert named - Settings.variables() - _OTHER_VARIABLES == set()


def test_documented_defaults_of_settings_are_the_real_ones():
    text = _text("docs/operations.md")
    documented: dict[str, str] = {}
    for names, values in re.findall(r"^\| (`LIUHEN_[^|]+) \| ([^|]+) \|", text, re.M):
        variables = re.findall(r"LIUHEN_[A-Z0-9_]+", names)
        documented |= dict(zip(variables, values.split(","), strict=False))

    numbers = [item for item in fields(Settings) if item.metadata]

    assert {item.name: documented[f"LIUHEN_{item.name.upper()}"].strip() for item in numbers} == {
        item.name: str(item.default) for item in numbers
    }


def test_every_command_is_documented():
    operations, client = _text("docs/operations.md"), _text("docs/client.md")
    programs = tomllib.loads(_text("pyproject.toml"))["project"]["scripts"]
    for program in programs:
        assert f"`{program}`" in operations, program
    for name in ("liuhen-admin", "liuhen"):
        module, _, function = programs[name].partition(":")
        group: click.Group = import_module(module).cli
        document = operations if name == "liuhen-admin" else client
        for command in group.list_commands(click.Context(group)):
            assert re.search(rf"\b{name} {command}\b", document), f"{name} {command} ({function})"


def test_every_script_is_documented():
    scripts = {
        path.name
        for path in (ROOT / "scripts").iterdir()
        if path.is_file() and path.suffix in ("", ".py")
    }

    assert {s for s in scripts if f"`scripts/{s}`" not in _text("docs/operations.md")} == set()


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.name)
def test_every_text_stands_in_both_languages_with_the_same_placeholders(path):
    for key, texts in json.loads(path.read_text("utf-8")).items():
        assert key.startswith(f"{path.stem}."), key
        assert set(texts) == {"zh", "en"}, key
        assert all(text.strip() for text in texts.values()), key
        assert _placeholders(texts["zh"]) == _placeholders(texts["en"]), key


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_the_readme_begins_with_exactly_the_two_commands(path):
    first = re.search(r"^```sh\n(.*?)^```", path.read_text("utf-8"), re.M | re.S)

    assert first is not None
    assert first[1].split("\n") == ["./scripts/run", "./scripts/test", ""]
    for command in first[1].split():
        assert (ROOT / command).stat().st_mode & 0o100, command


def test_both_readmes_have_the_same_sections_and_commands():
    english, chinese = (path.read_text("utf-8") for path in READMES)

    def shape(text: str) -> list[str]:
        return re.findall(r"^#+(?= )|^```", text, re.M)

    assert shape(english) == shape(chinese)
    assert set(re.findall(r"\(docs/[^)]*\)", english)) == set(
        re.findall(r"\(docs/[^)]*\)", chinese)
    )


@pytest.mark.parametrize("path", [*DOCS, *READMES], ids=lambda path: path.name)
def test_every_path_that_a_document_names_exists(path):
    for name in re.findall(rf"`((?:{_TOP_LEVEL})/[\w./-]*)`", path.read_text("utf-8")):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", [*DOCS, *READMES], ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        document = path.parent / name if name else path
        assert document.exists(), target
        if anchor:
            assert anchor in _anchors(document), target


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_section_that_the_code_cites_exists():
    missing = set()
    for path in CODE:
        for name, section in re.findall(
            r"docs/([a-z-]+)\.md,? §([0-9]+(?:\.[0-9]+)?)", path.read_text("utf-8")
        ):
            document = ROOT / "docs" / f"{name}.md"
            heading = rf"^#+ {re.escape(section)}\.? "
            if not document.exists() or not re.search(heading, document.read_text("utf-8"), re.M):
                missing.add(f"{path.relative_to(ROOT)}: docs/{name}.md §{section}")

    assert missing == set()


def test_every_document_that_the_code_cites_exists():
    cited = {
        name for path in CODE for name in re.findall(r"docs/[\w/-]+\.md", path.read_text("utf-8"))
    }

    assert {name for name in cited if not (ROOT / name).exists()} == set()


def test_the_line_printed_in_the_protocol_is_a_line():
    shown = re.search(r"^```json line\n(.*?)\n```", _text("docs/protocol.md"), re.M | re.S)
    vector = json.loads(_text("tests/vectors/lines.json"))["chain"][0]

    assert shown is not None
    assert parse_line(shown[1].encode()).digest == vector["digest"]


def test_the_protocol_lists_every_act_with_its_mandatory_members():
    rows = {
        kind: members
        for kinds, members in re.findall(
            r"^\| (`[a-z]+\.[a-z`., ]+) \| ([^|]*) \|", _text("docs/protocol.md"), re.M
        )
        for kind in re.findall(r"`([a-z.]+)`", kinds)
    }

    assert acts.KNOWN - set(rows) == set()
    for kind in acts.KNOWN:
        named = set(re.findall(r"`([a-z0-9_]+)", rows[kind]))
        assert set(acts.missing_fields({"type": kind})) == named, kind


def test_every_finding_is_documented_with_each_of_its_reasons():
    documented = dict(
        re.findall(r"^\| `([A-Z_]+)` \|[^|]*\| ([^|]*) \|", _text("docs/evidence.md"), re.M)
    )
    for key in TEXTS:
        match = re.fullmatch(r"findings\.([A-Z_]+)\.([a-z0-9_]+)", key)
        if match and match[2] != "title":
            assert match[2] in documented.get(match[1], ""), key


def test_the_protocol_shows_the_receipt_line_by_line():
    shown = re.search(r"^```\n(liuhen/receipt/v1\n.*?)```", _text("docs/protocol.md"), re.M | re.S)
    text = Receipt("o", 1, "d", "e", "", 0, 0, "0", 0, 0, "unknown").to_text()

    assert shown is not None
    assert [row.split(" ")[0] for row in shown[1].split("\n")] == [
        row.split(" ")[0] for row in text.split("\n")
    ]


def test_the_directory_file_in_the_operations_guide_can_be_entered():
    shown = re.search(r"^```json\n(.*?)^```", _text("docs/operations.md"), re.M | re.S)

    assert shown is not None
    assert DirectorySchema().validate(json.loads(shown[1])) == {}


def test_every_finding_is_explained_to_a_lawyer_in_both_languages():
    sections = re.split(r"^### ", _text("docs/findings.md"), flags=re.M)[1:]
    explained = {section.partition("\n")[0]: section for section in sections}
    codes = {match[1] for key in TEXTS if (match := re.match(r"findings\.([A-Z_]+)\.", key))}

    assert codes == set(explained)
    for code, section in explained.items():
        for word in ("比对：", "无辜情形：", "下一步：", "Compared: ", "Innocent: ", "Ask for: "):
            assert word in section, (code, word)


def test_every_benchmark_has_its_row():
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")

    assert set(re.findall(r"^\| `scripts/bench (\w+)", text, re.M)) == set(bench.NAMES)
    assert all(hasattr(import_module(f"bench.{name}"), "run") for name in bench.NAMES)
