"""Deaths of the web process between the store and the database, thousands in one process.

A death is an exception that nothing catches; whatever the dead process would still have
written, to the store or to the database, fails the same way.
"""

import contextlib
import dataclasses
import os
import random
import uuid
from dataclasses import dataclass, field
from unittest.mock import patch

from sqlalchemy import text
from sqlalchemy.orm import Session

from media import upload
from media.store import MEDIA_PREFIX
from server.db import db, reading, transaction
from server.models.uploads import MediaObject, Upload
from server.operations.uploads import finish_interrupted_commits
from server.operations.uploads.desk import Tenure
from tests.support.bureau import Bureau, lay_out, upload_app
from tests.support.failpoints import Killed
from tests.support.stores import MemoryStore

_EXTENSION = "liuhen_uploads"
_PART = 4096


@dataclass
class Crashes:
    """What a run came to."""

    crashes: int = 0
    acknowledged: int = 0
    swept: int = 0
    finished: int = 0
    unadopted: list[str] = field(default_factory=list)
    hollow: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class _StillHeart:
    """The heart of a process of which nobody hears again."""

    def __init__(self):
        self.process_id = str(uuid.uuid4())

    def beat(self, session):
        """Not once: the process is dead before anybody looks."""

    @contextlib.contextmanager
    def hold(self, upload_id, fence, interrupt):
        yield Tenure(upload_id, fence, interrupt)


class _Fate:
    """Lets so many writes of either kind happen, then none: before the last one or after it."""

    def __init__(self, store, draw):
        self.dead = False
        self._left = draw.randrange(14)
        self._after = draw.random() < 0.5
        store.before = lambda *_: self._step(after=False)
        store.after = lambda *_: self._step(after=True)
        self._commit = Session.commit

    def commit(self, session):
        self._step(after=False)
        self._commit(session)
        self._step(after=True)

    def _step(self, *, after):
        if not self.dead and after == self._after:
            self._left -= 1
        if self.dead or self._left < 0:
            self.dead = True
            raise Killed


def crash_often(settings, *, crashes, seed):
    """Crash ``crashes`` uploads, sweep, compare both sides, let the device go on, compare again.

    They are of photos and of recordings, whose parts are 4 KiB long here, so that they cost
    no more than photos. Some end before their process does.
    """
    draw, store, found = random.Random(seed), MemoryStore(), Crashes()
    organization, device = lay_out(settings)
    sizes = (100, _PART, 3 * _PART, 5 * _PART + 7)
    with (
        patch.object(upload, "PART_BYTES", _PART),
        patch.object(upload, "SINGLE_LIMIT_BYTES", 2 * _PART),
    ):
        app = upload_app(settings, store)
        bureau = Bureau(app, organization, device)
        begun = []
        while found.crashes < crashes:
            begun.append(_crash(app, bureau, store, draw, found, draw.choice(sizes)))
        store.before = store.after = lambda *_: None
        with app.app_context():
            with transaction() as session:
                session.execute(text("DELETE FROM process_heartbeat"))
            found.swept = len(finish_interrupted_commits(app.extensions[_EXTENSION]))
        _compare(app, store, found)
        for data, path, acknowledged in begun:
            _finish(bureau, store, found, data, path, acknowledged)
        _compare(app, store, found)
        with app.app_context():
            db.engine.dispose()
    return found


def _crash(app, bureau, store, draw, found, size):
    """One upload that the process does not survive; its bytes, its place, what was acknowledged."""
    data = os.urandom(size)
    path = bureau.create(data)
    desk = app.extensions[_EXTENSION]
    app.extensions[_EXTENSION] = dataclasses.replace(desk, heart=_StillHeart())
    fate, offset = _Fate(store, draw), 0
    with (
        contextlib.suppress(Killed),
        patch.object(Session, "commit", lambda session: fate.commit(session)),
    ):
        while offset < size:
            piece = data[offset : offset + draw.choice((50, _PART // 2, _PART, size))]
            answer = bureau.patch(path, piece, offset)
            assert answer.status_code == 204, answer.text
            offset += len(piece)
    store.before = store.after = lambda *_: None
    with app.app_context():
        db.session.remove()
    app.extensions[_EXTENSION] = desk
    found.crashes += fate.dead
    found.acknowledged += offset
    return data, path, offset


def _finish(bureau, store, found, data, path, acknowledged):
    """The device comes back and sends the rest."""
    offset = bureau.offset(path)
    if offset < acknowledged:
        found.lost.append(f"{path}: {acknowledged} acknowledged, {offset} there")
    if offset < len(data):
        assert bureau.patch(path, data[offset:], offset).status_code == 204
    row = bureau.row(Upload, path.rpartition("/")[2])
    stored = bureau.row(MediaObject, row["sha256"])
    if store.objects.get(stored["key"]) != data:
        found.lost.append(f"{path}: other bytes")
    found.finished += 1


def _compare(app, store, found):
    with app.app_context(), reading() as session:
        rows = session.query(MediaObject.key, MediaObject.status, MediaObject.size).all()
    stored = {row.key: row.size for row in rows if row.status == "stored"}
    there = {key: len(data) for key, data in store.objects.items() if key.startswith(MEDIA_PREFIX)}
    found.unadopted += sorted(there.keys() - stored.keys())
    found.hollow += sorted(key for key, size in stored.items() if there.get(key) != size)
    # An intention without its object is for the device to finish, and only open.
    found.hollow += sorted(row.key for row in rows if row.status == "committing")
