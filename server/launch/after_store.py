"""Run a command once the object store is ready, and hold the store up until it ends."""

import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from urllib.parse import urlsplit

from server.launch.errors import StoreNotReady
from server.launch.installation import Installation, known_store_ports
from server.launch.lifetime import end_with_parent
from server.settings import Settings

_PATIENCE_S = 90


def main(command: list[str]) -> None:
    """Wait for the store, then become ``command``; never returns."""
    end_with_parent(signal.SIGTERM)
    os.umask(0o077)
    settings = Settings.from_env(os.environ)
    try:
        await_store(settings, patience_s=_PATIENCE_S)
    except StoreNotReady as error:
        sys.exit(f"{error.sentence('zh')}\n{error.sentence('en')}")
    hold_store(Installation(settings.data_dir))
    os.execvp(command[0], command)  # noqa: S606 - the command stands in our own Procfile


def await_store(settings: Settings, *, patience_s: float) -> None:
    """Return when the embedded store has its bucket; at once if the store is elsewhere.

    Raises:
        StoreNotReady: not within ``patience_s`` seconds.
    """
    installation = Installation(settings.data_dir)
    if not installation.ports_path.exists() or not is_embedded(settings, installation):
        return
    deadline = time.monotonic() + patience_s
    # The mark of an earlier run may be left behind: it counts only if the port answers.
    while not (installation.store_ready_path.exists() and _answers(settings.s3_endpoint)):
        if time.monotonic() > deadline:
            raise StoreNotReady(f"no answer within {patience_s:.0f} s")
        time.sleep(0.05)


def is_embedded(settings: Settings, installation: Installation) -> bool:
    """Whether the store of these settings is the one that this installation runs itself."""
    url = urlsplit(settings.s3_endpoint)
    return url.hostname == "127.0.0.1" and url.port == known_store_ports(installation)["s3"]


def hold_store(installation: Installation) -> None:
    """Take the users' lock shared; exec and fork pass it on, the end of all holders frees it."""
    descriptor = os.open(installation.store_users_path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.set_inheritable(descriptor, True)


def _answers(endpoint: str) -> bool:
    url = urlsplit(endpoint)
    with contextlib.suppress(OSError), socket.create_connection((url.hostname, url.port), 2):
        return True
    return False


if __name__ == "__main__":
    main(sys.argv[1:])
