"""Whether a witness may cosign: decided from what it knows and what it is shown, nothing else."""

from dataclasses import dataclass

from sync.evidence.checkpoint import Checkpoint
from sync.evidence.merkle import EMPTY_ROOT, ProofInvalid, verify_consistency
from sync.witness.submission import Submission


@dataclass(frozen=True)
class Known:
    """The tree that the witness cosigned last; the empty one before the first."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True)
class Grown:
    """The checkpoint continues what is known: it may be cosigned."""


@dataclass(frozen=True)
class OtherSize:
    """The proof starts from another size than is known, which must be named in the answer."""

    size: int


@dataclass(frozen=True)
class OtherRoot:
    """Two roots for the size that is known: the ledger was forked."""

    size: int


@dataclass(frozen=True)
class NotGrown:
    """The proof does not lead from what is known to the checkpoint."""

    reason: str


Verdict = Grown | OtherSize | OtherRoot | NotGrown


def judge(submission: Submission, shown: Checkpoint, known: Known) -> Verdict:
    """Judge a checkpoint whose signature holds, in the order of https://c2sp.org/tlog-witness."""
    if submission.old_size != known.size:
        return OtherSize(known.size)
    if shown.size == known.size and shown.root != known.root:
        return OtherRoot(known.size)
    try:
        verify_consistency(
            first=known.size,
            second=shown.size,
            first_root=known.root,
            second_root=shown.root,
            path=submission.path,
        )
    except ProofInvalid as error:
        return NotGrown(str(error))
    return Grown()
