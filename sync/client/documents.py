"""The documents pulled from the server: officers, tasks, targets and templates, for use offline."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync.client.errors import AmbiguousOfficer, UnknownDocument, UnknownField
from sync.client.outbox import Outbox


@dataclass(frozen=True)
class Officer:
    id: str
    name: str
    certificate_no: str


@dataclass(frozen=True)
class Template:
    """A form: its field types by id."""

    id: str
    version: int
    fields: Mapping[str, str]

    def read(self, field: str, text: str) -> Any:
        """The value of ``text`` as this template's ``field`` holds it.

        Numbers with a fraction stay text, because signed values know no floats.

        Raises:
            UnknownField: if there is no such field, or the text is not of its type.
        """
        kind = self.fields.get(field)
        if kind is None:
            raise UnknownField(self.id, field, "unknown")
        try:
            if kind in ("integer", "int"):
                return int(text)
            if kind in ("boolean", "bool"):
                return _TRUTH[text.strip().lower()]
        except (ValueError, KeyError) as error:
            raise UnknownField(self.id, field, kind) from error
        return text


_TRUTH = {"true": True, "yes": True, "1": True, "是": True}
_TRUTH |= {"false": False, "no": False, "0": False, "否": False}


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

    def template(self, wanted: str) -> Template:
        """The template of that id.

        Raises:
            UnknownDocument.
        """
        body = self.body("template", wanted)
        fields = {field["id"]: field.get("type", "text") for field in body.get("fields", [])}
        return Template(body["id"], int(body["version"]), fields)

    def apply(self, changes: list[dict[str, Any]]) -> None:
        """Take over one page of the feed; inside the caller's transaction."""
        for change in changes:
            place = (change["kind"], change["id"])
            if change["op"] == "put":
                body = json.dumps(change["body"], ensure_ascii=False)
                self._outbox.db.execute(
                    "INSERT INTO document VALUES (?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET body = excluded.body",
                    (*place, body),
                )
            else:
                self._outbox.db.execute("DELETE FROM document WHERE kind = ? AND id = ?", place)

    def forget(self) -> None:
        """Start over, because the feed was reset; the outbox is not touched."""
        self._outbox.db.execute("DELETE FROM document")
