"""People at the console, and one inspection worth looking at."""

import hashlib
import re
import zlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from argon2 import PasswordHasher

from server.db import transaction
from server.models.base import position_of
from server.models.people import Organization, Person
from server.models.uploads import MediaObject
from server.operations import access, ledger, media_checks, people
from server.operations.access import hash_password
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.line import Anchor
from sync.evidence.note import parse_note
from tests.support import draw
from tests.support.simdevice import MORNING_MS, new_id
from tests.support.stores import MemoryStore
from tests.support.world import make_world

PASSWORD = "a sentence long enough"
ROLES = ("officer", "reviewer", "leader", "administrator", "supervisor")
#: Ten minutes after the server that the device enrolled with was installed.
CAPTURED_AT_MS = MORNING_MS + 4_200_000
ITEM_TITLES = ("废水总排口", "在线监测站房", "雨水沟", "误拍地面", "危废暂存间", "现场录像")


def console_world(database_url, folder):
    """A world whose originals lie in memory, with an account for each role."""
    # At full strength each of the many logins here would take a tenth of a second and 64 MiB.
    access._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    world = make_world(database_url, folder, store=MemoryStore())
    with world.app.app_context(), transaction() as session:
        world.hash = hash_password(PASSWORD)
        world.users = {
            role: add_user(session, world.organization, role, (role,), world.now_ms, world.hash)
            for role in ROLES
        }
    return world


def add_user(session, organization, username, roles, now_ms, password_hash, person=None):
    """An account whose password is :data:`PASSWORD`; answers the person's id."""
    from server.models.people import User

    person = person or people.create_person(session, f"{username}某")
    people.create_user(
        session,
        organization_id=organization,
        person_id=person,
        username=username,
        roles=roles,
        by={"server": "installation"},
        now_ms=now_ms,
    )
    user = session.query(User).filter_by(username=username).one()
    user.password_hash, user.must_change_password = password_hash, False
    return person


def add_stranger(world):
    """An account with every role, but of another organisation."""
    with world.app.app_context(), transaction() as session:
        other = Organization(id=new_id(), name="邻区分局", kind="dispatched", division_code="1")
        session.add(other)
        session.flush()
        add_user(session, other.id, "stranger", ROLES, world.now_ms, world.hash)


@dataclass
class Visitor:
    """A browser at the console: keeps cookies, copies form tokens, follows what it is told."""

    world: object
    client: object = field(default=None)

    def __post_init__(self):
        self.client = self.world.app.test_client()

    def get(self, path, headers=None, **more):
        return self.client.get(path, headers={"Accept": "text/html", **(headers or {})}, **more)

    def post(self, path, form=None, page="/", **more):
        """Post ``form`` with the token that ``page`` carries."""
        return self.client.post(path, data={**(form or {}), "csrf_token": self.token(page)}, **more)

    def token(self, page="/"):
        found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', self.get(page).text)
        return found[1] if found else ""

    def log_in(self, username, password=PASSWORD):
        return self.post("/login", {"username": username, "password": password}, page="/login")


def visitor(world, username=None):
    """A browser, logged in as ``username`` if one is given."""
    browser = Visitor(world)
    if username:
        answer = browser.log_in(username)
        assert answer.status_code == 303, answer.text
    return browser


@dataclass
class Case:
    """An inspection with items of every state; ids by the titles of :data:`ITEM_TITLES`."""

    inspection: str
    device: object
    items: dict
    bytes: dict


def make_case(world, pictures=None, recording=None, checked=True):
    """Two officers' patrol: three photos, one missing, one discarded, a recording, a record.

    With ``checked`` the worker has read the files and compared them.
    """
    device = world.on_patrol()
    device.now_ms = CAPTURED_AT_MS
    head = parse_checkpoint(parse_note(device.enrolled["checkpoint"]).text)
    device.anchor = Anchor(head.origin, head.size, head.root.hex())
    officer = world.officers[0]
    device.write("clock.compared", server_ms=device.now_ms + 1500, offset_ms=1500, error_ms=40)
    data = [
        *(pictures or (_picture(0), _picture(1), _picture(2), _picture(3), _picture(4))),
        recording or draw.movie(draw.mvhd(draw.seconds_1904(device.now_ms // 1000))),
    ]
    case = Case(inspection=device.inspection, device=device, items={}, bytes={})
    for title, content in zip(ITEM_TITLES, data, strict=True):
        film = title == "现场录像"
        case.items[title], case.bytes[title] = new_id(), content
        device.write(
            "media.captured",
            officer=officer,
            inspection=device.inspection,
            item=case.items[title],
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            media_type="video/mp4" if film else "image/jpeg",
            name=f"{title}.{'mp4' if film else 'jpg'}",
            title=title,
            fact_to_prove="" if title == "雨水沟" else f"{title}的现场状况",
            method="手持拍摄",
            pos={"lat": 225431000, "lon": 1140579000, "acc": 800, "fix_ms": device.now_ms},
            **{"class": "B"},
        )
    for value, base in (("废水清澈", []), ("废水呈乳白色", [])):
        device.write(
            "record.saved",
            officer=officer,
            inspection=device.inspection,
            record=case.inspection,
            template={"id": "site_inspection_record", "version": 1},
            fields={"findings": value, "weather": "晴", "certificates_shown": True},
            base=base,
        )
    device.write(
        "media.discarded",
        officer=officer,
        inspection=device.inspection,
        item=case.items["误拍地面"],
        reason="误触快门，画面为地面",
    )
    device.write("note.added", officer=new_id(), inspection=device.inspection, text="旁注")
    world.now_ms = CAPTURED_AT_MS + 1_800_000
    assert world.push(device).status_code == 200
    for title in ITEM_TITLES:
        if title != "危废暂存间":
            store(world, case.bytes[title])
    with world.app.app_context():
        if checked:
            media_checks.check_waiting_items(world.services)
        with transaction() as session:
            ledger.sign_checkpoint(session, world.services.ledger_signer, now_ms=world.now_ms)
    return case


def store(world, data):
    """Put bytes into the store as a finished upload would."""
    sha256 = hashlib.sha256(data).hexdigest()
    key = f"media/{sha256[:2]}/{sha256}"
    world.services.store.put_once(key, data, size=len(data), sha256=sha256)
    with world.app.app_context(), transaction() as session:
        session.add(
            MediaObject(
                sha256=sha256,
                size=len(data),
                crc32=zlib.crc32(data),
                key=key,
                status="stored",
                stored_at_ms=world.now_ms,
            )
        )
        session.flush()
        position = position_of(1, ledger.size(session))
        media_checks.item_bytes_arrived(session, sha256, position, world.now_ms)


def views(world):
    """The ``view`` events of the ledger, oldest first."""
    import json

    from server.models.ledger import LedgerEvent

    rows = world.rows(LedgerEvent, kind="view")
    return [json.loads(row.event) for row in sorted(rows, key=lambda row: row.index)]


def same_person(world, username):
    """The person behind an account."""
    return next(row for row in world.rows(Person) if row.id == world.users[username])


def path_of(answer):
    """Where a redirect leads, without the host."""
    parts = urlsplit(answer.headers["Location"])
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _picture(number):
    hour = 10 if number != 2 else 3
    return draw.photo(
        draw.exif(taken=f"2026:05:04 {hour:02d}:10:0{number}", zone="+08:00"),
        size=(640, 480),
        colour=("teal", "slategray", "peru", "black", "olive")[number],
    )
