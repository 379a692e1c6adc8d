"""Comparing the local copy with the server's, and repairing what silently came to differ."""

from sync.client.api import Api
from sync.client.documents import Documents
from sync.divergence import (
    Fold,
    bucket_of,
    decode_sums,
    differing,
    document_digest,
    fingerprint,
    mark_text,
    place_of,
)

_MOST_BUCKETS = 64


def repair(documents: Documents, api: Api, cursor: str) -> int:
    """Compare at ``cursor`` and repair; how many documents came or went for it.

    Where too much differs for a repair the feed is to begin again, which the next
    pull does. Implements docs/protocol.md §4.4, Divergence.

    Raises:
        LinkError: nothing was changed.
    """
    theirs = api.digest(cursor)
    if theirs.reset:
        return 0
    ours = Fold()
    marks: dict[int, dict[str, tuple[str, str]]] = {}
    for kind, identifier, body in documents.held():
        mark = fingerprint(kind, identifier, document_digest(body.encode()))
        place = place_of(kind, identifier)
        ours.add(place, mark)
        marks.setdefault(bucket_of(place, theirs.bits), {})[mark_text(mark)] = kind, identifier
    wrong = differing(ours.sums(theirs.bits), decode_sums(theirs.sums, theirs.bits))
    if not wrong:
        return 0
    if len(wrong) > _MOST_BUCKETS:
        documents.pull_anew()
        return 0
    asked = {number: marks.get(number, {}) for number in wrong}
    found = api.repair(theirs.bits, {number: list(held) for number, held in asked.items()})
    named = {mark: name for held in asked.values() for mark, name in held.items()}
    evicted = [
        {"op": "evict", "kind": named[mark][0], "id": named[mark][1]}
        for mark in found.gone
        if mark in named
    ]
    # An outdated version is gone as well: what comes in its place keeps the document.
    documents.mend([*evicted, *found.documents])
    if found.more:
        documents.pull_anew()
    return len(evicted) + len(found.documents)
