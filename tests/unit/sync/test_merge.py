"""Merging a record's revisions (docs/protocol.md §4.3); vectors are for every language."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.merge import Choice, Revision, merge, standings_of

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors/merge.json").read_text(encoding="utf-8")
)["cases"]
FIELDS = ("x", "y", "z")


def as_vector(merged):
    return {
        "fields": {
            name: {
                "candidates": [[one.digest, one.value] for one in field.candidates],
                "conflict": field.conflict,
                "settled_by": field.settled_by,
            }
            for name, field in merged.fields.items()
        },
        "standing": {digest: standing.value for digest, standing in merged.standing.items()},
        "heads": list(merged.heads),
    }


@st.composite
def records(draw):
    """Lines that each saw some of those before them, as lines can."""
    revisions, choices = [], []
    for number in range(draw(st.integers(1, 7))):
        earlier = [line.digest for line in (*revisions, *choices)]
        seen = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        more = {"digest": f"{number}", "base": seen, "position": draw(st.integers(0, 3))}
        if revisions and draw(st.integers(0, 3)) == 0:
            chosen = draw(st.sampled_from(revisions)).digest
            field = draw(st.sampled_from(FIELDS))
            choices.append(Choice(field=field, chosen=chosen, **more))
        else:
            fields = draw(st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 2)))
            outside = draw(st.booleans())
            revisions.append(Revision(fields=fields, outside_seal=outside, **more))
    return revisions, choices


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_a_record_merges_as_the_vectors_say(case):
    revisions = [Revision(**revision) for revision in case["revisions"]]
    choices = [Choice(**choice) for choice in case["choices"]]

    merged = merge(revisions, choices)

    assert as_vector(merged) == {name: case[name] for name in ("fields", "standing", "heads")}


@settings(deadline=None)
@given(records(), st.data())
def test_neither_order_nor_repetition_of_arrival_changes_a_record(record, data):
    revisions, choices = record

    again = merge(
        data.draw(st.permutations([*revisions, *revisions])),
        data.draw(st.permutations([*choices, *choices])),
    )

    assert as_vector(again) == as_vector(merge(revisions, choices))


@settings(deadline=None)
@given(records())
def test_a_value_is_hidden_only_by_one_who_saw_it(record):
    revisions, choices = record

    merged = merge(revisions, choices)

    lines = {line.digest: line for line in (*revisions, *choices)}
    for revision in revisions:
        for name in revision.fields:
            shown = {one.digest for one in merged.fields[name].candidates}
            followers = {d for d in lines if revision.digest in ancestors(d, lines)}
            assert revision.digest in shown or followers


@settings(deadline=None)
@given(records())
def test_a_choice_of_one_who_saw_everything_settles_every_conflict(record):
    revisions, choices = record
    merged = merge(revisions, choices)

    settled = [
        Choice(
            digest=f"s{name}",
            base=merged.heads,
            field=name,
            chosen=merged.fields[name].candidates[-1].digest,
        )
        for name in merged.conflicts
    ]
    after = merge(revisions, [*choices, *settled])

    assert after.conflicts == ()
    for name in merged.conflicts:
        assert after.fields[name].value == merged.fields[name].candidates[-1].value
        assert after.fields[name].settled_by == f"s{name}"


def test_a_thousand_revisions_in_a_row_and_a_thousand_side_by_side_merge():
    row = [
        Revision(digest=f"{n:04}", base=[f"{n - 1:04}"], fields={"x": n}, position=n)
        for n in range(1000)
    ]
    apart = [Revision(digest=f"{n:04}", base=[], fields={"x": n}, position=n) for n in range(1000)]

    assert merge(row).values == {"x": 999}
    assert len(merge(apart).fields["x"].candidates) == 1000


def ancestors(digest, lines):
    reached, waiting = set(), [digest]
    while waiting:
        for parent in lines[waiting.pop()].base:
            if parent in lines and parent not in reached:
                reached.add(parent)
                waiting.append(parent)
    return reached


@settings(deadline=None)
@given(records(), st.booleans())
def test_how_lines_stand_is_the_same_where_no_merging_is_needed_to_know_it(record, straight):
    revisions, choices = record
    if straight:
        choices = []
        bases = [(), *((line.digest,) for line in revisions)]
        revisions = [
            replace(line, base=base, position=place, outside_seal=False)
            for place, (line, base) in enumerate(zip(revisions, bases, strict=False))
        ]

    assert standings_of(revisions, choices) == merge(revisions, choices).standing
