"""Which fields of a record disagree (docs/protocol.md §4.3)."""

from server.operations.record_view import conflicts


def test_different_fields_saved_apart_merge():
    assert conflicts([("a", [], {"x": 1}), ("b", [], {"y": 2})]) == ()


def test_one_field_saved_apart_with_different_values_disagrees():
    assert conflicts([("a", [], {"x": 1}), ("b", [], {"x": 2})]) == ("x",)


def test_one_field_saved_apart_with_the_same_value_does_not():
    assert conflicts([("a", [], {"x": 1}), ("b", [], {"x": 1})]) == ()


def test_a_revision_that_saw_both_settles_it():
    assert conflicts([("a", [], {"x": 1}), ("b", [], {"x": 2}), ("c", ["a", "b"], {"x": 3})]) == ()


def test_a_revision_that_saw_both_and_left_the_field_alone_settles_nothing():
    lines = [("a", [], {"x": 1}), ("b", [], {"x": 2}), ("c", ["a", "b"], {"y": 3})]

    assert conflicts(lines) == ("x",)


def test_what_was_seen_is_found_through_other_revisions():
    lines = [("a", [], {"x": 1}), ("b", ["a"], {"y": 2}), ("c", ["b"], {"x": 3})]

    assert conflicts(lines) == ()


def test_the_order_of_arrival_does_not_matter():
    lines = [("c", ["b"], {"x": 3}), ("a", [], {"x": 1}), ("b", ["a"], {"y": 2})]

    assert conflicts(lines) == ()
