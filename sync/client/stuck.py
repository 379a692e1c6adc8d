"""The one thing that is most in the way, with its number, its age and what to do about it."""

from dataclasses import dataclass

from sync.catalogue import LANGUAGES
from sync.client.errors import LinkError, sentence
from sync.client.outbox import Outbox
from sync.errors import SyncError
from sync.evidence.line import parse_line

_LAST_PROBLEM = "last_problem"
_UNSENT = "state NOT IN ('safe', 'restated')"

#: What may be in the way, the most pressing first: of which table it holds up what.
_CAUSES = (
    ("lost_lines", "line", "state = 'lost'"),
    ("damaged_files", "medium", "state = 'failed' AND code = 'media.local_damage'"),
    ("link", "line", _UNSENT),
    ("link_files", "medium", "state <> 'safe'"),
    ("failed_files", "medium", "state = 'failed'"),
    ("refused_lines", "line", "state IN ('refused', 'stranded')"),
    ("unsent_lines", "line", _UNSENT),
    ("unsent_files", "medium", "state IN ('kept', 'uploaded')"),
    ("quarantined", "line", "projection = 'quarantined' AND decision = '' AND state = 'safe'"),
)


@dataclass(frozen=True)
class Stuck:
    """``cause`` names a sentence; ``since_ms`` is this device's clock at the oldest of ``count``.

    ``reason`` maps a language to what the last sync ran into; empty if nothing.
    """

    cause: str
    count: int
    since_ms: int | None
    reason: dict[str, str]


def remember(outbox: Outbox, problem: LinkError | None) -> None:
    """Keep in words what a sync ran into first, for whoever asks before the next one."""
    words = {} if problem is None else {lang: sentence(problem, lang) for lang in LANGUAGES}
    with outbox.transaction():
        outbox.remember(_LAST_PROBLEM, words)


def diagnose(outbox: Outbox, *, alarms: int, orphans: int) -> Stuck | None:
    """What is most in the way, or None where everything is at the server and at rest."""
    reason = outbox.meta(_LAST_PROBLEM) or {}
    if alarms:
        return Stuck("alarm", alarms, None, reason)
    for cause, table, where in _CAUSES:
        if cause.startswith("link") and not reason:
            continue
        count = outbox.count(
            f"SELECT COUNT(*) FROM {table} WHERE {where}"  # noqa: S608 - constants only
        )
        if count:
            return Stuck(cause, count, _since_ms(outbox, table, where), reason)
    return Stuck("orphans", orphans, None, reason) if orphans else None


def _since_ms(outbox: Outbox, table: str, where: str) -> int | None:
    """When the oldest of what is held up was written, by this device's clock."""
    if table == "medium":
        announcing = "SELECT item.line FROM item JOIN medium USING (sha256) WHERE"
        where = f"digest IN ({announcing} {where})"
    oldest = next(outbox.lines(where, limit=1), None)
    if oldest is None:
        return None
    try:
        return parse_line(oldest.raw, limit=len(oldest.raw)).header.t.wall_ms
    except SyncError:
        # What was refused may be no line at all: bytes that went bad on the disk.
        return None
