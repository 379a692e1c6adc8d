"""Witnessing without a network: a file goes out, and a cosigned note or a line comes back."""

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.db import reading, transaction
from server.failures import Invalid, ServerError
from server.models.ledger import Checkpoint, Generation
from server.models.witnesses import WitnessCosignature
from server.operations import ledger
from server.operations.witnessing.cosignatures import FILE, keep
from server.services import Services
from sync.errors import SyncError
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.cosignature import Cosignature, cosignatures
from sync.evidence.note import NoteForged, parse_note
from sync.witness.submission import Submission, signature_lines

#: A line alone is tried under so many of the newest checkpoints.
_TRIED = 500


class Unmatched(ServerError):
    """What was brought back bears no cosignature by a known witness that fits a checkpoint."""

    code = "witness.unmatched"


def submission_for(session: Session, *, old: int) -> tuple[Submission, Checkpoint]:
    """What to show to a witness that has seen ``old`` leaves of the present ledger.

    It is the newest checkpoint that another witness cosigned since, if there is one: only
    cosignatures under the same checkpoint make the quorum that a package shows.

    Raises:
        Invalid: if no checkpoint is that large.
    """
    newest = ledger.newest_checkpoint(session)
    if newest is None or not 0 <= old <= newest.size:
        raise Invalid("from", "between 0 and the size of the newest checkpoint")
    shared = session.scalar(
        select(func.max(WitnessCosignature.covers_size)).where(
            WitnessCosignature.covers_generation == newest.generation,
            WitnessCosignature.covers_size > old,
        )
    )
    if shared is not None:
        newest = session.get_one(Checkpoint, (newest.generation, shared))
    path = ledger.consistency_proof(session, newest.generation, first=old, second=newest.size)
    return Submission(old, tuple(path), newest.note), newest


def read_cosigned(parts: Services, text: str) -> list[tuple[int, Cosignature]]:
    """Keep the cosignatures in ``text``, a note or bare lines; each with the size it stands for.

    What is kept already is told again and kept once.

    Raises:
        Unmatched: if none is by a witness of the policy for a checkpoint of ours.
    """
    policy = parts.settings.witness_policy
    if policy is None:
        raise Unmatched("no policy is set")
    lines = "".join(signature_lines(text))
    found: list[tuple[Checkpoint, Cosignature]] = []
    with reading() as session:
        for checkpoint in _candidates(session, text):
            session.expunge(checkpoint)
            try:
                signed = parse_note(checkpoint.note + lines)
                found = [(checkpoint, one) for one in cosignatures(signed, policy.cosigners)]
            except NoteForged:
                continue
            except SyncError as error:
                raise Unmatched(str(error)) from error
            break
    if not found:
        raise Unmatched("no checkpoint of ours bears it")
    with transaction() as session:
        for checkpoint, cosignature in found:
            keep(session, checkpoint, cosignature, came_by=FILE, now_ms=parts.now_ms())
    return [(checkpoint.size, cosignature) for checkpoint, cosignature in found]


def _candidates(session: Session, text: str) -> Iterator[Checkpoint]:
    """The checkpoint that ``text`` names, or for bare lines the newest ones."""
    rows = select(Checkpoint).order_by(Checkpoint.generation.desc(), Checkpoint.size.desc())
    try:
        named = parse_checkpoint(parse_note(text).text)
    except SyncError:
        yield from session.scalars(rows.limit(_TRIED)).all()
        return
    yield from session.scalars(
        rows.join(Generation, Generation.number == Checkpoint.generation).where(
            Generation.origin == named.origin,
            Checkpoint.size == named.size,
            Checkpoint.root == named.root.hex(),
        )
    ).all()
