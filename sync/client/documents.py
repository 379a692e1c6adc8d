"""The documents pulled from the server: officers, tasks, targets and templates, for use offline."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sync.client import search
from sync.client.answers import FeedPage
from sync.client.errors import AmbiguousOfficer, UnknownDocument
from sync.client.outbox import Outbox
from sync.evidence import canonical
from sync.evidence.errors import NotCanonical

#: States of a document: ours; of before a reset, until the feed brings it again; not ours
#: any more, kept while own work waits to be handed in.
HELD, STALE, LEAVING = "held", "stale", "leaving"


@dataclass(frozen=True)
class Officer:
    id: str
    name: str
    certificate_no: str


class Documents:
    """Looks documents up by id, officers by certificate number too."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def body(self, kind: str, identifier: str) -> dict[str, Any]:
        """The newest version of one document.

        Raises:
            UnknownDocument: if it has not been pulled.
        """
        row = self._outbox.db.execute(
            "SELECT body FROM document WHERE kind = ? AND id = ?", (kind, identifier)
        ).fetchone()
        if row is None:
            raise UnknownDocument(kind, identifier)
        body: dict[str, Any] = json.loads(row[0])
        return body

    def all(self, kind: str) -> list[dict[str, Any]]:
        rows = self._outbox.db.execute(
            "SELECT body FROM document WHERE kind = ? ORDER BY id", (kind,)
        )
        return [json.loads(row[0]) for row in rows]

    def officer(self, wanted: str) -> Officer:
        """The officer of that id or certificate number.

        Raises:
            UnknownDocument, AmbiguousOfficer.
        """
        found = [
            body
            for body in self.all("officer")
            if wanted in (body.get("id"), body.get("certificate_no"))
        ]
        if not found:
            raise UnknownDocument("officer", wanted)
        if len(found) > 1:
            raise AmbiguousOfficer(wanted)
        body = found[0]
        return Officer(body["id"], body.get("name", ""), body.get("certificate_no", ""))

    def apply(self, changes: list[dict[str, Any]]) -> None:
        """Take over one page of the feed; inside the caller's transaction.

        What was evicted stays, marked, until :meth:`let_go`: own work that was
        not handed in yet may still need it (docs/protocol.md §4.4).
        """
        for change in changes:
            kind, identifier = change["kind"], change["id"]
            match change["op"]:
                case "put":
                    self._put(kind, identifier, change["body"])
                case "evict":
                    self._mark(LEAVING, "kind = ? AND id = ?", kind, identifier)
                case _:
                    self._drop("kind = ? AND id = ?", kind, identifier)

    def take(self, page: FeedPage) -> None:
        """Take over one page of the feed, and where the next one begins."""
        with self._outbox.transaction():
            if page.reset:
                self.begin_again()
            self.apply(page.documents)
            if not page.more:
                self.came_whole()
            self._outbox.remember("cursor", page.cursor)

    def mend(self, changes: list[dict[str, Any]]) -> None:
        """Take over what a comparison with the server's copy brought."""
        with self._outbox.transaction():
            self.apply(changes)

    def pull_anew(self) -> None:
        """Have the next pull begin at the start of the feed."""
        with self._outbox.transaction():
            self.begin_again()
            self._outbox.remember("cursor", "")

    def held(self) -> Iterator[tuple[str, str, str]]:
        """Kind, id and canonical JSON of every document that is this device's to hold."""
        yield from self._outbox.db.execute(
            "SELECT kind, id, body FROM document WHERE state = ?", (HELD,)
        )

    def begin_again(self) -> None:
        """The feed was reset: what it does not bring anew will leave; the outbox is untouched."""
        self._mark(STALE, "state = ?", HELD)

    def came_whole(self) -> None:
        """The feed has been read to its end: what a reset did not bring again leaves now."""
        self._mark(LEAVING, "state = ?", STALE)

    def let_go(self) -> None:
        """Purge what this device may not hold any longer; only when its own work is handed in."""
        self._drop("state = ?", LEAVING)

    def _put(self, kind: str, identifier: str, body: dict[str, Any]) -> None:
        row = self._outbox.db.execute(
            "INSERT INTO document (kind, id, body) VALUES (?, ?, ?) ON CONFLICT (kind, id)"
            " DO UPDATE SET body = excluded.body, state = 'held' RETURNING number",
            (kind, identifier, _canonical(body)),
        ).fetchone()
        search.index(self._outbox.db, row[0], body)

    def _mark(self, state: str, where: str, *values: str) -> None:
        self._outbox.db.execute(
            f"UPDATE document SET state = ? WHERE {where}",  # noqa: S608 - constants only
            (state, *values),
        )

    def _drop(self, where: str, *values: str) -> None:
        rows = self._outbox.db.execute(
            f"DELETE FROM document WHERE {where} RETURNING number",  # noqa: S608 - constants only
            values,
        ).fetchall()
        search.drop(self._outbox.db, [row[0] for row in rows])


def _canonical(body: dict[str, Any]) -> str:
    """The form whose digest is compared; what has none (a fraction, null) is kept all the same."""
    try:
        return canonical.dumps(body).decode()
    except NotCanonical:
        return json.dumps(body, ensure_ascii=False)


def sealed_inspections(outbox: Outbox) -> frozenset[str]:
    """Inspections that are sealed by what came down: also by a fellow officer's device."""
    rows = outbox.db.execute("SELECT id, body FROM document WHERE kind = 'inspection'")
    return frozenset(row[0] for row in rows if json.loads(row[1]).get("state") == "sealed")
