"""The store's process: SeaweedFS, its fsync switched on, its bucket made, stopped last."""

import contextlib
import datetime
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from botocore.exceptions import ClientError

from media.s3_objects import open_client
from server.launch import storeconfig
from server.launch.errors import StoreNotReady
from server.launch.installation import Installation, known_store_ports
from server.launch.lifetime import end_with_parent
from server.settings import Settings

_READY_S = 60
#: How long those who use the store may still use it after the stop was asked for.
_USERS_S = 3.5
_GOODBYE_S = 0.5


class _Stop(BaseException):
    """SIGTERM or SIGINT arrived."""


def main() -> None:
    """Run the store until it is told to stop; exit 1 if it stops by itself."""
    end_with_parent(signal.SIGTERM)
    settings = Settings.from_env(os.environ)
    installation = Installation(settings.data_dir)
    os.umask(0o077)
    with contextlib.suppress(FileNotFoundError):
        installation.store_ready_path.unlink()
    write_config(installation, settings)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        refuse_encryption(settings)
        with running(installation) as weed:
            make_ready(installation, settings, weed)
            installation.store_ready_path.touch(mode=0o600)
            status = weed.wait()
    except _Stop:
        sys.exit(0)
    except StoreNotReady as error:
        sys.exit(f"{error.sentence('zh')}\n{error.sentence('en')}")
    sys.exit(f"weed ended with status {status}; see {installation.log_dir / 'store'}")


def refuse_encryption(settings: Settings) -> None:
    """Say at once what would otherwise fail at each write: no key is kept beside the data.

    Raises:
        StoreNotReady: if the embedded store is asked to encrypt.
    """
    if settings.s3_encryption != "none":
        raise StoreNotReady(
            "LIUHEN_S3_ENCRYPTION: the embedded store has no keys; encrypt its disk"
        )


def write_config(installation: Installation, settings: Settings) -> None:
    """Write new JWT keys and certificates and the settings' S3 credentials."""
    storeconfig.write_config(
        installation,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        bucket=settings.s3_bucket,
        now=datetime.datetime.now(datetime.UTC),
    )


@contextlib.contextmanager
def running(installation: Installation) -> Iterator[subprocess.Popen[bytes]]:
    """``weed server`` for as long as the block runs, and until its users have let go."""
    ports = known_store_ports(installation)
    with (installation.log_dir / "store.out").open("wb") as output:
        weed = subprocess.Popen(
            storeconfig.server_command(installation, ports),
            cwd=installation.store_config_dir,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A soft limit: the collector works harder before more is taken.
            env=os.environ | {"GOMEMLIMIT": "512MiB"},
            preexec_fn=_end_with_us,
        )
    try:
        yield weed
    finally:
        with contextlib.suppress(FileNotFoundError):
            installation.store_ready_path.unlink()
        _await_users(installation.store_users_path)
        _end(weed)


def make_ready(
    installation: Installation, settings: Settings, weed: subprocess.Popen[bytes]
) -> None:
    """Wait for the gateway, switch fsync on for the bucket, and make the bucket.

    Raises:
        StoreNotReady: not within 60 s, or the store did not take the rule.
    """
    deadline = time.monotonic() + _READY_S
    while not _healthy(settings.s3_endpoint):
        if weed.poll() is not None:
            raise StoreNotReady(f"weed ended with status {weed.returncode}")
        if time.monotonic() > deadline:
            raise StoreNotReady(f"no answer within {_READY_S} s")
        time.sleep(0.05)
    # Before the bucket exists, so that no byte is ever acknowledged without it.
    switch_fsync_on(installation, settings.s3_bucket)
    make_bucket(settings, *storeconfig.administrator(installation))


def switch_fsync_on(installation: Installation, bucket: str) -> None:
    """SeaweedFS never calls fsync unless told so for a path (docs/operations.md).

    Raises:
        StoreNotReady: the rule does not stand in the configuration read back.
    """
    prefix = f"/buckets/{bucket}/"
    ports = known_store_ports(installation)
    try:
        shell = subprocess.run(
            storeconfig.shell_command(ports),
            cwd=installation.store_config_dir,
            input=(
                f"fs.configure -locationPrefix={prefix} -fsync -volumeGrowthCount=1 -apply\n"
                "fs.configure\nexit\n"
            ),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StoreNotReady("fs.configure: no answer within 30 s") from error
    if not fsync_is_on(shell.stdout, prefix):
        raise StoreNotReady(f"fs.configure -fsync: {shell.stderr.strip()[-200:]}")


def fsync_is_on(output: str, prefix: str) -> bool:
    """Whether the last configuration printed by ``fs.configure`` has fsync on for ``prefix``."""
    start = output.rfind('{\n  "version"')
    if start < 0:
        return False
    try:
        configuration, _ = json.JSONDecoder().raw_decode(output[start:])
    except ValueError:
        return False
    rules = configuration.get("locations", ())
    return any(rule.get("locationPrefix") == prefix and rule.get("fsync") for rule in rules)


def make_bucket(settings: Settings, access_key: str, secret_key: str) -> None:
    """Make the bucket with Object Lock, with the credentials of an administrator.

    Raises:
        StoreNotReady: the store refuses the credentials or the bucket.
    """
    client: Any = open_client(
        replace(settings.s3_address, access_key=access_key, secret_key=secret_key)
    )
    try:
        try:
            client.head_bucket(Bucket=settings.s3_bucket)
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
                raise
            client.create_bucket(Bucket=settings.s3_bucket, ObjectLockEnabledForBucket=True)
    except ClientError as error:
        raise StoreNotReady(f"bucket {settings.s3_bucket}: {error}") from error


def _healthy(endpoint: str) -> bool:
    try:
        # The endpoint is our own loopback URL from the settings.
        with urllib.request.urlopen(f"{endpoint}/healthz", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _await_users(path: Path) -> None:
    """Wait, but not for ever, until no process holds the users' lock shared any more."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _USERS_S
    try:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            else:
                return
    finally:
        os.close(descriptor)


def _end(weed: subprocess.Popen[bytes]) -> None:
    """Stop weed now.

    Asked politely it spends 15 s waiting for its own subscribers. Every byte that
    was acknowledged is behind an fsync by then, so nothing hangs on that wait.
    """
    weed.terminate()
    try:
        weed.wait(timeout=_GOODBYE_S)
    except subprocess.TimeoutExpired:
        weed.kill()
        weed.wait()


def _end_with_us() -> None:
    end_with_parent(signal.SIGKILL)


def _stop(_signum: int, _frame: FrameType | None) -> None:
    # Once is enough: a second Ctrl-C must not tear the orderly stop apart.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Stop


if __name__ == "__main__":
    main()
