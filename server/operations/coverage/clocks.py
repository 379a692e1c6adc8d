"""The devices' clocks at about the time of a visit."""

from sqlalchemy.orm import Session

from server.operations.clocks import nearest_comparison


class DeviceClocks:
    """Turns devices' wall clocks at about ``at_ms`` into the bureau's; each is looked up once."""

    def __init__(self, session: Session, at_ms: int) -> None:
        self._session = session
        self._at_ms = at_ms
        self._offsets: dict[str, int] = {}

    def corrected(self, device_id: str | None, wall_ms: int) -> int:
        if device_id is None:
            return wall_ms
        if device_id not in self._offsets:
            found = nearest_comparison(self._session, device_id, self._at_ms)
            self._offsets[device_id] = found.offset_ms if found else 0
        return wall_ms + self._offsets[device_id]
