"""The command line: one sentence or one JSON object, and an exit code that scripts can trust."""

import json
import string

import pytest
from click.testing import CliRunner

from sync.catalogue import area
from sync.client import errors as client_errors
from sync.client.cli import cli
from sync.client.errors import ClientError, LedgerForked, TooFewOfficers, sentence
from tests.support.fieldkit import OFFICERS, TEMPLATE, acts_of, write


@pytest.fixture
def liuhen(kit):
    """Runs ``liuhen`` on the enrolled device."""

    def run(*arguments, lang="zh", as_json=False, given=None):
        options = ["--device", str(kit.folder), "--lang", lang, *(["--json"] if as_json else [])]
        return CliRunner().invoke(
            cli, [*options, *map(str, arguments)], input=given, catch_exceptions=False
        )

    return run


@pytest.fixture
def inspection(liuhen):
    opened = liuhen("open", "--officer", OFFICERS[0], "--officer", "示例002", as_json=True)
    return json.loads(opened.stdout)["inspection"]


def test_a_whole_inspection_goes_over_the_command_line(liuhen, kit, inspection, tmp_path):
    photo = write(tmp_path / "a.jpg", b"\xff\xd8\xff photo")

    taken = liuhen(
        *("capture", photo, "--inspection", inspection, "--fact", "夜间排放", "--class", "A"),
        *("--lat", "22.5431", "--lon", "-114.0579", "--acc", "6.5"),
        as_json=True,
    )
    item = json.loads(taken.stdout)["captured"][0]["item"]
    steps = [
        ("record", "--inspection", inspection, "--template", TEMPLATE, "--set", "outlets=2"),
        ("discard", item, "--reason", "拍糊了"),
        ("note", "门卫拒绝签字", "--inspection", inspection),
        ("peer-head", OFFICERS[0], "a" * 32, "7", "b" * 64),
        ("seal", inspection),
    ]

    for step in steps:
        assert liuhen(*step).exit_code == 0, step

    with kit.open() as device:
        act = acts_of(device, "media.captured")[0]
        assert act["pos"] == {"lat": 225431000, "lon": -1140579000, "acc": 650}
        assert acts_of(device, "record.saved")[0]["fields"] == {"outlets": 2}
        assert acts_of(device)[-1]["type"] == "inspection.sealed"


def test_choosing_a_value_finds_its_record_or_says_that_there_is_none(liuhen, inspection):
    """Also where the inspection has several records of one form."""
    for record, value in zip(OFFICERS, ("1", "2"), strict=True):
        liuhen(
            *("record", "--inspection", inspection, "--template", TEMPLATE),
            *("--record", record, "--set", f"outlets={value}"),
        )
    settle = ("addendum", "复核", "--inspection", inspection, "--field", "outlets")
    named = json.loads(liuhen(*settle, as_json=True).stdout)["candidates"]

    assert len(named) == 2
    assert liuhen(*settle, "--choose", named[1]["digest"]).exit_code == 0
    assert liuhen(*settle, "--choose", "x").exit_code == 1


def test_opening_says_how_each_officer_confirmed(liuhen):
    said = liuhen(
        *("open", "--officer", OFFICERS[0], "--officer", OFFICERS[1], "--method", "pin"),
        given="482911\n482911\n771204\n771204\n",
    )

    assert said.exit_code == 0
    assert "检查员1（PIN 确认）、检查员2（PIN 确认）" in said.stdout


def test_an_error_is_one_sentence_and_exit_code_1(liuhen):
    said = liuhen("open", "--officer", OFFICERS[0])

    assert said.exit_code == 1
    assert said.stderr == "现场检查至少需要两名执法人员，只给出了 1 名。\n"
    assert "Traceback" not in said.output


def test_an_error_under_json_is_an_object_with_its_code(liuhen):
    said = liuhen("open", "--officer", OFFICERS[0], as_json=True, lang="en")

    assert json.loads(said.stdout)["error"]["code"] == "client.too_few_officers"


@pytest.mark.parametrize(
    "arguments",
    [
        ("capture", "x.jpg", "--inspection", "i", "--lat", "91", "--lon", "0"),
        ("capture", "x.jpg", "--inspection", "i", "--lat", "22"),
        ("capture", "x.jpg", "--inspection", "i", "--lat", "NaN", "--lon", "0"),
        ("peer-head", "not-a-device", "a" * 32, "7", "b" * 64),
        ("record", "--inspection", "i", "--template", TEMPLATE, "--set", "no-equals-sign"),
        ("record", "--inspection", "i", "--template", TEMPLATE),
        ("enrol", "--server", "ftp://x", "--code", "A"),
        ("no-such-command",),
    ],
)
def test_wrong_usage_is_exit_code_2(liuhen, arguments):
    assert liuhen(*arguments).exit_code == 2


def test_status_is_exit_code_3_while_something_is_only_here(liuhen, inspection):
    said = liuhen("status")

    assert said.exit_code == 3
    assert inspection in said.stdout
    state = json.loads(liuhen("status", as_json=True).stdout)
    assert state["lines_unsent"] == state["lines"] == 4
    assert state["clear"] is False


def test_a_colleague_runs_the_line_that_status_shows(liuhen, kit):
    [line] = [row for row in liuhen("status").stdout.splitlines() if "liuhen peer-head" in row]

    said = liuhen(*line.partition("liuhen ")[2].split())

    assert said.exit_code == 0
    with kit.open() as device:
        *_, last, noted = acts_of(device)
        assert last["type"] == "epoch.opened"
        assert noted["seq"] == 0


def test_list_names_all_that_other_commands_ask_for(liuhen):
    said = liuhen("list").stdout

    for wanted in ("示例001", "task-1　日常检查", "entity-1", f"{TEMPLATE}　笔录", "outlets"):
        assert wanted in said
    assert json.loads(liuhen("list", as_json=True).stdout)["task"][0]["id"] == "task-1"


def test_the_items_of_an_inspection_can_be_listed(liuhen, inspection, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        liuhen("capture", write(tmp_path / name, name.encode()), "--inspection", inspection)
    first = json.loads(liuhen("list", "--inspection", inspection, as_json=True).stdout)["items"][0]
    liuhen("discard", first["item"], "--reason", "误拍")

    said = liuhen("list", "--inspection", inspection).stdout.splitlines()

    assert [("a.jpg" in row, "已作废" in row) for row in said] == [(True, True), (False, False)]


def test_an_inspection_of_a_task_bears_its_title(liuhen):
    liuhen("open", "--officer", OFFICERS[0], "--officer", OFFICERS[1], "--task", "task-1")

    assert "日常检查：进行中" in liuhen("status").stdout


def test_what_is_unknown_here_is_named_in_the_readers_language(liuhen):
    said = liuhen("open", "--officer", "x", "--officer", "y")

    assert "执法人员：x" in said.stderr


def test_status_can_be_read_while_another_process_works(liuhen, kit):
    with kit.open():
        assert liuhen("status").exit_code == 3
        assert liuhen("login", OFFICERS[0]).exit_code == 1


def test_a_sync_without_a_network_is_exit_code_3_and_says_why(liuhen, monkeypatch):
    monkeypatch.setattr("sync.client.clock.SystemClock.sleep", lambda *_: None)

    said = liuhen("sync", lang="en")

    assert said.exit_code == 3
    assert "cannot be reached" in said.stderr


def test_one_unreadable_file_costs_only_itself(liuhen, inspection, tmp_path):
    good = write(tmp_path / "good.jpg", b"good")

    said = liuhen("capture", tmp_path / "none.jpg", good, "--inspection", inspection, as_json=True)

    answer = json.loads(said.stdout)
    assert said.exit_code == 1
    assert len(answer["captured"]) == 1
    assert answer["errors"][0]["code"] == "client.source_unreadable"


def test_importing_a_folder_says_what_it_found(liuhen, tmp_path):
    write(tmp_path / "card" / "VID_20260314_092230.mp4", b"recording")
    write(tmp_path / "card" / "readme.txt", b"x")
    liuhen("login", OFFICERS[0])

    answer = json.loads(liuhen("import", tmp_path / "card", as_json=True).stdout)

    assert (answer["count"], answer["known"], answer["other"], answer["bad"]) == (1, 0, 1, 0)


def test_a_folder_that_is_not_enrolled_says_what_to_do(tmp_path):
    said = CliRunner().invoke(cli, ["--device", str(tmp_path / "new"), "login", "x"])

    assert said.exit_code == 1
    assert "liuhen enrol" in said.stderr
    assert not (tmp_path / "new").exists()


def test_every_error_has_a_sentence_of_its_own_in_both_languages():
    texts = area("client")
    kinds = [
        kind
        for kind in vars(client_errors).values()
        if isinstance(kind, type) and issubclass(kind, ClientError)
    ]

    for kind in kinds:
        entry = texts[f"client.error.{kind.code.partition('.')[2]}"]
        assert entry["zh"]
        assert entry["en"]
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert "alarms/x.json" in sentence(LedgerForked("x.json"), "en")
    assert sentence(TooFewOfficers(1), "zh").endswith("。")


def test_both_languages_of_every_text_have_the_same_values():
    for name in ("client", "projection"):
        for key, entry in area(name).items():
            found = [
                {field for _, field, _, _ in string.Formatter().parse(entry[lang]) if field}
                for lang in ("zh", "en")
            ]
            assert found[0] == found[1], key
