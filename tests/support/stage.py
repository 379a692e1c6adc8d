"""The server, the devices around it, the wire between them, and the comparison at rest."""

import base64
import gzip
import hashlib
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import zstandard

from server.db import db, reading, transaction
from server.models.people import Person
from server.models.uploads import MediaObject
from server.operations.access import Actor
from tests.support.audit import audit
from tests.support.backup import Backup
from tests.support.copies import Copy
from tests.support.failpoints import AFTER_COMMIT, BEFORE_COMMIT, dies
from tests.support.simdevice import new_id
from tests.support.simfield import SimField, reduce_feed
from tests.support.stores import MemoryStore
from tests.support.world import make_world

_ENCODINGS = {
    "": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
#: How one exchange may end.
FATES = (
    *("well",) * 6,
    "request lost",
    "reply lost",
    "twice",
    "reordered",
    "cut",
    BEFORE_COMMIT,
    AFTER_COMMIT,
)


class Stage:
    """The stage: ``fields`` are the devices, ``published`` what the administrator sent down."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.store = MemoryStore()
        self.folder = folder
        self.world = make_world(database_url, folder, store=self.store)
        self.fields: list[SimField] = []
        self.published: dict[tuple[str, str], dict] = {}
        self.backup: Backup | None = None
        #: What of the oracle belongs to the backup.
        self.kept_state = None
        #: Every key under which this server has signed, one of each generation.
        self.receipt_keys: list[str] = []
        self.ledger_keys: list[str] = []
        self.learn_keys()
        self.reviewer = self._reviewer()
        self.kills = self.restores = 0

    def close(self) -> None:
        with self.world.app.app_context():
            db.engine.dispose()
        if self.backup is not None:
            self.backup.discard()

    def learn_keys(self) -> None:
        """Believe the present generation's keys beside the earlier ones."""
        self.receipt_keys.append(self.world.services.receipt_signer.verifier_key)
        self.ledger_keys.append(self.world.services.ledger_signer.verifier_key)

    @contextmanager
    def writing(self):
        """A transaction on the bureau's side."""
        with self.world.app.app_context(), transaction() as session:
            yield session

    def _reviewer(self):
        person = Person(id=new_id(), name="示例审核员")
        actor = Actor(
            user_id=new_id(),
            person_id=person.id,
            name=person.name,
            organization_id=self.world.organization,
            roles=frozenset({"reviewer", "administrator"}),
        )
        with self.world.app.app_context(), transaction() as session:
            session.add(person)
        return actor

    # Comparing.

    def settle(self) -> None:
        """Let everything arrive, then compare what is there with what was signed and promised.

        Raises:
            AssertionError: at the first difference.
        """
        for field in self.fields:
            for chain in field.chains:
                for start in range(0, len(chain.lines), 200):
                    lines = chain.lines[start : start + 200]
                    answer = self.post(field, chain, _body(lines))
                    assert answer.status_code == 200, answer.text
                    field.believe(lines, answer.json)
            for data in field.media.values():
                self.send_bytes(field, data, "well")
        for field in self.fields:
            self._finish_reading(field)
        self.compare()

    def compare(self) -> None:
        """Compare at rest; ``settle`` has let everything arrive."""
        kept = audit(self.world.app, self.receipt_keys)
        written = {d: raw for field in self.fields for d, raw in field.written.items()}
        assert kept.lines == written, "lines are lost, altered or doubled"
        for field in self.fields:
            assert not field.unsafe(), "a line never got its receipt"
            assert set(field.promised.values()) <= kept.receipts, "a receipt is not stored"
            if field.revoked:
                # It is told no later fate and no document any more.
                continue
            stored = {digest: kept.outcomes[digest] for digest in field.written}
            assert field.told == stored, "outcomes told differ from those stored"
            self._compare_documents(field)
        with self.world.app.app_context(), reading() as session:
            have = {row.sha256 for row in session.query(MediaObject) if row.status == "stored"}
        wanted = [data for field in self.fields for data in field.media.values()]
        assert {hashlib.sha256(data).hexdigest() for data in wanted} == have
        assert set(wanted) <= set(self.store.objects.values()), "bytes are not in the store"

    def _compare_documents(self, field):
        cursor, fresh, more = "", {}, True
        while more:
            page = self.page(field, cursor, 200)
            reduce_feed(fresh, page["documents"])
            cursor, more = page["cursor"], page["more"]
        assert field.documents == fresh, "the local copy differs from a first pull"
        assert self.repair(field) == 0, "the digests differ where the documents do not"
        for key, body in self.published.items():
            assert field.documents.get(key) == body, f"{key} is not what was published"
        ours = {key for key in field.documents if key[0] == "entity" and len(key[1]) == 1}
        assert ours == set(self.published), "a document that was withdrawn is still there"

    # Talking.

    def post(self, field, chain, body, encoding=""):
        headers = {"Content-Encoding": encoding} if encoding else {}
        return self.world.client.post(
            f"/api/v1/journal/{chain.id}/{chain.epoch}",
            data=body,
            headers={**field.sim.headers, **headers},
            content_type="application/x-ndjson",
        )

    def exchange(self, field, chain, lines, rng):
        """Push ``lines``; how that ends is drawn from ``FATES``."""
        fate = rng.choice(FATES)
        if fate == "reordered":
            lines = rng.sample(lines, len(lines))
        encoding = rng.choice(sorted(_ENCODINGS))
        body = _ENCODINGS[encoding](_body(lines))
        if fate == "request lost":
            return
        if fate in (BEFORE_COMMIT, AFTER_COMMIT):
            with dies(self.world.app, fate) as came:
                self.post(field, chain, body, encoding)
            self.kills += len(came)
            return
        if fate == "cut":
            body = body[: rng.randrange(len(body))]
        answer = self.post(field, chain, body, encoding)
        assert answer.status_code == 200, answer.text
        if fate == "twice":
            answer = self.post(field, chain, body, encoding)
        if fate != "reply lost":
            field.believe(lines, answer.json)
            field.see(answer.json["checkpoint"], partial(self._prove, field))

    def send_bytes(self, field, data, fate):
        """Upload ``data`` in one request that meets ``fate``."""
        digest = hashlib.sha256(data).hexdigest()
        tus = {**field.sim.headers, "Tus-Resumable": "1.0.0"}
        made = {
            "Upload-Length": str(len(data)),
            "Upload-Metadata": "sha256 " + base64.b64encode(digest.encode()).decode(),
            "Content-Type": "application/offset+octet-stream",
        }

        def send():
            return self.world.client.post("/api/v1/uploads", headers={**tus, **made}, data=data)

        if fate in (BEFORE_COMMIT, AFTER_COMMIT):
            with dies(self.world.app, fate, transactions=int(digest[0], 16) % 3) as came:
                send()
            self.kills += len(came)
        elif fate != "request lost":
            for _ in range(1 + (fate == "twice")):
                answer = send()
                assert answer.status_code == 201, answer.text

    def page(self, field, cursor, limit):
        """One page of the feed; None for a device that gets no documents."""
        answer = self.world.client.get(
            "/api/v1/feed",
            query_string={"cursor": cursor, "limit": limit},
            headers=field.sim.headers,
        )
        if field.revoked:
            assert answer.status_code == 403, answer.text
            return None
        assert answer.status_code == 200, answer.text
        return answer.json

    def outcomes(self, field, limit):
        """Ask for one page of later outcomes; whether there is more."""
        answer = self.world.client.get(
            "/api/v1/outcomes",
            query_string={"since": field.since, "limit": limit},
            headers=field.sim.headers,
        )
        if field.revoked:
            assert answer.status_code == 403, answer.text
            return False
        assert answer.status_code == 200, answer.text
        for row in answer.json["outcomes"]:
            field.told[row["digest"]] = row["projection"], row["code"]
        field.since = answer.json["cursor"]
        return answer.json["more"]

    def repair(self, field):
        """Find and mend what differs in the device's copy; how many documents that was."""
        before = dict(field.documents)
        copy = Copy(
            self.world.client, field.sim.headers, cursor=field.cursor, documents=field.documents
        )
        copy.repair()
        names = before.keys() | copy.documents.keys()
        return sum(before.get(name) != copy.documents.get(name) for name in names)

    def _finish_reading(self, field):
        while self.outcomes(field, limit=500):
            pass
        while not field.revoked:
            page = self.page(field, field.cursor, 500)
            field.apply(page)
            if not page["more"]:
                return

    def _prove(self, field, first, second):
        answer = self.world.client.get(
            "/api/v1/ledger/consistency",
            query_string={"first": first, "second": second},
            headers=field.sim.headers,
        )
        assert answer.status_code == 200, answer.text
        return answer.json["path"]


def _body(lines):
    return b"".join(line.to_bytes() + b"\n" for line in lines)
