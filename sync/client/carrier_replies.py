"""Sync by file, inwards: the server's replies, each answer handled like one from the network.

All of a reply is verified before any of it counts, and what it confirms is then
checked line by line, receipt by receipt, as online (docs/protocol.md §5.3).
"""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError

from sync.carrier.errors import (
    CarrierDamaged,
    CarrierError,
    CarrierForeign,
    CarrierIncomplete,
    CarrierNotFound,
    CarrierReplayed,
)
from sync.carrier.manifest import MANIFEST_NAME, ReplyManifest, folder_id, open_reply, part_name
from sync.carrier.reading import PartState, check_part, find_folders, opened_part, read_manifest
from sync.client import fates
from sync.client.answers import (
    CarriedLackingSchema,
    CarriedLedgerSchema,
    FatePageSchema,
    FeedSchema,
    StandingSchema,
)
from sync.client.carrier import CARRIERS, carrier_key
from sync.client.documents import Documents
from sync.client.errors import GenerationChanged, LedgerForked, LineStuck, LinkError
from sync.client.folder import DeviceFolder
from sync.client.generation import under_key
from sync.client.outbox import KEPT, M_SAFE, M_UPLOADED, Outbox
from sync.client.pushing import RefusedAt, take_standing
from sync.client.recovery import Recovery
from sync.client.trust import (
    Enrolment,
    LedgerWatch,
    other_start,
    raise_alarm,
    read_checkpoint,
    read_kept_checkpoint,
)
from sync.client.uploading import ANNOUNCED
from sync.evidence.encoding import sha256_hex
from sync.evidence.merkle import ProofInvalid, verify_consistency
from sync.evidence.note import parse_verifier_key
from sync.wire import Journal

_ANSWER_BYTES = 64 << 20


@dataclass
class ReplyRead:
    """What one reply brought: lines and files that are safe since, documents, later fates.

    ``stopped`` names lines that the server cannot take, which were signed again;
    ``lines_unsent`` and ``media_unsent`` are still only on this device.
    """

    reply: str
    answers: str
    lines: int = 0
    media: int = 0
    documents: int = 0
    outcomes: int = 0
    checkpoint: int = 0
    stopped: list[tuple[str, int, str]] = field(default_factory=list)
    problems: list[LinkError] = field(default_factory=list)
    lines_unsent: int = 0
    media_unsent: int = 0


@dataclass
class RepliesRead:
    """All replies at one place; ``refused`` those that were not for now, with the reason."""

    read: list[ReplyRead] = field(default_factory=list)
    refused: list[CarrierError] = field(default_factory=list)
    incomplete: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class Replies:
    """Reads replies into one device's outbox."""

    def __init__(
        self,
        folder: DeviceFolder,
        outbox: Outbox,
        documents: Documents,
        recovery: Recovery,
        enrolment: Enrolment,
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._documents = documents
        self._recovery = recovery
        self._enrolment = enrolment
        self._key = carrier_key(folder)

    def read_all(self, place: Path) -> RepliesRead:
        """Read every reply in ``place`` that is for this device and was not read before.

        Raises:
            CarrierError: if none could be read, the reason for the last one.
            GenerationChanged: if the server goes on under another name meanwhile.
        """
        found = find_folders(place, "reply")
        done = RepliesRead(incomplete=found.incomplete, ignored=found.ignored)
        for path in found.folders:
            try:
                done.read.append(self.read(path))
            except CarrierError as error:
                # Old replies and those of other devices lie on the same stick as a rule.
                done.refused.append(error)
        if not found.folders:
            raise CarrierNotFound(str(place))
        if not done.read:
            raise done.refused[-1]
        return done

    def read(self, path: Path) -> ReplyRead:
        """Verify the reply in ``path`` as a whole, then take over what it says.

        Raises:
            CarrierError, GenerationChanged: nothing was changed.
        """
        manifest, about = self._verified(path)
        report = ReplyRead(manifest.reply, manifest.answers)
        safe = self._safe()
        with closing(self._answers(path, manifest)) as answers:
            for name, content, where in answers:
                self._take(report, about, name, content, where)
        self._recovery.go_on()
        self._note_read(manifest)
        after = self._safe()
        report.lines, report.media = after[0] - safe[0], after[1] - safe[1]
        count = self._outbox.count
        report.lines_unsent = count(
            "SELECT COUNT(*) FROM line WHERE state NOT IN ('safe', 'restated')"
        )
        report.media_unsent = count("SELECT COUNT(*) FROM medium WHERE state <> 'safe'")
        return report

    def _verified(self, path: Path) -> tuple[ReplyManifest, dict[str, Any]]:
        file = path / MANIFEST_NAME
        key = parse_verifier_key(self._enrolment.receipt_key)
        manifest = open_reply(read_manifest(file, [self._key]), str(file), key)
        if manifest.device != self._enrolment.device:
            raise CarrierForeign(str(path), "a reply to another device")
        if manifest.reply != folder_id(path.name, "reply"):
            raise CarrierForeign(str(path), "the manifest of another reply")
        if (manifest.origin, manifest.generation) != (
            self._enrolment.origin,
            self._enrolment.generation,
        ):
            raise GenerationChanged(self._enrolment.origin, manifest.origin)
        about: dict[str, Any] | None = (self._outbox.meta(CARRIERS) or {}).get(manifest.answers)
        if about is None or about["manifest"] != manifest.manifest:
            raise CarrierForeign(str(path), "a reply to a carrier that this device does not know")
        if manifest.reply in about["read"]:
            raise CarrierReplayed(str(path))
        for number, part in enumerate(manifest.parts, start=1):
            name = part_name(number)
            match check_part(path / name, part):
                case PartState.MISSING:
                    raise CarrierIncomplete(str(path), name)
                case PartState.DAMAGED:
                    raise CarrierDamaged(str(path / name), "not as it was signed")
                case PartState.PRESENT:
                    pass
        return manifest, about

    def _answers(self, path: Path, manifest: ReplyManifest) -> Generator[tuple[str, bytes, str]]:
        for number in range(1, len(manifest.parts) + 1):
            file = path / part_name(number)
            with opened_part(file, self._key) as members:
                for member in members:
                    yield member.name, member.content(_ANSWER_BYTES), str(file)

    def _take(
        self, report: ReplyRead, about: dict[str, Any], name: str, content: bytes, where: str
    ) -> None:
        """Handle one answer; kinds of a later version are let pass."""
        kind, _, rest = name.partition("/")
        match kind:
            case "ledger.json":
                self._see(report, about, _load(CarriedLedgerSchema, content, where))
            case "journal":
                standing = _load(StandingSchema, content, where)
                epoch = rest.partition("/")[0]
                take_standing(self._outbox, self._enrolment, epoch, standing)
                self._stop(report, epoch, standing)
            case "media":
                self._settle_media(_load(CarriedLackingSchema, content, where))
            case "outcomes" if about["outcomes"] == (self._outbox.meta(fates.CURSOR) or ""):
                page = _load(FatePageSchema, content, where)
                fates.take(self._outbox, page)
                about["outcomes"] = page.cursor
                report.outcomes += len(page.outcomes)
            case "feed" if about["cursor"] == (self._outbox.meta("cursor") or ""):
                page = _load(FeedSchema, content, where)
                self._documents.take(page)
                about["cursor"] = page.cursor
                report.documents += len(page.documents)

    def _renew_key(self, answer: dict[str, Any]) -> None:
        """Go on with another key of our ledger, if the one we know names it."""
        renewed = under_key(self._enrolment, answer["ledger_key"], answer["endorsements"])
        if renewed != self._enrolment:
            self._enrolment = renewed
            with self._outbox.transaction():
                self._outbox.remember("enrolment", asdict(renewed))

    def _see(self, report: ReplyRead, about: dict[str, Any], answer: dict[str, Any]) -> None:
        """The ledger must begin with what the carrier knew of it; kept if it is the newest."""
        note, path = answer["checkpoint"], [bytes.fromhex(node) for node in answer["path"]]
        self._renew_key(answer)
        new = read_checkpoint(note, self._enrolment)
        report.checkpoint = new.size
        try:
            if self._outbox.meta("checkpoint") == about["checkpoint"]:
                watch = LedgerWatch(
                    self._folder, self._outbox, self._enrolment, lambda _first, _second: path
                )
                watch.see(note)
                return
            # The device has learnt of a newer one meanwhile, to which this proof says nothing.
            then = read_kept_checkpoint(about["checkpoint"], self._enrolment)
            verify_consistency(
                first=then.size,
                second=new.size,
                first_root=then.root,
                second_root=new.root,
                path=path,
            )
        except LedgerForked as error:
            # As online: what the server confirms is still taken, silence helps nobody.
            report.problems.append(error)
        except ProofInvalid as error:
            alarm = raise_alarm(
                self._folder,
                about["checkpoint"],
                note,
                self._enrolment,
                start=other_start(then, new, path),
                reason=str(error),
            )
            report.problems.append(LedgerForked(alarm))

    def _stop(self, report: ReplyRead, epoch: str, standing: Any) -> None:
        """Leave an epoch whose next line the server has refused for good."""
        refused = {
            result.digest: result.code
            for result in standing.results
            if result.journal is Journal.REFUSED
        }
        waiting = self._outbox.lines(
            "line.epoch = ? AND seq = ? AND state = ?", (epoch, standing.next_seq, KEPT)
        )
        for line in waiting:
            code = refused.get(sha256_hex(line.raw))
            if code is None:
                return
            if line.seq == 0:
                # A new epoch would be refused like this one: its key is not known there.
                report.problems.append(LineStuck(epoch, line.seq, code))
                return
            self._recovery.mark(epoch, RefusedAt(line.seq, code))
            report.stopped.append((epoch, line.seq, code))

    def _settle_media(self, answer: dict[str, Any]) -> None:
        """What a receipted line announces and the server asks for no more is safe."""
        lacking, unannounced = set(answer["lacking"]), set(answer["unannounced"])
        with self._outbox.transaction():
            for sha256 in set(answer["asked"]) - lacking:
                state = M_UPLOADED if sha256 in unannounced else M_SAFE
                if self._outbox.media(f"sha256 = ? AND {ANNOUNCED}", (sha256,)):
                    self._outbox.set_medium(sha256, state=state)

    def _note_read(self, manifest: ReplyManifest) -> None:
        known = self._outbox.meta(CARRIERS) or {}
        known[manifest.answers]["read"].append(manifest.reply)
        with self._outbox.transaction():
            self._outbox.remember(CARRIERS, known)

    def _safe(self) -> tuple[int, int]:
        count = self._outbox.count
        return (
            count("SELECT COUNT(*) FROM line WHERE state = 'safe'"),
            count("SELECT COUNT(*) FROM medium WHERE state = 'safe'"),
        )


def _load(schema: type[Schema], content: bytes, where: str) -> Any:
    try:
        return schema().load(json.loads(content))
    except (ValueError, RecursionError, ValidationError) as error:
        raise CarrierDamaged(where, "an answer of another form") from error
