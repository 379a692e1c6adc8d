"""A device that is enrolled without a server, a clock that tests move, and files to capture."""

import json
import uuid
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.client.device import Device
from sync.client.keys import make_key
from sync.client.trust import Enrolment
from sync.evidence import merkle, note
from sync.evidence.chain import Head, verify_chain
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from sync.evidence.line import DeviceTime, check_signature, parse_line
from sync.evidence.receipt import Receipt

ORIGIN = "test/liuhen"
OFFICERS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
TEMPLATE = "site_inspection_record"
LABEL = {"zh": "栏", "en": "field"}
START_MS = 1_781_000_000_000


class HandClock:
    """A clock that moves one millisecond each time it is read, and never really sleeps."""

    def __init__(self, wall_ms=START_MS):
        self.wall_ms = wall_ms
        self.mono_ms = 1000
        self.slept = []

    def read(self):
        self.wall_ms += 1
        self.mono_ms += 1
        return DeviceTime(self.wall_ms, self.mono_ms, "boot-1", 480)

    def sleep(self, seconds):
        self.slept.append(seconds)


class Signer:
    """A note key of a pretended server."""

    def __init__(self, name):
        self.name = name
        self._key = Ed25519PrivateKey.generate()
        self._public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.verifier_key = note.verifier_key(name, self._public)

    def sign(self, text):
        return note.sign_note(text, self.name, self._public, self._key.sign)


class Ledger:
    """A pretended server's ledger, of which tests can make several that disagree."""

    def __init__(self, signer=None, leaves=()):
        self.signer = signer or Signer(ORIGIN)
        self.leaves = list(leaves)

    def grow(self, *leaves):
        self.leaves += leaves
        return self

    def note(self):
        text = format_checkpoint(Checkpoint(ORIGIN, len(self.leaves), self._root()))
        return self.signer.sign(text)

    def prove(self, first, second):
        return merkle.consistency_proof(first, second, self._node)

    def root_of(self, size):
        return merkle.root(size, self._node)

    def _root(self):
        return merkle.root(len(self.leaves), self._node)

    def _node(self, level, position):
        leaves = self.leaves[position << level : (position + 1) << level]
        tree = merkle.CompactRange()
        for leaf in leaves:
            tree.append(merkle.leaf_hash(leaf))
        return tree.root()


class Kit:
    """An enrolled device in ``folder``, with the keys of the server that it believes in."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.clock = HandClock()
        self.ledger = Ledger().grow(b"enrolment")
        self.receipts = Signer(f"{ORIGIN}/receipt")
        with Device.open(folder, clock=self.clock) as device:
            key = make_key(folder / "key.pem")
            self.enrolment = Enrolment(
                server="http://127.0.0.1:9",
                device=str(uuid.uuid4()),
                kind="dock",
                serial="1",
                name="采集站",
                key_id=key.key_id,
                organization="o",
                organization_name="示范局",
                origin=ORIGIN,
                generation=1,
                receipt_key=self.receipts.verifier_key,
                ledger_key=self.ledger.signer.verifier_key,
            )
            device._begin(self.enrolment, key, self.ledger.note())
            with device._outbox.transaction():
                device.documents.apply(documents())

    def open(self):
        return Device.open(self.folder, clock=self.clock)

    def receipt(self, line, **changes):
        """A receipt for ``line`` alone, as the server would sign it, with ``changes``."""
        values = {
            "origin": ORIGIN,
            "generation": 1,
            "device": line.header.device,
            "epoch": line.header.epoch,
            "branch": "",
            "first_seq": line.header.seq,
            "last_seq": line.header.seq,
            "last_digest": line.digest,
            "first_index": 7,
            "server_ms": START_MS,
            "clock": "synchronised",
        }
        return self.receipts.sign(Receipt(**{**values, **changes}).to_text())


def documents():
    """Two officers, an entity, a task and a form, as the feed brings them."""
    bodies = [
        ("officer", {"id": who, "name": f"检查员{n}", "certificate_no": f"示例00{n}"})
        for n, who in enumerate(OFFICERS, start=1)
    ]
    bodies += [
        ("entity", {"id": "entity-1", "name": "示例化工"}),
        ("task", {"id": "task-1", "title": "日常检查"}),
        (
            "template",
            {
                "id": TEMPLATE,
                "version": 2,
                "title": {"zh": "笔录", "en": "record"},
                "fields": [
                    {"id": "weather", "type": "text", "label": LABEL},
                    {"id": "outlets", "type": "integer", "label": LABEL},
                    {"id": "running", "type": "boolean", "label": LABEL},
                    {"id": "contact", "type": "person", "sensitive": True, "label": LABEL},
                ],
            },
        ),
    ]
    return [
        {"op": "put", "kind": kind, "id": _document_id(kind, body), "body": body}
        for kind, body in bodies
    ]


def _document_id(kind, body):
    return f"{body['id']}.v{body['version']}" if kind == "template" else body["id"]


def lines_of(device):
    """Every line of ``device``, parsed, its signature and its chain checked."""
    kept = list(device._outbox.lines())
    lines = [parse_line(row.raw) for row in kept]
    key = device._journal._need_signer()[0]
    heads = {}
    for line in lines:
        check_signature(line, lambda message, signature: _verifies(key, message, signature))
        place = (line.header.device, line.header.epoch)
        heads[place] = verify_chain([line], head=heads.get(place, Head(*place)))
    return lines


def acts_of(device, kind=None):
    """The acts of a device's lines, oldest first."""
    acts = [line.act for line in lines_of(device)]
    return [act for act in acts if kind is None or act["type"] == kind]


def on_patrol(device):
    """An inspection opened by both officers; its id."""
    return device.open_inspection(OFFICERS, title="日常检查").inspection


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def said(result):
    """What a command printed under ``--json``."""
    return json.loads(result.stdout)


def _verifies(key, message, signature):
    from server.signatures import verifier

    return verifier(key.spki)(message, signature)
