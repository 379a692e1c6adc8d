"""A bureau over a store in memory, whose nightly rounds a test runs when it wants."""

import hashlib
import os

from media.store import media_key
from media.upload import PART_BYTES, SINGLE_LIMIT_BYTES
from server.db import reading
from server.operations.storekeeping import rehash, sweep
from server.services import services
from server.settings import Settings
from tests.support.bureau import Bureau, environment, lay_out, upload_app
from tests.support.stores import MemoryStore

LARGE = SINGLE_LIMIT_BYTES + PART_BYTES // 2
NOON_MS = 1_800_000_000_000


def digest(data):
    return hashlib.sha256(data).hexdigest()


def id_of(path):
    """The upload behind its path."""
    return path.rpartition("/")[2]


class Keeping(Bureau):
    """The enrolled device, and the store and the clock behind it."""

    def __init__(self, database_url, folder, **more):
        settings = Settings.from_env(environment(folder, LIUHEN_DATABASE_URL=database_url, **more))
        self.settings = settings
        self.store = MemoryStore()
        self.now_ms = NOON_MS
        organization, device = lay_out(settings)
        app = upload_app(settings, self.store, now_ms=lambda: self.now_ms)
        super().__init__(app, organization, device)
        self.desk = app.extensions["liuhen_uploads"]

    def keep(self, data=None, announced=None):
        """Send bytes, with the digest of ``announced`` if they are to be others."""
        data = os.urandom(100) if data is None else data
        path = self.create(data if announced is None else announced)
        answer = self.patch(path, data, 0)
        assert answer.status_code == (204 if announced is None else 460), answer.text
        return path

    def lay(self, *contents):
        """Photos in the store; their keys."""
        made = contents or (os.urandom(100),)
        for data in made:
            self.keep(data)
        return [media_key(digest(data)) for data in made]

    def sweep(self, *, repair=False):
        with self.app.app_context():
            return sweep(self.desk, repair=repair)

    def rehash(self, **options):
        with self.app.app_context():
            return tuple(rehash(services(), **options))

    def rows(self, table):
        with self.app.app_context(), reading() as session:
            found = session.query(table).all()
            session.expunge_all()
            return found

    def lacking(self, data, of=None):
        """Whether ``of``, who announces the bytes, is told to send them."""
        asking = of or self
        answer = self.app.test_client().post(
            "/api/v1/media/lacking",
            json={"digests": [digest(data)]},
            headers={"Authorization": f"Bearer {asking.token}"},
        )
        return answer.json["lacking"] == [digest(data)]
