"""S3 stores of other makers, for tests: what they lack is what we must not rely on."""

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from pathlib import Path

from media.s3_address import S3Address
from media.s3_objects import open_client
from server.launch.lifetime import end_with_parent

_START_S = 60
_BUCKET = "liuhen"
_KEYS = {"access_key": "rigaccesskey", "secret_key": "rigsecretkey"}


@contextlib.contextmanager
def run_rclone(folder, port, *options):
    """``rclone serve s3`` over a folder: it overwrites, checks no SHA-256 and locks nothing."""
    (folder / "objects" / _BUCKET).mkdir(parents=True, exist_ok=True)
    scheme = "https" if "--cert" in options else "http"
    command = [
        Path(sysconfig.get_path("scripts")) / "rclone",
        "serve",
        "s3",
        f"--config={folder}/none.conf",
        f"--addr=127.0.0.1:{port}",
        f"--auth-key={_KEYS['access_key']},{_KEYS['secret_key']}",
        *options,
        folder / "objects",
    ]
    with _running(command, folder / "rclone.log"):
        where = _where(f"{scheme}://127.0.0.1:{port}")
        _await_answer(where["endpoint"])
        yield where


@contextlib.contextmanager
def run_moto(folder, port):
    """moto's server: it compares no digests, keeps everything in memory and knows Object Lock."""
    server = Path(__file__).with_name("moto_server.py")
    command = [sys.executable, server, "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, folder / "moto.log"):
        where = _where(f"http://127.0.0.1:{port}")
        _await_answer(where["endpoint"])
        client = open_client(S3Address(**where))
        client.create_bucket(Bucket=_BUCKET, ObjectLockEnabledForBucket=True)
        yield where


def _where(endpoint):
    return {"endpoint": endpoint, "bucket": _BUCKET, "region": "us-east-1", **_KEYS}


@contextlib.contextmanager
def _running(command, log):
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(os.environ),
            preexec_fn=lambda: end_with_parent(signal.SIGKILL),
        )
    try:
        yield
    finally:
        server.kill()
        server.wait()


def _await_answer(endpoint):
    """Return when the server answers anything, were it a refusal."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(endpoint, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except urllib.error.URLError as error:
            if "CERTIFICATE" in str(error.reason):
                return
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"{endpoint} did not answer within {_START_S} s")
