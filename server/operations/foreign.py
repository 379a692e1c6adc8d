"""Packages that other bureaus made (外来证据包): verified, kept apart, never part of our journal.

Nothing of a foreign package becomes a row of ours but what is said about it as a
whole: its lines, events and items are proved by its own ledger, not by this one.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.store import Store, foreign_key
from server.db import reading, transaction
from server.failures import ForeignRejected, Invalid, NotFound
from server.models.handover import ForeignPackage
from server.operations import ledger
from server.operations.access import Actor
from server.operations.cards import person_names
from server.operations.export.keeping import keep_file, signature_key
from server.services import Services
from sync.errors import SyncError
from sync.evidence import package
from sync.evidence.note import VerifierKey
from sync.evidence.record_reading import parse_index
from sync.evidence.records import CaseIndex
from sync.evidence.texts import load_texts
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Result, Verdict
from sync.evidence.verifier_source import open_source, read

_STEP = 1 << 20
#: What is kept of a table of contents for pages: of 10,000 items it has some 10 MB.
_MAX_INDEX_BYTES = 64 << 20
_MAX_SIGNATURE_BYTES = 64 << 10
_MAX_REASON, _MAX_NAME = 1000, 200
#: Of claims that fail, so many codes stand on the ledger and so many are kept.
_NAMED, _KEPT = 50, 5000
_SHOWN = 500


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a package that was to be taken in; ``already`` if it was here."""

    id: str
    sha256: str
    size: int
    verdict: str
    already: bool


@dataclass(frozen=True, kw_only=True)
class ForeignRow:
    """A foreign package as the list shows it."""

    id: str
    name: str
    sha256: str
    size: int
    verdict: str
    kept_because: str
    with_keys: bool
    imported_by: str
    imported_at_ms: int
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class ForeignPage:
    """One foreign package, read-only: what the verifier said, and its own table of contents."""

    row: ForeignRow
    claims: tuple[dict[str, Any], ...]
    outside_keys: tuple[str, ...]
    index: CaseIndex | None


@dataclass(frozen=True, kw_only=True)
class StoredForeign:
    """Where a foreign package's bytes are, and under which name they leave."""

    key: str
    sha256: str
    size: int
    name: str


def take_in(
    services: Services,
    path: Path,
    *,
    organization_id: str,
    person_id: str,
    keys: Sequence[VerifierKey],
    keep_anyway: str = "",
) -> Taken:
    """Verify the package at ``path`` and keep it for the organisation; twice is once.

    Bytes go first and the row second, in one transaction with its ledger event: a
    kill leaves at most an object that the next attempt finds in its place.

    Raises:
        PackageUnusable: if there is no package to verify.
        ForeignRejected: if it fails and ``keep_anyway`` does not say why it must be kept.
        Invalid: if that reason is too long.
        StoreUnavailable, OSError
    """
    if len(keep_anyway) > _MAX_REASON:
        raise Invalid("keep_anyway", f"at most {_MAX_REASON} characters")
    result = verify_package(str(path), Options(ledger_keys=tuple(keys)))
    # The digest is taken after the verifier has read, and the store compares what it is given.
    sha256, size = _measure(path)
    with reading() as session:
        known = _known(session, organization_id, sha256)
    if known is not None:
        return known
    if result.verdict is Verdict.FAIL and not keep_anyway.strip():
        raise ForeignRejected(sha256, _failing(result))
    key = foreign_key(organization_id, sha256)
    index = _index_of(path)
    keep_file(services.store, path, key, sha256=sha256)
    _keep_signature(services.store, path, key)
    with transaction() as session:
        return _write_down(
            session,
            ForeignPackage(
                id=str(uuid.uuid4()),
                organization_id=organization_id,
                sha256=sha256,
                size=size,
                name=path.name[:_MAX_NAME],
                key=key,
                verdict=result.verdict.value,
                claims=_claims(result),
                outside_keys=json.dumps([str(one) for one in keys]),
                kept_because=keep_anyway.strip() if result.verdict is Verdict.FAIL else "",
                case_index=index,
                imported_by=person_id,
                imported_at_ms=services.now_ms(),
            ),
            result,
        )


def foreign_packages(session: Session, actor: Actor) -> tuple[ForeignRow, ...]:
    """The foreign packages of the actor's organisation, newest first."""
    rows = session.scalars(
        select(ForeignPackage)
        .where(ForeignPackage.organization_id == actor.organization_id)
        .order_by(ForeignPackage.imported_at_ms.desc(), ForeignPackage.id)
        .limit(_SHOWN)
    ).all()
    names = person_names(session, (row.imported_by for row in rows))
    return tuple(_row(row, names) for row in rows)


def foreign_package(session: Session, actor: Actor, foreign_id: str) -> ForeignPage:
    """What is known of one foreign package.

    Raises:
        NotFound: if it is not the actor's organisation's.
    """
    row = _owned(session, actor, foreign_id)
    try:
        index = parse_index(row.case_index.encode()) if row.case_index else None
    except SyncError:
        index = None
    return ForeignPage(
        row=_row(row, person_names(session, [row.imported_by])),
        claims=tuple(json.loads(row.claims)),
        outside_keys=tuple(json.loads(row.outside_keys)),
        index=index,
    )


def stored_foreign(session: Session, actor: Actor, foreign_id: str) -> StoredForeign:
    """Where the bytes of one foreign package are.

    Raises:
        NotFound: if it is not the actor's organisation's.
    """
    row = _owned(session, actor, foreign_id)
    return StoredForeign(
        key=row.key, sha256=row.sha256, size=row.size, name=f"foreign-{row.sha256[:16]}.zip"
    )


def _write_down(session: Session, row: ForeignPackage, result: Result) -> Taken:
    head = ledger.lock_head(session)
    known = _known(session, row.organization_id, row.sha256)
    if known is not None:
        return known
    failed = list(dict.fromkeys(one.code for one in result.claims if one.verdict is Verdict.FAIL))
    row.generation = head.generation
    row.ledger_index = ledger.append(
        session,
        "media",
        actor={"person": row.imported_by},
        subject={"foreign": row.id, "sha256": row.sha256, "organization": row.organization_id},
        snapshot={
            "act": "foreign_taken_in",
            "name": row.name,
            "size": row.size,
            "verdict": row.verdict,
            "failed": failed[:_NAMED],
            "keys": json.loads(row.outside_keys),
            "kept_because": row.kept_because,
        },
        now_ms=row.imported_at_ms,
        about=(f"foreign:{row.id}", f"person:{row.imported_by}"),
    )
    session.add(row)
    session.flush()
    return Taken(id=row.id, sha256=row.sha256, size=row.size, verdict=row.verdict, already=False)


def _failing(result: Result) -> list[tuple[str, str, str]]:
    texts = load_texts()
    return [
        (claim.code, claim.text(texts, "zh"), claim.text(texts, "en"))
        for claim in result.claims
        if claim.verdict is Verdict.FAIL
    ]


def _known(session: Session, organization_id: str, sha256: str) -> Taken | None:
    row = session.scalars(
        select(ForeignPackage).where(
            ForeignPackage.organization_id == organization_id, ForeignPackage.sha256 == sha256
        )
    ).one_or_none()
    if row is None:
        return None
    return Taken(id=row.id, sha256=row.sha256, size=row.size, verdict=row.verdict, already=True)


def _owned(session: Session, actor: Actor, foreign_id: str) -> ForeignPackage:
    row = session.get(ForeignPackage, foreign_id)
    if row is None or row.organization_id != actor.organization_id:
        raise NotFound("foreign package", foreign_id)
    return row


def _row(row: ForeignPackage, names: Any) -> ForeignRow:
    return ForeignRow(
        id=row.id,
        name=row.name,
        sha256=row.sha256,
        size=row.size,
        verdict=row.verdict,
        kept_because=row.kept_because,
        with_keys=bool(json.loads(row.outside_keys)),
        imported_by=names.get(row.imported_by, ""),
        imported_at_ms=row.imported_at_ms,
        ledger_index=row.ledger_index,
    )


def _measure(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_STEP):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _index_of(path: Path) -> str:
    """The text of the package's table of contents, if it has one that can be read."""
    try:
        body = read(open_source(str(path)), package.INDEX)
        parse_index(body)
    except SyncError:
        return ""
    # PostgreSQL takes no U+0000, which no canonical JSON holds unescaped.
    return body.decode("utf-8") if len(body) <= _MAX_INDEX_BYTES else ""


def _claims(result: Result) -> str:
    """Every claim that fails or was not checked, and those that hold; in both languages."""
    texts = load_texts()
    ordered = sorted(result.claims, key=lambda one: one.verdict is not Verdict.FAIL)
    return json.dumps(
        [
            {
                "step": claim.step,
                "code": claim.code,
                "verdict": claim.verdict.value,
                "zh": claim.text(texts, "zh"),
                "en": claim.text(texts, "en"),
            }
            for claim in ordered[:_KEPT]
        ]
    )


def _keep_signature(store: Store, path: Path, key: str) -> None:
    """Keep the signature file ``X.zip.sig`` that came beside the package, if one did."""
    beside = path.with_name(path.name + ".sig")
    if not beside.is_file() or not 0 < beside.stat().st_size <= _MAX_SIGNATURE_BYTES:
        return
    data = beside.read_bytes()
    store.put_once(
        signature_key(key), data, size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
