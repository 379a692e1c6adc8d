"""The real application on a socket, a bad network before it, and devices that go through it."""

import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest

from server.db import transaction
from server.operations import feed, forms, ledger
from sync.client.device import Device
from tests.support.badnet import BadNetwork
from tests.support.fieldkit import LABEL, TEMPLATE, HandClock
from tests.support.restoring import copy_database
from tests.support.serving import served as on_socket
from tests.support.world import make_world

_FORM = {
    "id": TEMPLATE,
    "version": 9,
    "title": {"zh": "笔录", "en": "record"},
    "fields": [
        {"id": "weather", "type": "text", "label": LABEL},
        {"id": "outlets", "type": "integer", "label": LABEL},
    ],
}


@pytest.fixture(scope="module")
def world(sqlite_template, tmp_path_factory, s3):
    """An installed application with its store; documents for devices are published."""
    return furnished_world(sqlite_template, tmp_path_factory.mktemp("world"), s3)


@pytest.fixture(scope="module")
def _way(world):
    with served(world) as network:
        yield network


@pytest.fixture
def network(_way):
    """The way to the application; it behaves until a test says otherwise."""
    _way.calm()
    _way.seen.clear()
    return _way


@contextmanager
def served(world):
    """The application on a socket behind a bad network."""
    with on_socket(world.app) as port, BadNetwork(f"http://127.0.0.1:{port}") as network:
        yield network


def furnished_world(template, folder, s3):
    """A world on a copy of the database ``template``."""
    shutil.copyfile(template, folder / "world.sqlite")
    world = make_world(f"sqlite:///{folder / 'world.sqlite'}", folder / "var", s3)
    _publish(world)
    return world


@pytest.fixture
def enrol(world, network, tmp_path):
    """Enrols a device in a folder of its own and leaves it open."""
    opened = []

    def enrol(name="first"):
        device = Device.open(tmp_path / name, clock=HandClock(world.now_ms))
        opened.append(device)
        device.enrol(server=network.url, code=world.code(), name=name, serial=name)
        return device

    yield enrol
    for device in opened:
        device.close()


@pytest.fixture
def device(enrol):
    return enrol()


def sign_checkpoint(world):
    """What the sequencer does every second."""
    with world.app.app_context(), transaction() as session:
        ledger.sign_checkpoint(session, world.services.ledger_signer, now_ms=world.now_ms)


def _publish(world):
    documents = [
        ("task", world.task, {"id": world.task, "title": "日常检查"}),
        ("entity", world.entity, {"id": world.entity, "name": "示例化工"}),
    ]
    documents += [
        ("officer", who, {"id": who, "name": f"检查员{n}", "certificate_no": f"示例00{n}"})
        for n, who in enumerate(world.officers, start=1)
    ]
    with world.app.app_context(), transaction() as session:
        for kind, identifier, body in documents:
            feed.put_document(
                session,
                scope=feed.organization_scope(world.organization),
                kind=kind,
                identifier=identifier,
                body=body,
                now_ms=world.now_ms,
            )
        forms.publish(
            session, world.organization, _FORM, by={"server": "test"}, now_ms=world.now_ms
        )


@contextmanager
def at(world, device, *, enrol=False):
    """The world on a socket, which ``device`` takes for its server."""
    with served(world) as network:
        if enrol:
            device.enrol(server=network.url, code=world.code())
        moved = replace(device.enrolment, server=network.url)
        with device._outbox.transaction():
            device._outbox.remember("enrolment", moved.to_json())
        device.enrolment = moved
        yield network


@pytest.fixture
def scene(sqlite_template, tmp_path, s3):
    """A world, a device that has synced, and a copy of the database from then."""
    world = furnished_world(sqlite_template, tmp_path, s3)
    world.live, world.backup = tmp_path / "world.sqlite", tmp_path / "backup.sqlite"
    device = Device.open(tmp_path / "device", clock=HandClock(world.now_ms))
    with device:
        with at(world, device, enrol=True):
            assert device.sync().complete
            copy_database(world.live, world.backup)
        yield world, device, tmp_path
