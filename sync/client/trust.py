"""What the device pinned at enrolment, and the watch it keeps over the server's ledger.

Every device is a witness: it keeps the last checkpoint it verified and demands
that each newer one begins with it (docs/evidence.md §5).
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from sync.client.errors import (
    CheckpointInvalid,
    GenerationChanged,
    LedgerForked,
    LinkError,
    ReceiptInvalid,
)
from sync.client.folder import DeviceFolder
from sync.client.outbox import Outbox
from sync.evidence.checkpoint import Checkpoint, parse_checkpoint
from sync.evidence.encoding import sha256_hex
from sync.evidence.errors import SyncError
from sync.evidence.fork import ForkProof, OtherStart, check_fork, format_fork
from sync.evidence.line import Anchor
from sync.evidence.merkle import ProofInvalid, start_of_path, verify_consistency
from sync.evidence.note import open_note, parse_note, parse_verifier_key
from sync.evidence.receipt import Receipt, parse_receipt

#: Asks the server for the proof from the first size to the second.
Prove = Callable[[int, int], list[bytes]]
#: Asks the server for the root of its first so many leaves.
Root = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """Who this device is and whom it trusts; the keys are C2SP verifier keys."""

    server: str
    device: str
    kind: str
    serial: str
    name: str
    key_id: str
    organization: str
    organization_name: str
    origin: str
    generation: int
    receipt_key: str
    ledger_key: str
    #: Origin, generation and receipt key of the ledgers that the present one took over from.
    earlier: Sequence[tuple[str, int, str]] = ()
    #: Ledger keys that ``ledger_key`` took over from: what they signed is kept, not believed anew.
    earlier_ledger_keys: Sequence[str] = ()

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def read_checkpoint(note: str, enrolment: Enrolment) -> Checkpoint:
    """The checkpoint in ``note``, signed by the pinned ledger key.

    Raises:
        CheckpointInvalid, GenerationChanged.
    """
    try:
        claimed = parse_checkpoint(parse_note(note).text)
        if claimed.origin != enrolment.origin:
            raise GenerationChanged(enrolment.origin, claimed.origin)
        open_note(note, [parse_verifier_key(enrolment.ledger_key)])
    except GenerationChanged:
        raise
    except SyncError as error:
        raise CheckpointInvalid(str(error)) from error
    return claimed


def read_kept_checkpoint(note: str, enrolment: Enrolment) -> Checkpoint:
    """The checkpoint in ``note``, which this device verified before, under the key of then.

    Raises:
        CheckpointInvalid, GenerationChanged.
    """
    try:
        return read_checkpoint(note, enrolment)
    except CheckpointInvalid:
        for key in enrolment.earlier_ledger_keys:
            with suppress(CheckpointInvalid):
                return read_checkpoint(note, replace(enrolment, ledger_key=key))
        raise


def read_receipt(note: str, enrolment: Enrolment) -> Receipt:
    """The receipt in ``note``, signed by a pinned receipt key, for this device and its ledger.

    One of an earlier generation stays good for its lines.

    Raises:
        ReceiptInvalid.
    """
    present = (enrolment.origin, enrolment.generation, enrolment.receipt_key)
    keys = {(origin, number): key for origin, number, key in (*enrolment.earlier, present)}
    try:
        receipt = parse_receipt(parse_note(note).text)
        key = keys.get((receipt.origin, receipt.generation))
        if key is None:
            raise ReceiptInvalid("of another ledger")
        open_note(note, [parse_verifier_key(key)])
    except ReceiptInvalid:
        raise
    except SyncError as error:
        raise ReceiptInvalid(str(error)) from error
    if receipt.device != enrolment.device:
        raise ReceiptInvalid("for another device")
    return receipt


def anchor_of(checkpoint: Checkpoint) -> Anchor:
    return Anchor(checkpoint.origin, checkpoint.size, checkpoint.root.hex())


class LedgerWatch:
    """Takes newer checkpoints over only if the ledger still begins with what it showed before."""

    def __init__(
        self,
        folder: DeviceFolder,
        outbox: Outbox,
        enrolment: Enrolment,
        prove: Prove,
        root: Root | None = None,
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._enrolment = enrolment
        self._prove = prove
        self._root = root

    def see(self, note: str) -> None:
        """Check ``note`` against the checkpoint that is kept, and keep the newer one.

        Raises:
            CheckpointInvalid, GenerationChanged: the kept one stays.
            LedgerForked: the ledger was rewritten or has shrunk; both notes now
                lie in ``alarms/``, and the kept one stays.
        """
        kept_note = self._outbox.meta("checkpoint")
        if note == kept_note:
            return
        new = read_checkpoint(note, self._enrolment)
        kept = read_kept_checkpoint(kept_note, self._enrolment)
        if (new.size, new.root) == (kept.size, kept.root):
            return
        path = self._prove(kept.size, new.size) if kept.size < new.size else []
        try:
            verify_consistency(
                first=kept.size,
                second=new.size,
                first_root=kept.root,
                second_root=new.root,
                path=path,
            )
        except ProofInvalid as error:
            start = self._other_start(kept, new, path)
            alarm = raise_alarm(
                self._folder, kept_note, note, self._enrolment, start=start, reason=str(error)
            )
            raise LedgerForked(alarm) from error
        with self._outbox.transaction():
            self._outbox.remember_checkpoint(note, anchor_of(new))

    def _other_start(
        self, kept: Checkpoint, new: Checkpoint, path: Sequence[bytes]
    ) -> OtherStart | None:
        """With what the larger tree begins instead, from its path or from the server."""
        start = other_start(kept, new, path)
        if start is not None or self._root is None or not 0 < kept.size < new.size:
            return start
        try:
            return OtherStart(self._root(kept.size), tuple(path))
        except (LinkError, SyncError):
            return None


def other_start(kept: Checkpoint, new: Checkpoint, path: Sequence[bytes]) -> OtherStart | None:
    """With what the larger tree begins by ``path``, which proves a fork if it is not ``kept``.

    A path that fails proves nothing to others. One that holds from another root does,
    and a server that answers as its database tells it gives just that away.
    """
    try:
        start = start_of_path(first=kept.size, second=new.size, root=new.root, path=path)
    except ProofInvalid:
        return None
    return OtherStart(start, tuple(path))


def raise_alarm(
    folder: DeviceFolder,
    kept: str,
    got: str,
    enrolment: Enrolment,
    *,
    reason: str,
    start: OtherStart | None = None,
) -> str:
    """Keep both notes and what shows that they contradict each other; the file's name.

    ``proved`` in it says whether that makes a fork proof, which ``liuhen-verify --fork``
    checks for anyone who has the ledger's key.
    """
    size = parse_checkpoint(parse_note(got).text).size
    digest = sha256_hex((kept + got).encode())
    target = folder.alarms / f"ledger-{size}-{digest[:12]}.json"
    proof = ForkProof(kept, got, start=start)
    proved = _is_proof(proof, enrolment)
    # What could not be asked at the first contact may be told at the next.
    if proved or not target.exists():
        alarm = {**json.loads(format_fork(proof)), "reason": reason, "proved": proved}
        target.write_text(json.dumps(alarm, indent=1, ensure_ascii=False), "utf-8")
    return target.name


def _is_proof(proof: ForkProof, enrolment: Enrolment) -> bool:
    try:
        check_fork(proof, [parse_verifier_key(enrolment.ledger_key)])
    except SyncError:
        return False
    return True
