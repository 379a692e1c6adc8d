"""docs/protocol.md names every address of the device API, and none that is not there."""

import re
from pathlib import Path

import pytest

PROTOCOL = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"


def _shape(path: str) -> str:
    """A path with its parameters made alike: ``/uploads/{}``."""
    return re.sub(r"<[^>]+>|\{[^}]+\}", "{}", path)


@pytest.fixture
def described(world):
    return world.client.get("/api/v1/openapi.json").get_json()


def test_every_address_of_the_api_stands_in_the_protocol(described):
    text = PROTOCOL.read_text("utf-8").replace("<Location>", "/api/v1/uploads/<upload_id>")
    named = {_shape(path) for path in re.findall(r"/api/v1/[\w/<>-]+", text)}

    assert {path for path in described["paths"] if _shape(path) not in named} == set()


def test_every_address_in_the_protocol_is_one_of_the_api(described):
    known = {_shape(path) for path in described["paths"]} | {"/api/v1/openapi"}

    named = {_shape(path) for path in re.findall(r"/api/v1/[\w/<>-]+", PROTOCOL.read_text("utf-8"))}

    assert named - known == set()


def test_hello_answers_what_the_protocol_says(world):
    text = PROTOCOL.read_text("utf-8")
    table = text[text.index("**Hello.**") : text.index("**Enrolment.**")]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.M)
    members = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    limits = set(re.findall(r"`(\w+)`", re.search(r"\| `limits` \|([^|]*)\|", table)[1]))

    answer = world.client.get("/api/v1/hello").get_json()

    assert set(answer) == members
    assert set(answer["limits"]) == limits
