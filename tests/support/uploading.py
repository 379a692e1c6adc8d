"""A bureau whose uploads are cut short: by a process that dies or a sender that falls silent."""

import threading
import time

from server.db import reading, transaction
from server.models.uploads import ProcessHeartbeat, Upload
from server.settings import Settings
from tests.support.bureau import Bureau, environment, lay_out, upload_app
from tests.support.keeping import id_of


def open_bureau(folder, database_url, store, clock):
    """The enrolled device at a desk that takes files of up to 64 MiB."""
    settings = Settings.from_env(
        environment(
            folder,
            LIUHEN_DATABASE_URL=database_url,
            LIUHEN_MEDIA_LIMIT_BYTES=str(64 << 20),
        )
    )
    organization, device = lay_out(settings)
    app = upload_app(settings, store, now_ms=lambda: clock["ms"])
    return Bureau(app, organization, device)


def send(bureau, path, data, *, pieces):
    offset = bureau.offset(path)
    while offset < len(data):
        answer = bureau.patch(path, data[offset : offset + pieces], offset)
        assert answer.status_code == 204, answer.text
        offset = int(answer.headers["Upload-Offset"])


class Killed(BaseException):
    """Ends a request like a kill: nothing after it runs that a dead process could not run."""


def bury(monkeypatch):
    """A killed process releases nothing."""
    monkeypatch.setattr("server.operations.uploads.writing.Writer._release", lambda self: None)


def died(bureau):
    """The process that wrote has not beaten for a while."""
    # Our own heart may be in the middle of one last beat: age it until it stays aged.
    while True:
        with bureau.app.app_context(), transaction() as session:
            aged = {
                row.process_id: row.beaten_at_ms - 10_000 for row in session.query(ProcessHeartbeat)
            }
            for row in session.query(ProcessHeartbeat):
                row.beaten_at_ms = aged[row.process_id]
        time.sleep(0.3)
        with bureau.app.app_context(), reading() as session:
            rows = session.query(ProcessHeartbeat).all()
            if aged == {row.process_id: row.beaten_at_ms for row in rows}:
                return


def killing(write, kill, moment):
    """``write`` of a store, with a death before or after it."""

    def written(key, *given, **named):
        if moment == "before":
            kill("put", key)
        try:
            return write(key, *given, **named)
        finally:
            if moment == "after":
                kill("put", key)

    return written


def forget_the_digest(bureau, path, data):
    """Send ``data``, and lose the state of its hash as another build of OpenSSL would."""
    bureau.patch(path, data, 0)
    with bureau.app.app_context(), transaction() as session:
        session.get_one(Upload, id_of(path)).hash_state = b"unusable"


class Silent:
    """A body whose sender has gone without a word; without ``expected`` it came in chunks."""

    def __init__(self, first, expected=10):
        self.first, self.expected = first, expected
        self.cut = False
        self.woken = threading.Event()

    def ready(self, _wait_s):
        return bool(self.first)

    def read_into(self, view):
        if self.first:
            n = min(len(view), len(self.first))
            view[:n], self.first = self.first[:n], self.first[n:]
            return n
        assert self.woken.wait(20)
        self.cut = self.expected is None
        return 0

    def interrupt(self):
        self.woken.set()

    def finish(self):
        return


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def desk(bureau):
    return bureau.app.extensions["liuhen_uploads"]


def refused(answer):
    return answer.status_code, answer.json["code"]
