"""What journals say of signed sheets: that one was printed, and that an item shows one."""

import json
from typing import Any

from sqlalchemy.orm import Session

from server.models.sheets import PrintedSheet, SheetScan
from server.operations.projection.act import Act, NotShown, is_uuid
from server.operations.projection.lookup import Lookup
from sync.evidence.encoding import from_hex
from sync.evidence.errors import BadEncoding

_MAX_SAID = 200


class Sheets:
    """Projects ``sheet.printed``, and the head that a scanned sheet shows."""

    def __init__(self, session: Session, lookup: Lookup) -> None:
        self._session = session
        self._lookup = lookup

    def print(self, act: Act) -> str:
        """Project ``sheet.printed``."""
        inspection = self._lookup.inspection(act)
        body = act.body
        items = [_item(entry) for entry in body["items"]]
        shown = body.get("revisions", [])
        if body["seq"] < 0 or not isinstance(shown, list):
            raise NotShown("projection.malformed_act")
        self._session.add(
            PrintedSheet(
                line_digest=act.digest,
                inspection_id=inspection.id,
                device_id=act.header.device,
                epoch=act.header.epoch,
                seq=body["seq"],
                head=_digest(body["head"]),
                sha256=_digest(body["sha256"]),
                items=json.dumps(items),
                revisions=json.dumps([_digest(digest) for digest in shown]),
                officer_id=act.uuid("officer"),
                printed_at_ms=act.header.t.wall_ms,
                position=act.position,
            )
        )
        return inspection.id

    def captured(self, act: Act, inspection_id: str | None) -> None:
        """The head that an item's paper shows, if its line says that it is a signed sheet."""
        said = act.text("sheet", _MAX_SAID)
        if said and inspection_id is not None:
            self._session.add(
                SheetScan(
                    item_id=act.uuid("item"),
                    inspection_id=inspection_id,
                    said=said,
                    position=act.position,
                )
            )


def _item(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, dict) or not is_uuid(entry.get("item")):
        raise NotShown("projection.malformed_act")
    return str(entry["item"]), _digest(entry.get("sha256"))


def _digest(value: Any) -> str:
    try:
        return from_hex(value if isinstance(value, str) else "", size=32).hex()
    except BadEncoding as error:
        raise NotShown("projection.malformed_act") from error
