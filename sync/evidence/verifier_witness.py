"""Step 10, witnesses: who outside the bureau has seen this ledger, how far, and by which policy."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import List, Optional, Tuple

from .checkpoint import Checkpoint, open_checkpoint
from .cosignature import Cosignature, cosignatures
from .errors import SyncError
from .merkle import ProofInvalid, verify_consistency
from .note import VerifierKey, parse_note
from .package import CONSISTENCY, WITNESS_POLICY, WITNESSED, PackageMalformed
from .policy import Policy, parse_policy
from .record_reading import parse_consistency
from .verifier_claims import Book, first_line
from .verifier_ledger import Trust
from .verifier_source import EntryUnreadable, Source, read, read_lines


def check_witnesses(book: Book, source: Source, trust: Trust, brought: Optional[Policy]) -> None:
    """Check the enclosed cosignatures by ``brought``, a policy from outside the package.

    Without one the enclosed policy is used and nothing passes by it: whoever made
    the package chose it.
    """
    if WITNESSED not in source.names:
        if brought is None:
            book.not_checked("outside.witnesses")
        elif brought.is_met_by(()):
            book.not_checked("outside.no_quorum_asked")
        else:
            book.failed("outside.unwitnessed")
        return
    opened = _open(book, source, trust)
    policy = brought or _enclosed_policy(book, source)
    if opened is None or policy is None:
        return
    note, checkpoint, signers = opened
    if brought is not None and brought.logs and not _is_listed(brought, signers):
        book.failed("outside.log_not_in_policy", file=WITNESSED, origin=checkpoint.origin)
    try:
        found = cosignatures(parse_note(note), policy.cosigners)
    except SyncError as error:
        book.failed("outside.cosignature_bad", file=WITNESSED, reason=first_line(error))
        return
    values = {
        "count": len({cosignature.key for cosignature in found}),
        "size": checkpoint.size,
        "names": ", ".join(sorted({cosignature.key.name for cosignature in found})),
        "time": _latest(found),
    }
    met = policy.is_met_by(cosignature.key for cosignature in found)
    if brought is None:
        code = "outside.witnessed_as_enclosed" if met else "outside.no_quorum_as_enclosed"
        book.not_checked(code, **values)
    elif met and found:
        book.passed("outside.witnessed", **values)
    elif met:
        book.not_checked("outside.no_quorum_asked")
    else:
        book.failed("outside.no_quorum", file=WITNESSED, **values)
    _check_continued(book, source, trust, checkpoint)


def _open(
    book: Book, source: Source, trust: Trust
) -> Optional[Tuple[str, Checkpoint, List[VerifierKey]]]:
    try:
        note = read(source, WITNESSED).decode("utf-8")
        return (note, *open_checkpoint(note, trust.ledger_keys))
    except (SyncError, EntryUnreadable, UnicodeDecodeError) as error:
        book.failed("outside.witnessed_bad", file=WITNESSED, reason=first_line(error))
        return None


def _enclosed_policy(book: Book, source: Source) -> Optional[Policy]:
    try:
        return parse_policy(read(source, WITNESS_POLICY))
    except (SyncError, EntryUnreadable) as error:
        book.failed("outside.policy_bad", file=WITNESS_POLICY, reason=first_line(error))
        return None


def _is_listed(policy: Policy, signers: List[VerifierKey]) -> bool:
    listed = {log.key for log in policy.logs}
    return any(signer in listed for signer in signers)


def _check_continued(book: Book, source: Source, trust: Trust, witnessed: Checkpoint) -> None:
    """What was witnessed is the beginning of this package's tree; the rest nobody outside saw."""
    checkpoint = trust.checkpoint
    if checkpoint is None:
        book.not_checked("outside.witnessed_no_checkpoint")
        return
    try:
        if witnessed.origin != checkpoint.origin:
            raise ProofInvalid("of another ledger")
        verify_consistency(
            first=witnessed.size,
            second=checkpoint.size,
            first_root=witnessed.root,
            second_root=checkpoint.root,
            path=_path(source, witnessed),
        )
    except (ProofInvalid, PackageMalformed, EntryUnreadable) as error:
        book.failed(
            "outside.not_continued", file=WITNESSED, size=witnessed.size, reason=first_line(error)
        )
        return
    book.passed("outside.continued", size=witnessed.size, total=checkpoint.size)
    if checkpoint.size > witnessed.size:
        book.not_checked(
            "outside.exposure", count=checkpoint.size - witnessed.size, size=witnessed.size
        )


def _path(source: Source, witnessed: Checkpoint) -> Tuple[bytes, ...]:
    for line in read_lines(source, CONSISTENCY):
        record = parse_consistency(line)
        if (record.size, record.root) == (witnessed.size, witnessed.root):
            return tuple(record.path)
    return ()


def _latest(found: List[Cosignature]) -> str:
    times = [cosignature.time_s for cosignature in found]
    try:
        return datetime.fromtimestamp(max(times), timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        # A witness may claim a time that no calendar holds; or nobody signed.
        return str(max(times)) if times else "-"
