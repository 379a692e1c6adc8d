"""Work that nobody waits for: huey only wakes the worker, tables say what is to be done.

So a lost or doubled wake-up does no harm: each task looks for rows that are not
finished, and a periodic round finds whatever no wake-up named.
"""

import threading
from collections.abc import Callable
from typing import Final

from flask import Flask, current_app
from huey import Huey, PostgresHuey, SqliteHuey, crontab
from sqlalchemy.engine import make_url

from server.jobs.alone import alone
from server.jobs.nightly import Nights
from server.operations import (
    erasure,
    export,
    media_checks,
    recordings,
    stamps,
    uploads,
    witnessing,
)
from server.services import services
from server.settings import Settings

_TASK = "liuhen.task"
_QUEUE = "liuhen.queue"

CHECK_MEDIA = "check_media"
BUILD_PACKAGES = "build_packages"
KEEP_UPLOADS = "keep_uploads"
#: What outside authorities should stamp; it waits for networks.
STAMP_TIMES = "stamp_times"
#: What witnesses should see; it waits for networks, too.
ASK_WITNESSES = "ask_witnesses"
#: What two people had erased; it waits for the store.
ERASE = "erase"
#: What may take hours and waits for everything else: nights, and copies of films.
QUIET_WORK = "quiet_work"

KINDS: Final = (
    CHECK_MEDIA,
    BUILD_PACKAGES,
    KEEP_UPLOADS,
    STAMP_TIMES,
    ASK_WITNESSES,
    ERASE,
    QUIET_WORK,
)
#: One for each kind: so many threads, and no kind of work ever waits for another.
THREADS: Final = len(KINDS)


def install(app: Flask, settings: Settings) -> None:
    """Connect ``app`` to the queue and register all work with it."""
    queue = _open_queue(settings)
    desk = uploads.open_desk(app)

    def keep_uploads() -> None:
        uploads.finish_interrupted_commits(desk)
        uploads.finish_files(desk)
        uploads.expire_uploads(desk)
        uploads.collect_leftovers(desk)

    rounds = media_checks.Rounds()
    nights = Nights(desk, settings)
    memory = recordings.Recordings()

    def work_quietly() -> None:
        nights.perform()
        # A day of films takes hours: whatever a night brings comes between two of them.
        recordings.derive_from_recordings(services(), memory, until=nights.are_due)

    def ask_witnesses() -> None:
        with alone(ASK_WITNESSES) as mine:
            if mine:
                witnessing.submit_to_witnesses(services())

    def erase_waiting() -> None:
        with alone(ERASE) as mine:
            if mine:
                erasure.erase_waiting(services())

    work: dict[str, Callable[[], object]] = {
        CHECK_MEDIA: lambda: media_checks.check_waiting_items(services(), rounds),
        BUILD_PACKAGES: lambda: export.build_waiting_packages(services()),
        KEEP_UPLOADS: keep_uploads,
        STAMP_TIMES: lambda: stamps.stamp_what_is_due(services()),
        ASK_WITNESSES: ask_witnesses,
        ERASE: erase_waiting,
        QUIET_WORK: work_quietly,
    }

    # Work of one kind is done by one thread at a time. Whoever finds it under way asks for
    # another round and goes on, so that a long round of one kind holds up no other.
    turns = {name: threading.Lock() for name in KINDS}
    asked = {name: threading.Event() for name in KINDS}

    def perform(name: str) -> None:
        asked[name].set()
        while asked[name].is_set() and turns[name].acquire(blocking=False):
            try:
                asked[name].clear()
                with app.app_context():
                    work[name]()
            finally:
                turns[name].release()

    def perform_every_minute(name: str) -> None:
        # A task for each kind: one that fails each time keeps no other from its turn.
        every_minute = queue.periodic_task(crontab(minute="*"), name=f"every_minute_{name}")
        every_minute(lambda: perform(name))

    app.extensions[_QUEUE] = queue
    app.extensions[_TASK] = queue.task(name="perform")(perform)
    for name in KINDS:
        perform_every_minute(name)


def queue_of(app: Flask) -> Huey:
    """The queue that ``app`` is connected to; the worker consumes it."""
    queue: Huey = app.extensions[_QUEUE]
    return queue


def wake(name: str) -> None:
    """Tell the worker that there is work of this kind; call it after the commit."""
    current_app.extensions[_TASK](name)


def _open_queue(settings: Settings) -> Huey:
    url = make_url(settings.huey_url)
    if url.get_backend_name() == "sqlite":
        return SqliteHuey("liuhen", filename=url.database, results=False)
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return PostgresHuey("liuhen", dsn=dsn, results=False)
