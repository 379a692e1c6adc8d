"""The typed errors of the evidence formats, each with a permanent code."""

from __future__ import annotations

from typing import Optional


class SyncError(Exception):
    """Base of every error of ``sync``; ``code`` is part of the API and never reused."""

    code = "sync.error"


class NotCanonical(SyncError):
    """Bytes are not the canonical JSON of docs/protocol.md §4.1."""

    code = "journal.not_canonical"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LineMalformed(SyncError):
    """A line is canonical JSON but not a journal line (docs/protocol.md §4.1)."""

    code = "journal.malformed"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field + ": " + reason)
        self.field = field
        self.reason = reason


class LineTooLong(SyncError):
    """A line is longer than the limit (docs/protocol.md §10)."""

    code = "journal.line_too_long"

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__("%d bytes, limit %d" % (size, limit))
        self.size = size
        self.limit = limit


class PartMismatch(SyncError):
    """The bytes of a part do not hash to what the signed header says."""

    code = "journal.part_mismatch"

    def __init__(self, *, part: int) -> None:
        super().__init__("part %d" % part)
        self.part = part


class BadSignature(SyncError):
    """A signature does not verify under the key that the line names."""

    code = "journal.bad_signature"

    def __init__(self, *, key_id: str) -> None:
        super().__init__("key " + key_id[:12])
        self.key_id = key_id


class ChainBroken(SyncError):
    """A line names a predecessor other than the head of its chain."""

    code = "journal.chain_broken"

    def __init__(self, *, seq: int, expected: str, got: str) -> None:
        super().__init__("seq %d: expected %s, got %s" % (seq, expected[:12], got[:12]))
        self.seq = seq
        self.expected = expected
        self.got = got


class SequenceGap(SyncError):
    """A line's place is not the next one of its chain."""

    code = "journal.gap"

    def __init__(self, *, expected: int, got: int) -> None:
        super().__init__("expected seq %d, got %d" % (expected, got))
        self.expected = expected
        self.got = got


class WrongPlace(SyncError):
    """A line belongs to another device or epoch than the chain it was put into."""

    code = "journal.wrong_place"

    def __init__(self, *, device: str, epoch: str, seq: Optional[int] = None) -> None:
        super().__init__("belongs to device %s, epoch %s, seq %s" % (device, epoch, seq))
        self.device = device
        self.epoch = epoch
        self.seq = seq


class BadEncoding(SyncError):
    """Text is not the one encoding that the format allows (base64url, hex)."""

    code = "journal.bad_encoding"
