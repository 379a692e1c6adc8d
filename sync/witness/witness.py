"""A witness at work: takes submissions, remembers, and cosigns what continues what it remembers."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import assert_never

from sync.errors import SyncError
from sync.evidence.checkpoint import Checkpoint, parse_checkpoint
from sync.evidence.cosignature import CosignerKey, cosign
from sync.evidence.fork import ForkProof, OtherStart
from sync.evidence.merkle import ProofInvalid, start_of_path
from sync.evidence.note import (
    NoteForged,
    NoteUnsigned,
    VerifierKey,
    open_note,
    parse_note,
    parse_verifier_key,
)
from sync.evidence.p256 import KeyMalformed
from sync.witness.judging import Grown, NotGrown, OtherRoot, OtherSize, judge
from sync.witness.keyfile import load_key, make_key, public_bytes
from sync.witness.register import Refused, Register
from sync.witness.submission import Submission, SubmissionMalformed, parse_submission

_KEY = "witness.key"
_REGISTER = "witness.db"


class AlreadyMade(SyncError):
    """The folder already holds a witness, whose key and memory stay as they are."""

    code = "witness.already_made"


class NoWitness(SyncError):
    """The folder holds no witness, or one whose key cannot be used."""

    code = "witness.none"


class OwnKey(SyncError):
    """A witness cannot watch a ledger that signs with the witness's own key."""

    code = "witness.own_key"


class OriginUnknown(SyncError):
    """The witness does not watch this ledger."""

    code = "witness.origin_unknown"


class NotTrusted(SyncError):
    """No signature under the checkpoint is by a key that may sign for this ledger."""

    code = "witness.not_trusted"


class SizeConflict(SyncError):
    """The submission does not start from what the witness cosigned last: ``size`` leaves."""

    code = "witness.size_conflict"

    def __init__(self, size: int, *, forked: bool) -> None:
        super().__init__(f"known here: {size}" + (", with another root" if forked else ""))
        self.size = size
        self.forked = forked


class ProofRefused(SyncError):
    """The proof does not lead from what the witness cosigned last to the checkpoint."""

    code = "witness.proof_refused"


class Witness:
    """The witness in ``folder``."""

    def __init__(
        self, folder: Path, *, clock_s: Callable[[], int] = lambda: int(time.time())
    ) -> None:
        """Open it.

        Raises:
            NoWitness.
        """
        if not (folder / _REGISTER).is_file():
            raise NoWitness(str(folder))
        try:
            self._private = load_key(folder / _KEY)
        except (OSError, ValueError) as error:
            raise NoWitness(f"{folder / _KEY}: {error}") from error
        self._register = Register(folder / _REGISTER)
        self._clock_s = clock_s
        self.key = CosignerKey(self._register.name(), public_bytes(self._private))

    @classmethod
    def make(cls, folder: Path, name: str) -> "Witness":
        """Make a witness called ``name`` with a fresh key.

        Raises:
            AlreadyMade.
            KeyMalformed: if the name cannot be that of a key.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / _REGISTER).exists() or (folder / _KEY).exists():
            raise AlreadyMade(str(folder))
        # The bytes of a key say nothing here: it is the name that may not fit.
        parse_name(name)
        make_key(folder / _KEY)
        Register(folder / _REGISTER).create(name)
        return cls(folder)

    def add_log(self, vkey: str) -> VerifierKey:
        """Watch the ledger that the verifier key ``vkey`` signs for, from now on.

        Raises:
            KeyMalformed, OwnKey.
        """
        key = parse_verifier_key(vkey)
        # With one key in both roles, a cosignature and a checkpoint would be one statement.
        if key.public_key == self.key.public_key:
            raise OwnKey(key.name)
        self._register.add_key(key, now_s=self._clock_s())
        return key

    def add_checkpoint(self, data: bytes) -> str:
        """Cosign the checkpoint in a submission: the signature line, once it is remembered.

        Raises:
            SubmissionMalformed, OriginUnknown, NotTrusted, SizeConflict, ProofRefused.
        """
        submission = parse_submission(data)
        text, shown = _read(submission)
        self._check_signature(submission.note, shown.origin)
        if submission.old_size > shown.size:
            raise SubmissionMalformed("the old size is the larger")
        now_s = self._clock_s()
        refusal: SizeConflict | ProofRefused | None = None
        with self._register.deciding(shown.origin) as decision:
            match judge(submission, shown, decision.known):
                case Grown():
                    decision.cosign(shown, submission.note, now_s=now_s)
                case OtherSize(size):
                    raise SizeConflict(size, forked=False)
                case OtherRoot(size):
                    decision.refuse(shown, submission, "another root", now_s=now_s)
                    refusal = SizeConflict(size, forked=True)
                case NotGrown(reason):
                    decision.refuse(shown, submission, reason, now_s=now_s)
                    refusal = ProofRefused(reason)
                case unreachable:
                    assert_never(unreachable)
        if refusal is not None:
            raise refusal
        return cosign(text, self.key, self._private.sign, time_s=now_s)

    def cosign_file(self, data: bytes) -> str:
        """The note of a submission that came by file, with this witness's signature under it."""
        return parse_submission(data).note + self.add_checkpoint(data)

    def logs(self) -> Sequence[str]:
        """One line for each trusted key: ledger, key, size, and when that was cosigned."""
        return [
            f"{vkey} {seen.size if seen else 0} {seen.time_s if seen else '-'}"
            for _, vkey, seen in self._register.logs()
        ]

    def refused(self) -> Sequence[Refused]:
        """What was shown with a good signature and does not continue what was cosigned."""
        return self._register.refused()

    def _check_signature(self, note: str, origin: str) -> None:
        keys = self._register.keys(origin)
        if not keys:
            raise OriginUnknown(origin)
        if not any(_is_signed(note, key) for key in keys):
            raise NotTrusted(origin)


def parse_name(name: str) -> None:
    """Refuse what cannot be the name of a key.

    Raises:
        KeyMalformed.
    """
    if not name or any(c.isspace() or c == "+" or not c.isprintable() for c in name):
        raise KeyMalformed("a key name has no spaces and no plus signs")


def fork_of(refused: Refused) -> ForkProof | None:
    """The proof to show to anyone, where the refused checkpoint makes one.

    Two roots for one size do; so does the proof that came with a larger tree, if it
    holds from another start than was cosigned.
    """
    if not refused.kept:
        return None
    kept, shown = (parse_checkpoint(parse_note(n).text) for n in (refused.kept, refused.note))
    if kept.size == shown.size:
        return ForkProof(refused.kept, refused.note)
    try:
        root = start_of_path(first=kept.size, second=shown.size, root=shown.root, path=refused.path)
    except ProofInvalid:
        return None
    return ForkProof(refused.kept, refused.note, start=OtherStart(root, refused.path))


def _read(submission: Submission) -> tuple[str, Checkpoint]:
    try:
        text = parse_note(submission.note).text
        return text, parse_checkpoint(text)
    except SyncError as error:
        raise SubmissionMalformed(str(error)) from error


def _is_signed(note: str, key: VerifierKey) -> bool:
    try:
        open_note(note, [key])
    except (NoteForged, NoteUnsigned):
        return False
    return True
