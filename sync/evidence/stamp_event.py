"""The ``stamp`` event of an outside authority's time stamp (docs/evidence.md §5.1).

Written by the server and read again by the verifier with the same code. A ``stamp``
event of the server's own clock is none of these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from .checkpoint import Checkpoint, format_checkpoint

FOLDER = "proofs/timestamps/"

_TEXTS = ("answer", "imprint", "serial", "policy", "renews")
_NUMBERS = ("gen_time_ms", "margin_ms", "expires_at_ms")
_DIGEST = re.compile(r"\A[0-9a-f]{64}\Z")
#: Also part of the name of a file in a package.
_AUTHORITY = re.compile(r"\A[a-z0-9-]{1,32}\Z")


@dataclass(frozen=True)
class StampEvent:
    """One stamp that was believed when it came.

    Attributes:
        checkpoint: what it stands for, (origin, size, root in hex); None for a package.
        package: id and SHA-256 of the ZIP that it stands for; None for a checkpoint.
        answer: SHA-256 of the answer's bytes.
        serial: of the stamp, in hex.
        renews: SHA-256 of the older answer that was stamped here; empty for a first stamp.
        expires_at_ms: when the certificate of its signer ends.
    """

    authority: str
    checkpoint: Optional[Tuple[str, int, str]]
    package: Optional[Tuple[str, str]]
    answer: str
    imprint: str
    gen_time_ms: int
    margin_ms: int
    serial: str
    policy: str
    expires_at_ms: int
    checked_by: Tuple[str, ...]
    renews: str = ""

    @property
    def stem(self) -> str:
        """Its files in a package, but for their endings. The name tells the time for -attime."""
        return "%s%d-%s-%s" % (FOLDER, self.gen_time_ms // 1000, self.authority, self.answer[:12])

    def subject(self) -> Dict[str, Any]:
        value = {"authority": self.authority}  # type: Dict[str, Any]
        if self.checkpoint is not None:
            origin, size, root = self.checkpoint
            value["checkpoint"] = {"origin": origin, "size": size, "root": root}
        if self.package is not None:
            value["package"], value["sha256"] = self.package
        return value

    def snapshot(self) -> Dict[str, Any]:
        value = {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}
        return {**value, "checked_by": list(self.checked_by)}


def stamped_text(checkpoint: Tuple[str, int, str]) -> bytes:
    """The bytes whose SHA-256 a first stamp of a checkpoint covers: its note's text.

    Raises:
        NoteMalformed: if there is no such checkpoint.
    """
    origin, size, root = checkpoint
    return format_checkpoint(Checkpoint(origin, size, bytes.fromhex(root))).encode("utf-8")


def read_stamp_event(body: Mapping[str, Any]) -> Optional[StampEvent]:
    """The stamp in a ledger event; None if it is none of an outside authority, or malformed."""
    subject, snapshot = body.get("subject"), body.get("snapshot")
    if (
        body.get("kind") != "stamp"
        or not isinstance(subject, dict)
        or not isinstance(snapshot, dict)
    ):
        return None
    authority, tools = subject.get("authority"), snapshot.get("checked_by")
    texts = [snapshot.get(name) for name in _TEXTS]
    numbers = [snapshot.get(name) for name in _NUMBERS]
    checkpoint, package = _checkpoint(subject), _package(subject)
    if (
        not isinstance(authority, str)
        or not _AUTHORITY.match(authority)
        or not all(isinstance(value, str) for value in texts)
        or not all(_DIGEST.match(snapshot[name]) for name in ("answer", "imprint"))
        or not all(type(value) is int for value in numbers)
        or not isinstance(tools, list)
        or (checkpoint is None) == (package is None)
    ):
        return None
    return StampEvent(
        authority=authority,
        checkpoint=checkpoint,
        package=package,
        checked_by=tuple(str(tool) for tool in tools),
        **{name: snapshot[name] for name in (*_TEXTS, *_NUMBERS)},
    )


def _checkpoint(subject: Mapping[str, Any]) -> Optional[Tuple[str, int, str]]:
    value = subject.get("checkpoint")
    if not isinstance(value, dict):
        return None
    origin, size, root = value.get("origin"), value.get("size"), value.get("root")
    if not isinstance(origin, str) or type(size) is not int or not isinstance(root, str):
        return None
    if not _DIGEST.match(root):
        return None
    return origin, size, root


def _package(subject: Mapping[str, Any]) -> Optional[Tuple[str, str]]:
    identifier, sha256 = subject.get("package"), subject.get("sha256")
    if not isinstance(identifier, str) or not isinstance(sha256, str):
        return None
    return identifier, sha256
