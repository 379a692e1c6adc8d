"""Step 10: outside authorities' time stamps, in the package and beside it (docs/evidence.md §5.1).

What a stamp says is read here; whether its signature holds is ``openssl``'s to say, where
there is one, and whether the authority is the one it claims to be only a root certificate
from outside can tell. Each stamp is checked as of its own time: that a certificate has
ended since changes nothing about what it signed before.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Dict, List, Optional, Sequence, Set, Tuple

from . import tsp
from .encoding import sha256_hex
from .errors import SyncError
from .stamp_event import StampEvent, read_stamp_event, stamped_text
from .tsp import Stamp
from .verifier_claims import Book, first_line
from .verifier_journal import Journal
from .verifier_ledger import Ledger, Trust
from .verifier_source import EntryUnreadable, FolderSource, Source, read

_ENDING = ".tsr"
_TIMEOUT_S = 60
_GOOD, _BAD = "Verification: OK", "Verification: FAILED"


@dataclass(frozen=True)
class Read:
    """A stamp that could be read: where from, as it came, and what it says."""

    file: str
    answer: bytes
    stamp: Stamp


def check_stamps(
    book: Book,
    source: Source,
    trust: Trust,
    ledger: Ledger,
    journal: Journal,
    roots: Sequence[str],
) -> Set[int]:
    """Check all stamps; return the ledger indexes of those that hold by ``roots``, in PEM.

    Each root is from outside the package. Without any, no stamp holds for certain.
    """
    events = [(event.index, read_stamp_event(event.body)) for event in ledger.of_kind("stamp")]
    found = {index: event for index, event in events if event is not None and event.checkpoint}
    names = _sidecars(source)
    if not found and not names:
        book.not_checked("outside.time_stamps")
        return set()
    judge = _Judge(book, roots)
    answers = {}  # type: Dict[str, bytes]
    for index, event in sorted(found.items()):
        one = _enclosed(book, source, index, event)
        if one is None:
            continue
        answers[event.answer] = one.answer
        if _belongs(book, one, index, event, answers, trust, journal):
            judge.hear(one, event.authority, index)
    if names:
        _check_sidecars(book, source, names, judge)
    judge.conclude()
    return judge.verified


def _enclosed(book: Book, source: Source, index: int, event: StampEvent) -> Optional[Read]:
    file = event.stem + _ENDING
    try:
        answer = read(source, file, tsp.MAX_BYTES)
    except EntryUnreadable as error:
        book.failed("stamps.missing", file=file, index=index, reason=first_line(error))
        return None
    if sha256_hex(answer) != event.answer:
        book.failed("stamps.differs", file=file, index=index)
        return None
    return _read(book, file, answer)


def _read(book: Book, file: str, answer: bytes) -> Optional[Read]:
    try:
        return Read(file, answer, tsp.parse_stamp(answer))
    except SyncError as error:
        book.failed("stamps.unreadable", file=file, reason=first_line(error))
        return None


def _belongs(
    book: Book,
    one: Read,
    index: int,
    event: StampEvent,
    answers: Dict[str, bytes],
    trust: Trust,
    journal: Journal,
) -> bool:
    """Whether the stamp is what its event says, over a state of this very ledger."""
    stamp = one.stamp
    says = (stamp.imprint.hex(), stamp.gen_time_ms, stamp.margin_ms, "%x" % stamp.serial)
    if says != (event.imprint, event.gen_time_ms, event.margin_ms, event.serial):
        book.failed("stamps.differs", file=one.file, index=index)
        return False
    # Callers pass events of checkpoints alone.
    origin, size, root = event.checkpoint or ("", 0, "")
    known = trust.checkpoint is not None and origin == trust.checkpoint.origin
    if not known or (size, root) not in journal.proved_anchors:
        book.failed("stamps.other_ledger", file=one.file, index=index, size=size)
        return False
    if not _covers(stamp, event, answers):
        book.failed("stamps.other_bytes", file=one.file, index=index)
        return False
    return True


def _covers(stamp: Stamp, event: StampEvent, answers: Dict[str, bytes]) -> bool:
    if stamp.hash_oid != tsp.SHA256_OID or event.checkpoint is None:
        return False
    if not event.renews:
        try:
            return sha256_hex(stamped_text(event.checkpoint)) == stamp.imprint.hex()
        except SyncError:
            return False
    older = answers.get(event.renews)
    if older is None:
        return False
    return tsp.renewal_digest(tsp.parse_stamp(older).imprint, older) == stamp.imprint


def _sidecars(source: Source) -> List[str]:
    """Names of the stamps that lie beside a ZIP: its own name, then anything, then ``.tsr``."""
    if isinstance(source, FolderSource):
        return []
    folder, name = os.path.split(os.path.abspath(source.path))
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    return sorted(
        entry for entry in entries if entry.startswith(name + ".") and entry.endswith(_ENDING)
    )


def _check_sidecars(book: Book, source: Source, names: Sequence[str], judge: "_Judge") -> None:
    folder = os.path.dirname(os.path.abspath(source.path))
    waiting = []  # type: List[Read]
    for name in names:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                one = _read(book, name, file.read(tsp.MAX_BYTES + 1))
        except OSError as error:
            book.failed("stamps.unreadable", file=name, reason=first_line(error))
            continue
        if one is not None:
            waiting.append(one)
    try:
        whole = _whole(source)
    except OSError as error:
        book.failed("stamps.unreadable", file=source.path, reason=first_line(error))
        return
    # A renewal stands for a stamp that stands for the ZIP, however many are between.
    standing = {bytes.fromhex(whole)}
    while waiting:
        held = [one for one in waiting if _stands_for(one.stamp, standing)]
        if not held:
            break
        standing = {tsp.renewal_digest(one.stamp.imprint, one.answer) for one in held}
        waiting = [one for one in waiting if one not in held]
        for one in held:
            judge.hear(one, "", None)
    for one in waiting:
        book.failed("stamps.zip_other", file=one.file)


def _whole(source: Source) -> str:
    return source.whole()[0] if not isinstance(source, FolderSource) else ""


def _stands_for(stamp: Stamp, digests: Set[bytes]) -> bool:
    return stamp.hash_oid == tsp.SHA256_OID and stamp.imprint in digests


class _Judge:
    """Says of each stamp what its signature and its certificate are worth."""

    def __init__(self, book: Book, roots: Sequence[str]) -> None:
        self._book = book
        self._roots = "\n".join(roots)
        self._unheard = 0
        self._enclosed = 0
        self._unknown = 0
        self.verified = set()  # type: Set[int]

    def hear(self, one: Read, authority: str, index: Optional[int]) -> None:
        signer = one.stamp.signer
        name = authority or (signer.name if signer else "")
        if signer is None or not signer.stamps or not _is_valid(one.stamp):
            self._book.failed("stamps.signer", file=one.file, signer=signer.name if signer else "")
            return
        enclosed = _pem(one.stamp.certificates)
        sound, reason = ask_openssl(one.stamp, one.answer, enclosed, partial=True)
        if sound is None:
            self._unheard += 1
        elif not sound:
            self._book.failed("stamps.rejected", file=one.file, reason=reason)
        elif not self._roots:
            self._enclosed += 1
        elif not ask_openssl(one.stamp, one.answer, self._roots, partial=False)[0]:
            self._unknown += 1
        else:
            code = "stamps.zip" if index is None else "stamps.good"
            when = _when(one.stamp.gen_time_ms)
            self._book.passed(code, file=one.file, authority=name, when=when)
            if index is not None:
                self.verified.add(index)

    def conclude(self) -> None:
        for code, count in (
            ("stamps.no_openssl", self._unheard),
            ("stamps.as_enclosed", self._enclosed),
            ("stamps.unknown_ca", self._unknown),
        ):
            if count:
                self._book.not_checked(code, count=count)


def ask_openssl(
    stamp: Stamp, answer: bytes, trusted: str, *, partial: bool
) -> Tuple[Optional[bool], str]:
    """Whether openssl finds the signature good by ``trusted``, and why not; None if it cannot say.

    Args:
        trusted: certificates in PEM.
        partial: whether one of them may end the way though it is no root.
    """
    program = shutil.which("openssl")
    if program is None:
        return None, ""
    with tempfile.TemporaryDirectory(prefix="liuhen-verify-") as folder:
        for name, data in (
            ("answer", answer),
            ("trusted", trusted.encode("utf-8")),
            ("enclosed", _pem(stamp.certificates).encode("utf-8")),
        ):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
        command = [program, "ts", "-verify", "-in", "answer", "-CAfile", "trusted"]
        command += ["-untrusted", "enclosed", "-digest", stamp.imprint.hex()]
        command += ["-attime", str(stamp.gen_time_ms // 1000)]
        command += ["-token_in"] if answer == stamp.token else []
        command += ["-partial_chain"] if partial else []
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return None, ""
    told = done.stdout.decode("utf-8", "replace")
    if done.returncode == 0 and _GOOD in told:
        return True, ""
    reason = told.replace(_BAD, "").strip().rsplit(":", 1)[-1].strip()
    return (False if _BAD in told else None), reason[:200]


def _is_valid(stamp: Stamp) -> bool:
    signer = stamp.signer
    return signer is not None and signer.valid_from_ms <= stamp.gen_time_ms <= signer.valid_to_ms


def _pem(certificates: Sequence[bytes]) -> str:
    return "".join(
        "-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n"
        % base64.encodebytes(certificate).decode("ascii")
        for certificate in certificates
    )


def _when(ms: int) -> str:
    # Seconds by hand: a far date must not be an error of the platform's.
    try:
        return datetime.fromtimestamp(ms // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return "%d ms" % ms
