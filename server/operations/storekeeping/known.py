"""Which objects the tables know: stored, set aside, or of an upload that is not over.

Whatever is not sorted out here may be adopted as evidence, so every way in which bytes
come to lie under ``media/`` must have its place (docs/protocol.md §7).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.store import MEDIA_PREFIX, QUARANTINE_PREFIX, StoredObject
from server.models.erasure import ErasureObject
from server.models.uploads import UNDER_WAY, AdoptedObject, MediaObject, QuarantinedMedia, Upload
from server.operations import ledger

_LONG_PREFIX = f"{MEDIA_PREFIX}long/"


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """Objects by what is known of them; ``duplicates`` are of uploads whose bytes were here.

    What an original was kept as before it was brought back is unknown: it was lost or changed.
    """

    quarantined: int
    under_way: int
    duplicates: int
    unknown: tuple[StoredObject, ...]


def sort_out(session: Session, batch: Sequence[StoredObject]) -> Sorted:
    """Sort objects under ``media/`` or ``quarantine/``; what is stored is in none of the parts."""
    owners = {found.key: owner for found in batch if (owner := owner_of(found.key))}
    named = {found.key: digest for found in batch if (digest := digest_of(found.key))}
    aside = _quarantined(session, owners.values())
    uploads = {
        row.id: row
        for row in session.execute(
            select(Upload.id, Upload.status, Upload.found_sha256).where(
                Upload.id.in_(owners.values())
            )
        )
    }
    for key, owner in owners.items():
        if owner in uploads and uploads[owner].found_sha256:
            named[key] = uploads[owner].found_sha256
    for row in session.execute(
        select(AdoptedObject.key, AdoptedObject.sha256).where(
            AdoptedObject.key.in_([found.key for found in batch])
        )
    ):
        named[row.key] = row.sha256
    kept = {
        row.sha256: row.key
        for row in session.execute(
            select(MediaObject.sha256, MediaObject.key).where(
                MediaObject.sha256.in_(named.values()), MediaObject.status == "stored"
            )
        )
    }
    awaited = _awaited(session, named.values())
    beside = {
        named[key]
        for key, owner in owners.items()
        if owner in uploads and uploads[owner].status == "stored" and named.get(key) in kept
        if kept[named[key]] != key
    }
    replaced = _brought_back(session, beside)
    going = set(
        session.scalars(
            select(ErasureObject.key).where(
                ErasureObject.key.in_([found.key for found in batch]),
                ErasureObject.state == "pending",
            )
        )
    )
    quarantined = under_way = duplicates = 0
    unknown = []
    for found in batch:
        owner, digest = owners.get(found.key, ""), named.get(found.key, "")
        status = uploads[owner].status if owner in uploads else ""
        if found.key in going:
            # Lawfully erased, as soon as the store lets it go.
            under_way += 1
        elif aside.get(owner) == found.key:
            quarantined += 1
        elif kept.get(digest) == found.key:
            continue
        elif status in UNDER_WAY or (not owner and digest in awaited):
            under_way += 1
        elif digest in beside and digest not in replaced and status == "stored":
            duplicates += 1
        else:
            unknown.append(found)
    return Sorted(
        quarantined=quarantined,
        under_way=under_way,
        duplicates=duplicates,
        unknown=tuple(unknown),
    )


def owner_of(key: str) -> str:
    """The upload that an object is named after; empty where it is named after its bytes."""
    for prefix in (_LONG_PREFIX, QUARANTINE_PREFIX):
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return ""


def digest_of(key: str) -> str:
    """The digest that an object is named after; empty where it is named after its upload."""
    return "" if owner_of(key) else key.rpartition("/")[2]


def is_known(session: Session, found: StoredObject) -> bool:
    """Whether rows speak of the object by now."""
    return not sort_out(session, [found]).unknown


def _brought_back(session: Session, digests: Iterable[str]) -> set[str]:
    """Those of ``digests`` that were lost once and came again, as the ledger says."""
    events = ledger.events_about(session, [f"media:{sha256}" for sha256 in digests])
    said = (json.loads(entry.event) for entry in events)
    return {
        event["subject"]["sha256"]
        for event in said
        if event["snapshot"].get("act") == "brought_back"
    }


def _quarantined(session: Session, uploads: Iterable[str]) -> dict[str, str]:
    """The keys of what was set aside, by upload."""
    rows = session.execute(
        select(QuarantinedMedia.upload_id, QuarantinedMedia.key).where(
            QuarantinedMedia.upload_id.in_(list(uploads))
        )
    )
    return {row.upload_id: row.key for row in rows}


def _awaited(session: Session, digests: Iterable[str]) -> set[str]:
    """Those of ``digests`` that an upload under way will commit, or give up."""
    found = session.scalars(
        select(Upload.sha256).where(Upload.sha256.in_(list(digests)), Upload.status.in_(UNDER_WAY))
    )
    return {sha256 for sha256 in found if sha256 is not None}
