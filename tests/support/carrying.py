"""Carriers in tests: disks as folders, the server's side of them, and hands that tamper."""

import contextlib
import json
import os

import pyrage

from server.db import reading, transaction
from server.models.devices import DeviceKey
from server.models.inspections import EvidenceItem, Inspection
from server.models.journal import JournalLine
from server.models.ledger import LedgerHead
from server.models.people import User, UserRole
from server.models.uploads import MediaObject
from server.operations import carrier, feed, ledger, uploads
from sync.carrier.keys import load_key
from sync.carrier.manifest import CARRIER_TYPE
from sync.client.device import Device
from sync.evidence import canonical
from sync.evidence.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from sync.evidence.encoding import to_b64url
from sync.evidence.note import parse_note
from sync.wire import pre_authentication_encoding
from tests.support.fieldkit import HandClock, lines_of
from tests.support.simdevice import new_id


def patrol(device, world, place, photos=(3000,)):
    """Play a whole inspection offline; photos are given by their size. Returns its id."""
    opened = device.open_inspection(world.officers, task=world.task, entity=world.entity)
    for number, size in enumerate(photos):
        path = place / f"{number}.jpg"
        path.write_bytes(b"\xff\xd8\xff" + os.urandom(size) if size else b"")
        device.capture(path, opened.inspection, capture_class="A")
    device.note(opened.inspection, "天气：晴")
    device.seal(opened.inspection)
    return opened.inspection


def open_device(path, world, network):
    """A device enrolled over the network, in a folder of its own."""
    device = Device.open(path, clock=HandClock(world.now_ms))
    device.enrol(server=network.url, code=world.code(), name=path.name, serial=path.name)
    return device


def folder_of(disk, written):
    return disk / f"carrier-{written.carrier}"


@contextlib.contextmanager
def counter_of(world):
    """Where carriers are handed in."""
    with world.app.app_context():
        yield carrier.Counter(
            desk=uploads.open_desk(world.app),
            services=world.services,
            shelf=carrier.Shelf(world.settings.data_dir / "carriers"),
        )


def take(world, folder, reply=None):
    """Take a carrier in and answer it into the folder ``reply``; both outcomes."""
    with counter_of(world) as counter:
        opened = carrier.open_carrier(counter, folder)
        taken = carrier.take_carrier(counter, opened, person_id=world.persons[0])
        return taken, reply and carrier.write_reply(counter, opened, reply)


def ledger_size(world):
    with world.app.app_context(), reading() as session:
        return session.query(LedgerHead.size).scalar()


def events_about(world, name):
    """The canonical events under a name, as text."""
    with world.app.app_context(), reading() as session:
        return [entry.event.decode() for entry in ledger.events_about(session, [name])]


def publish(world, name):
    """Publish a document for all devices of the bureau, or a newer version of it."""
    with world.app.app_context(), transaction() as session:
        feed.put_document(
            session,
            scope=feed.organization_scope(world.organization),
            kind="entity",
            identifier="carried",
            body={"id": "carried", "name": name},
            now_ms=world.now_ms,
        )


def revoke(world, device):
    with world.app.app_context(), transaction() as session:
        key = session.get(DeviceKey, device.enrolment.key_id)
        key.revoked_at_ms = key.revoked_from_ms = world.now_ms


def make_administrator(world):
    """An account in whose name the command line acts."""
    user = new_id()
    with world.app.app_context(), transaction() as session:
        session.add(
            User(
                id=user,
                person_id=world.persons[0],
                organization_id=world.organization,
                username="admin",
                password_hash="-",
                must_change_password=False,
            )
        )
        session.flush()
        session.add(UserRole(user_id=user, role="administrator"))


def assert_arrived(world, device, inspection):
    """The server holds what the device signed, once, shows it, and has the bytes."""
    rows = world.rows(JournalLine, device_id=device.enrolment.device)
    assert sorted(row.digest for row in rows) == sorted(line.digest for line in lines_of(device))
    for item in world.rows(EvidenceItem, inspection_id=inspection):
        assert [row.status for row in world.rows(MediaObject, sha256=item.sha256)] == ["stored"]
    assert world.rows(Inspection, id=inspection)[0].state == "sealed"


def spoil_line(device, seq):
    """Make a line such that the server refuses it: its bytes are not canonical any more."""
    with device._outbox.transaction() as db:
        db.execute("DROP TRIGGER line_is_fixed")
        db.execute(
            "UPDATE line SET raw = CAST(REPLACE(CAST(raw AS TEXT), '\"type\":', '\"type\": ')"
            " AS BLOB) WHERE seq = ?",
            (seq,),
        )


def reseal(world, folder, sign, **changes):
    """Replace members of a carrier's manifest and sign it again."""
    path, key = folder / "manifest.age", world.services.carrier_key
    body = json.loads(pyrage.decrypt(path.read_bytes(), [key.identity]))["manifest"] | changes
    message = pre_authentication_encoding(CARRIER_TYPE, canonical.dumps(body))
    whole = canonical.dumps({"manifest": body, "signature": to_b64url(sign(message))})
    path.write_bytes(pyrage.encrypt(whole, [key.identity.to_public()]))


def forge_reply(device, folder, signer):
    """Sign a reply again with another key than the server's."""
    path, key = folder / "manifest.age", load_key(device._folder.path / "carrier.key")
    whole = json.loads(pyrage.decrypt(path.read_bytes(), [key.identity]))
    whole["note"] = signer.sign(parse_note(whole["note"]).text)
    path.write_bytes(pyrage.encrypt(canonical.dumps(whole), [key.identity.to_public()]))


def remember_another_ledger(world, device):
    """Let the device have verified a checkpoint of our key that our ledger does not begin with."""
    kept = parse_checkpoint(parse_note(device._outbox.meta("checkpoint")).text)
    text = format_checkpoint(Checkpoint(kept.origin, kept.size, bytes(32)))
    with device._outbox.transaction():
        device._outbox.remember("checkpoint", world.services.ledger_signer.sign(text))
