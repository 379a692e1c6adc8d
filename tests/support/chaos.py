"""What devices, a reviewer and an administrator do, and everything that goes wrong with it.

Each rule is one step with all its choices drawn from ``rng``, so that the state
machine of the tests and the long run of ``scripts/bench chaos`` share them. The
oracle is what the devices signed and were promised (``tests/support/stage.py``).
"""

import hashlib

from tests.support.hostile import CLOCKS, HOSTILE
from tests.support.simdevice import new_id
from tests.support.simfield import SimField, photo
from tests.support.stage import FATES
from tests.support.upheaval import Upheaval

_YEAR_MS = 365 * 24 * 3_600_000
_FIELDS = ("findings", "weather", "outlets")


class Chaos(Upheaval):
    """The rules of the devices' side beside those of the bureau's."""

    def enrol(self, rng):
        """A further device, or the same one installed anew: another key, another identity."""
        world = self.world
        field = SimField(
            world.enrol(),
            receipt_keys=self.receipt_keys,
            ledger_keys=self.ledger_keys,
        )
        field.keep(field.sim.open_epoch())
        for officer in world.officers[: rng.choice((1, 2, 2, 2))]:
            field.open_session(officer)
        self.fields.append(field)

    def open_inspection(self, rng):
        """Open a visit, or join one that another device has opened."""
        field = rng.choice(self.fields)
        known = [name for other in self.fields for name in other.inspections]
        inspection = rng.choice(known) if known and rng.random() < 0.4 else new_id()
        field.write(
            "inspection.opened",
            officer=self.world.officers[0],
            inspection=inspection,
            officers=self.world.officers,
            **({"task": self.world.task} if rng.random() < 0.5 else {}),
        )
        field.inspections.append(inspection)

    def edit(self, rng):
        """Save a field of a record, having seen some of the earlier revisions."""
        field, inspection = self._at_work(rng)
        seen = [line.digest for line in field.sim.lines if line.act.get("inspection") == inspection]
        field.write(
            "record.saved",
            officer=rng.choice(self.world.officers),
            inspection=inspection,
            record=new_id() if rng.random() < 0.3 else inspection,
            template={"id": "site_inspection_record", "version": rng.choice((1, 1, 1, 2, 99))},
            fields={rng.choice(_FIELDS): str(rng.randrange(4))},
            base=rng.sample(seen, min(len(seen), rng.randrange(3))),
        )

    def note(self, rng):
        field, inspection = self._at_work(rng)
        kind = rng.choice(("note.added", "addendum.added", "future.act"))
        field.write(kind, officer=self.world.officers[0], inspection=inspection, text="补充")

    def capture(self, rng):
        """Announce a photo; its bytes follow with ``upload``."""
        field, inspection = self._at_work(rng)
        item, data = new_id(), photo(rng)
        field.media[item] = data
        field.write(
            "media.captured",
            officer=self.world.officers[0],
            inspection=inspection,
            item=item,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            media_type="image/jpeg",
            **{"class": rng.choice("ABC")},
        )

    def discard(self, rng):
        field, inspection = self._at_work(rng)
        item = rng.choice([*field.media, new_id()])
        field.write(
            "media.discarded",
            officer=self.world.officers[0],
            inspection=inspection,
            item=item,
            reason="误拍",
        )

    def seal(self, rng):
        field, inspection = self._at_work(rng)
        acts = [line for line in field.sim.lines if line.act.get("inspection") == inspection]
        head = field.sim.head
        field.write(
            "inspection.sealed",
            officer=self.world.officers[0],
            inspection=inspection,
            revisions=[line.digest for line in acts if line.act["type"] == "record.saved"],
            media=[line.act["sha256"] for line in acts if line.act["type"] == "media.captured"],
            heads=[
                {
                    "device": field.sim.id,
                    "epoch": field.sim.epoch,
                    "seq": head.next_seq - 1,
                    "head": head.digest,
                }
            ],
        )

    def hostile(self, rng):
        """A signed act that no client would write, or a time that no clock shows."""
        field, inspection = self._at_work(rng)
        field.sim.inspection = inspection
        act = HOSTILE[rng.choice(sorted(HOSTILE))](field.sim, self.world)
        if rng.random() < 0.3:
            line = field.sim.forge([act], t=CLOCKS[rng.choice(sorted(CLOCKS))])
            field.sim.head = type(field.sim.head)(
                field.sim.id, field.sim.epoch, line.header.seq + 1, line.digest
            )
            field.sim.lines.append(field.keep(line))
        else:
            field.write_parts(act)

    def jump(self, rng):
        """A clock leaps up to ten years, forth or back: first a device's, then the server's."""
        field = rng.choice(self.fields)
        field.sim.now_ms = max(1, field.sim.now_ms + rng.randint(-10 * _YEAR_MS, 10 * _YEAR_MS))
        self.world.now_ms += rng.choice((1, 1000, 60_000))

    def new_epoch(self, rng):
        field = rng.choice(self.fields)
        count = rng.choice((0, 1, 2))
        field.open_epoch(self.world.officers[:count], rng.choice(("reinstalled", "refused")))

    def fork(self, rng):
        """A device goes on from an old backup of itself."""
        field = rng.choice(self.fields)
        if len(field.sim.lines) > 2:
            field.fork_at(rng.randrange(1, len(field.sim.lines)))
            field.write("party.response", number=rng.randrange(1000))

    def push(self, rng):
        """Send part of a chain; the network or the server's process may fail on the way."""
        field = rng.choice(self.fields)
        chain = field.sim if rng.random() < 0.7 else rng.choice(field.chains)
        start = rng.randrange(len(chain.lines)) if rng.random() < 0.2 else self._next(chain)
        lines = chain.lines[start : start + rng.choice((1, 3, 50))]
        self.exchange(field, chain, lines, rng)

    def garbage(self, rng):
        """Bytes that are no line: refused, kept once, and no harm to the chain."""
        field = rng.choice(self.fields)
        forged = field.sim.lines[0].to_bytes().replace(b'"seq":0', b'"seq":1')
        wrong = rng.choice((b"{}", b"\xff\xfe", b"[" * 300, b'{"b":1}', b"", forged))
        answer = self.post(field, field.sim, wrong + b"\n")
        assert answer.status_code == 200, answer.text
        assert [row["journal"] for row in answer.json["results"]] == ["refused"]

    def upload(self, rng):
        field = rng.choice([field for field in self.fields if field.media] or self.fields)
        if field.media:
            self.send_bytes(field, rng.choice(list(field.media.values())), rng.choice(FATES))

    def pull(self, rng):
        """Fetch a page; a lost one is fetched again from the same cursor."""
        field = rng.choice(self.fields)
        fate, limit = rng.choice(("well", "reply lost", "twice")), rng.choice((1, 3, 500))
        page = self.page(field, field.cursor, limit)
        if page is not None and fate != "reply lost":
            field.apply(page)
            if fate == "twice":
                field.apply(page)

    def ask_outcomes(self, rng):
        self.outcomes(rng.choice(self.fields), limit=rng.choice((1, 3, 500)))

    def _at_work(self, rng):
        field = rng.choice(self.fields)
        return field, rng.choice([*field.inspections, new_id()][:8])

    def _next(self, chain):
        """The first line of ``chain`` that is not promised yet: what a client would send."""
        promised = self._field_of(chain).promised
        for number, line in enumerate(chain.lines):
            if line.digest not in promised:
                return number
        return len(chain.lines) - 1

    def _field_of(self, chain):
        return next(field for field in self.fields if chain in field.chains)


#: Every rule with its weight in a long run.
RULES = {
    "enrol": 1,
    "open_inspection": 5,
    "edit": 12,
    "note": 6,
    "capture": 6,
    "discard": 2,
    "seal": 2,
    "hostile": 4,
    "jump": 3,
    "new_epoch": 2,
    "fork": 2,
    "push": 25,
    "garbage": 2,
    "upload": 5,
    "pull": 10,
    "ask_outcomes": 5,
    "publish": 5,
    "withdraw": 2,
    "compact": 1,
    "publish_forms": 1,
    "hand_over": 3,
    "revoke": 1,
    "judge": 3,
    "decide": 4,
    "checkpoint": 4,
    "damage": 3,
    "back_up": 2,
    "put_back": 2,
}
