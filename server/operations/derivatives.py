"""Pictures and copies made from an original: bytes into the store first, leaf and row second."""

import hashlib
import io
from pathlib import Path

from sqlalchemy.orm import Session

from media.store import derived_key
from server.models.inspections import Derivative
from server.models.uploads import MediaObject
from server.operations import ledger
from server.operations.erased import erase_too
from server.services import Services


def store_derivative(
    services: Services,
    content: bytes | Path,
    *,
    source_sha256: str,
    purpose: str,
    media_type: str,
    made_with: str,
    recipe: str,
) -> Derivative:
    """Put ``content`` into the store; the row is only made, to be kept in a transaction.

    Raises:
        MediaError: if the store does not take the bytes.
    """
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        key = derived_key(sha256)
        services.store.put_once(key, file, size=size, sha256=sha256)
    return Derivative(
        source_sha256=source_sha256,
        purpose=purpose,
        sha256=sha256,
        size=size,
        key=key,
        media_type=media_type,
        made_with=made_with,
        recipe=recipe,
    )


def keep_derivative(session: Session, made: Derivative, *, item_id: str, now_ms: int) -> None:
    """Add a derivative with its leaf, unless one for its purpose is there already.

    Of an original that was erased by law meanwhile nothing is kept.
    """
    if session.get(Derivative, (made.source_sha256, made.purpose)) is not None:
        return
    if session.get(MediaObject, made.source_sha256) is None:
        erase_too(session, made.source_sha256, [(made.key, made.size)])
        return
    ledger.append(
        session,
        "derive",
        actor={"server": made.made_with},
        subject={"source": made.source_sha256, "sha256": made.sha256},
        snapshot={"purpose": made.purpose, "made_with": made.made_with, "recipe": made.recipe},
        about=(f"item:{item_id}", f"media:{made.source_sha256}"),
        now_ms=now_ms,
    )
    session.add(made)
