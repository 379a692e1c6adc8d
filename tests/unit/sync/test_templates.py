"""Forms as data: the schema and the list of gaps say the same; nothing is pre-ticked."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from server.operations.forms import shipped_forms
from sync import catalogue
from sync.templates import in_force, json_schema, lacking, parse_template, problems
from sync.templates.model import Field
from sync.templates.words import value_text

SIMPLE = (
    "text",
    "long_text",
    "number",
    "integer",
    "boolean",
    "choice",
    "datetime",
    "person",
    "location",
    "signature",
    "medium",
)
ITEM = "0f0e0d0c-0b0a-4908-8706-050403020100"
LABEL = {"zh": "栏", "en": "field"}

VALUES = st.sampled_from(
    [
        "",
        " \u3000",
        "text",
        "x" * 2001,
        0,
        1,
        7,
        True,
        False,
        "a",
        "b",
        [],
        ["a"],
        ["a", "b"],
        ["a", "a"],
        ["c"],
        [1],
        {},
        {"value": "1.50", "unit": "mg/L"},
        {"value": "1.50\n", "unit": "mg/L"},
        {"value": "01", "unit": "mg/L"},
        {"value": "1", "unit": "m"},
        "2026-05-04T09:02+08:00",
        "2026-05-04 09:02",
        "2026-05-04T25:02+08:00",
        {"name": "张三"},
        {"name": " "},
        {"name": "张三", "phone": "1", "address": "路"},
        {"name": "张三", "age": "9"},
        {"lat": 1, "lon": 2, "source_datum": "WGS-84"},
        {"lat": 1, "lon": 2, "acc": 600, "source_datum": "GCJ-02", "raw": "1,2"},
        {"lat": 900000001, "lon": 2, "source_datum": "WGS-84"},
        {"lat": 1, "lon": 2, "acc": -1, "source_datum": "WGS-84"},
        {"how": "image", "item": ITEM},
        {"how": "image"},
        {"how": "paper"},
        {"how": "refused", "reason": "不愿签名", "witness": "李四"},
        {"how": "refused", "witness": "李四"},
        {"how": "absent", "reason": ""},
        {"how": "other"},
        {"item": ITEM},
        {"item": ITEM, "note": "图一"},
        {"item": "x"},
    ]
)


@st.composite
def conditions(draw, before):
    asked = draw(st.sampled_from(before))
    condition = {"field": asked["id"]}
    wanted = {"boolean": [True], "integer": [1, 7], "choice": ["a"]}.get(asked["type"])
    if wanted and draw(st.booleans()):
        condition["is"] = wanted
    return condition


@st.composite
def fields(draw, *, in_group=False):
    found = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(SIMPLE if in_group else (*SIMPLE, "group")))
        field = {"id": f"f{number}", "type": kind, "label": LABEL}
        match kind:
            case "number":
                field["units"] = ["mg/L"]
            case "choice":
                field["options"] = [{"id": one, "label": LABEL} for one in "ab"]
                field["multiple"] = draw(st.booleans())
            case "integer" if draw(st.booleans()):
                field |= {"min": 1, "max": 5}
            case "group":
                field["fields"] = draw(fields(in_group=True))
                if draw(st.booleans()):
                    field |= {"min": 1, "max": 2}
        required = draw(st.sampled_from((True, False, "when")))
        if required == "when":
            required = draw(conditions(found)) if found else True
        field["required"] = required
        if found and draw(st.booleans()):
            field["shown_when"] = draw(conditions(found))
        found.append(field)
    return found


@st.composite
def records(draw, form):
    values = {}
    for field in form:
        if draw(st.booleans()):
            values[field["id"]] = draw(VALUES)
        if field["type"] == "group" and draw(st.booleans()):
            entries = st.lists(records(field["fields"]), max_size=3)
            values[field["id"]] = draw(entries)
    if draw(st.integers(0, 9)) == 0:
        values["beyond"] = "x"
    return values


@st.composite
def forms_with_records(draw):
    body = {"id": "form", "version": 1, "title": LABEL, "fields": draw(fields())}
    return body, draw(records(body["fields"]))


@settings(max_examples=400, deadline=None)
@given(forms_with_records())
def test_a_record_has_no_gap_exactly_if_it_fits_the_json_schema(example):
    body, values = example
    assert problems(body) == ()
    template = parse_template(body)
    schema = json_schema(template)
    Draft202012Validator.check_schema(schema)

    gaps = lacking(template, values)

    assert (gaps == ()) == Draft202012Validator(schema).is_valid(values), gaps


@pytest.mark.parametrize(
    "body", shipped_forms(), ids=lambda body: f"{body['id']}.{body['version']}"
)
def test_every_shipped_form_may_be_published(body):
    assert problems(body) == ()
    Draft202012Validator.check_schema(json_schema(parse_template(body)))


@pytest.mark.parametrize("name", ["default", "checked", "value"])
def test_a_form_with_something_ticked_beforehand_is_refused(name):
    body = {
        "id": "form",
        "version": 1,
        "title": LABEL,
        "fields": [{"id": "told", "type": "boolean", "label": LABEL, name: True}],
    }

    assert [(one.place, one.code) for one in problems(body)] == [(f"fields.told.{name}", "preset")]


@pytest.mark.parametrize(
    ("field", "refused"),
    [
        ({"id": "informant_name", "sensitive": True}, False),
        ({"id": "informant_name"}, True),
        ({"id": "informants", "type": "group", "fields": [{"id": "name", "type": "text"}]}, True),
    ],
)
def test_what_is_about_an_informant_must_be_sensitive(field, refused):
    body = {
        "id": "form",
        "version": 1,
        "title": LABEL,
        "fields": [{"type": "text", "label": LABEL, **field}],
    }

    assert ("informant" in [one.code for one in problems(body)]) is refused


def test_an_option_that_is_chosen_beforehand_is_refused():
    option = {"id": "yes", "label": LABEL, "selected": True}
    field = {"id": "told", "type": "choice", "label": LABEL, "options": [option]}

    found = problems({"id": "form", "version": 1, "title": LABEL, "fields": [field]})

    assert [one.code for one in found] == ["preset"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_is_in_a_form_is_refused_with_words_or_can_be_used(data):
    """A shipped form in which one value was replaced by anything at all."""
    body = copy.deepcopy(data.draw(st.sampled_from(shipped_forms())))
    places = []

    def walk(value):
        keys = value.keys() if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(body)
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(JSON)

    found = problems(body)

    for problem in found:
        assert all(problem.message(lang) for lang in catalogue.LANGUAGES)
    if not found:
        lacking(parse_template(body), {})
        Draft202012Validator.check_schema(json_schema(parse_template(body)))


def test_the_newest_version_in_force_on_the_day_is_chosen():
    def version(number, begins, ends=""):
        field = {"id": "f", "type": "text", "label": LABEL}
        body = {"id": "form", "version": number, "title": LABEL, "fields": [field]}
        return parse_template(body | {"in_force_from": begins, "in_force_to": ends})

    versions = [
        version(1, "2024-01-01"),
        version(2, "2026-01-01", "2026-06-30"),
        version(3, "2027-01-01"),
    ]

    chosen = [in_force(versions, day) for day in ("2023-12-31", "2026-06-30", "2026-07-01")]

    assert [one and one.version for one in chosen] == [None, 2, 1]


def test_a_gap_names_its_field_in_both_languages():
    body = {
        "id": "form",
        "version": 1,
        "title": LABEL,
        "fields": [
            {
                "id": "officers",
                "type": "group",
                "min": 2,
                "label": {"zh": "检查人", "en": "Officers"},
                "fields": [
                    {
                        "id": "signature",
                        "type": "signature",
                        "required": True,
                        "label": {"zh": "签名", "en": "Signature"},
                    }
                ],
            }
        ],
    }

    gaps = lacking(parse_template(body), {"officers": [{}]})

    assert [gap.path for gap in gaps] == [("officers",), ("officers", 0, "signature")]
    assert gaps[1].message("zh") == "“检查人 1 · 签名”未填写"
    assert gaps[1].message("en") == "“Officers 1 · Signature” is not filled in"


@pytest.mark.parametrize(
    ("datum", "shown"),
    [
        ("WGS-84", "29.5000000, 123.5000000 (WGS-84) ± 6 m"),
        ("BD-09", "29.5000000, 123.5000000 (WGS-84) ± 6 m (BD-09)"),
    ],
)
def test_a_location_names_another_datum_only_where_it_was_read_in_one(datum, shown):
    field = Field(id="place", type="location", label={})
    value = {"lat": 295_000_000, "lon": 1_235_000_000, "acc": 600, "source_datum": datum}
    assert value_text(field, value, "zh") == shown
