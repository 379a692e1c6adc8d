"""An installed application with one bureau, two officers and a clock that the test moves."""

import json
from dataclasses import dataclass, field

from media.store import Store
from server.app import create_app, create_database_app
from server.db import reading, transaction
from server.models.inspections import RegulatedEntity, Task, TaskOfficer, TemplateVersion
from server.models.people import Officer, Organization, Person
from server.operations import enrolment, forms, installation, ledger
from server.services import Services, open_services
from server.settings import Settings
from sync import wire
from sync.evidence.encoding import to_b64url
from tests.support.bureau import environment
from tests.support.simdevice import MORNING_MS, SimDevice, new_id


@dataclass
class World:
    """The real application over a fresh database; ``now_ms`` is the server's clock."""

    settings: Settings
    store: Store | None = None
    now_ms: int = MORNING_MS + 3_600_000
    organization: str = field(default_factory=new_id)
    officers: list[str] = field(default_factory=list)
    persons: list[str] = field(default_factory=list)
    entity: str = field(default_factory=new_id)
    task: str = field(default_factory=new_id)

    def __post_init__(self):
        base = create_database_app(self.settings)
        with base.app_context():
            installation.make_keys(self.settings)
            with transaction() as session:
                origin = installation.open_first_generation(
                    session, self.settings, now_ms=self.now_ms - 1000
                )
                self._settle(session)
                parts = open_services(self.settings, origin=origin)
                ledger.sign_checkpoint(session, parts.ledger_signer, now_ms=self.now_ms - 1000)
        self.services = Services(
            settings=self.settings,
            store=self.store or parts.store,
            ledger_signer=parts.ledger_signer,
            receipt_signer=parts.receipt_signer,
            carrier_key=parts.carrier_key,
            now_ms=lambda: self.now_ms,
            clock_state=lambda: "synchronised",
        )
        self.app = create_app(self.settings, services=self.services)
        self.client = self.app.test_client()

    def _settle(self, session):
        session.add(
            Organization(
                id=self.organization,
                name="示范区生态环境分局",
                kind="dispatched",
                division_code="000000",
            )
        )
        session.flush()
        for number in (1, 2):
            person, officer = new_id(), new_id()
            session.add(Person(id=person, name=f"示例检查员{number}"))
            session.flush()
            session.add(
                Officer(
                    id=officer,
                    person_id=person,
                    organization_id=self.organization,
                    certificate_no=f"示例00{number}",
                    issuer="示范",
                    valid_from="2024-01-01",
                    valid_to="2030-12-31",
                )
            )
            self.persons.append(person)
            self.officers.append(officer)
        session.add(
            RegulatedEntity(
                id=self.entity,
                organization_id=self.organization,
                name="示例化工有限公司",
                uscc="",
                address="示范路1号",
                lat_e7=225431000,
                lon_e7=1140579000,
                radius_cm=30000,
            )
        )
        session.flush()
        session.add(
            Task(
                id=self.task,
                organization_id=self.organization,
                title="日常检查",
                source="plan",
                kind="daily",
                launch_mode="routine",
                entity_id=self.entity,
                state="assigned",
            )
        )
        # As if published: the feed of a world holds only what its test puts there.
        form = next(one for one in forms.shipped_forms() if one["id"] == "site_inspection_record")
        session.add(
            TemplateVersion(
                organization_id=self.organization,
                id="site_inspection_record",
                version=1,
                in_force_from="2021-07-15",
                body=json.dumps(form),
                published_at_ms=self.now_ms,
                generation=1,
                ledger_index=0,
            )
        )
        session.flush()
        session.add_all(TaskOfficer(task_id=self.task, officer_id=o) for o in self.officers)

    def code(self, valid_ms=60_000, organization=None):
        """A fresh enrolment code."""
        with self.app.app_context(), transaction() as session:
            return enrolment.issue_code(
                session,
                organization_id=organization or self.organization,
                issued_by=self.persons[0],
                now_ms=self.now_ms,
                valid_ms=valid_ms,
            )

    def enrol(self, device=None, organization=None):
        """An enrolled device whose bearer header is in ``device.headers``."""
        device = device or SimDevice()
        code = self.code(organization=organization)
        answer = self.client.post("/api/v1/enrolments", json=device.enrolment(code))
        assert answer.status_code == 201, answer.text
        device.enrolled = answer.json
        device.headers = {"Authorization": f"Bearer {self.token(device)}"}
        return device

    def token(self, device):
        nonce = self.client.post("/api/v1/nonces", json={"key_id": device.key_id}).json["nonce"]
        proof = wire.token_proof(
            nonce=nonce, key_id=device.key_id, origin=self.services.ledger_signer.name
        )
        answer = self.client.post(
            "/api/v1/tokens",
            json={
                "key_id": device.key_id,
                "nonce": nonce,
                "signature": to_b64url(device.sign(proof)),
            },
        )
        assert answer.status_code == 201, answer.text
        return answer.json["token"]

    def push(self, device, body=None, **headers):
        """Push ``body``, or all the device's lines."""
        return self.client.post(
            f"/api/v1/journal/{device.id}/{device.epoch}",
            data=device.body() if body is None else body,
            headers={**device.headers, **headers},
            content_type="application/x-ndjson",
        )

    def on_patrol(self, inspection=None):
        """An enrolled device with both officers' sessions and an open inspection in its journal."""
        device = self.enrol()
        device.open_epoch()
        for officer in self.officers:
            device.open_session(officer)
        device.inspection = inspection or new_id()
        device.write(
            "inspection.opened",
            officer=self.officers[0],
            inspection=device.inspection,
            officers=self.officers,
            task=self.task,
        )
        return device

    def rows(self, table, **where):
        """All rows of a table, detached."""
        with self.app.app_context(), reading() as session:
            found = session.query(table).filter_by(**where).all()
            session.expunge_all()
            return found


def make_world(database_url, data_dir, s3=None, store=None):
    """A world over a migrated database."""
    settings = Settings.from_env(environment(data_dir, s3, LIUHEN_DATABASE_URL=database_url))
    return World(settings, store=store)
