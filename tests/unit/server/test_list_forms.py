"""The forms of the lists in packages: every route has one, and each names what lists can show."""

import pytest

from server.operations.export.list_forms import (
    DEFAULT_ROUTE,
    court_form,
    list_forms,
    routes,
    transfer_form,
)
from server.operations.export.lists import FIELDS, clock

_PER_ITEM = {
    "title",
    "kind",
    "fact",
    "maker",
    "interval",
    "place",
    "original",
    "size",
    "digest",
}


def _texts(form):
    yield from (form.title, form.name, form.basis, form.recipient, form.note)
    yield from (section.title for section in form.sections)
    yield from (column.label for column in (*form.columns, *form.details))
    yield from form.signatures


def test_each_route_of_the_domain_has_a_list_and_crime_is_the_default():
    assert set(routes()) == {"jurisdiction", "government", "detention", "crime", "discipline"}
    assert next(iter(routes())) == DEFAULT_ROUTE == "crime"
    assert len(transfer_form("crime", "2026-05-04").sections) == 7, "as article 6 counts them"


@pytest.mark.parametrize("form", list_forms(), ids=lambda form: form.id)
def test_a_list_shows_everything_of_an_item_in_both_languages_and_is_signed(form):
    shown = {column.field for column in (*form.columns, *form.details)}

    assert shown <= FIELDS.keys()
    assert shown >= _PER_ITEM
    assert all(text["zh"] and text["en"] for text in _texts(form))
    assert len(form.signatures) >= 3
    taken = [sort for section in form.sections for sort in section.takes]
    assert len(taken) == len(set(taken)), "a material stands under one heading"


def test_the_list_for_a_court_has_the_columns_that_courts_ask_for():
    columns = [column.field for column in court_form("2026-05-04").columns]

    assert columns == [
        "number",
        "title",
        "source",
        "fact",
        "pages",
        "original",
        "submitter",
        "date",
    ]


def test_a_day_before_the_first_version_has_the_first_version():
    assert court_form("1999-01-01").version == 1


def test_a_length_is_told_in_hours_and_never_rounded_down():
    assert clock(3_599_001) == "01:00:00"
    assert clock(61_000) == "00:01:01"
