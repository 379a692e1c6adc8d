"""A device's copy of its documents, kept as docs/protocol.md §4.4 says and no more."""

import json
from dataclasses import dataclass, field

from sync import divergence
from sync.evidence import canonical


@dataclass
class Copy:
    """What one device holds; ``cursor`` is the last it was given."""

    client: object
    headers: dict
    cursor: str = ""
    documents: dict = field(default_factory=dict)
    resets: int = 0
    answers: list = field(default_factory=list)

    def pull_page(self, limit=500):
        """One page; answers whether there is more."""
        answer = self.client.get(
            "/api/v1/feed",
            query_string={"cursor": self.cursor, "limit": limit},
            headers=self.headers,
        )
        assert answer.status_code == 200, answer.text
        self.answers.append(answer)
        page = answer.json
        assert len(page["documents"]) <= limit
        if page["reset"]:
            self.resets += 1
            self.documents.clear()
        self.apply(page["documents"])
        self.cursor = page["cursor"]
        return page["more"]

    def pull(self, limit=500):
        while self.pull_page(limit):
            pass
        return self

    def apply(self, changes):
        for change in changes:
            name = (change["kind"], change["id"])
            if change["op"] == "put":
                self.documents[name] = change["body"]
            else:
                self.documents.pop(name, None)

    def kinds(self, kind):
        return {name[1]: body for name, body in self.documents.items() if name[0] == kind}

    def repair(self):
        """Compare with the server and take what differs; answers the bytes that travelled."""
        asked = self.client.get(
            "/api/v1/digest", query_string={"cursor": self.cursor}, headers=self.headers
        )
        assert asked.status_code == 200, asked.text
        bits = asked.json["bits"]
        marks, fold = {}, divergence.Fold()
        for (kind, identifier), body in self.documents.items():
            digest = divergence.document_digest(canonical.dumps(body))
            mark = divergence.fingerprint(kind, identifier, digest)
            marks[divergence.mark_text(mark)] = (kind, identifier)
            fold.add(divergence.place_of(kind, identifier), mark)
        theirs = divergence.decode_sums(asked.json["sums"], bits)
        buckets = {str(n): [] for n in divergence.differing(fold.sums(bits), theirs)}
        if not buckets:
            return len(asked.data)
        for mark, name in marks.items():
            number = str(divergence.bucket_of(divergence.place_of(*name), bits))
            if number in buckets:
                buckets[number].append(mark)
        body = json.dumps({"bits": bits, "buckets": buckets})
        answer = self.client.post(
            "/api/v1/digest/documents",
            data=body,
            content_type="application/json",
            headers=self.headers,
        )
        assert answer.status_code == 200, answer.text
        for mark in answer.json["gone"]:
            self.documents.pop(marks[mark], None)
        self.apply(answer.json["documents"])
        return len(asked.data) + len(body) + len(answer.data)
