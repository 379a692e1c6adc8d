"""The feed: what changed since the cursor, in ledger order, for one's own bureau."""

import gzip

import pytest
import zstandard

from server.db import reading, transaction
from server.models.base import position_of
from server.models.people import Organization
from server.operations import feed, ledger
from sync.evidence.encoding import to_b64url
from tests.support.simdevice import new_id


def _put(world, identifier, body, organization=None):
    with world.app.app_context(), transaction() as session:
        feed.put_document(
            session,
            scope=feed.organization_scope(organization or world.organization),
            kind="officer",
            identifier=identifier,
            body=body,
            now_ms=world.now_ms,
        )


def _read(world, device, cursor="", limit=500):
    answer = world.client.get(
        "/api/v1/feed", query_string={"cursor": cursor, "limit": limit}, headers=device.headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_device_gets_each_document_once_and_then_only_what_changed(world):
    device = world.enrol()
    _put(world, "a", {"name": "甲"})
    _put(world, "b", {"name": "乙"})

    first = _read(world, device)
    empty = _read(world, device, first["cursor"])
    _put(world, "a", {"name": "甲", "valid_to": "2031-01-01"})
    changed = _read(world, device, first["cursor"])

    assert [doc["id"] for doc in first["documents"]] == ["a", "b"]
    assert empty["documents"] == []
    assert empty["cursor"] == first["cursor"]
    assert [doc["body"] for doc in changed["documents"]] == [
        {"name": "甲", "valid_to": "2031-01-01"}
    ]


def test_a_first_pull_goes_on_from_any_page(world):
    device = world.enrol()
    for number in range(7):
        _put(world, str(number), {"n": number})

    cursor, seen, more = "", [], True
    while more:
        page = _read(world, device, cursor, limit=3)
        seen += [doc["id"] for doc in page["documents"]]
        cursor, more = page["cursor"], page["more"]

    assert seen == [str(number) for number in range(7)]


def test_the_documents_of_another_bureau_stay_there(world):
    device = world.enrol()
    other = new_id()
    with world.app.app_context(), transaction() as session:
        session.add(Organization(id=other, name="另一个局", kind="authority", division_code="1"))
    _put(world, "secret", {"name": "x"}, organization=other)

    assert _read(world, device)["documents"] == []


@pytest.mark.parametrize("cursor", ["x", "MS4x", "Mi4xLjE", "%%%", "A" * 200, "MS5hLmI"])
def test_a_cursor_that_this_feed_did_not_give_is_a_typed_error(world, cursor):
    device = world.enrol()

    answer = world.client.get(
        "/api/v1/feed", query_string={"cursor": cursor}, headers=device.headers
    )

    assert (answer.status_code, answer.json["code"]) == (422, "server.invalid")


def test_a_cursor_of_another_generation_starts_over(world):
    device = world.enrol()
    _put(world, "a", {"name": "甲"})

    page = _read(world, device, "MS45LjU")  # version 1, generation 9, index 5

    assert page["reset"]
    assert [doc["id"] for doc in page["documents"]] == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        "2.1.{end}.{beyond}",
        "2.1.{beyond}.{end}",
        "2.2.{end}.{end}",
        "1.1.5",
        "2.1.9999999999999999.9999999999999999",
    ],
)
def test_a_cursor_that_is_ahead_or_of_another_time_starts_over(world, text):
    device = world.enrol()
    _put(world, "a", {"name": "甲"})
    with world.app.app_context(), reading() as session:
        end = position_of(1, ledger.size(session))

    page = _read(world, device, to_b64url(text.format(end=end, beyond=end + 1).encode()))

    assert page["reset"]
    assert [doc["id"] for doc in page["documents"]] == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        "2.1.1",
        "2.1.1.1.1",
        "2.1.1.1.1.k",
        "3.1.1.1",
        "2.-1.1.1",
        "2.1.1.1.1.k.a\x00",
        "2.1.1.1.1.k.",
    ],
)
def test_a_forged_cursor_of_no_form_of_ours_is_a_typed_error(world, text):
    device = world.enrol()

    answer = world.client.get(
        "/api/v1/feed", query_string={"cursor": to_b64url(text.encode())}, headers=device.headers
    )

    assert (answer.status_code, answer.json["code"]) == (422, "server.invalid")


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "gzip;q=0, identity"])
def test_a_page_comes_packed_as_the_device_likes_it(world, encoding):
    device = world.enrol()
    for number in range(20):
        _put(world, str(number), {"n": number, "name": "示例" * 20})
    plain = world.client.get("/api/v1/feed", headers=device.headers).data

    answer = world.client.get(
        "/api/v1/feed", headers={**device.headers, "Accept-Encoding": encoding}
    )

    unpack = {"gzip": gzip.decompress, "zstd": zstandard.ZstdDecompressor().decompress}
    assert unpack.get(answer.headers.get("Content-Encoding"), bytes)(answer.data) == plain
    assert len(answer.data) < len(plain) or "identity" in encoding


def test_an_empty_poll_writes_nothing(world):
    device = world.enrol()
    cursor = _read(world, device)["cursor"]
    with world.app.app_context(), reading() as session:
        before = ledger.size(session)

    page = _read(world, device, cursor)

    assert (page["documents"], page["cursor"]) == ([], cursor)
    with world.app.app_context(), reading() as session:
        assert ledger.size(session) == before
