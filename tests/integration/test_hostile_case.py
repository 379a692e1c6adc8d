"""A case full of hostile lines: it is still shown, exported and verified."""

import pytest

from server.models.inspections import EvidenceItem
from sync.evidence.chain import advance
from tests.support.casework import PackageDesk
from tests.support.console import console_world, visitor
from tests.support.hostile import CLOCKS, HOSTILE, media, record, sealed


@pytest.fixture
def console(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


def _write(device, act, clock):
    line = device.forge([act], **({"t": clock} if clock else {}))
    device.lines.append(line)
    device.head = advance(device.head, line)


def test_a_case_with_hostile_lines_is_shown_exported_and_verified(console):
    device = console.on_patrol()
    for name, act in HOSTILE.items():
        if not name.startswith("seal"):
            body = act(device, console)
            if body["type"] == "inspection.opened":
                body["inspection"] = device.inspection
            _write(device, body, None)
    for clock in CLOCKS.values():
        for act in (media, record):
            _write(device, act(device, console), clock)
    for missing in ("item", "sha256", "size", "class", "officer"):
        body = media(device, console)
        _write(device, {key: value for key, value in body.items() if key != missing}, None)
    for kind in ("media.discarded", "record.saved", "inspection.opened", "note.added"):
        _write(device, {"type": kind, "inspection": device.inspection}, None)
    _write(device, sealed(device, console), CLOCKS["far clock"])
    answer = console.push(device)
    assert answer.json["next_seq"] == len(device.lines)

    reviewer = visitor(console, "reviewer")
    shown = {
        path: reviewer.get(path).status_code
        for path in (
            "/",
            "/quarantine",
            f"/inspections/{device.inspection}",
            *(f"/items/{item.id}" for item in console.rows(EvidenceItem)),
        )
    }
    desk = PackageDesk(console)
    row = desk.build(desk.request(device.inspection))

    assert {path: status for path, status in shown.items() if status != 200} == {}
    assert (row.state, row.verdict, row.failure) == ("ready", "PASS", None)


def test_what_the_database_cannot_hold_is_refused_at_the_console(console):
    stranger = visitor(console)
    reviewer = visitor(console, "reviewer")

    answers = [
        stranger.log_in("a\0b"),
        reviewer.get("/?q=%00"),
        reviewer.get("/?q=%ED%A0%80"),
        *(reviewer.get(f"/?after={after}") for after in ("9" * 30, "0.%00", f"{9**60}.x")),
        reviewer.get("/items/%00"),
    ]

    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
