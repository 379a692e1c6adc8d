"""What can go wrong on the device: each error has a code, its values and a bilingual sentence."""

from sync.catalogue import DEFAULT_LANGUAGE, has, text
from sync.errors import SyncError


class ClientError(SyncError):
    """Base of the device client's errors; attributes fill the sentence of the catalogue."""

    code = "client.error"


class NotEnrolled(ClientError):
    """The device folder holds no enrolment."""

    code = "client.not_enrolled"

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.folder = folder


class AlreadyEnrolled(ClientError):
    """The device folder is enrolled already; a second identity needs a second folder."""

    code = "client.already_enrolled"

    def __init__(self, folder: str, server: str) -> None:
        super().__init__(f"{folder}: {server}")
        self.folder = folder
        self.server = server


class EnrolmentUnclear(ClientError):
    """The reply to an enrolment was lost, and the code is spent."""

    code = "client.enrolment_unclear"


class FolderBusy(ClientError):
    """Another process works in the device folder."""

    code = "client.folder_busy"

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.folder = folder


class FolderDamaged(ClientError):
    """The device folder contradicts itself; ``reason`` says where."""

    code = "client.folder_damaged"

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(f"{folder}: {reason}")
        self.folder = folder
        self.reason = reason


class UnknownDocument(ClientError):
    """No document of that kind and name has been pulled."""

    code = "client.unknown_document"

    def __init__(self, kind: str, wanted: str) -> None:
        super().__init__(f"{kind} {wanted}")
        self.kind = kind
        self.wanted = wanted


class AmbiguousOfficer(ClientError):
    """Several officers bear that certificate number."""

    code = "client.ambiguous_officer"

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class AmbiguousName(ClientError):
    """Several documents are called that; ``some`` of them are named with their ids."""

    code = "client.ambiguous_name"

    def __init__(self, wanted: str, some: str) -> None:
        super().__init__(f"{wanted}: {some}")
        self.wanted = wanted
        self.some = some


class UnknownInspection(ClientError):
    """This device did not open that inspection."""

    code = "client.unknown_inspection"

    def __init__(self, inspection: str) -> None:
        super().__init__(inspection)
        self.inspection = inspection


class UnknownItem(ClientError):
    """This device holds no evidence item of that id, or it belongs to no inspection."""

    code = "client.unknown_item"

    def __init__(self, item: str) -> None:
        super().__init__(item)
        self.item = item


class RecorderTimeUnknown(ClientError):
    """Neither a recording's name nor the command says whose clock it was and what it showed."""

    code = "client.recorder_time_unknown"

    def __init__(self, item: str) -> None:
        super().__init__(item)
        self.item = item


class UnknownField(ClientError):
    """The template has no such field, or the value is not of the field's type."""

    code = "client.unknown_field"

    def __init__(self, template: str, field: str, reason: str) -> None:
        super().__init__(f"{template}.{field}: {reason}")
        self.template = template
        self.field = field
        self.reason = reason


class UnknownCandidate(ClientError):
    """The digest names none, or several, of the values that a field was given."""

    code = "client.unknown_candidate"

    def __init__(self, record: str, field: str, chosen: str) -> None:
        super().__init__(f"{record}.{field}: {chosen}")
        self.record = record
        self.field = field
        self.chosen = chosen


class RecordIncomplete(ClientError):
    """Records lack what their forms ask for; they are sealed with these gaps only on demand."""

    code = "client.record_incomplete"

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} gaps")
        self.count = count


class TooFewOfficers(ClientError):
    """An inspection needs two officers at least (行政处罚法 art. 42)."""

    code = "client.too_few_officers"

    def __init__(self, named: int) -> None:
        super().__init__(f"{named} named")
        self.named = named


class NoSession(ClientError):
    """No officer, or not the one named, is logged in on this device."""

    code = "client.no_session"

    def __init__(self, officer: str = "") -> None:
        super().__init__(officer)
        self.officer = officer


class WrongPin(ClientError):
    """The PIN is not the one that this officer set on this device."""

    code = "client.wrong_pin"


class PinTooShort(ClientError):
    """A PIN has six characters at least."""

    code = "client.pin_too_short"


class AlreadySealed(ClientError):
    """The inspection is sealed already; what comes later is an addendum."""

    code = "client.already_sealed"

    def __init__(self, inspection: str) -> None:
        super().__init__(inspection)
        self.inspection = inspection


class AlreadyDiscarded(ClientError):
    """The item has been discarded before."""

    code = "client.already_discarded"

    def __init__(self, item: str) -> None:
        super().__init__(item)
        self.item = item


class ReasonMissing(ClientError):
    """An act that withdraws evidence needs a reason."""

    code = "client.reason_missing"


class SealTooLarge(ClientError):
    """The list of all revisions and media does not fit into one journal line."""

    code = "client.seal_too_large"

    def __init__(self, listed: int) -> None:
        super().__init__(f"{listed} digests")
        self.listed = listed


class SheetTooLarge(ClientError):
    """The list of all items does not fit into the line of the signed sheet."""

    code = "client.sheet_too_large"

    def __init__(self, listed: int) -> None:
        super().__init__(f"{listed} items")
        self.listed = listed


class SheetUnwritable(ClientError):
    """The page of the signed sheet could not be written; one that exists is never replaced."""

    code = "client.sheet_unwritable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class SourceUnreadable(ClientError):
    """A file to capture cannot be read."""

    code = "client.source_unreadable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class SourceChanged(ClientError):
    """A file changed while it was copied; nothing was captured."""

    code = "client.source_changed"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class DiskFull(ClientError):
    """The device folder has no room for a file of ``size`` bytes."""

    code = "client.disk_full"

    def __init__(self, path: str, size: int) -> None:
        super().__init__(f"{path}: {size} bytes")
        self.path = path
        self.size = size


class RecordingsStopped(ClientError):
    """Room runs low, so a recording of ``size`` bytes is not taken in; photos still are."""

    code = "client.recordings_stopped"

    def __init__(self, path: str, size: int, free: int) -> None:
        super().__init__(f"{path}: {size} bytes, {free} free")
        self.path = path
        self.size = size
        self.free = free


class StorageFailed(ClientError):
    """The device's database cannot be written: the disk is full or fails."""

    code = "client.storage_failed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PatternsInvalid(ClientError):
    """The name patterns of recorders (recorders.toml) cannot be used."""

    code = "client.patterns_invalid"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class LinkError(ClientError):
    """Base of what goes wrong between device and server; nothing local is lost by it."""

    code = "client.link"


class Unreachable(LinkError):
    """No answer came from the server, after all tries."""

    code = "client.unreachable"
    retry_after: float | None = None

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self.server = server


class Untrusted(LinkError):
    """The server's TLS certificate is not one that this device trusts."""

    code = "client.untrusted"

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self.server = server


class CaptivePortal(LinkError):
    """Something answered that is not our server: a log-in page of the network, as a rule."""

    code = "client.not_our_server"

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"{server}: {reason}")
        self.server = server
        self.reason = reason


class ServerUnavailable(LinkError):
    """The server answered that it cannot serve now, after all tries; it asked for a pause in s."""

    code = "client.server_unavailable"

    def __init__(self, status: int, problem: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"{status} {problem}".strip())
        self.status = status
        self.problem = problem
        self.retry_after = retry_after


class ServerRefused(LinkError):
    """The server refused a request; ``problem`` is its permanent code."""

    code = "client.server_refused"

    def __init__(self, status: int, problem: str, title: str = "") -> None:
        super().__init__(f"{status} {problem}")
        self.status = status
        self.problem = problem
        self.title = title


class ReceiptInvalid(LinkError):
    """A receipt is not by the pinned key or not about the lines that were sent."""

    code = "client.receipt_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CheckpointInvalid(LinkError):
    """A checkpoint is not signed by the pinned ledger key, or not a checkpoint."""

    code = "client.checkpoint_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class GenerationChanged(LinkError):
    """The server speaks for another ledger than the one this device enrolled with."""

    code = "client.generation_changed"

    def __init__(self, known: str, got: str) -> None:
        super().__init__(f"{known}, now {got}")
        self.known = known
        self.got = got


class LedgerForked(LinkError):
    """The server's ledger does not begin with what it showed before; both notes are kept."""

    code = "client.ledger_forked"

    def __init__(self, alarm: str) -> None:
        super().__init__(alarm)
        self.alarm = alarm


class LedgerRestored(LinkError):
    """The server was restored from a backup and proves it; ``lost`` entries we saw are gone."""

    code = "client.ledger_restored"

    def __init__(self, *, generation: int, lost: int) -> None:
        super().__init__(f"generation {generation}, {lost} entries lost")
        self.generation = generation
        self.lost = lost


class LineStuck(LinkError):
    """The server refuses the opening of an epoch, or lacks lines that nobody has."""

    code = "client.line_stuck"

    def __init__(self, epoch: str, seq: int, problem: str) -> None:
        super().__init__(f"{epoch} {seq}: {problem}")
        self.epoch = epoch
        self.seq = seq
        self.problem = problem


class HeadMistyped(ClientError):
    """What was typed or scanned is no head of another device's journal."""

    code = "client.head_mistyped"

    def __init__(self, said: str, count: int, foreign: str) -> None:
        super().__init__(said)
        self.said = said
        self.count = count
        self.foreign = foreign or "—"


class NothingWritten(ClientError):
    """The journal has no line whose head could be told."""

    code = "client.nothing_written"


class DeviceWiped(ClientError):
    """The device was told to empty itself, and did."""

    code = "client.device_wiped"

    def __init__(self, folder: str, device: str) -> None:
        super().__init__(folder)
        self.folder = folder
        self.device = device


def sentence(error: SyncError, lang: str = DEFAULT_LANGUAGE) -> str:
    """One sentence about ``error`` for a person, in ``lang``."""
    area, _, name = error.code.partition(".")
    values = dict(vars(error))
    if isinstance(error, UnknownDocument) and has(f"client.document.{error.kind}"):
        values["kind"] = text(f"client.document.{error.kind}", lang)
    for key in (f"client.error.{name}" if area == "client" else "", f"errors.{error.code}"):
        if key and has(key):
            return text(key, lang, **values)
    return f"{error.code}: {error}"
