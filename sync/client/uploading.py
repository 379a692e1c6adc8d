"""Sending media by tus 1.0: resumed at the byte, recordings last; a bad file costs only itself."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sync.client.answers import Hello
from sync.client.api import Api
from sync.client.clock import Clock
from sync.client.errors import (
    CaptivePortal,
    ServerRefused,
    ServerUnavailable,
    SourceUnreadable,
    Unreachable,
)
from sync.client.folder import hash_file
from sync.client.link import Answer
from sync.client.mediatype import is_recording
from sync.client.outbox import M_FAILED, M_KEPT, M_SAFE, M_UPLOADED, Medium, Outbox
from sync.client.windows import allowance
from sync.wire import API

CHUNK_BYTES = 8 << 20
#: Under a bound a chunk is what it carries in so many seconds.
_BOUND_S = 4
_LEAST_CHUNK_BYTES = 64 << 10
_TUS = {"Tus-Resumable": "1.0.0"}
_OFFSET_TYPE = "application/offset+octet-stream"
_DIGESTS_AT_ONCE = 500
_FAILURES = 6
_DAMAGED = "media.local_damage"
_STORE_LOW = "media.store_low"
_MISMATCH = "media.digest_mismatch"

Progress = Callable[[str, int, int], None]

#: Only what a receipted line announces: the server would not know the rest.
ANNOUNCED = """state <> 'safe' AND EXISTS (
    SELECT 1 FROM item JOIN line ON line.digest = item.line
    WHERE item.sha256 = medium.sha256 AND line.state = 'safe')"""


class _Lost(Exception):
    """The server does not know the upload any more: begin again."""


class _Wait(Exception):
    """Recordings must wait now: their hours are over, or the server has no room for them."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Held:
    """Recordings that were not sent: how many, and why (``hours`` or ``store``)."""

    count: int = 0
    reason: str = ""


class Rules:
    """When recordings may be sent, by the server's clock; everything else always may.

    ``hello`` came when ours showed ``mono_ms``; with ``all_now`` hours do not count.
    """

    def __init__(self, hello: Hello, clock: Clock, mono_ms: int, *, all_now: bool) -> None:
        self._hello = hello
        self._clock = clock
        self._mono_ms = mono_ms
        self._all_now = all_now

    def check(self, medium: Medium) -> int:
        """The bound in kbit/s that holds now for ``medium``, 0 if none does.

        Raises:
            _Wait: it must not be sent now.
        """
        if not is_recording(medium.media_type):
            return 0
        if not self._hello.recordings:
            raise _Wait("store")
        if self._all_now:
            return 0
        passed_ms = self._clock.read().mono_ms - self._mono_ms
        allowed = allowance(self._hello.windows, self._hello.server_ms + passed_ms)
        if not allowed.send:
            raise _Wait("hours")
        return allowed.kbit_s


class Uploader:
    """Brings the media of receipted lines to the server; every call may be repeated."""

    def __init__(self, media: Path, outbox: Outbox, api: Api, rules: Rules) -> None:
        self._media = media
        self._outbox = outbox
        self._api = api
        self._rules = rules

    def run(self, progress: Progress | None = None) -> Held:
        """Upload what the server lacks, then ask again, and only then call it safe.

        Photos go first, then recordings with a key mark, then the others; recordings
        that must wait are counted in the answer.

        Raises:
            Unreachable, CaptivePortal, Untrusted: when the server is gone; what
                arrived stays, and the next call goes on from there.
        """
        lacking, unannounced = self._ask()
        # A line in quarantine shows no item: its bytes are sent once, and called
        # safe only when the line is released and the server answers for them.
        wanted = [
            medium
            for medium in self._outbox.in_order(ANNOUNCED)
            if medium.sha256 in lacking
            or (medium.sha256 in unannounced and medium.state != M_UPLOADED)
        ]
        total, done = sum(medium.size for medium in wanted), 0
        held = Held()
        for number, medium in enumerate(wanted):
            before = done

            def report(sent: int, before: int = before) -> None:
                if progress is not None:
                    progress("upload", before + sent, total)

            report(0)
            try:
                self._upload_one(medium, report)
            except _Wait as wait:
                # Recordings come last, so whatever is left is one.
                held = Held(len(wanted) - number, wait.reason)
                break
            done += medium.size
            report(medium.size)
        if wanted:
            self._ask()
        return held

    def _ask(self) -> tuple[set[str], set[str]]:
        """Ask about every digest of a receipted line; what is announced and not lacking is safe."""
        digests = [medium.sha256 for medium in self._outbox.media(ANNOUNCED)]
        lacking: set[str] = set()
        unannounced: set[str] = set()
        for start in range(0, len(digests), _DIGESTS_AT_ONCE):
            asked = set(digests[start : start + _DIGESTS_AT_ONCE])
            answer = self._api.lacking(sorted(asked))
            if not answer.lacking | answer.unannounced <= asked:
                raise CaptivePortal(self._api.link.server, "digests that were not asked for")
            lacking |= answer.lacking
            unannounced |= answer.unannounced
            with self._outbox.transaction():
                for digest in asked - answer.lacking - answer.unannounced:
                    self._outbox.set_medium(digest, state=M_SAFE)
        return lacking, unannounced

    def _upload_one(self, medium: Medium, report: Callable[[int], None]) -> None:
        """Upload ``medium``; what is wrong with it alone is noted and the next one follows."""
        try:
            self._send(medium, report)
        except (ServerRefused, SourceUnreadable) as error:
            code = error.problem if isinstance(error, ServerRefused) else error.code
            if code == _STORE_LOW:
                raise _Wait("store") from error
            self._note(medium, M_FAILED, code=self._explained(medium, code))
        except ServerUnavailable as error:
            now = self._outbox.medium(medium.sha256) or medium
            self._note(medium, M_FAILED, upload=now.upload, code=error.problem or error.code)
        else:
            self._note(medium, M_UPLOADED)

    def _explained(self, medium: Medium, code: str) -> str:
        """Tell bytes that went bad here from bytes that went bad on the way."""
        if code != _MISMATCH:
            return code
        digest, _ = hash_file(self._media / medium.name)
        return code if digest == medium.sha256 else _DAMAGED

    def _send(self, medium: Medium, report: Callable[[int], None]) -> None:
        # A link that is cut every few seconds still brings bytes forward: only tries
        # that brought none count, as for pushes.
        failures, furthest = 0, 0
        place = medium.upload
        offset: int | None = None
        while True:
            try:
                if not place:
                    self._rules.check(medium)
                    place, offset = self._create(medium)
                    self._note(medium, M_KEPT, upload=place)
                if offset is None:
                    offset = self._offset(place, medium)
                if offset > furthest:
                    failures, furthest = 0, offset
                if offset == medium.size:
                    return
                report(offset)
                offset = self._patch(place, offset, medium, self._rules.check(medium))
            except _Lost:
                place, offset, furthest = "", None, 0
                failures += 1
                if failures >= _FAILURES:
                    raise ServerUnavailable(404) from None
            except (Unreachable, ServerUnavailable) as error:
                # What arrived of a cut PATCH counts: ask where the server stands.
                offset = None
                failures += 1
                if failures >= _FAILURES:
                    raise
                self._api.link.wait(failures, error.retry_after)

    def _create(self, medium: Medium) -> tuple[str, int]:
        pairs = (
            ("sha256", medium.sha256),
            ("filename", medium.name),
            ("filetype", medium.media_type),
        )
        metadata = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in pairs)
        answer = self._api.send(
            "POST",
            f"{API}/uploads",
            headers={**_TUS, "Upload-Length": str(medium.size), "Upload-Metadata": metadata},
            tries=1,
        )
        self._expect(answer, 201)
        # Only the path is taken over: a foreign host must never see our token.
        place = urlsplit(answer.headers.get("location", "")).path
        if not place.startswith(f"{API}/uploads/"):
            raise CaptivePortal(self._api.link.server, "no place for the upload")
        return place, self._number(answer, medium) if "upload-offset" in answer.headers else 0

    def _offset(self, place: str, medium: Medium) -> int:
        answer = self._api.send("HEAD", place, headers=_TUS, tries=1)
        if answer.status in (403, 404, 410):
            raise _Lost
        self._expect(answer, 200, 204)
        return self._number(answer, medium)

    def _patch(self, place: str, offset: int, medium: Medium, kbit_s: int) -> int:
        """Send a chunk; with a bound of ``kbit_s`` wait until it has taken its time."""
        most = min(CHUNK_BYTES, max(_LEAST_CHUNK_BYTES, kbit_s * 125 * _BOUND_S))
        body = self._read(medium, offset, most if kbit_s else CHUNK_BYTES)
        began_ms = self._api.link.clock.read().mono_ms
        headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": _OFFSET_TYPE}
        answer = self._api.send("PATCH", place, body=body, headers=headers, tries=1)
        if answer.status in (404, 410):
            raise _Lost
        if answer.status in (409, 423):
            # Another writer of ours, cut off earlier, may have brought the offset forward.
            raise ServerUnavailable(answer.status)
        self._expect(answer, 204)
        arrived = self._number(answer, medium)
        if not offset < arrived <= offset + len(body):
            raise CaptivePortal(self._api.link.server, "an offset that cannot be")
        if kbit_s:
            took_ms = self._api.link.clock.read().mono_ms - began_ms
            self._api.link.clock.sleep(max(0.0, len(body) / (kbit_s * 125) - took_ms / 1000))
        return arrived

    def _read(self, medium: Medium, offset: int, most: int) -> bytes:
        path = self._media / medium.name
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                body = file.read(min(most, medium.size - offset))
        except OSError as error:
            raise SourceUnreadable(str(path), error.strerror or str(error)) from error
        if not body:
            raise SourceUnreadable(str(path), "shorter than it was")
        return body

    def _expect(self, answer: Answer, *statuses: int) -> None:
        """As ``Link.expect``; a 460 or 4xx without a document still names its status."""
        if answer.status not in statuses and "tus-resumable" in answer.headers:
            content_type = answer.headers.get("content-type", "")
            if not content_type.startswith("application/problem+json"):
                raise ServerRefused(answer.status, f"http.{answer.status}")
        self._api.link.expect(answer, *statuses)
        if "tus-resumable" not in answer.headers:
            raise CaptivePortal(self._api.link.server, "not a tus server")

    def _number(self, answer: Answer, medium: Medium) -> int:
        text = answer.headers.get("upload-offset", "")
        if not text.isdecimal() or int(text) > medium.size:
            raise CaptivePortal(self._api.link.server, "no upload offset")
        return int(text)

    def _note(self, medium: Medium, state: str, *, upload: str = "", code: str = "") -> None:
        with self._outbox.transaction():
            self._outbox.set_medium(medium.sha256, state=state, upload=upload, code=code)
