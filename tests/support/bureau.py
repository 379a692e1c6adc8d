"""A bureau with one enrolled device and an upload desk, and nothing else around it."""

import base64
import hashlib
import json
import uuid
from dataclasses import dataclass, field

from flask import Flask
from flask_smorest import Api

from media.s3 import S3Store
from media.store import Store
from server import clock, errors, jobs, services
from server import db as database
from server.api import uploads as uploads_api
from server.db import db, reading, transaction
from server.models import Base
from server.models.devices import Device, DeviceKey, DeviceToken
from server.models.inspections import EvidenceItem
from server.models.ledger import LedgerEvent
from server.models.people import Organization
from server.operations import installation
from server.services import Services, open_services
from server.settings import Settings

TUS = {"Tus-Resumable": "1.0.0"}
TOKEN = "a-token-of-the-first-device"


def environment(data_dir, s3=None, **more):
    """The variables of an installation in ``data_dir``."""
    return {
        "LIUHEN_DATA": str(data_dir),
        "LIUHEN_SECRET_KEY": "s" * 32,
        "LIUHEN_S3_ENDPOINT": s3.endpoint if s3 else "http://127.0.0.1:9",
        "LIUHEN_S3_ACCESS_KEY": s3.access_key if s3 else "a",
        "LIUHEN_S3_SECRET_KEY": s3.secret_key if s3 else "b",
        "LIUHEN_S3_BUCKET": s3.bucket if s3 else "none",
        # How full the disk of whoever runs the tests is decides nothing.
        "LIUHEN_RECORDINGS_STOP_PERCENT": "0",
        **more,
    }


def upload_app(settings: Settings, store: Store | None = None, now_ms=clock.now_ms) -> Flask:
    """The upload part of the real application over an existing database."""
    app = Flask("server", static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(settings.database_url),
        API_TITLE="test",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
    )
    db.init_app(app)
    with app.app_context():
        database.configure_sqlite(db.engine)
        with reading() as session:
            origin = installation.origin_of(session) or "test/none"
    parts = open_services(settings, origin=origin)
    services.install(
        app,
        Services(
            settings=settings,
            store=store or parts.store,
            ledger_signer=parts.ledger_signer,
            receipt_signer=parts.receipt_signer,
            carrier_key=parts.carrier_key,
            now_ms=now_ms,
        ),
    )
    jobs.install(app, settings)
    Api(app).register_blueprint(uploads_api.bp)
    errors.register(app)
    return app


def lay_out(settings: Settings) -> tuple[str, str]:
    """Tables, keys, ledger, one organisation and one device with ``TOKEN``; answers their ids."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    installation.make_keys(settings)
    app = Flask("setup")
    app.config.update(SQLALCHEMY_DATABASE_URI=settings.database_url)
    db.init_app(app)
    organization = str(uuid.uuid4())
    with app.app_context():
        database.configure_sqlite(db.engine)
        Base.metadata.create_all(db.engine)
        with transaction() as session:
            installation.open_first_generation(session, settings, now_ms=clock.now_ms())
            add_organization(session, organization)
        device = add_device(organization, TOKEN)
        db.engine.dispose()
    return organization, device


def add_organization(session, organization: str) -> None:
    session.add(Organization(id=organization, name="局", kind="authority", division_code="1"))


def add_device(organization: str, token: str) -> str:
    """An enrolled device of ``organization`` with a valid token."""
    device, key_id = str(uuid.uuid4()), uuid.uuid4().hex * 2
    with transaction() as session:
        session.add(
            Device(
                id=device,
                organization_id=organization,
                kind="phone",
                serial="1",
                name="机",
                enrolled_at_ms=0,
            )
        )
        session.flush()
        session.add(
            DeviceKey(key_id=key_id, device_id=device, spki=b"", enrolled_at_ms=0, enrolled_index=0)
        )
        session.flush()
        session.add(
            DeviceToken(
                token_hash=hashlib.sha256(token.encode()).hexdigest(),
                key_id=key_id,
                device_id=device,
                expires_at_ms=1 << 60,
            )
        )
    return device


def metadata(data: bytes, **more: bytes) -> str:
    """``Upload-Metadata`` that announces the digest of ``data``."""
    pairs = {"sha256": hashlib.sha256(data).hexdigest().encode(), **more}
    return ",".join(f"{key} {base64.b64encode(value).decode()}" for key, value in pairs.items())


@dataclass
class Bureau:
    """Speaks to ``app`` as the enrolled device."""

    app: Flask
    organization: str
    device: str
    token: str = TOKEN
    lines: int = field(default=0)

    def request(self, method, path, data=b"", **headers):
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        return self.app.test_client().open(
            path,
            method=method,
            data=data,
            headers={"Authorization": f"Bearer {self.token}", **TUS, **named},
        )

    def create(self, data, length=None, **headers):
        """Open an upload for ``data``; answers its path."""
        answer = self.request(
            "POST",
            "/api/v1/uploads",
            Upload_Length=len(data) if length is None else length,
            Upload_Metadata=metadata(data),
            **headers,
        )
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"].removeprefix("http://localhost")

    def patch(self, path, data, offset, **headers):
        headers.setdefault("Content_Type", "application/offset+octet-stream")
        return self.request("PATCH", path, data, Upload_Offset=offset, **headers)

    def offset(self, path):
        answer = self.request("HEAD", path)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["Upload-Offset"])

    def item(self, sha256, size):
        """The values of an item that a journal line of this device has announced."""
        self.lines += 1
        return {
            "id": str(uuid.uuid4()),
            "organization_id": self.organization,
            "device_id": self.device,
            "epoch": uuid.uuid4().hex,
            "branch": "",
            "seq": self.lines,
            "line_digest": "0" * 64,
            "officer_id": str(uuid.uuid4()),
            "capture_class": "A",
            "sha256": sha256,
            "size": size,
            "media_type": "image/jpeg",
            "name": "p.jpg",
            "title": "",
            "fact_to_prove": "",
            "method": "",
            "captured_at_ms": 0,
            "tz_min": 480,
            "state": "captured",
            "check_wanted": False,
            "discard_reason": "",
            "outside_seal": False,
        }

    def announce(self, data):
        """As if a journal line had named the digest of ``data``."""
        with self.app.app_context(), transaction() as session:
            item = self.item(hashlib.sha256(data).hexdigest(), len(data))
            session.add(EvidenceItem(**item))

    def colleague(self):
        """A device of another organisation at the same server."""
        organization = str(uuid.uuid4())
        with self.app.app_context():
            with transaction() as session:
                add_organization(session, organization)
            device = add_device(organization, organization)
        return Bureau(self.app, organization, device, token=organization)

    def row(self, kind, key):
        with self.app.app_context(), reading() as session:
            row = session.get(kind, key)
            return (
                None if row is None else {c.key: getattr(row, c.key) for c in row.__mapper__.attrs}
            )

    def events(self, *kinds):
        """The ledger's events of ``kinds``, oldest first."""
        with self.app.app_context(), reading() as session:
            rows = session.query(LedgerEvent).order_by(LedgerEvent.index)
            return [json.loads(row.event) for row in rows if row.kind in kinds]


def s3_store(s3) -> S3Store:
    return S3Store(s3.address())
