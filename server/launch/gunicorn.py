"""gunicorn's configuration for both fronts; ``server.launch.web`` adds address and certificate."""

import os
import ssl
from collections.abc import Callable
from typing import Any

from server.launch.web import limit_unread, open_as_many_files_as_allowed, renew_while_running
from server.settings import Settings

_settings = Settings.from_env(os.environ)

worker_class = "gthread"
# One process: the token cache, the store's connections and SQLite's page cache are
# shared by all threads. A bureau that outgrows it runs this file on more machines.
workers = 1
threads = _settings.web_threads
# A phone on a bad line may send for hours; with gthread this watches the worker, not a request.
timeout = 60
# The store waits this long for uploads under way before it stops as well.
graceful_timeout = 3
keepalive = 5
# Kernel pages of a file in /tmp are written to disk, which has stalled workers' heartbeats.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
umask = 0o077
# Who asks for what is evidence and stands in the ledger; addresses are not kept beside it.
accesslog = None
errorlog = "-"
loglevel = "warning"
control_socket_disable = True
forwarded_allow_ips = "127.0.0.1"


def ssl_context(_config: Any, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """TLS 1.2 and later; made for each connection, so that a renewed certificate serves at once."""
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def on_starting(_server: Any) -> None:
    """Before the workers are forked, which inherit it."""
    open_as_many_files_as_allowed()


def when_ready(server: Any) -> None:
    """Bound what waits unread, and keep the local certificate fresh while HTTPS is served."""
    limit_unread(listener.sock for listener in server.LISTENERS)
    if server.cfg.is_ssl:
        renew_while_running(_settings)
