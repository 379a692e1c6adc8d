"""How long things are kept: counted in Beijing's calendar, from what the bureau's clock saw."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from server.settings import Settings

_CHINA = timezone(timedelta(hours=8))
_DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Terms:
    """For how long a case is kept, and a recording that nobody relies on."""

    years: int
    recording_days: int

    @classmethod
    def of(cls, settings: Settings) -> "Terms":
        return cls(years=settings.retention_years, recording_days=settings.recording_retention_days)

    def case_ends_ms(self, since_ms: int) -> int:
        """When a case may go that was sealed (else opened) at ``since_ms``: the day after."""
        began = datetime.fromtimestamp(since_ms / 1000, UTC).astimezone(_CHINA).date()
        try:
            last = began.replace(year=began.year + self.years)
        except ValueError:
            last = began.replace(year=began.year + self.years, day=28)
        end = datetime(last.year, last.month, last.day, tzinfo=_CHINA) + timedelta(days=1)
        return int(end.timestamp() * 1000)

    def recordings_before_ms(self, now_ms: int) -> int:
        """Recordings that were announced before this moment may go."""
        return now_ms - self.recording_days * _DAY_MS
