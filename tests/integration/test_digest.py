"""Silent divergence is found by sums and repaired, whatever it is."""

import pytest

from server.db import transaction
from server.operations import feed
from tests.support.copies import Copy


def _publish(world, count, start=0):
    with world.app.app_context(), transaction() as session:
        first = feed.put_document(
            session,
            scope=feed.organization_scope(world.organization),
            kind="entity",
            identifier=f"first{start}",
            body={"id": "first"},
            now_ms=world.now_ms,
        )
        feed.publish(
            session,
            [
                feed.Put(
                    scope=feed.organization_scope(world.organization),
                    kind="entity",
                    id=f"e{number}",
                    body={"id": f"e{number}", "name": f"示例公司{number}", "filler": "x" * 900},
                )
                for number in range(start, start + count)
            ],
            position=first,
            now_ms=world.now_ms,
        )


@pytest.fixture
def copy(world):
    device = world.enrol()
    return Copy(world.client, device.headers)


def test_a_copy_that_is_whole_agrees_in_one_question(world, copy):
    _publish(world, 100)
    copy.pull()
    before = dict(copy.documents)

    copy.repair()

    assert copy.documents == before
    assert len(before) == 101


def test_one_document_of_ten_thousand_is_found_and_repaired_within_20_kb(world, copy):
    _publish(world, 10_000)
    copy.pull()
    whole = dict(copy.documents)
    copy.documents["entity", "e1234"] = {"id": "e1234", "name": "别的"}

    travelled = copy.repair()

    assert copy.documents == whole
    assert travelled <= 20_000


def test_what_is_lacking_or_too_much_is_repaired_too(world, copy):
    _publish(world, 300)
    copy.pull()
    whole = dict(copy.documents)
    del copy.documents["entity", "e7"]
    copy.documents["entity", "nobody"] = {"id": "nobody"}

    copy.repair()

    assert copy.documents == whole


def test_what_came_after_the_cursor_is_no_divergence(world, copy):
    _publish(world, 50)
    copy.pull()
    before = dict(copy.documents)
    _publish(world, 5, start=1000)

    copy.repair()

    assert copy.documents == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"bits": 13, "buckets": {"0": []}},
        {"bits": -1, "buckets": {"0": []}},
        {"bits": 1, "buckets": {}},
        {"bits": 1, "buckets": {"x": []}},
        {"bits": 1, "buckets": {"0": ["short"]}},
        {"bits": 1, "buckets": {"0": [1]}},
        {"bits": 1, "buckets": {str(n): [] for n in range(65)}},
        {"bits": "1" * 5000, "buckets": {"9" * 5000: []}},
    ],
)
def test_a_malformed_question_is_a_typed_error(world, copy, body):
    answer = world.client.post("/api/v1/digest/documents", json=body, headers=copy.headers)

    assert (answer.status_code, answer.json["code"]) == (422, "server.invalid")
