"""Real Chromium; where there is none, the tests of this folder are not collected."""

import shutil
import time
from contextlib import ExitStack

import pytest
from flask import Flask

from server.field_app import CONFIG, register_field_app
from tests.support.badnet import BadNetwork
from tests.support.fieldapp import building
from tests.support.fieldphone import phone
from tests.support.serving import served
from tests.support.world import make_world

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

if CHROMIUM is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="module")
def playwright():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright):
    # Tests may run as root in a container, where Chromium's own sandbox cannot start.
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def serve():
    """Serves applications on free ports of this machine until the module ends."""
    with ExitStack() as running:
        yield lambda app: f"http://127.0.0.1:{running.enter_context(served(app))}"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The field app's engine behind a page for tests."""
    folder = tmp_path_factory.mktemp("field")
    building.build(folder, mode="harness")
    return folder


@pytest.fixture(scope="module")
def address(serve, built):
    """The engine's test page, served as the app is; no bureau behind it."""
    app = Flask("server", static_folder=None)
    app.config[CONFIG] = built
    register_field_app(app)
    return serve(app)


@pytest.fixture
def world(sqlite_template, tmp_path, s3, built):
    """An installed application with its store, which serves the engine's test page, too."""
    shutil.copyfile(sqlite_template, tmp_path / "world.sqlite")
    world = make_world(f"sqlite:///{tmp_path / 'world.sqlite'}", tmp_path / "var", s3)
    world.now_ms = time.time_ns() // 1_000_000
    world.app.config[CONFIG] = built
    return world


@pytest.fixture
def network(world):
    with served(world.app) as port, BadNetwork(f"http://127.0.0.1:{port}") as network:
        yield network


@pytest.fixture
def page(playwright, network, tmp_path):
    with phone(playwright, CHROMIUM, tmp_path / "profile", network.url) as page:
        yield page
