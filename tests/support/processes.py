"""The object store and the worker as processes of their own that a test may kill."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from server.launch import store
from server.launch.installation import held, prepare
from server.settings import Settings
from tests.support.services import S3
from tests.support.webserver import die_with_parent

_ROOT = Path(__file__).resolve().parents[2]


class OwnStore:
    """A SeaweedFS that no other test uses, with the settings of an installation."""

    def __init__(self, folder):
        self._folder = folder
        self._held = contextlib.ExitStack()

    def __enter__(self):
        self._installation = self._held.enter_context(held(self._folder))
        self._settings = Settings.from_env(prepare(self._installation, {}))
        store.write_config(self._installation, self._settings)
        self._running = contextlib.ExitStack()
        self.start()
        return S3(
            endpoint=self._settings.s3_endpoint,
            access_key=self._settings.s3_access_key,
            secret_key=self._settings.s3_secret_key,
            bucket=self._settings.s3_bucket,
            region=self._settings.s3_region,
        )

    def start(self):
        self._weed = self._running.enter_context(store.running(self._installation))
        store.make_ready(self._installation, self._settings, self._weed)

    def kill(self):
        """SIGKILL: nothing is flushed, nobody is told."""
        self._weed.kill()
        self._weed.wait()
        self._running.close()

    def __exit__(self, *_):
        self._running.close()
        self._held.close()


class Worker:
    """``liuhen-admin worker`` with ``environment``; ends with the block or with the test."""

    def __init__(self, environment):
        self._environment = environment

    def __enter__(self):
        self.start()
        return self

    def start(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "worker"],
            cwd=_ROOT,
            env={**os.environ, **self._environment},
            preexec_fn=die_with_parent,
        )

    def kill(self):
        self._process.kill()
        self._process.wait()

    def __exit__(self, *_):
        self.kill()
