"""What became of lines after their push was answered: asked for, not waited for."""

from sync.client.answers import FatePage
from sync.client.api import Api
from sync.client.errors import ServerRefused
from sync.client.outbox import Outbox

CURSOR = "outcomes_cursor"


def learn(outbox: Outbox, api: Api) -> None:
    """Take over later changes of fate, with a reviewer's decision where there is one.

    Implements docs/protocol.md §4.2, Later changes.

    Raises:
        LinkError: what came before stays learnt.
    """
    cursor = outbox.meta(CURSOR) or ""
    while True:
        try:
            page = api.outcomes(cursor)
        except ServerRefused as error:
            if error.status != 422 or not cursor:
                raise
            # The cursor of another generation: every change is told again from the start.
            cursor = ""
            continue
        take(outbox, page)
        if not page.more or page.cursor == cursor:
            return
        cursor = page.cursor


def take(outbox: Outbox, page: FatePage) -> None:
    """Take over one page, and where the next one begins."""
    with outbox.transaction() as db:
        db.executemany(
            "UPDATE line SET projection = ?, code = ?, decision = ?, reason = ?"
            " WHERE epoch = ? AND seq = ? AND digest = ?",
            [
                (
                    fate.projection.value,
                    fate.code,
                    fate.decision,
                    fate.reason,
                    fate.epoch,
                    fate.seq,
                    fate.digest,
                )
                for fate in page.outcomes
            ],
        )
        outbox.remember(CURSOR, page.cursor)
