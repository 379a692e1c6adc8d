"""Which bytes are lacking is said to those who announced them, and to nobody else."""

import time
import uuid

from sqlalchemy import insert

from media.store import media_key
from server.db import reading, transaction
from server.models.inspections import EvidenceItem
from server.models.uploads import MediaObject, Upload
from server.operations import uploads
from tests.support.bureau import metadata
from tests.support.keeping import digest, id_of
from tests.support.uploading import (
    refused,
    send,
)


def test_bytes_that_are_here_need_not_be_sent_again(bureau):
    bureau.announce(b"photo")
    send(bureau, bureau.create(b"photo"), b"photo", pieces=5)

    answer = bureau.request(
        "POST", "/api/v1/uploads", Upload_Length=5, Upload_Metadata=metadata(b"photo")
    )
    again = answer.headers["Location"].removeprefix("http://localhost")

    assert (answer.headers["Upload-Offset"], bureau.offset(again)) == ("5", 5)
    unheeding = bureau.patch(again, b"pho", 0)
    assert (unheeding.status_code, unheeding.headers["Upload-Offset"]) == (204, "5")
    assert "Repr-Digest" in unheeding.headers
    assert refused(bureau.patch(again, b"to", 3)) == (409, "media.wrong_offset")


def test_nobody_learns_what_is_here_without_having_announced_it(bureau):
    send(bureau, bureau.create(b"photo"), b"photo", pieces=5)

    again = bureau.create(b"photo")

    assert bureau.offset(again) == 0
    assert bureau.row(Upload, id_of(again))["awaits_line"] is True


def test_which_do_you_lack_answers_only_for_what_was_announced(bureau):
    bureau.announce(b"here")
    bureau.announce(b"missing")
    bureau.colleague().announce(b"others")
    send(bureau, bureau.create(b"here"), b"here", pieces=4)
    send(bureau, bureau.create(b"others"), b"others", pieces=6)
    digests = [digest(b) for b in (b"others", b"missing", b"here", b"never")]

    answer = bureau.app.test_client().post(
        "/api/v1/media/lacking",
        json={"digests": digests},
        headers={"Authorization": f"Bearer {bureau.token}"},
    )

    assert answer.json == {
        "lacking": [digest(b"missing")],
        "unannounced": [digest(b"others"), digest(b"never")],
    }


def test_more_digests_than_allowed_are_refused(bureau):
    answer = bureau.app.test_client().post(
        "/api/v1/media/lacking",
        json={"digests": ["0" * 64] * 1001},
        headers={"Authorization": f"Bearer {bureau.token}"},
    )

    assert answer.status_code == 422


def test_a_thousand_digests_are_answered_quickly(bureau):
    digests = [digest(str(n).encode()) for n in range(1000)]
    with bureau.app.app_context(), transaction() as session:
        session.execute(insert(EvidenceItem), [bureau.item(one, 1) for one in digests])
        session.execute(insert(MediaObject), [kept(one) for one in digests[::2]])
        session.execute(insert(Upload), [sent(bureau, one) for one in digests[::2]])
    took = []
    with bureau.app.app_context(), reading() as session:
        for _ in range(5):
            began = time.perf_counter()
            answer = uploads.lacking(session, digests, organization_id=bureau.organization)
            took.append(time.perf_counter() - began)

    # The best of five: the machine that runs the tests does other things as well.
    assert min(took) < 0.05
    assert (answer.lacking, answer.unannounced) == (tuple(digests[1::2]), ())


def kept(sha256):
    """The values of a stored object."""
    return {
        "sha256": sha256,
        "size": 1,
        "crc32": 0,
        "key": media_key(sha256),
        "status": "stored",
        "stored_at_ms": 1,
    }


def sent(bureau, sha256):
    """The values of the upload that brought it."""
    return {
        "id": str(uuid.uuid4()),
        "organization_id": bureau.organization,
        "device_id": bureau.device,
        "sha256": sha256,
        "found_sha256": sha256,
        "length": 1,
        "filename": "",
        "filetype": "",
        "awaits_line": False,
        "status": "stored",
        "offset": 1,
        "parts": "[]",
        "tails": "[]",
        "next_part": 1,
        "crc32": 0,
        "fence": 2,
        "release_wanted": False,
        "created_at_ms": 0,
        "expires_at_ms": 0,
    }
