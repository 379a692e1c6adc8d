import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.evidence import note
from sync.evidence.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from sync.evidence.p256 import KeyMalformed

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/note.json").read_text("utf-8"))
TEXT = "example.org/log\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"


class Signer:
    def __init__(self, name, seed):
        self.name = name
        self.private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key = note.parse_verifier_key(note.verifier_key(name, self.public))

    def sign(self, text):
        return note.sign_note(text, self.name, self.public, self.private.sign)

    def cosign(self, signed):
        return note.add_signature(signed, self.name, self.public, self.private.sign)


LOG, WITNESS, STRANGER = Signer("example.org/log", 1), Signer("witness", 2), Signer("who", 3)


def test_the_example_of_the_specification_opens():
    """From golang.org/x/mod/sumdb/note, which the C2SP specification describes."""
    signed = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng"
        "otpRZb6KE6RyyBwJnAM=\n"
    )
    key = note.parse_verifier_key(
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    )

    text, signers = note.open_note(signed, [key])

    assert text.startswith("If you think")
    assert signers == [key]


def test_a_note_with_several_signatures_names_the_known_signers():
    signed = STRANGER.cosign(WITNESS.cosign(LOG.sign(TEXT)))

    text, signers = note.open_note(signed, [WITNESS.key, LOG.key])

    assert text == TEXT
    assert signers == [WITNESS.key, LOG.key]


def test_a_note_signed_by_strangers_only_is_unsigned():
    with pytest.raises(note.NoteUnsigned):
        note.open_note(STRANGER.sign(TEXT), [LOG.key])


def test_a_changed_text_is_a_forgery():
    signed = LOG.sign(TEXT).replace("\n3\n", "\n4\n")

    with pytest.raises(note.NoteForged):
        note.open_note(signed, [LOG.key])


def test_a_forged_signature_beside_a_good_one_is_a_forgery():
    good = LOG.sign(TEXT)
    forged = good + LOG.sign(TEXT.replace("3", "4")).split("\n\n")[1]

    with pytest.raises(note.NoteForged):
        note.open_note(forged, [LOG.key])


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\nno dash\n",
        "text\n\n— name\n",
        "text\n\n— name AAA\n",
        "text\n\n— name AAAAAAA=",
        "te\rxt\n\n— name AAAAAAA=\n",
        "text\n\n— na+me AAAAAAA=\n",
        "text\n\n" + "— name AAAAAAA=\n" * 101,
    ],
)
def test_what_is_no_note_is_refused(broken):
    with pytest.raises(note.NoteMalformed):
        note.parse_note(broken)


@pytest.mark.parametrize(
    "broken",
    [
        "name",
        "name+00000000",
        str(LOG.key).replace(LOG.key.key_hash.hex(), "00000000"),
        "other" + str(LOG.key)[7:],
        "na me+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+Agpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+!!!!",
    ],
)
def test_what_is_no_verifier_key_is_refused(broken):
    with pytest.raises(KeyMalformed):
        note.parse_verifier_key(broken)


def test_a_checkpoint_is_read_back_as_it_was_written():
    checkpoint = Checkpoint("example.org/log", 3, bytes(32), ("extension",))

    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "origin\n3\n",
        TEXT + "\n",
        TEXT.replace("3", "03"),
        TEXT.replace("3", "-3"),
        TEXT.replace("AAA=", "AAA"),
        TEXT.replace("AAA=", "AAB="),
        TEXT.replace("AAAA", "", 1),
    ],
)
def test_what_is_no_checkpoint_is_refused(broken):
    with pytest.raises(note.NoteMalformed):
        parse_checkpoint(broken)


def test_a_checkpoint_that_would_read_back_as_another_is_not_written():
    with pytest.raises(note.NoteMalformed):
        format_checkpoint(Checkpoint("two\nlines", 3, bytes(32)))


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_note_vectors_for_other_implementations_hold(case):
    keys = [note.parse_verifier_key(text) for text in case["keys"]]

    try:
        text, signers = note.open_note(case["note"], keys)
        outcome = {"text": text, "signers": [str(key) for key in signers]}
    except (note.NoteMalformed, note.NoteForged, note.NoteUnsigned) as error:
        outcome = {"error": error.code}

    assert outcome == case["outcome"]
