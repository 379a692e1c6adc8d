"""What changes at the items of a file when its bytes arrive."""

from sqlalchemy import bindparam, case, select, update
from sqlalchemy.orm import Session

from media.findings import model
from media.findings.rules import digest_mismatch
from server.models.inspections import EvidenceItem
from server.models.uploads import MediaObject, QuarantinedMedia
from server.operations.holding import held
from server.operations.media_checks.examining import Compared
from server.operations.media_checks.keeping import keep_check
from server.operations.uploads.desk import changed_rows
from server.operations.visit_documents import items_changed

# Built once: this runs for every photo, in the transaction that all writers wait for.
_THEIRS = (
    EvidenceItem.sha256 == bindparam("digest"),
    held(EvidenceItem.sha256, EvidenceItem.organization_id),
)
_ARRIVED = (
    update(EvidenceItem)
    .where(*_THEIRS)
    .values(
        check_wanted=True,
        state=case((EvidenceItem.state == "captured", "stored"), else_=EvidenceItem.state),
    )
    .execution_options(synchronize_session=False)
)
_ITEMS = (
    select(EvidenceItem, MediaObject.size)
    .join(MediaObject, MediaObject.sha256 == EvidenceItem.sha256)
    .where(*_THEIRS)
    .execution_options(populate_existing=True)
)


def item_bytes_arrived(session: Session, sha256: str, position: int, now_ms: int) -> None:
    """Mark the items whose bytes are in the store now; called as the bytes are committed.

    A line that names them rightly but gives them another length gets DIGEST_MISMATCH at
    once. The bytes stay: by their digest they are those of the item.

    ``position`` is the place in the ledger of the event that says so.
    """
    arrived = {"digest": sha256}
    if changed_rows(session.execute(_ARRIVED, arrived)) == 0:
        return
    rows = session.execute(_ITEMS, arrived).all()
    items_changed(session, [item for item, _ in rows], position=position, now_ms=now_ms)
    for item, size in rows:
        if item.size != size:
            _keep_mismatch(session, item, model.Content(sha256=sha256, size=size), now_ms=now_ms)


def item_bytes_differed(session: Session, announced: str, found: str) -> None:
    """Raise DIGEST_MISMATCH at the items whose announced bytes came as others.

    Only at those of the sender's organisation that still lack their bytes: whoever
    sends rubbish under the digest of evidence that is here casts no doubt on it.
    """
    received = session.execute(
        select(QuarantinedMedia)
        .where(
            QuarantinedMedia.announced_sha256 == announced,
            QuarantinedMedia.found_sha256 == found,
        )
        .order_by(QuarantinedMedia.received_at_ms.desc())
        .limit(1)
    ).scalar_one()
    items = session.scalars(
        select(EvidenceItem).where(
            EvidenceItem.sha256 == announced,
            EvidenceItem.organization_id == received.organization_id,
            EvidenceItem.state == "captured",
        )
    )
    came = model.Content(sha256=found, size=received.size)
    for item in items:
        _keep_mismatch(session, item, came, now_ms=received.received_at_ms)


def _keep_mismatch(
    session: Session, item: EvidenceItem, received: model.Content, *, now_ms: int
) -> None:
    """Add a run that compared nothing but what the line announces with what came."""
    context = model.Context(
        hints=model.Hints(capture_class=item.capture_class),
        announced=model.Content(sha256=item.sha256, size=item.size),
        received=received,
    )
    mismatch = tuple(digest_mismatch((), context))
    keep_check(session, item, Compared(context=context, claims=(), found=mismatch), now_ms=now_ms)
