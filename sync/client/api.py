"""The server's API as calls: each returns a checked value or raises a typed error."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sync import wire
from sync.client.answers import (
    ConsistencySchema,
    Digest,
    DigestSchema,
    Enrolled,
    EnrolledSchema,
    FatePage,
    FatePageSchema,
    FeedPage,
    FeedSchema,
    Hello,
    HelloSchema,
    InclusionSchema,
    Lacking,
    LackingSchema,
    LedgerStandingSchema,
    Life,
    LineageSchema,
    NonceSchema,
    Pushed,
    PushedSchema,
    Repair,
    RepairSchema,
    Standing,
    StandingSchema,
    TokenSchema,
)
from sync.client.errors import ServerRefused
from sync.client.keys import DeviceKey
from sync.client.link import TRIES, Answer, Link
from sync.client.packing import ENCODING
from sync.evidence.encoding import to_b64url
from sync.evidence.merkle import leaf_hash, root_from_inclusion
from sync.wire import API, token_proof

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_TOKEN_TRIES = 3


class Api:
    """Calls to one server; ``key`` and ``origin`` are needed for what takes a token."""

    def __init__(self, link: Link, key: DeviceKey, origin: str = "") -> None:
        self.link = link
        self._key = key
        self._origin = origin
        self._token = ""
        #: Whether the server told this device, with its newest token, to empty itself.
        self.wipe_wanted = False

    def hello(self, *, tries: int = TRIES) -> Hello:
        answer = self.link.send("GET", f"{API}/hello", tries=tries)
        hello: Hello = self.link.read(answer, HelloSchema)
        return hello

    def enrol(self, request: Mapping[str, Any], *, tries: int = TRIES) -> Enrolled:
        answer = self.link.send(
            "POST", f"{API}/enrolments", body=_dump(request), headers=_JSON, tries=tries
        )
        enrolled: Enrolled = self.link.read(answer, EnrolledSchema, status=201)
        return enrolled

    def standing(self, device: str, epoch: str, since: int) -> Standing:
        """Where the server's chain of ``epoch`` stands, and what it answered from ``since`` on."""
        answer = self.send("GET", f"{API}/journal/{device}/{epoch}?since={since}")
        standing: Standing = self.link.read(answer, StandingSchema)
        return standing

    def push(self, device: str, epoch: str, body: bytes) -> Pushed:
        """Push packed lines, once; which may be repeated any number of times."""
        answer = self.send(
            "POST",
            f"{API}/journal/{device}/{epoch}",
            body=body,
            headers={"Content-Type": "application/x-ndjson", "Content-Encoding": ENCODING},
            tries=1,
        )
        pushed: Pushed = self.link.read(answer, PushedSchema)
        return pushed

    def outcomes(self, cursor: str) -> FatePage:
        """What became of this device's lines after the cursor, beyond what pushes answered."""
        answer = self.send("GET", f"{API}/outcomes?since={quote(cursor, safe='')}")
        page: FatePage = self.link.read(answer, FatePageSchema)
        return page

    def feed(self, cursor: str) -> FeedPage:
        answer = self.send("GET", f"{API}/feed?cursor={quote(cursor, safe='')}")
        page: FeedPage = self.link.read(answer, FeedSchema)
        return page

    def generations(self) -> list[Life]:
        """Every generation of the server's ledger, oldest first, as it claims them; no token."""
        answer = self.link.send("GET", f"{API}/ledger/generations")
        lives: list[Life] = self.link.read(answer, LineageSchema)["generations"]
        return lives

    def show_checkpoint(self, note: str) -> bool:
        """Show a checkpoint that we verified; whether the server finds itself behind."""
        answer = self.send(
            "POST", f"{API}/ledger/seen", body=_dump({"checkpoint": note}), headers=_JSON
        )
        return bool(self.link.read(answer, LedgerStandingSchema)["behind"])

    def speak_to(self, origin: str) -> None:
        """Get tokens of the ledger ``origin`` from now on."""
        self._origin, self._token = origin, ""

    def digest(self, cursor: str) -> Digest:
        """The sums of what this device was given up to ``cursor``."""
        answer = self.send("GET", f"{API}/digest?cursor={quote(cursor, safe='')}")
        digest: Digest = self.link.read(answer, DigestSchema)
        return digest

    def repair(self, bits: int, buckets: Mapping[int, Sequence[str]]) -> Repair:
        """What this device lacks in ``buckets``, of which it holds documents with these marks."""
        body = _dump({"bits": bits, "buckets": {str(n): marks for n, marks in buckets.items()}})
        answer = self.send("POST", f"{API}/digest/documents", body=body, headers=_JSON)
        repair: Repair = self.link.read(answer, RepairSchema)
        return repair

    def consistency(self, first: int, second: int, generation: int | None = None) -> list[bytes]:
        """The proof that the ledger of ``second`` leaves begins with that of ``first``.

        ``generation`` names an earlier one than the present.
        """
        which = "" if generation is None else f"&generation={generation}"
        answer = self.send("GET", f"{API}/ledger/consistency?first={first}&second={second}{which}")
        return [bytes.fromhex(node) for node in self.link.read(answer, ConsistencySchema)["path"]]

    def tree_root(self, size: int) -> bytes:
        """The root of the server's first ``size`` leaves, as its proof of the first one has it.

        Raises:
            ProofInvalid: if that proves nothing of a tree of this size.
        """
        answer = self.send("GET", f"{API}/ledger/inclusion?index=0&size={size}")
        proof = self.link.read(answer, InclusionSchema)
        path = [bytes.fromhex(node) for node in proof["path"]]
        leaf = leaf_hash(bytes.fromhex(proof["entry"]))
        return root_from_inclusion(leaf, index=0, size=size, path=path)

    def lacking(self, digests: Sequence[str]) -> Lacking:
        """Which of these digests the server has no bytes for, and which it never heard of."""
        body = _dump({"digests": list(digests)})
        answer = self.send("POST", f"{API}/media/lacking", body=body, headers=_JSON)
        lacking: Lacking = self.link.read(answer, LackingSchema)
        return lacking

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        tries: int = TRIES,
    ) -> Answer:
        """Send with a token; a token that is refused is replaced once."""
        for attempt in (1, 2):
            if not self._token:
                self._token = self._new_token()
            whole = {**(headers or {}), "Authorization": f"Bearer {self._token}"}
            answer = self.link.send(method, path, body=body, headers=whole, tries=tries)
            if answer.status != 401 or attempt == 2:
                break
            self._token = ""
        return answer

    def _new_token(self) -> str:
        """Sign a fresh nonce; where a reply is lost the nonce is spent, so begin again with one."""
        for attempt in range(1, _TOKEN_TRIES + 1):
            try:
                return self._exchange()
            except ServerRefused as error:
                if error.problem != "token.nonce_unknown" or attempt == _TOKEN_TRIES:
                    raise
        raise AssertionError("unreachable: the loop returns or raises")

    def _exchange(self) -> str:
        request = {"key_id": self._key.key_id}
        answer = self.link.send("POST", f"{API}/nonces", body=_dump(request), headers=_JSON)
        nonce = str(self.link.read(answer, NonceSchema, status=201)["nonce"])
        proof = token_proof(nonce=nonce, key_id=self._key.key_id, origin=self._origin)
        signed = {**request, "nonce": nonce, "signature": to_b64url(self._key.sign(proof))}
        answer = self.link.send("POST", f"{API}/tokens", body=_dump(signed), headers=_JSON)
        issued = self.link.read(answer, TokenSchema, status=201)
        self.wipe_wanted = issued["standing"] is wire.Standing.WIPE
        return str(issued["token"])


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
