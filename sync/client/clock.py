"""The device's clocks, as an argument: every line carries what they said."""

import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sync.evidence.line import DeviceTime

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Reads the clocks and waits; tests bring their own."""

    def read(self) -> DeviceTime: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        self._boot = _boot_id()

    def read(self) -> DeviceTime:
        zone = datetime.now().astimezone().utcoffset()
        return DeviceTime(
            wall_ms=time.time_ns() // 1_000_000,
            mono_ms=time.monotonic_ns() // 1_000_000,
            boot=self._boot,
            tz_min=int(zone.total_seconds() // 60) if zone else 0,
        )

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _boot_id() -> str:
    """What ``mono_ms`` counts from; where the system does not say, this process alone."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return f"process-{uuid.uuid4()}"
