"""The data folder: its lock, its secrets, its ports, and the settings that follow from them."""

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from server.launch.errors import AlreadyRunning, FolderUnusable
from server.settings import Settings, stored_settings

#: Kept over restarts; everything else in settings.env describes the latest start.
_LASTING = (
    "LIUHEN_SECRET_KEY",
    "LIUHEN_S3_ACCESS_KEY",
    "LIUHEN_S3_SECRET_KEY",
    "LIUHEN_DEMO",
)
_STORE_PORTS = (
    "master",
    "master_grpc",
    "volume",
    "volume_grpc",
    "filer",
    "filer_grpc",
    "s3",
    "s3_grpc",
)
# Below the range from which the kernel picks ports for outgoing connections, so
# that a port found free now is still free when the store opens it.
_PORT_RANGE = range(20_000, 32_000)


@dataclass(frozen=True)
class Installation:
    """The folders of one installation under its data folder; all are mode 0700."""

    data_dir: Path

    @property
    def secrets_dir(self) -> Path:
        return self.data_dir / "secrets"

    @property
    def settings_path(self) -> Path:
        return self.secrets_dir / "settings.env"

    @property
    def store_config_dir(self) -> Path:
        return self.secrets_dir / "store"

    @property
    def store_dir(self) -> Path:
        return self.data_dir / "store"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def first_login_path(self) -> Path:
        return self.secrets_dir / "first-login.json"

    @property
    def ports_path(self) -> Path:
        return self.data_dir / "ports.json"

    @property
    def store_ready_path(self) -> Path:
        return self.run_dir / "store.ready"

    @property
    def store_users_path(self) -> Path:
        return self.run_dir / "store.users"


@contextmanager
def held(data_dir: Path) -> Iterator[Installation]:
    """Make the folders if need be and keep any second launcher out while the block runs.

    Raises:
        FolderUnusable: the folder cannot be made or written.
        AlreadyRunning: another launcher holds it.
    """
    installation = Installation(data_dir)
    try:
        for folder in (
            data_dir,
            installation.secrets_dir,
            installation.store_config_dir,
            installation.store_dir,
            installation.log_dir,
            installation.run_dir,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The folder may be older than us and have been made with a wider mode.
        data_dir.chmod(0o700)
        descriptor = os.open(
            installation.run_dir / "launch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise FolderUnusable(data_dir, reason=error.strerror or str(error)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(data_dir) from error
        yield installation
    finally:
        os.close(descriptor)


def prepare(installation: Installation, env: Mapping[str, str]) -> dict[str, str]:
    """Complete ``env`` with the installation's secrets and store, and write it down.

    The result also stands in ``secrets/settings.env`` for the command-line tools.
    An endpoint in ``env`` means an object store outside, of which nothing is invented.
    """
    known = Settings.variables() - {"LIUHEN_DATA"}
    given = {name: value for name, value in env.items() if name in known and value}
    stored = stored_settings(installation.data_dir)
    values = {name: stored[name] for name in _LASTING if name in stored} | given
    values.setdefault("LIUHEN_SECRET_KEY", secrets.token_urlsafe(48))
    if "LIUHEN_S3_ENDPOINT" not in values:
        values.setdefault("LIUHEN_S3_ACCESS_KEY", secrets.token_hex(10).upper())
        values.setdefault("LIUHEN_S3_SECRET_KEY", secrets.token_urlsafe(30))
        ports = store_ports(installation)
        values["LIUHEN_S3_ENDPOINT"] = f"http://127.0.0.1:{ports['s3']}"
    write_settings(installation, values)
    return values | {"LIUHEN_DATA": str(installation.data_dir)}


def write_settings(installation: Installation, values: Mapping[str, str]) -> None:
    """Write ``secrets/settings.env`` (0600), whole or not at all."""
    lines = [f"{name}={value}\n" for name, value in sorted(values.items()) if name != "LIUHEN_DATA"]
    write_private(
        installation.settings_path,
        "# Written at every start. Secrets stay; the rest is what the latest start used.\n"
        + "".join(lines),
    )


def write_private(path: Path, text: str | bytes) -> None:
    """Replace ``path`` in one step, readable by its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    data = text.encode() if isinstance(text, str) else text
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def store_ports(installation: Installation) -> dict[str, int]:
    """The store's loopback ports: those of the last start where they are still free."""
    try:
        before = json.loads(installation.ports_path.read_text())
    except (FileNotFoundError, ValueError):
        before = {}
    taken: set[int] = set()
    ports: dict[str, int] = {}
    for name in _STORE_PORTS:
        port = before.get(name)
        if not isinstance(port, int) or port in taken or not is_free("127.0.0.1", port):
            port = _free_port(taken)
        taken.add(port)
        ports[name] = port
    write_private(installation.ports_path, json.dumps(ports, indent=1) + "\n")
    return ports


def known_store_ports(installation: Installation) -> dict[str, int]:
    """The ports that the launcher chose for this start."""
    ports: dict[str, int] = json.loads(installation.ports_path.read_text())
    return ports


def is_free(address: str, port: int) -> bool:
    """Whether ``port`` can be listened on right now."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        # As servers do, so that a connection still closing does not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _free_port(taken: set[int]) -> int:
    while True:
        port = _PORT_RANGE.start + secrets.randbelow(len(_PORT_RANGE))
        if port not in taken and is_free("127.0.0.1", port):
            return port
