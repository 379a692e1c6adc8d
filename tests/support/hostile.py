"""Acts that no device of ours would write: each is signed all right and wrong inside."""

from sync.evidence.line import DeviceTime
from tests.support.simdevice import new_id

BIG = 2**53 - 1


def media(device, world, **fields):
    return {
        "type": "media.captured",
        "officer": world.officers[0],
        "inspection": device.inspection,
        "item": new_id(),
        "sha256": "a" * 64,
        "size": 5,
        "media_type": "image/jpeg",
        "class": "A",
        **fields,
    }


def record(device, world, **fields):
    return {
        "type": "record.saved",
        "officer": world.officers[0],
        "inspection": device.inspection,
        "record": new_id(),
        "template": {"id": "site_inspection_record", "version": 1},
        "fields": {"a": "b"},
        "base": [],
        **fields,
    }


def opened(device, world, **fields):
    return {
        "type": "inspection.opened",
        "officer": world.officers[0],
        "inspection": new_id(),
        "officers": world.officers,
        **fields,
    }


def sealed(device, world, **fields):
    return {
        "type": "inspection.sealed",
        "officer": world.officers[0],
        "inspection": device.inspection,
        "revisions": [],
        "media": [],
        "heads": [],
        **fields,
    }


HOSTILE = {
    "nul title": lambda d, w: media(d, w, title="a\0b"),
    "nul name": lambda d, w: media(d, w, name="a\0b"),
    "nul type": lambda d, w: media(d, w, media_type="a\0b"),
    "nul fact": lambda d, w: media(d, w, fact_to_prove="a\0b", method="\0"),
    "long": lambda d, w: media(d, w, name="长" * 3000, title="x" * 5000, media_type="t" * 500),
    "size": lambda d, w: media(d, w, size=BIG),
    "pos": lambda d, w: media(d, w, pos={"lat": BIG, "lon": True, "acc": -BIG, "fix_ms": -BIG}),
    "pos list": lambda d, w: media(d, w, pos=[1, 2]),
    "class": lambda d, w: media(d, w, **{"class": "\0"}),
    "sha nul": lambda d, w: media(d, w, sha256="\0" * 64),
    "sha newline": lambda d, w: media(d, w, sha256="a" * 63 + "\n"),
    "item list": lambda d, w: media(d, w, item="\0"),
    "inspection dict": lambda d, w: media(d, w, inspection={}),
    "inspection nul": lambda d, w: media(d, w, inspection="\0"),
    "officer list": lambda d, w: media(d, w, officer=[w.officers[0]]),
    "officer nul": lambda d, w: media(d, w, officer="\0"),
    "template version": lambda d, w: record(d, w, template={"id": "a", "version": BIG}),
    "template negative": lambda d, w: record(d, w, template={"id": "a", "version": -BIG}),
    "template nul": lambda d, w: record(d, w, template={"id": "a\0", "version": 1}),
    "template empty": lambda d, w: record(d, w, template={}),
    "fields nul": lambda d, w: record(d, w, fields={"a\0": "\0"}),
    "fields deep": lambda d, w: record(d, w, fields={"a": [{"b": [{"c": {}}]}]}, base=[{}, 1]),
    "record id": lambda d, w: record(d, w, record="\0"),
    "officers dict": lambda d, w: opened(d, w, officers=[{}]),
    "officers nul": lambda d, w: opened(d, w, officers=["\0"]),
    "officers twice": lambda d, w: opened(d, w, officers=w.officers[:1] * 2),
    "officers none": lambda d, w: opened(d, w, officers=[]),
    "task nul": lambda d, w: opened(d, w, task="\0"),
    "task dict": lambda d, w: opened(d, w, task={}),
    "entity nul": lambda d, w: opened(d, w, entity="\0" * 100),
    "title nul": lambda d, w: opened(d, w, title="\0", purpose="\0"),
    "seal heads nul": lambda d, w: sealed(
        d, w, heads=[{"device": "\0", "epoch": "\0", "seq": BIG, "head": "\0"}]
    ),
    "seal heads": lambda d, w: sealed(d, w, heads=[1, {}, [], "x"], media=[{}], revisions=[[]]),
    "session nul": lambda d, w: {
        "type": "session.opened",
        "officer": w.officers[0],
        "session": "\0",
        "method": "\0",
        "certificate_no": "\0",
    },
    "session method nul": lambda d, w: {
        "type": "session.opened",
        "officer": w.officers[0],
        "session": new_id(),
        "method": "\0",
        "certificate_no": "\0",
    },
    "session officer nul": lambda d, w: {
        "type": "session.opened",
        "officer": "\0",
        "session": new_id(),
        "method": "pin",
        "certificate_no": "1",
    },
    "close nul": lambda d, w: {
        "type": "session.closed",
        "officer": w.officers[0],
        "session": "\0",
    },
    "clock": lambda d, w: {
        "type": "clock.compared",
        "server_ms": BIG,
        "offset_ms": -BIG,
        "error_ms": BIG,
    },
    "type nul": lambda d, w: {"type": "\0" * 64},
    "discard nul": lambda d, w: {
        "type": "media.discarded",
        "officer": w.officers[0],
        "inspection": d.inspection,
        "item": new_id(),
        "reason": "\0",
    },
    "kept": lambda d, w: {"type": "position.track", "inspection": [], "rows": [[BIG]]},
}


CLOCKS = {
    "far clock": DeviceTime(BIG, BIG, "b", BIG),
    "negative clock": DeviceTime(-BIG, 0, "b", -BIG),
    "last clock": DeviceTime(253_402_300_799_999, 0, "b", 1440),
}
