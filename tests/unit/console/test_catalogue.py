"""The console's texts: complete in both languages, and all that its pages use."""

import re
from pathlib import Path

from server.console import strip, timeline
from server.models.inspections import ITEM_STATES
from server.models.people import ROLES
from server.operations import evidence_view
from server.operations.review import VERDICTS
from sync import catalogue
from sync.evidence import acts

_TEMPLATES = Path(strip.__file__).parent / "templates"
_TEXTS = catalogue.area("console")
_FIELD = re.compile(r"{(\w+)}")


def test_both_languages_say_the_same_values():
    apart = {
        key
        for key, text in _TEXTS.items()
        if not (text["zh"] and text["en"])
        or set(_FIELD.findall(text["zh"])) != set(_FIELD.findall(text["en"]))
    }

    assert apart == set()


def test_every_text_that_a_page_names_is_in_the_catalogue():
    named = {
        key
        for page in _TEMPLATES.glob("*.html")
        if page.name != "trust.html"
        for key in re.findall(r"\bt\('([a-z_.A-Z]+[a-z])'", page.read_text("utf-8"))
    }

    assert {key for key in named if f"console.{key}" not in _TEXTS} == set()


def test_every_value_of_the_enumerations_has_a_word():
    words = [
        *(f"role.{role}" for role in ROLES),
        *(f"state.{state}" for state in ITEM_STATES),
        *(f"review.{verdict}" for verdict in VERDICTS),
        *(f"act.{act}" for act in acts.KNOWN),
        *(f"source.{source}" for source in evidence_view.SOURCES),
        *(f"class.{name}" for name in (*acts.CLASSES, "N")),
        *(f"time.meaning.{name}" for name in (*acts.CLASSES, "N")),
        *(f"mark.{mark}" for mark in ("ok", "note", "wait", "doubt", "fail", "none")),
    ]

    assert {word for word in words if f"console.{word}" not in _TEXTS} == set()


def test_everything_that_the_strip_can_say_is_in_the_catalogue():
    source = Path(strip.__file__).read_text("utf-8")
    says = set(re.findall(r'(?:says=|says = \w+, |return )"(\w+)"', source))
    says |= {f"some_{name}" for name in ("inconsistent", "explainable", "absent", "unchecked")}

    assert {name for name in says if f"console.says.{name}" not in _TEXTS} == set()
    assert timeline.WIDTH == 720, "the page draws the picture with this width"
