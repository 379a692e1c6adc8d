"""A team on patrol: what its device says of one inspection, and the files that come in."""

import hashlib
import json

from server.console import show
from server.db import reading, transaction
from server.models.base import position_of
from server.models.inspections import Derivative, EvidenceItem, Inspection, MediaFacts
from server.models.uploads import MediaObject
from server.operations import ledger
from server.operations.inspection_doubts import inspection_doubts
from server.operations.media_checks import item_bytes_arrived
from sync.catalogue import LANGUAGES
from tests.support.simdevice import MORNING_MS, new_id

MINUTE = 60_000


class Team:
    """A device on patrol that says things of one inspection."""

    def __init__(self, world):
        self.world = world
        self.device = world.on_patrol()
        self.inspection = self.device.inspection
        self.officer = world.officers[0]

    def say(self, kind, **fields):
        fields.setdefault("officer", self.officer)
        return self.device.write(kind, inspection=self.inspection, **fields)

    def at(self, minute):
        self.device.now_ms = MORNING_MS + int(minute * MINUTE)

    def mark(self, *steps):
        for step in steps:
            line = self.say("step.marked", step=step)
        return line

    def photo(self, media_type="image/jpeg", **more):
        item = new_id()
        self.say(
            "media.captured",
            item=item,
            sha256=hashlib.sha256(item.encode()).hexdigest(),
            size=5,
            media_type=media_type,
            **{"class": "B"},
            **more,
        )
        return item

    def arrive(self, *items):
        """The bytes of pushed items come in."""
        with self.world.app.app_context(), transaction() as session:
            for item in items:
                sha256 = session.get_one(EvidenceItem, item).sha256
                index = ledger.append(
                    session,
                    "verify",
                    actor={"server": "uploads"},
                    subject={"sha256": sha256, "size": 5},
                    snapshot={},
                    about=(f"media:{sha256}",),
                    now_ms=self.world.now_ms,
                )
                session.add(
                    MediaObject(
                        sha256=sha256,
                        size=5,
                        crc32=0,
                        key=f"media/{sha256}",
                        status="stored",
                        stored_at_ms=self.world.now_ms,
                    )
                )
                session.flush()
                item_bytes_arrived(session, sha256, position_of(1, index), self.world.now_ms)

    def record(self, template, fields, record=None):
        return self.device.write_parts(
            {
                "type": "record.saved",
                "officer": self.officer,
                "inspection": self.inspection,
                "record": record or new_id(),
                "template": {"id": template, "version": 1},
                "fields": fields,
                "base": [],
            }
        )

    def run(self, start, stop, **more):
        recording = new_id()
        self.at(start)
        self.say("recording.started", recording=recording)
        self.at(stop)
        self.say("recording.stopped", recording=recording, **more)
        return recording

    def film(self, start, stop):
        """A recording that an app makes; its file is announced and yet to come."""
        self.at(stop)
        item = self.photo("video/mp4")
        self.run(start, stop, item=item)
        return item

    def push(self):
        answer = self.world.push(self.device)
        assert answer.status_code == 200, answer.text

    def whole(self, upto=None):
        """What is found; each finding has its sentence in both languages."""
        with self.world.app.app_context(), reading() as session:
            found = inspection_doubts(session, session.get_one(Inspection, self.inspection), upto)
        for doubt in found.doubts:
            for lang in LANGUAGES:
                assert "{" not in show.doubt_sentence(doubt, lang)
        return found

    def minutes(self, what="recorded"):
        """How long the visit was, or was recorded; each line takes a second to write."""
        coverage = self.whole().visit.coverage
        length_ms = coverage.recorded_ms if what == "recorded" else coverage.visit.length_ms
        return round(length_ms / MINUTE)

    def doubts(self, code=None):
        return [
            (one.code, one.evidence["expected"]["reason"])
            for one in self.whole().doubts
            if code in (None, one.code)
        ]


def facts(team, item, values=(), **more):
    """What our reader is to have read of an item's file."""
    plain = {
        "bytes_read": 0,
        "faults": [],
        "limits_hit": [],
        "mime": "video/mp4",
        "reader_version": "1",
        "size": 5,
        "type": "MP4",
        "values": [{"tag": tag, "raw": raw, "offset": 0, "size": 4} for tag, raw in values],
    }
    with team.world.app.app_context(), transaction() as session:
        session.add(
            MediaFacts(
                sha256=session.get_one(EvidenceItem, item).sha256,
                reader_version="1",
                facts=json.dumps({**plain, **more}),
                second="",
                read_at_ms=1,
                generation=1,
                ledger_index=0,
            )
        )


def import_film(team, name, minute, length_min, item=None):
    """A recorder's file whose container says, by a clock in local time, when it began."""
    item = item or new_id()
    team.say(
        "media.imported",
        item=item,
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size=5,
        media_type="Video/MP4",
        source={"path": name, "recorder": "DSJ00012"},
        **{"class": "C"},
    )
    local_s = (MORNING_MS + minute * MINUTE) // 1000 + 8 * 3600 + 2_082_844_800
    return item, (
        ("QuickTime:CreateDate", str(local_s)),
        ("QuickTime:Duration", f"{length_min * 60_000}/1000"),
    )


def played(team, item, played_ms):
    """Somebody has played the file, and it was so long."""
    with team.world.app.app_context(), transaction() as session:
        session.add(
            Derivative(
                source_sha256=session.get_one(EvidenceItem, item).sha256,
                purpose="poster",
                sha256="0" * 64,
                size=1,
                key="derived/0",
                made_with="ffmpeg",
                recipe=json.dumps({"played_ms": played_ms}),
            )
        )
