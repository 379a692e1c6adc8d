"""What may be wrong with an item is found by its code and severity, and nothing else fails."""

import json
import re
from dataclasses import replace
from itertools import islice

import pytest

from media.findings import claims, compare, context_from_json, context_to_json, to_json
from media.findings.model import WARN
from media.findings.rules import RULES
from media.findings.words import placeholders, sentence_key, title_key
from sync.catalogue import text
from tests.support.scenarios import complaint, scenarios

COUNT = 400


def judged(scenario, version="3"):
    return compare(
        claims(scenario.facts, scenario.context.hints, version), scenario.context, version
    )


def test_every_scenario_gives_the_finding_it_was_made_for_and_no_other_doubt():
    for scenario in islice(scenarios(4), COUNT):
        assert complaint(scenario) == "", scenario.name


def test_a_doubt_about_what_is_not_wrong_is_complained_of():
    resaved = next(each for each in scenarios(5) if each.name == "resaved")

    assert complaint(resaved) == ""
    assert "RESAVED" in complaint(replace(resaved, expected=None))
    assert "RESAVED" in complaint(replace(resaved, expected=("ORDER", "warn", "camera_next")))
    assert complaint(replace(resaved, expected=None, also=frozenset({"RESAVED"}))) == ""


def test_every_finding_has_a_sentence_without_gaps_in_both_languages():
    for scenario in islice(scenarios(6), COUNT):
        for finding in judged(scenario):
            for lang in ("zh", "en"):
                assert text(title_key(finding.code), lang)
                sentence = text(sentence_key(finding), lang, **placeholders(finding))
                assert not re.search(r"\{\w+\}", sentence)


def test_a_run_can_be_repeated_from_what_was_stored_of_it():
    for scenario in islice(scenarios(7), COUNT):
        stored = context_to_json(scenario.context)
        again = context_from_json(stored)

        assert again == scenario.context
        assert context_to_json(again) == stored
        facts = json.loads(json.dumps(scenario.facts))
        for version in RULES:
            first = compare(claims(scenario.facts, scenario.context.hints, version), again, version)
            second = compare(claims(facts, again.hints, version), again, version)
            assert to_json(first) == to_json(second)
            assert {finding.rule_version for finding in first} <= {version}


def test_a_context_of_an_earlier_program_is_read_with_what_it_did_not_know_left_out():
    old = '{"hints":{"capture_class":"C"},"tolerance_ms":120000}'

    assert context_from_json(old).neighbours == ()
    assert context_from_json(old).policy.time_required is False


def test_facts_of_an_older_reader_raise_no_doubt_by_what_they_lack():
    for scenario in islice(scenarios(8), 60):
        values = [
            value
            for value in scenario.facts["values"]
            if value["tag"].startswith(("IFD0:", "GPS:", "ExifIFD:Date", "ExifIFD:Offset"))
        ]
        facts = {**scenario.facts, "reader_version": "liuhen-1", "values": values}
        found = compare(claims(facts, scenario.context.hints), scenario.context)

        assert not {finding.code for finding in found} & {"RESAVED", "STRIPPED", "AI_LABEL"}


@pytest.mark.parametrize("version", RULES)
def test_version_two_goes_on_knowing_nothing_of_traces(version):
    generated = next(each for each in scenarios(9) if each.name == "generated")

    codes = {finding.code for finding in judged(generated, version)}

    assert ("AI_LABEL" in codes) == (version != "2")


def test_traces_of_our_own_camera_are_no_sign_of_editing():
    resaved = next(each for each in scenarios(10) if each.name == "resaved")
    values = [value for value in resaved.facts["values"] if value["tag"] != "IFD0:Software"]
    values.append({"tag": "IFD0:Software", "raw": "Liuhen 0.1", "offset": 1, "size": 1})
    hints = resaved.context.hints.__class__(**{**vars(resaved.context.hints), "capture_class": "A"})

    found = compare(claims({**resaved.facts, "values": values}, hints), resaved.context)

    assert not [each for each in found if each.code == "RESAVED" and each.severity == WARN]
