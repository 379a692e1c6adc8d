"""Records synced over a slow link that cuts exchanges at random bytes, against an unbroken one.

The server is the real one over HTTP; the link's time is simulated, its bytes are
counted. *Ideal* is what the same client sends and receives when nothing is cut.
"""

import argparse
import random
import tempfile
import uuid
from pathlib import Path

from bench.machine import machine
from bench.webserver import install, serving
from sync.client.device import Device
from tests.support.bureau import environment
from tests.support.narrowlink import LinkClock, NarrowLink
from tests.support.world import World

_TEXT_CHARACTERS = 105
_SYNCS = 200


def run(arguments: list[str]) -> dict[str, object]:
    """Sync ``--records`` twice: unbroken, and with a share ``--rate`` of exchanges cut."""
    parser = argparse.ArgumentParser(prog="scripts/bench badlink")
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=0.3)
    parser.add_argument("--bits-per-s", type=int, default=64_000)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder / "var")
        world = install(env)
        with serving(env) as web:

            def measured(rate: float, seed: int) -> dict[str, float]:
                clock = LinkClock(world.now_ms)
                link = NarrowLink(web.url, clock, seed=seed, bits_per_s=options.bits_per_s)
                with link, Device.open(folder / f"{rate}-{seed}", clock=clock) as device:
                    device.enrol(server=link.url, code=world.code(valid_ms=3_600_000))
                    fill(device, world, options.records)
                    return sync_all(device, link, clock, rate)

            ideal = measured(0.0, 0)
            cut = [measured(options.rate, seed) for seed in range(options.seeds)]
    return {
        "bench": "badlink",
        "records": options.records,
        "rate": options.rate,
        "bits_per_s": options.bits_per_s,
        "ideal": ideal,
        "cut": cut,
        "ratio": [round(run["bytes"] / ideal["bytes"], 3) for run in cut],
        "machine": machine(),
    }


def fill(device: Device, world: World, records: int) -> None:
    """An inspection with ``records`` records of about 1 KB, texts drawn from 90 characters."""
    draw, officer, inspection = random.Random(7), world.officers[0], str(uuid.uuid4())
    characters = [chr(0x4E00 + 37 * n) for n in range(90)]
    append = device._journal.append
    append(
        {
            "type": "session.opened",
            "officer": officer,
            "session": str(uuid.uuid4()),
            "method": "none",
            "certificate_no": "示例001",
        }
    )
    about = {"officer": officer, "inspection": inspection}
    append({"type": "inspection.opened", **about, "officers": world.officers})
    for _ in range(records):
        append(
            {
                "type": "record.saved",
                **about,
                "record": str(uuid.uuid4()),
                "template": {"id": "site_inspection_record", "version": 1},
                "fields": {"findings": "".join(draw.choices(characters, k=_TEXT_CHARACTERS))},
                "base": [],
            }
        )


def sync_all(device: Device, link: NarrowLink, clock: LinkClock, rate: float) -> dict[str, float]:
    """Sync until everything is safe; what went over the link for it."""
    link.rate = rate
    link.bytes = link.exchanges = link.failures = 0
    began = clock.mono_ms
    syncs = 1
    while device.sync().lines_unsent:
        syncs += 1
        if syncs > _SYNCS:
            raise SystemExit(f"not finished after {_SYNCS} syncs")
    return {
        "bytes": link.bytes,
        "exchanges": link.exchanges,
        "cut": link.failures,
        "syncs": syncs,
        "link_s": round((clock.mono_ms - began) / 1000),
    }
