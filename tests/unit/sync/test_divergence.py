"""Sums of documents: equal for equal copies, and where they differ so do the copies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import divergence
from sync.evidence import canonical
from sync.evidence.errors import BadEncoding

_DOCUMENTS = st.dictionaries(
    st.tuples(st.sampled_from(("task", "item", "officer")), st.text(min_size=1, max_size=8)),
    st.integers(0, 3),
    max_size=40,
)


def _fold(documents):
    fold = divergence.Fold()
    for (kind, identifier), version in documents.items():
        digest = divergence.document_digest(b"%d" % version)
        mark = divergence.fingerprint(kind, identifier, digest)
        fold.add(divergence.place_of(kind, identifier), mark)
    return fold


def test_every_implementation_gives_the_sums_of_the_vectors(vectors):
    wanted = vectors("digest.json")
    fold = divergence.Fold()

    for document in wanted["documents"]:
        kind, identifier = document["kind"], document["id"]
        digest = divergence.document_digest(canonical.dumps(document["body"]))
        mark = divergence.fingerprint(kind, identifier, digest)
        place = divergence.place_of(kind, identifier)
        assert (digest, f"{place:016x}") == (document["digest"], document["place"])
        assert divergence.mark_text(mark) == document["fingerprint"]
        fold.add(place, mark)

    for answer in wanted["sums"]:
        assert divergence.encode_sums(fold.sums(answer["bits"])) == answer["sums"]
    for count, bits in wanted["bits_for"]:
        assert divergence.bits_for(count) == bits


@given(_DOCUMENTS, _DOCUMENTS, st.integers(0, divergence.MAX_BITS))
def test_just_the_buckets_of_what_differs_differ(ours, theirs, bits):
    changed = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}

    found = divergence.differing(_fold(ours).sums(bits), _fold(theirs).sums(bits))

    wanted = {divergence.bucket_of(divergence.place_of(*name), bits) for name in changed}
    assert set(found) == wanted


def test_sums_survive_their_text_and_no_other_number_of_them_is_read():
    sums = [0, 1, 2**64 - 1, 7]

    text = divergence.encode_sums(sums)

    assert divergence.decode_sums(text, 2) == sums
    for wrong in (1, 3):
        with pytest.raises(BadEncoding):
            divergence.decode_sums(text, wrong)
