"""Builds a small valid package in memory from the evidence formats alone.

Own journals, own ledger, real signatures. Tests take its files, change them as
somebody who would deceive a court might, and pack them again.
"""

import hashlib
import uuid
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.evidence import acts, canonical, merkle, note, package, tsp
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from sync.evidence.encoding import to_b64url
from sync.evidence.interval import OutsideStamp, line_interval
from sync.evidence.line import GENESIS, Anchor, DeviceTime, build_line, key_id_of
from sync.evidence.package import ChainName, PackageFile
from sync.evidence.receipt import Receipt
from sync.evidence.records import (
    CaseIndex,
    ChainHead,
    ConsistencyRecord,
    CustodyEvent,
    DeviceKeyRecord,
    InclusionRecord,
    IndexItem,
    IndexOfficer,
    Keys,
    LinePlace,
    ndjson,
    receipt_record,
)
from sync.evidence.stamp_event import StampEvent, read_stamp_event, stamped_text

ORIGIN = "liuhen.test/ledger"
INSPECTION = "11111111-0000-4000-8000-000000000001"
OTHER_INSPECTION = "22222222-0000-4000-8000-000000000002"
START_MS = 1_790_000_000_000


def identifier(text):
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


class NoteKey:
    """An Ed25519 key that signs notes."""

    def __init__(self, name):
        self.name = name
        self.private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def verifier_key(self):
        return note.verifier_key(self.name, self.public)

    def sign(self, text):
        return note.sign_note(text, self.name, self.public, self.private.sign)


class Ledger:
    """A ledger in memory."""

    def __init__(self):
        self.key = NoteKey(ORIGIN)
        self.receipts = NoteKey("liuhen.test/receipts")
        self.tree = merkle.CompactRange()
        self.nodes = {}
        self.events = []
        #: States that an outside authority stamped, and the files of its stamps.
        self.stamped = []
        self.stamp_files = {}
        for name, key in (("ledger", self.key), ("receipt", self.receipts)):
            self.append(
                "enrol",
                actor={"server": "installation"},
                subject={"server_key": name},
                snapshot={"verifier_key": key.verifier_key},
            )

    @property
    def size(self):
        return self.tree.size

    def append(self, kind, *, actor, subject, snapshot=None):
        index = self.size
        body = {
            "v": 1,
            "kind": kind,
            "at_ms": START_MS + 1000 * index,
            "actor": actor,
            "subject": subject,
            "snapshot": snapshot or {},
        }
        salt = hashlib.sha256(b"salt %d" % index).digest()
        event = CustodyEvent(1, index, salt, canonical.dumps(body))
        self.events.append(event)
        for level, position, node in self.tree.append(merkle.leaf_hash(event.entry)):
            self.nodes[level, position] = node
        return index

    def stamp(self):
        """Stamp and return the checkpoint that a device would embed from now on."""
        self.append("stamp", actor={"server": "clock"}, subject={"clock": "server"})
        return Anchor(ORIGIN, self.size, self.tree.root().hex())

    def outside_stamp(self, authority, at_ms, *, renews=None, imprint=None, root=None, **event):
        """Have the present state stamped; anything may be given otherwise than it should be.

        ``renews`` is the answer of an older stamp that this one is over. Returns the answer.
        """
        checkpoint = (ORIGIN, self.size, root or self.tree.root().hex())
        data = stamped_text(checkpoint)
        if renews is not None:
            data = tsp.parse_stamp(renews).imprint + renews
        request = tsp.build_request(imprint or hashlib.sha256(data).digest(), nonce=9)
        answer = authority.stamp_at(request, at_ms)
        stamp = tsp.parse_stamp(answer)
        said = StampEvent(
            authority="national",
            checkpoint=checkpoint,
            package=None,
            answer=hashlib.sha256(answer).hexdigest(),
            imprint=stamp.imprint.hex(),
            gen_time_ms=stamp.gen_time_ms,
            margin_ms=stamp.margin_ms,
            serial=f"{stamp.serial:x}",
            policy=stamp.policy,
            expires_at_ms=stamp.signer.valid_to_ms,
            checked_by=("openssl",),
            renews=hashlib.sha256(renews).hexdigest() if renews else "",
        )
        said = replace(said, **event)
        self.stamped.append(checkpoint[1:])
        self.stamp_files[f"{said.stem}.tsr"] = answer
        self.append(
            "stamp", actor={"server": "stamps"}, subject=said.subject(), snapshot=said.snapshot()
        )
        return answer

    def node(self, level, position):
        return self.nodes[level, position]


class Device:
    """A device with one epoch."""

    def __init__(self, name, ledger):
        self.id = identifier(name)
        self.epoch = hashlib.sha256(name.encode()).hexdigest()[:32]
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.spki = self.private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = key_id_of(self.spki)
        self.ledger = ledger
        self.lines = []
        self.branches = []
        self.ingests = {}
        self.receipts = []
        self.enrolled_index = ledger.append(
            "enrol",
            actor={"person": "admin"},
            subject={"device": self.id, "key_id": self.key_id},
            snapshot={"spki": to_b64url(self.spki)},
        )
        self.write(
            acts.EPOCH_OPENED, anchor=ledger.stamp(), spki=to_b64url(self.spki), reason="new"
        )

    @property
    def chain(self):
        return ChainName(self.id, self.epoch)

    @property
    def head(self):
        return self.lines[-1].digest

    def sign(self, message):
        r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def write(self, kind, anchor=None, **act):
        line = self.build(self.lines, kind, anchor, act)
        self.lines.append(line)
        return line

    def fork(self, kind, **act):
        """Sign another line for the place of the newest one."""
        line = self.build(self.lines[:-1], kind, None, act)
        self.branches.append(line)
        subject = {"device": self.id, "epoch": self.epoch, "branch": line.digest}
        self.ledger.append(
            "branch",
            actor={"device": self.id},
            subject={**subject, "seq": line.header.seq, "digest": line.digest},
        )
        return line

    def build(self, before, kind, anchor, act):
        seq = len(before)
        return build_line(
            [{"type": kind, "salt": f"{seq:032x}", **act}],
            device=self.id,
            epoch=self.epoch,
            seq=seq,
            prev=before[-1].digest if before else GENESIS,
            t=DeviceTime(START_MS + seq, seq, "boot", 480),
            key_id=self.key_id,
            sign=self.sign,
            anchor=anchor,
        )

    def revoke(self):
        self.ledger.append(
            "revoke",
            actor={"person": "admin"},
            subject={"device": self.id, "key_id": self.key_id},
        )

    def push(self):
        """Hand all new lines over to the ledger and keep the receipt."""
        first_seq = len(self.ingests)
        for line in self.lines[first_seq:]:
            self.ingests[line.header.seq] = self.ledger.append(
                "ingest",
                actor={"device": self.id},
                subject={
                    "device": self.id,
                    "epoch": self.epoch,
                    "branch": "",
                    "seq": line.header.seq,
                    "digest": line.digest,
                },
            )
        receipt = Receipt(
            origin=ORIGIN,
            generation=1,
            device=self.id,
            epoch=self.epoch,
            branch="",
            first_seq=first_seq,
            last_seq=len(self.lines) - 1,
            last_digest=self.head,
            first_index=self.ingests[first_seq],
            server_ms=START_MS + 1000 * self.ledger.size,
            clock="synchronised",
        )
        self.receipts.append(self.ledger.receipts.sign(receipt.to_text()))


@dataclass
class Small:
    """A package: its content files, and what is needed to pack them again."""

    ledger: Ledger
    devices: list
    index: CaseIndex
    files: dict
    size: int
    note: str = field(default="")

    def pack(self, files=None, *, sign=None):
        """The ZIP of ``files``; without ``sign`` the old statement goes in, as a forger must."""
        content = self.files if files is None else files
        packed = package.assemble(
            [PackageFile.of(path, data) for path, data in content.items()],
            info=[("Bagging-Date", "2026-09-22"), ("External-Identifier", INSPECTION)],
            origin=ORIGIN,
            ledger_size=self.size,
            sign=sign or (lambda _text: self.note),
        )
        return b"".join(package.write_package(packed))

    def pack_signed(self, files=None):
        """The ZIP as somebody who holds the ledger's key would make it."""
        return self.pack(files, sign=self.ledger.key.sign)


def capture(device, content, *, title, inspection=INSPECTION, **more):
    return device.write(
        acts.MEDIA_CAPTURED,
        officer="officer-1",
        inspection=inspection,
        item=identifier(title),
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        media_type="image/jpeg",
        **{"class": "A", **more},
    )


def index_item(device, line, *, title, enclosed, anchor_size, ledger, discarded=None, reason=""):
    act = line.act
    stamps = [event for event in ledger.events if event.body["kind"] == "stamp"]
    outside = [(event.index, read_stamp_event(event.body)) for event in stamps]
    index = device.ingests[line.header.seq]
    return IndexItem(
        item=act["item"],
        sha256=act["sha256"],
        size=act["size"],
        media_type=act["media_type"],
        capture_class=act["class"],
        officer=act["officer"],
        state="discarded" if discarded else _judged(ledger, act["item"]),
        disposition="enclosed" if enclosed else "missing",
        line=LinePlace(device.chain, line.header.seq),
        file=package.original_path(act["sha256"], act["media_type"]) if enclosed else "",
        reason=reason,
        discarded=LinePlace(device.chain, discarded.header.seq) if discarded else None,
        interval=line_interval(
            anchor_size=anchor_size,
            ingest_index=index,
            ingest_at_ms=ledger.events[index].body["at_ms"],
            stamps=[(e.index, e.body["at_ms"]) for e in stamps if not read_stamp_event(e.body)],
            outside=[
                OutsideStamp(
                    place,
                    stamp.checkpoint[1],
                    stamp.gen_time_ms - stamp.margin_ms,
                    stamp.gen_time_ms + stamp.margin_ms,
                )
                for place, stamp in outside
                if stamp and not stamp.renews
            ],
        ),
        about={"title": title},
    )


def _judged(ledger, item):
    reviews = [event.body for event in ledger.events if event.body["kind"] == "review"]
    words = [body["snapshot"]["verdict"] for body in reviews if body["subject"]["item"] == item]
    return words[0] if words else "stored"


def build_small_package(
    *, reviewer="person-reviewer", more_acts=(), before_export=lambda devices, ledger: None
):
    """Two devices, three items (one discarded, its bytes absent), another case's lines between.

    ``more_acts`` are (type, fields) that the first device signs at the end; ``before_export``
    may append to the ledger.
    """
    ledger = Ledger()
    first, second = Device("device 1", ledger), Device("device 2", ledger)
    first.push()
    second.push()
    anchor = ledger.stamp()
    photo, recording, blurred = b"photo" * 20, b"recording" * 30, b"blurred"
    first.write(
        acts.SESSION_OPENED, officer="officer-1", session="s", method="pin", certificate_no="1"
    )
    first.write(
        acts.INSPECTION_OPENED,
        anchor=anchor,
        officer="officer-1",
        inspection=INSPECTION,
        officers=["officer-1", "officer-2"],
    )
    photo_line = capture(first, photo, title="photo")
    capture(first, b"elsewhere", title="elsewhere", inspection=OTHER_INSPECTION)
    blurred_line = capture(first, blurred, title="blurred")
    discard_line = first.write(
        acts.MEDIA_DISCARDED,
        officer="officer-1",
        inspection=INSPECTION,
        item=blurred_line.act["item"],
        reason="blurred",
    )
    recording_line = capture(second, recording, title="recording")
    first.write(
        acts.PEER_HEAD, device=second.id, epoch=second.epoch, seq=1, head=second.lines[1].digest
    )
    first.write(
        acts.INSPECTION_SEALED,
        officer="officer-1",
        inspection=INSPECTION,
        revisions=[],
        media=[line.act["sha256"] for line in (photo_line, blurred_line, recording_line)],
        heads=[
            {"device": second.id, "epoch": second.epoch, "seq": 1, "head": second.lines[1].digest}
        ],
    )
    for kind, fields in more_acts:
        first.write(kind, **fields)
    first.push()
    second.push()
    ledger.stamp()
    run_rules(ledger, photo_line.act["item"], photo_line.act["sha256"])
    ledger.append(
        "review",
        actor={"person": reviewer},
        subject={"item": photo_line.act["item"], "inspection": INSPECTION},
        snapshot={"verdict": "accepted"},
    )
    before_export([first, second], ledger)
    # Nothing of the other case but its lines' signed headers may be shown.
    withheld = {(first.id, line.header.seq) for line in first.lines if _is_elsewhere(line)}
    items = (
        index_item(
            first, photo_line, title="photo", enclosed=True, anchor_size=anchor.size, ledger=ledger
        ),
        index_item(
            first,
            blurred_line,
            title="blurred",
            enclosed=False,
            anchor_size=anchor.size,
            ledger=ledger,
            discarded=discard_line,
            reason="never received",
        ),
        index_item(
            second,
            recording_line,
            title="recording",
            enclosed=True,
            anchor_size=second.lines[0].header.anchor.size,
            ledger=ledger,
        ),
    )
    return finish(ledger, [first, second], items, [photo, recording], withheld)


def build_tiny_package(*, before_push=lambda device: None, after_push=lambda device: None):
    """One device, one photo: small enough to try every byte."""
    ledger = Ledger()
    device = Device("device", ledger)
    photo = b"photo"
    line = capture(device, photo, title="photo")
    before_push(device)
    device.push()
    after_push(device)
    item = index_item(
        device,
        line,
        title="photo",
        enclosed=True,
        anchor_size=device.lines[0].header.anchor.size,
        ledger=ledger,
    )
    return finish(ledger, [device], (item,), [photo], set())


def build_package_of(count):
    """Two devices that photographed ``count`` items in turn, pushed ten lines at a time."""
    ledger = Ledger()
    devices = [Device("device 1", ledger), Device("device 2", ledger)]
    photos, lines = [], []
    for number in range(count):
        device = devices[number % 2]
        photos.append(b"photo %d " % number * (5 + number % 40))
        lines.append((device, capture(device, photos[-1], title=f"photo {number}")))
        if number % 20 == 19 or number == count - 1:
            for pushing in devices:
                pushing.push()
            ledger.stamp()
    items = tuple(
        index_item(
            device,
            line,
            title=line.act["item"],
            enclosed=True,
            anchor_size=device.lines[0].header.anchor.size,
            ledger=ledger,
        )
        for device, line in lines
    )
    return finish(ledger, devices, items, photos, set())


def finish(ledger, devices, items, originals, withheld):
    size, root = ledger.size, ledger.tree.root()
    index = CaseIndex(
        inspection={"id": INSPECTION, "title": "演示"},
        exported_at_ms=START_MS + 10**8,
        origin=ORIGIN,
        generation=1,
        ledger_size=size,
        chains=(
            *(ChainHead(d.chain, len(d.lines), d.head) for d in devices),
            *(
                ChainHead(branch_of(line), line.header.seq + 1, line.digest)
                for d in devices
                for line in d.branches
            ),
        ),
        items=items,
        officers=(
            IndexOfficer("officer-1", "person-1", "甲", "001"),
            IndexOfficer("officer-2", "person-2", "乙", "002"),
        ),
        devices=tuple({"device": d.id, "name": "phone"} for d in devices),
        announced=tuple(sorted({item.sha256 for item in items})),
    )
    keys = Keys(
        tuple(DeviceKeyRecord(d.id, d.key_id, d.spki, d.enrolled_index) for d in devices),
        ledger.key.verifier_key,
        ledger.receipts.verifier_key,
    )
    anchors = {
        (line.header.anchor.size, line.header.anchor.root)
        for device in devices
        for line in device.lines
        if line.header.anchor
    }
    anchors |= {(size, root) for size, root in ledger.stamped if size < ledger.size}
    files = {
        **ledger.stamp_files,
        package.INDEX: index.to_bytes(),
        package.FINDINGS: canonical.dumps({"v": 1, "items": findings_of(ledger, items)}),
        package.CUSTODY: ndjson(event.to_bytes() for event in ledger.events),
        package.KEYS: keys.to_bytes(),
        package.CHECKPOINT: ledger.key.sign(
            format_checkpoint(Checkpoint(ORIGIN, size, root))
        ).encode(),
        package.INCLUSION: ndjson(
            InclusionRecord(
                event.index,
                event.entry,
                tuple(merkle.inclusion_proof(size, event.index, ledger.node)),
            ).to_bytes()
            for event in ledger.events
        ),
        package.CONSISTENCY: ndjson(
            ConsistencyRecord(
                anchor_size,
                bytes.fromhex(anchor_root),
                tuple(merkle.consistency_proof(anchor_size, size, ledger.node)),
            ).to_bytes()
            for anchor_size, anchor_root in sorted(anchors)
        ),
        package.RECEIPTS: ndjson(receipt_record(n) for d in devices for n in d.receipts),
    }
    for content in originals:
        digest = hashlib.sha256(content).hexdigest()
        files[package.original_path(digest, "image/jpeg")] = content
    for device in devices:
        for line in device.branches:
            path = package.journal_path(branch_of(line))
            files[path] = ndjson([line.to_package_bytes([0])])
        files[package.journal_path(device.chain)] = ndjson(
            line.to_package_bytes([] if (device.id, line.header.seq) in withheld else [0])
            for line in device.lines
        )
    small = Small(ledger, devices, index, files, size)
    packed = package.assemble(
        [PackageFile.of(path, data) for path, data in files.items()],
        info=[("Bagging-Date", "2026-09-22"), ("External-Identifier", INSPECTION)],
        origin=ORIGIN,
        ledger_size=size,
        sign=ledger.key.sign,
    )
    statement = next(file for file in packed if file.path == package.STATEMENT)
    small.note = b"".join(statement.chunks()).decode()
    return small


def run_rules(ledger, item, sha256):
    """Take in a run of the rules over an item, which found nothing."""
    nothing = hashlib.sha256(b"[]").hexdigest()
    ledger.append(
        "verify",
        actor={"server": "rules"},
        subject={"item": item, "sha256": sha256, "rules": "3"},
        snapshot={"verdict": "consistent", "claims": nothing, "findings": nothing},
    )


def findings_of(ledger, items):
    """The runs that :func:`run_rules` has taken in, as a package tells them."""
    runs = [event for event in ledger.events if "rules" in event.body["subject"]]
    return [
        {
            "item": item.item,
            "sha256": item.sha256,
            "checks": [
                {
                    "rule_version": "3",
                    "verdict": "consistent",
                    "checked_at_ms": run.body["at_ms"],
                    "ledger_index": run.index,
                    "claims": "[]",
                    "findings": "[]",
                }
                for run in runs
                if run.body["subject"]["item"] == item.item
            ],
        }
        for item in items
    ]


def branch_of(line):
    return ChainName(line.header.device, line.header.epoch, line.digest)


def _is_elsewhere(line):
    return line.act.get("inspection") == OTHER_INSPECTION
