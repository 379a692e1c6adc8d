"""Evidence items: announced by digest, and discarded with a reason."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.models.inspections import EvidenceItem, Inspection
from server.models.process import RecorderClock
from server.models.uploads import MediaObject
from server.operations.holding import held
from server.operations.projection.act import Act, NotShown, within
from server.operations.projection.lookup import Lookup
from server.operations.projection.visits import TOO_LATE, Visits, too_late
from sync.evidence import acts
from sync.evidence.encoding import from_hex
from sync.evidence.errors import BadEncoding

_JUDGED = frozenset({"accepted", "questioned", "rejected"})

#: No zone is further than a day from UTC.
_MAX_ZONE_MIN = 24 * 60
_MAX_SERIAL = 64
#: How long a recorder's card is in use before or after somebody reads its clock.
_CARD_MS = 31 * 86_400_000


class Items:
    """Projects what announces and discards evidence items."""

    def __init__(self, session: Session, lookup: Lookup, visits: Visits) -> None:
        self._session = session
        self._lookup = lookup
        self._visits = visits
        #: Whether anything came that makes the worker check media again.
        self.wants_check = False
        #: Whether an item came for which a line may have waited that names it alone.
        self.announced = False
        #: Items of which their officers' devices are to be told anew.
        self.changed: set[str] = set()

    def announce(self, act: Act) -> str | None:
        inspection = self._lookup.inspection(act) if "inspection" in act.body else None
        item_id, sha256 = act.uuid("item"), act.body["sha256"]
        try:
            from_hex(sha256, size=32)
        except BadEncoding as error:
            raise NotShown("projection.malformed_act") from error
        if act.body["size"] < 0 or act.body["class"] not in acts.CLASSES:
            raise NotShown("projection.malformed_act")
        tz_min = within(act.header.t.tz_min, _MAX_ZONE_MIN)
        if tz_min is None:
            raise NotShown("projection.malformed_act")
        if self._session.get(EvidenceItem, item_id) is not None:
            raise NotShown("projection.repeated_id")
        stored = self._is_here(sha256)
        self.wants_check |= stored
        pos = act.body.get("pos")
        pos = pos if isinstance(pos, dict) else {}
        self._session.add(
            EvidenceItem(
                id=item_id,
                organization_id=self._lookup.organization_id,
                inspection_id=inspection.id if inspection else None,
                device_id=act.header.device,
                epoch=act.header.epoch,
                branch=act.branch,
                seq=act.header.seq,
                line_digest=act.digest,
                officer_id=act.uuid("officer"),
                capture_class=act.body["class"],
                sha256=sha256,
                size=act.body["size"],
                media_type=act.text("media_type", 100),
                name=act.text("name"),
                title=act.text("title"),
                fact_to_prove=act.text("fact_to_prove", 4000),
                method=act.text("method", 1000),
                captured_at_ms=act.header.t.wall_ms,
                tz_min=tz_min,
                lat_e7=within(pos.get("lat"), 900_000_000),
                lon_e7=within(pos.get("lon"), 1_800_000_000),
                accuracy_cm=within(pos.get("acc"), 2_000_000_000),
                fix_at_ms=within(pos.get("fix_ms"), 2**53),
                recorder=_recorder(act),
                state="stored" if stored else "captured",
                check_wanted=stored,
                discard_reason="",
                outside_seal=inspection is not None and inspection.sealed_line is not None,
            )
        )
        self._session.flush()
        self.changed.add(item_id)
        self.announced = True
        if inspection is not None:
            self._visits.opened.add(inspection.id)
        return inspection.id if inspection else None

    def _is_here(self, sha256: str) -> bool:
        """Whether the organisation has sent the bytes of that digest before their line."""
        found = self._session.execute(
            select(MediaObject.sha256).where(
                MediaObject.sha256 == sha256,
                MediaObject.status == "stored",
                held(MediaObject.sha256, self._lookup.organization_id),
            )
        )
        return found.first() is not None

    def discard(self, act: Act) -> str:
        """Mark an item as discarded; its line, its digest and the reason stay."""
        inspection = self._lookup.inspection(act)
        item = self._session.get(EvidenceItem, act.uuid("item"))
        if item is None or item.inspection_id != inspection.id:
            raise NotShown("projection.unknown_item")
        late = too_late(self._session, inspection, act) and not act.released
        if item.state in _JUDGED or late:
            raise NotShown(TOO_LATE)
        item.state = "discarded"
        item.discard_reason = act.text("reason", 4000)
        self.changed.add(item.id)
        for recorder in self._session.scalars(
            select(RecorderClock.recorder).where(
                RecorderClock.item_id == item.id, RecorderClock.method == acts.FRAME
            )
        ).all():
            # What was read from it corrects nothing any more.
            self.check_imported(recorder, item.captured_at_ms)
        return inspection.id

    def check_imported(self, recorder: str, at_ms: int) -> None:
        """Have the worker compare what a recorder held about then: its clock is known better."""
        self.wants_check = True
        self._session.execute(
            update(EvidenceItem)
            .where(
                EvidenceItem.organization_id == self._lookup.organization_id,
                EvidenceItem.recorder == recorder,
                EvidenceItem.captured_at_ms.between(at_ms - _CARD_MS, at_ms + _CARD_MS),
                EvidenceItem.state != "captured",
            )
            .values(check_wanted=True)
        )

    def check_again(self, inspection: Inspection) -> None:
        """Have the worker compare all media of a visit whose window is known only now."""
        self.wants_check = True
        self._session.execute(
            update(EvidenceItem)
            .where(EvidenceItem.inspection_id == inspection.id, EvidenceItem.state != "captured")
            .values(check_wanted=True)
        )


def _recorder(act: Act) -> str:
    """Serial of the recorder that an import names in its ``source``; empty if it names none."""
    source = act.body.get("source")
    serial = source.get("recorder") if isinstance(source, dict) else None
    return serial[:_MAX_SERIAL].replace("\0", "\ufffd") if isinstance(serial, str) else ""
