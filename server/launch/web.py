"""The web server's process: HTTP for this machine, or with ``--tls`` HTTPS for the network."""

import datetime
import os
import resource
import signal
import socket
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from server.launch import certificates
from server.launch.after_store import main as run_after_store
from server.settings import Settings

_LOOK_EVERY_S = 6 * 3600
#: The kernel holds up to twice as much; enough for 300 Mbit/s at 50 ms from end to end.
_UNREAD_BYTES = 2 << 20


def main(arguments: list[str]) -> None:
    """Become gunicorn once the store is ready."""
    settings = Settings.from_env(os.environ)
    if "--tls" not in arguments:
        run_after_store(command(settings, address=f"{settings.bind}:{settings.port}"))
    if settings.tls_cert_path is None:
        # The Procfile names this process for everybody; without a DNS name it has no work.
        signal.pause()
        return
    run_after_store(
        [
            *command(settings, address=f"0.0.0.0:{settings.tls_port}"),
            f"--certfile={settings.tls_cert_path}",
            f"--keyfile={settings.tls_key_path}",
        ]
    )


def command(settings: Settings, *, address: str) -> list[str]:
    """gunicorn's command line for one front."""
    return [
        str(Path(sysconfig.get_path("scripts")) / "gunicorn"),
        "--config=python:server.launch.gunicorn",
        f"--bind={address}",
        "server.launch.wsgi:application",
    ]


def limit_unread(listeners: Iterable[socket.socket]) -> None:
    """Let the system hold at most a few MiB of each connection that the program has not read.

    They are lost with the process and must be sent again, beside the part that it was
    gathering; the system's own bound can be 32 MiB and more.
    """
    for listener in listeners:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)


def open_as_many_files_as_allowed() -> None:
    """Each connection needs a descriptor, and so does the file in which a slow sender's bytes wait.

    The usual soft limit of 1,024 is for programs that use ``select``; this one does not.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def renew_while_running(settings: Settings) -> None:
    """Renew the local certificate in the background for as long as the process lives."""
    if settings.tls_root_path is None or settings.public_name is None:
        return
    folder, name = settings.tls_root_path.parent, settings.public_name

    def look() -> None:
        while True:
            time.sleep(_LOOK_EVERY_S)
            certificates.ensure_local(folder, name, now=datetime.datetime.now(datetime.UTC))

    threading.Thread(target=look, name="certificate-renewal", daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1:])
