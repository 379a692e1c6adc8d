"""Requests that do not fit are refused by name, and change nothing."""

import base64
import hashlib
import os

import pytest

from server.db import transaction
from server.models.uploads import Upload
from server.operations import uploads
from tests.support.bureau import TUS, metadata
from tests.support.keeping import LARGE
from tests.support.uploading import (
    refused,
)


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_piece_damaged_on_the_way_is_not_kept(bureau, algorithm):
    path = bureau.create(b"0123456789")
    right = base64.b64encode(hashlib.new(algorithm, b"01234").digest()).decode()

    damaged = bureau.patch(path, b"01x34", 0, Upload_Checksum=f"{algorithm} {right}")
    after = bureau.offset(path)
    repeated = bureau.patch(path, b"01234", 0, Upload_Checksum=f"{algorithm} {right}")

    assert (damaged.status_code, damaged.json["code"]) == (460, "media.chunk_damaged")
    assert after == 0
    assert (repeated.status_code, repeated.headers["Upload-Offset"]) == (204, "5")


def test_a_large_damaged_piece_keeps_none_of_its_parts(bureau, store):
    data = os.urandom(LARGE)
    path = bureau.create(data)
    wrong = base64.b64encode(bytes(32)).decode()
    right = base64.b64encode(hashlib.sha256(data).digest()).decode()

    assert bureau.patch(path, data, 0, Upload_Checksum=f"sha256 {wrong}").status_code == 460
    assert bureau.offset(path) == 0
    assert bureau.patch(path, data, 0, Upload_Checksum=f"sha256 {right}").status_code == 204

    assert list(store.objects.values()) == [data]


def test_bad_requests_are_answered_by_name_and_change_nothing(bureau):
    path = bureau.create(b"0123456789")
    bureau.patch(path, b"01234", 0)

    assert refused(bureau.patch(path, b"5", 4)) == (409, "media.wrong_offset")
    assert bureau.patch(path, b"5", 4).headers["Upload-Offset"] == "5"
    assert refused(bureau.patch(path, b"56789x", 5)) == (413, "media.too_large")
    assert refused(bureau.patch(path, b"5", "")) == (400, "media.upload_header")
    assert refused(bureau.patch(path, b"5", -1)) == (400, "media.upload_header")
    assert refused(bureau.patch(path, b"5", 5, Content_Type="image/jpeg")) == (
        415,
        "media.body_type",
    )
    assert refused(bureau.patch(path, b"5", 5, Tus_Resumable="0.2")) == (412, "media.tus_version")
    assert bureau.patch(path, b"5", 5, Tus_Resumable="0.2").headers["Tus-Version"] == "1.0.0"
    assert refused(bureau.patch(path, b"5", 5, Upload_Checksum="md5 AAAA")) == (
        400,
        "media.upload_header",
    )
    assert refused(bureau.patch("/api/v1/uploads/none", b"", 0)) == (404, "server.not_found")
    assert refused(bureau.patch(path, b"5", 5, Authorization="Bearer x")) == (401, "token.invalid")
    assert bureau.offset(path) == 5


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (400, "media.upload_header")),
        ({"Upload_Length": "x"}, (400, "media.upload_header")),
        ({"Upload_Length": 5, "Upload_Metadata": "sha256 !"}, (400, "media.upload_header")),
        ({"Upload_Length": 5, "Upload_Metadata": "a Yg==,a Yg=="}, (400, "media.upload_header")),
        (
            {"Upload_Length": (64 << 20) + 1, "Upload_Metadata": metadata(b"")},
            (413, "media.too_large"),
        ),
    ],
)
def test_a_bad_creation_opens_nothing(bureau, headers, expected):
    answer = bureau.request("POST", "/api/v1/uploads", **headers)

    assert refused(answer) == expected
    assert "Location" not in answer.headers


def test_discovery_says_what_is_spoken_without_a_token(bureau):
    answer = bureau.app.test_client().options("/api/v1/uploads")

    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert set(answer.headers["Tus-Extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "checksum",
        "concatenation",
        "expiration",
        "termination",
    }
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha256,sha1"
    assert answer.headers["Tus-Max-Size"] == str(64 << 20)


def test_proxies_that_know_only_post_are_no_obstacle(bureau):
    path = bureau.create(b"0123456789")

    patched = bureau.request(
        "POST",
        path,
        b"01234",
        X_HTTP_Method_Override="PATCH",
        Upload_Offset=0,
        Content_Type="application/offset+octet-stream",
    )
    looked = bureau.request("POST", path, X_HTTP_Method_Override="HEAD")
    ended = bureau.request("POST", path, X_HTTP_Method_Override="DELETE")

    assert (patched.status_code, looked.status_code, ended.status_code) == (204, 200, 204)
    assert bureau.request("POST", path).status_code == 405


def test_uploads_of_another_organisation_do_not_exist(bureau):
    path = bureau.create(b"0123456789")
    other = bureau.colleague()

    assert other.request("HEAD", path).status_code == 404
    assert other.patch(path, b"0", 0).status_code == 404
    assert other.request("DELETE", path).status_code == 404


def test_giving_up_an_upload_that_another_request_has_taken_is_refused(bureau, monkeypatch):
    path = bureau.create(b"0123456789")
    vacate = uploads.offers.vacate

    def overtaken(there, upload, **more):
        state = vacate(there, upload, **more)
        with transaction() as session:
            session.get(Upload, upload).fence += 1
        return state

    monkeypatch.setattr(uploads.offers, "vacate", overtaken)
    answer = bureau.request("DELETE", path)
    monkeypatch.undo()

    assert refused(answer) == (503, "media.upload_busy")
    assert bureau.offset(path) == 0
    assert bureau.request("DELETE", path).status_code == 204


def test_tus_requests_are_versioned_in_every_answer(bureau):
    path = bureau.create(b"x")

    for answer in (bureau.request("HEAD", path), bureau.patch(path, b"", 9)):
        assert answer.headers["Tus-Resumable"] == TUS["Tus-Resumable"]
        assert answer.headers["Cache-Control"] == "no-store"
