"""Uploads by a device in wrong hands."""

import base64
import hashlib

import pytest

from server.models.inspections import EvidenceItem, Finding
from server.models.uploads import QuarantinedMedia
from tests.support.casework import Case
from tests.support.stores import MemoryStore
from tests.support.world import make_world


@pytest.fixture
def case(database_url, tmp_path):
    return Case(make_world(database_url, tmp_path / "var", store=MemoryStore()))


def _send(case, announced, data):
    tus = {**case.second.headers, "Tus-Resumable": "1.0.0"}
    sha256 = hashlib.sha256(announced).hexdigest()
    return case.world.client.post(
        "/api/v1/uploads",
        data=data,
        headers={
            **tus,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Length": str(len(data)),
            "Upload-Metadata": "sha256 " + base64.b64encode(sha256.encode()).decode(),
        },
    )


def test_rubbish_under_a_digest_casts_doubt_only_on_an_item_that_lacks_its_bytes(case):
    for name in ("outfall", "unsent"):
        announced = case.media[name]
        metadata = {"announced_sha256": hashlib.sha256(announced).hexdigest()}
        # Another length, or the server would answer that it has the bytes.
        assert _send(case, announced, b"rubbish").status_code == 460
        assert len(case.world.rows(QuarantinedMedia, **metadata)) == 1

    doubted = {finding.item_id for finding in case.world.rows(Finding, code="DIGEST_MISMATCH")}

    assert doubted == {case.items["unsent"]}
    assert case.world.rows(EvidenceItem, id=case.items["outfall"])[0].state == "stored"
