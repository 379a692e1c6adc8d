"""The server's typed errors; they carry the values that explain them and know no HTTP."""

from collections.abc import Sequence

from sync.templates import Problem


class ServerError(Exception):
    """Base of every error of ``server``; ``code`` is part of the API and never reused."""

    code = "server.error"


class NotFound(ServerError):
    """There is nothing of that id, or nothing that the caller may know of."""

    code = "server.not_found"

    def __init__(self, kind: str, identifier: str) -> None:
        super().__init__(f"{kind} {identifier}")
        self.kind = kind
        self.identifier = identifier


class Invalid(ServerError):
    """A field of a request is missing or not of its form."""

    code = "server.invalid"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class BodyTooLarge(ServerError):
    """A request body is over its limit (docs/operations.md §10)."""

    code = "server.body_too_large"

    def __init__(self, *, limit: int, unit: str = "bytes") -> None:
        super().__init__(f"limit {limit} {unit}")
        self.limit = limit


class EncodingUnsupported(ServerError):
    """A body comes in a content encoding that this server does not read."""

    code = "server.encoding_unsupported"


class BodyUndecodable(ServerError):
    """A compressed body cannot be expanded."""

    code = "server.body_undecodable"


class Conflict(ServerError):
    """The request does not fit the present state of what it is about."""

    code = "server.conflict"


class EnrolmentCodeUnknown(ServerError):
    """The enrolment code is wrong, used or expired."""

    code = "enrolment.code_unknown"


class KeyAlreadyEnrolled(ServerError):
    """The public key or the device id belongs to an enrolled device already."""

    code = "enrolment.already_enrolled"


class KeyInvalid(ServerError):
    """The public key is not a P-256 key, or its holder did not prove to have it."""

    code = "enrolment.key_invalid"


class NonceUnknown(ServerError):
    """The nonce was never issued, is used or has expired."""

    code = "token.nonce_unknown"


class KeyUnknown(ServerError):
    """No device is enrolled with that key."""

    code = "token.key_unknown"


class SignatureInvalid(ServerError):
    """The signature over the nonce does not verify."""

    code = "token.signature_invalid"


class TokenMissing(ServerError):
    """The request carries no valid device token."""

    code = "token.invalid"


class DeviceRevoked(ServerError):
    """The device's key is revoked: it may hand in what it holds, but learns nothing new."""

    code = "token.revoked"

    def __init__(self, standing: str) -> None:
        super().__init__(standing)
        #: What the problem document says besides (RFC 9457 §3.2).
        self.members = {"standing": standing}


class DeviceMismatch(ServerError):
    """A device asks for the journal of another one."""

    code = "token.other_device"


class LoginFailed(ServerError):
    """User name or password is wrong."""

    code = "login.failed"


class LoginLocked(ServerError):
    """Too many wrong passwords; the account waits."""

    code = "login.locked"

    def __init__(self, *, until_ms: int) -> None:
        super().__init__(f"until {until_ms}")
        self.until_ms = until_ms


class LoginRequired(ServerError):
    """The page needs a login."""

    code = "login.required"


class PasswordWeak(ServerError):
    """The new password is too short or the same as the old one."""

    code = "login.password_weak"


class Forbidden(ServerError):
    """The caller's roles do not allow this."""

    code = "access.forbidden"


class NotIndependent(ServerError):
    """The person stands on another side of this case (四个分离)."""

    code = "access.not_independent"


class CsrfFailed(ServerError):
    """A form came without the token of its page."""

    code = "access.csrf_failed"


class FormInvalid(ServerError):
    """A form that somebody wants to publish cannot be used; ``problems`` say all that is amiss."""

    code = "forms.invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message("en") for problem in problems[:20]))
        self.problems = tuple(problems)


class FormPublished(ServerError):
    """That version of the form exists, and a published version is never changed."""

    code = "forms.version_exists"


class PackageNotReady(ServerError):
    """The evidence package is still being built, or its building failed."""

    code = "package.not_ready"


class ForeignRejected(ServerError):
    """Another bureau's package does not verify, and nobody said why it must be kept."""

    code = "foreign.rejected"

    def __init__(self, sha256: str, failed: Sequence[tuple[str, str, str]]) -> None:
        """``failed`` are the claims that fail: code, and the sentence in Chinese and English."""
        super().__init__(f"{sha256}: {', '.join(dict.fromkeys(one[0] for one in failed))}"[:500])
        self.sha256 = sha256
        self.failed = tuple(failed)


class ErasureUnderWay(ServerError):
    """The case is just being erased by law; what is left of it can be had when that is done."""

    code = "erasure.under_way"


class RetentionRuns(ServerError):
    """What is to be erased must still be kept: its term has not ended."""

    code = "erasure.retention_runs"


class OnHold(ServerError):
    """A legal hold keeps the case beyond its term."""

    code = "erasure.on_hold"


class SamePerson(ServerError):
    """Two persons must say so, and this is the one who has said it already."""

    code = "erasure.same_person"


class LawfullyErased(ServerError):
    """The bytes were erased by law and are not taken again."""

    code = "media.lawfully_erased"


class SeveralGenerations(ServerError):
    """A case lies in two generations of the ledger, which no single checkpoint proves."""

    code = "package.several_generations"


class LedgerBehind(ServerError):
    """The database is behind a checkpoint that was signed with its key: it refuses to append."""

    code = "ledger.behind"


class GenerationEnded(ServerError):
    """This process speaks for a generation of the ledger that has ended: it must be restarted."""

    code = "ledger.generation_ended"
