"""What a package holds and under which names (docs/evidence.md §8).

The exporter builds packages with this module and the verifier reads them with
it, so that the two cannot drift apart. An exporter collects every content file
as a :class:`PackageFile` and calls :func:`assemble`, which adds the bag's own
files and the signed statement; :func:`write_package` then streams the ZIP.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass, field
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

from . import bag, zipformat
from .errors import SyncError

INDEX = "data/case-index.json"
CUSTODY = "data/custody.ndjson"
FINDINGS = "data/findings.json"
DERIVATIONS = "data/derived/derivations.json"
KEYS = "proofs/keys.json"
#: By which each ledger key named the next; only where there was more than one.
SUCCESSION = "proofs/ledger-keys.ndjson"
CHECKPOINT = "proofs/checkpoint"
INCLUSION = "proofs/inclusion.ndjson"
CONSISTENCY = "proofs/consistency.ndjson"
WITNESSED = "proofs/witnessed"
WITNESS_POLICY = "proofs/witness.policy"
RECEIPTS = "proofs/receipts.ndjson"
STATEMENT = "proofs/package.note"
REPORT = "report/report.html"
TRANSFER_LIST = "report/transfer-list.html"
EVIDENCE_LIST = "report/evidence-list.html"
VERIFIER = "verify/liuhen_verify.py"
VERIFY_PAGE = "verify/verify.html"
VERIFY_TEXT = "verify/VERIFY.txt"

#: Every package has these; ``data/journal``, ``data/original`` and ``data/facts`` besides.
REQUIRED = (
    bag.BAG_INFO,
    bag.BAGIT,
    INDEX,
    CUSTODY,
    FINDINGS,
    bag.MANIFEST,
    CHECKPOINT,
    CONSISTENCY,
    INCLUSION,
    KEYS,
    STATEMENT,
    RECEIPTS,
    bag.TAG_MANIFEST,
)
#: Tag files that the tag manifest cannot list: itself, and the signature over it.
UNLISTED = frozenset((bag.TAG_MANIFEST, STATEMENT))

_JOURNAL = re.compile(
    r"\Adata/journal/([0-9a-f-]{36})/([0-9a-f]{32})(?:\.([0-9a-f]{64}))?\.ndjson\Z"
)
_ORIGINAL = re.compile(r"\Adata/original/([0-9a-f]{64})\.[a-z0-9]{1,8}\Z")
_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/avif": "avif",
    "image/tiff": "tif",
    "image/x-adobe-dng": "dng",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/3gpp": "3gp",
    "video/x-msvideo": "avi",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "application/pdf": "pdf",
    "text/plain": "txt",
}
_STATEMENT_TITLE = "liuhen/package/v1"
_SIDECAR_TITLE = "liuhen/package-zip/v1"
_NUMBER = re.compile(r"\A(?:0|[1-9][0-9]{0,15})\Z")
_DIGEST = re.compile(r"\A[0-9a-f]{64}\Z")


class PackageMalformed(SyncError):
    """A file of a package is not of the form that docs/evidence.md §8 gives it."""

    code = "package.malformed"

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file + ": " + reason)
        self.file = file
        self.reason = reason


@dataclass(frozen=True)
class ChainName:
    """A journal chain. ``branch`` is empty on the main chain, else the digest of the first
    line that diverged from it; a branch's file begins with that line."""

    device: str
    epoch: str
    branch: str = ""


def original_path(sha256: str, media_type: str) -> str:
    return "data/original/%s.%s" % (sha256, _EXTENSIONS.get(media_type, "bin"))


def derived_path(sha256: str) -> str:
    """Where a redacted copy stands, which is always a JPEG."""
    return "data/derived/%s.jpg" % sha256


def original_digest(path: str) -> Optional[str]:
    """The digest that an original's name claims; None for another path."""
    match = _ORIGINAL.match(path)
    return match.group(1) if match else None


def journal_path(chain: ChainName) -> str:
    branch = "." + chain.branch if chain.branch else ""
    return "data/journal/%s/%s%s.ndjson" % (chain.device, chain.epoch, branch)


def journal_chain(path: str) -> Optional[ChainName]:
    """The chain that a journal file's name claims; None for another path."""
    match = _JOURNAL.match(path)
    return ChainName(match.group(1), match.group(2), match.group(3) or "") if match else None


def facts_path(sha256: str) -> str:
    return "data/facts/%s.json" % sha256


@dataclass(frozen=True)
class PackageFile:
    """A file to be packed; ``chunks`` gives its bytes, and may be called once for each ZIP."""

    path: str
    sha256: str
    size: int
    crc32: int
    chunks: Callable[[], Iterable[bytes]] = field(repr=False, compare=False)

    @classmethod
    def of(cls, path: str, data: bytes) -> "PackageFile":
        """A file whose bytes are in memory."""
        return cls(
            path=path,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            crc32=zlib.crc32(data),
            chunks=lambda: (data,),
        )

    @property
    def member(self) -> zipformat.Member:
        return zipformat.Member(self.path, self.size, self.crc32)


def assemble(
    files: Iterable[PackageFile],
    *,
    info: Sequence[Tuple[str, str]],
    origin: str,
    ledger_size: int,
    sign: Callable[[str], str],
    sm3: Optional[Callable[[PackageFile], str]] = None,
) -> List[PackageFile]:
    """Add the bag's files and the signed statement; return all files in package order.

    Args:
        files: content under ``data/``, ``proofs/``, ``report/`` and ``verify/``.
        info: labels and values for ``bag-info.txt``; ``Payload-Oxum`` is added.
        origin: of the ledger whose checkpoint the package carries.
        ledger_size: size of that checkpoint.
        sign: turns a text into a C2SP note signed by the ledger's key.
        sm3: gives the SM3 digest of a file in hex, where a second manifest is wanted.

    Raises:
        ZipNameInvalid: for a path that is not allowed or comes twice.
    """
    content = sorted(files, key=lambda file: file.path)
    payload = [file for file in content if file.path.startswith(bag.PAYLOAD)]
    tags = [file for file in content if not file.path.startswith(bag.PAYLOAD)]
    oxum = ("Payload-Oxum", bag.payload_oxum(file.size for file in payload))
    tags += [
        PackageFile.of(bag.BAGIT, bag.BAGIT_TEXT),
        PackageFile.of(bag.BAG_INFO, bag.format_info([*info, oxum])),
        PackageFile.of(bag.MANIFEST, bag.format_manifest((f.path, f.sha256) for f in payload)),
    ]
    if sm3 is not None:
        second = bag.format_manifest((f.path, sm3(f)) for f in payload)
        tags.append(PackageFile.of(bag.SM3_MANIFEST, second))
    tag_manifest = PackageFile.of(
        bag.TAG_MANIFEST, bag.format_manifest((f.path, f.sha256) for f in tags)
    )
    statement = Statement(origin, ledger_size, tag_manifest.sha256)
    note = PackageFile.of(STATEMENT, sign(statement.to_text()).encode("utf-8"))
    everything = sorted([*payload, *tags, tag_manifest, note], key=lambda file: file.path)
    zipformat.check_names([file.path for file in everything])
    return everything


def package_size(files: Sequence[PackageFile]) -> int:
    """The length in bytes of the ZIP that :func:`write_package` writes."""
    return zipformat.total_size([file.member for file in files])


def write_package(files: Iterable[PackageFile]) -> Iterator[bytes]:
    """Stream the ZIP of ``files``, which are in package order, in constant memory.

    Raises:
        ZipContentMismatch: if a file's bytes are not those announced.
    """
    return zipformat.write_zip((file.member, file.chunks()) for file in files)


@dataclass(frozen=True)
class Statement:
    """What the ledger's key signs inside a package: the tag manifest, hence every other file.

    Without it somebody without any key could cut the newest lines off a journal
    and mend the manifests.
    """

    origin: str
    ledger_size: int
    tag_manifest: str

    def to_text(self) -> str:
        return "%s\n%s\n%d\n%s\n" % (
            _STATEMENT_TITLE,
            self.origin,
            self.ledger_size,
            self.tag_manifest,
        )


def parse_statement(text: str) -> Statement:
    """Parse the text of the note ``proofs/package.note``.

    Raises:
        PackageMalformed.
    """
    rows = text.split("\n")
    if len(rows) != 5 or rows[0] != _STATEMENT_TITLE or rows[4]:
        raise PackageMalformed(STATEMENT, "not a statement of this version")
    if not _NUMBER.match(rows[2]) or not _DIGEST.match(rows[3]):
        raise PackageMalformed(STATEMENT, "a number and a digest")
    return Statement(rows[1], int(rows[2]), rows[3])


def sidecar_text(*, sha256: str, size: int) -> str:
    """The text of the signed note ``X.zip.sig`` beside a package: its digest and length."""
    return "%s\n%s\n%d\n" % (_SIDECAR_TITLE, sha256, size)
