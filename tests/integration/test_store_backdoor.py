"""What goes on behind the store's own back door is found by reading originals again, by name."""

import hashlib
import json
import os

import pytest

from media.store import media_key
from server.db import reading
from server.models.ledger import LedgerEvent
from server.operations.storekeeping import rehash
from server.services import services
from server.settings import Settings
from tests.support import backdoor
from tests.support.bureau import Bureau, environment, lay_out, upload_app


@pytest.fixture
def bureau(database_url, tmp_path, seaweedfs):
    """A bureau over the store exactly as ``scripts/run`` starts it, with Object Lock."""
    settings = Settings.from_env(
        environment(tmp_path / "var", seaweedfs, LIUHEN_DATABASE_URL=database_url)
    )
    organization, device = lay_out(settings)
    return Bureau(upload_app(settings), organization, device)


def _lay(bureau):
    data = os.urandom(4000)
    path = bureau.create(data)
    assert bureau.patch(path, data, 0).status_code == 204
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (backdoor.delete_by_filer, "missing"),
        (backdoor.delete_by_shell, "missing"),
        (backdoor.change_by_filer, "changed"),
    ],
)
def test_an_original_behind_the_stores_back_is_found_and_named(bureau, seaweedfs, act, outcome):
    safe, hit = _lay(bureau), _lay(bureau)
    act(seaweedfs, backdoor.versions_of(seaweedfs, media_key(hit)))

    with bureau.app.app_context():
        (report,) = rehash(services())

    assert [(one.kind, one.sha256, one.key) for one in report.doubts] == [
        (outcome, hit, media_key(hit))
    ]
    assert report.objects == 2
    with bureau.app.app_context(), reading() as session:
        (alarm,) = session.query(LedgerEvent).filter_by(kind="alarm").all()
        assert json.loads(alarm.event)["snapshot"] == {"doubts": {outcome: 1}}
    assert safe != hit
