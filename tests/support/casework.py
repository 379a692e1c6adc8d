"""A small case in a real installation: two devices, interleaved inspections, media of all fates."""

import base64
import hashlib
from dataclasses import dataclass, field, replace

from sqlalchemy import create_engine, insert, select

from server.db import reading, transaction
from server.models import Base
from server.models.inspections import EvidencePackage
from server.models.people import Officer, Person
from server.operations import export, media_checks, review
from server.operations.access import Actor
from server.operations.export.asked import AS_USUAL
from sync.evidence.verifier import verify_package
from tests.support import draw
from tests.support.simdevice import new_id


def jpeg(number):
    """A photo of the morning; each number has bytes of its own."""
    return draw.photo(
        draw.exif(taken=f"2026:05:04 09:00:{20 + number}", zone="+08:00"), size=(64, 48 + number)
    )


@dataclass
class PackageDesk:
    """Asks for packages of ``world``'s inspections and has them built."""

    world: object

    def request(self, inspection, asked=AS_USUAL):
        """Queue a package; what the evidence of a test lacks does not matter."""
        asked = replace(asked, despite=asked.despite or "测试")
        with self.world.app.app_context(), transaction() as session:
            return export.request_package(
                session,
                inspection_id=inspection,
                person_id=self.world.persons[0],
                reason="移送公安机关",
                now_ms=self.world.now_ms,
                asked=asked,
            )

    def requeue(self, package_id):
        """As if the worker had been killed while building."""
        with self.world.app.app_context(), transaction() as session:
            session.get_one(EvidencePackage, package_id).state = "building"

    def build(self, package_id):
        """Build one package and return its row."""
        with self.world.app.app_context():
            export.build_package(self.world.services, package_id)
            with reading() as session:
                row = session.get_one(EvidencePackage, package_id)
                session.expunge_all()
                return row

    def bytes_of(self, row):
        return b"".join(export.open_package(self.world.services.store, row))


@dataclass
class Case(PackageDesk):
    """Two officers' devices; ``first`` also has lines of another inspection in its journal.

    ``checked`` has the worker's readers look at the media, which takes seconds.
    """

    checked: bool = False
    items: dict = field(default_factory=dict)
    media: dict = field(default_factory=dict)

    def __post_init__(self):
        world = self.world
        self.first = world.on_patrol()
        self.inspection = self.first.inspection
        self.other = new_id()
        officer = world.officers[0]
        self.first.write(
            "inspection.opened", officer=officer, inspection=self.other, officers=world.officers
        )
        self.secret = "another case's text"
        self.first.write("note.added", officer=officer, inspection=self.other, text=self.secret)
        for number, name in enumerate(("outfall", "gauge", "pocket", "unsent")):
            self.capture(self.first, name, jpeg(number))
        self.first.write(
            "media.discarded",
            officer=officer,
            inspection=self.inspection,
            item=self.items["pocket"],
            reason="误拍口袋",
        )
        self.second = world.on_patrol(self.inspection)
        self.capture(self.second, "yard", jpeg(5))
        self.second.write(
            "record.saved",
            officer=world.officers[1],
            inspection=self.inspection,
            record=new_id(),
            template={"id": "site_inspection_record", "version": 1},
            fields={"findings": "排口有水流出"},
            base=[],
        )
        for device in (self.first, self.second):
            assert world.push(device).status_code == 200
        for name in ("outfall", "gauge", "pocket", "yard"):
            self.upload(name)
        if self.checked:
            with world.app.app_context():
                media_checks.check_waiting_items(world.services)

    def capture(self, device, name, data):
        self.items[name], self.media[name] = new_id(), data
        device.write(
            "media.captured",
            officer=self.world.officers[0],
            inspection=self.inspection,
            item=self.items[name],
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            media_type="image/jpeg",
            title=name,
            fact_to_prove="排污口位置",
            pos={"lat": 225431000, "lon": 1140579000, "acc": 500, "fix_ms": device.now_ms},
            **{"class": "B"},
        )

    def upload(self, name):
        data = self.media[name]
        digest = hashlib.sha256(data).hexdigest()
        tus = {**self.first.headers, "Tus-Resumable": "1.0.0"}
        made = self.world.client.post(
            "/api/v1/uploads",
            headers={
                **tus,
                "Upload-Length": str(len(data)),
                "Upload-Metadata": "sha256 " + base64.b64encode(digest.encode()).decode(),
            },
        )
        sent = self.world.client.patch(
            made.headers["Location"].removeprefix("http://localhost"),
            data=data,
            headers={
                **tus,
                "Upload-Offset": "0",
                "Content-Type": "application/offset+octet-stream",
            },
        )
        assert sent.status_code == 204, sent.text

    def person(self, name):
        row = Person(id=new_id(), name=name)
        person_id = row.id
        with self.world.app.app_context(), transaction() as session:
            session.add(row)
        return person_id

    def judge(self, name, verdict):
        """A reviewer's word on one item."""
        actor = Actor(
            user_id=new_id(),
            person_id=self.person("示例审核员"),
            name="示例审核员",
            organization_id=self.world.organization,
            roles=frozenset({"reviewer"}),
        )
        word = review.Word(verdict=verdict, reason="", seen=0)
        with self.world.app.app_context(), transaction() as session:
            review.judge(session, actor, self.items[name], word, now_ms=self.world.now_ms)

    def request(self, inspection=None, asked=AS_USUAL):
        return super().request(inspection or self.inspection, asked)


@dataclass
class Exporting:
    """Exports from ``world`` and keeps what the verifier said of the last package."""

    world: object
    folder: object
    result: object = None

    def package(self, inspection):
        """The bytes of a package that passes."""
        case = PackageDesk(self.world)
        row = case.build(case.request(inspection))
        assert row.state == "ready", row.failure
        data = case.bytes_of(row)
        path = self.folder / "exported.zip"
        path.write_bytes(data)
        self.result = verify_package(str(path))
        return data

    def codes(self, verdict):
        return {claim.code for claim in self.result.claims if claim.verdict is verdict}


def add_officer(world, name, certificate_no):
    """One more officer of the bureau; returns the id."""
    person, officer = new_id(), new_id()
    with world.app.app_context(), transaction() as session:
        session.add(Person(id=person, name=name))
        session.flush()
        session.add(
            Officer(
                id=officer,
                person_id=person,
                organization_id=world.organization,
                certificate_no=certificate_no,
                issuer="示范",
                valid_from="2024-01-01",
                valid_to="2030-12-31",
            )
        )
    return officer


def copy_rows(source_url, target_url):
    """Copy every row of one migrated database into another, as a move to PostgreSQL would."""
    source, target = create_engine(source_url), create_engine(target_url)
    with source.connect() as reading_, target.begin() as writing:
        for table in Base.metadata.sorted_tables:
            rows = [dict(row) for row in reading_.execute(select(table)).mappings()]
            if rows:
                writing.execute(insert(table), rows)
    source.dispose()
    target.dispose()
