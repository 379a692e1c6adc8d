"""A case whose term has ended, and the two people who may have it erased."""

from dataclasses import dataclass, field

from sqlalchemy import select

from server.db import reading, transaction
from server.models import Base
from server.operations import erasure
from server.operations.access import Actor
from server.operations.erasure import Request, Terms
from tests.support.casework import Case
from tests.support.simdevice import new_id

YEAR_MS = 366 * 86_400_000

LAW = "档案法第三十一条"
BASIS = "保管期限届满，鉴定无继续保存价值"


@dataclass
class Eraser:
    """An administrator and a leader of ``world``'s bureau, and the worker."""

    world: object
    case: Case
    administrator: Actor = field(init=False)
    leader: Actor = field(init=False)

    def __post_init__(self):
        self.administrator = self.person("administrator")
        self.leader = self.person("leader")

    def person(self, *roles, name="某"):
        return Actor(
            user_id=new_id(),
            person_id=self.case.person(f"{roles[0]}{name}"),
            name=f"{roles[0]}{name}",
            organization_id=self.world.organization,
            roles=frozenset(roles),
        )

    @property
    def terms(self):
        return Terms.of(self.world.settings)

    def wait(self, years=31):
        self.world.now_ms += years * YEAR_MS

    def do(self, operation, *arguments, **more):
        with self.world.app.app_context(), transaction() as session:
            return operation(session, *arguments, now_ms=self.world.now_ms, **more)

    def listed(self, unit="inspection", inspection=None):
        with self.world.app.app_context(), reading() as session:
            page = erasure.read_unit(
                session,
                self.administrator,
                inspection or self.case.inspection,
                self.terms,
                now_ms=self.world.now_ms,
            )
        return next((one for one in page.lists if one.unit == unit), None)

    def request(self, unit="inspection", *, actor=None, inspection=None, seen=None):
        listed = self.listed(unit, inspection)
        count = len(listed.items) if listed else 0
        return self.do(
            erasure.request_erasure,
            actor or self.administrator,
            inspection or self.case.inspection,
            Request(unit=unit, basis=BASIS, law=LAW, seen=count if seen is None else seen),
            terms=self.terms,
        )

    def approve(self, order, *, actor=None):
        self.do(erasure.decide, actor or self.leader, order, "approved", word="", terms=self.terms)

    def carry_out(self, order):
        with self.world.app.app_context():
            return erasure.carry_out(self.world.services, order)

    def erase(self, unit="inspection"):
        """Ask, approve, carry out; returns the order's id."""
        order = self.request(unit)
        self.approve(order)
        assert self.carry_out(order) == "done"
        return order


def tables_with(world, needle):
    """The names of all tables in which ``needle`` stands in some column, read whole."""
    found = set()
    wanted = needle.encode()
    with world.app.app_context(), reading() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table)):
                values = (v if isinstance(v, bytes) else str(v).encode() for v in row)
                if any(wanted in value for value in values):
                    found.add(table.name)
    return found
