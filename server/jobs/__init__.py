"""Work that nobody waits for: huey only wakes the worker, tables say what is to be done.

So a lost or doubled wake-up does no harm: each task looks for rows that are not
finished, and a periodic round finds whatever no wake-up named.
"""

import threading
from collections.abc import Callable

from flask import Flask, current_app
from huey import Huey, PostgresHuey, SqliteHuey, crontab
from sqlalchemy.engine import make_url

from server.db import transaction
from server.operations import export, feed, media_checks, recordings, storekeeping, uploads
from server.services import services
from server.settings import Settings

_TASK = "liuhen.task"
_QUEUE = "liuhen.queue"

CHECK_MEDIA = "check_media"
BUILD_PACKAGES = "build_packages"
KEEP_UPLOADS = "keep_uploads"

_DAY_MS = 86_400_000


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
    work: dict[str, Callable[[], object]] = {
        CHECK_MEDIA: lambda: media_checks.check_waiting_items(services(), rounds),
        BUILD_PACKAGES: lambda: export.build_waiting_packages(services()),
        KEEP_UPLOADS: keep_uploads,
    }

    # Work of one kind is done by one thread at a time. Whoever finds it under way asks for
    # another round and goes on, so that a long round of one kind holds up no other.
    turns = {name: threading.Lock() for name in work}
    asked = {name: threading.Event() for name in work}

    def perform(name: str) -> None:
        asked[name].set()
        while asked[name].is_set() and turns[name].acquire(blocking=False):
            try:
                asked[name].clear()
                with app.app_context():
                    work[name]()
            finally:
                turns[name].release()

    def perform_nightly() -> None:
        with app.app_context():
            now_ms = services().now_ms()
            oldest_ms = now_ms - settings.feed_retention_days * _DAY_MS
            with transaction() as session:
                feed.compact(session, older_than_ms=oldest_ms, now_ms=now_ms)
            storekeeping.sweep(desk, repair=True)
            storekeeping.rehash(
                services(),
                budget_bytes=settings.rehash_bytes,
                before_ms=now_ms - settings.rehash_days * _DAY_MS,
            )

    def perform_all() -> None:
        for name in work:
            perform(name)

    memory = recordings.Recordings()

    def derive_from_recordings() -> None:
        # Takes hours after a day of films: who finds it under way goes on with other work.
        with app.app_context():
            recordings.derive_from_recordings(services(), memory)

    app.extensions[_QUEUE] = queue
    app.extensions[_TASK] = queue.task(name="perform")(perform)
    queue.periodic_task(crontab(minute="*"), name="perform_all")(perform_all)
    queue.periodic_task(crontab(minute="*"), name="recordings")(derive_from_recordings)
    queue.periodic_task(crontab(minute="17", hour="3"), name="perform_nightly")(perform_nightly)


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
