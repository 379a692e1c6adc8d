import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.evidence import note
from sync.evidence.cosignature import CosignerKey, cosign, cosignatures, parse_cosigner_key
from sync.evidence.p256 import KeyMalformed

OTHERS = json.loads((Path(__file__).parents[2] / "vectors/cosignature.json").read_text("utf-8"))
TEXT = "example.org/log\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
RAW = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
WITNESS = CosignerKey("witness.example/w1", RAW)


def test_witnesses_of_other_operators_verify_under_a_real_checkpoint():
    for case in OTHERS["notes"]:
        signed = note.parse_note(case["note"])
        keys = [parse_cosigner_key(text) for text in case["witnesses"]]

        found = cosignatures(signed, keys)

        assert [str(cosignature.key) for cosignature in found] == case["witnesses"]
        assert {cosignature.time_s for cosignature in found} == {case["time_s"]}
        assert all(cosignature.line in case["note"] for cosignature in found)


def test_the_log_of_a_real_cosigned_checkpoint_verifies_beside_its_witnesses():
    case = OTHERS["notes"][0]

    _, signers = note.open_note(case["note"], [note.parse_verifier_key(case["log"])])

    assert [str(key) for key in signers] == [case["log"]]


def test_no_cosignature_of_others_survives_another_tree_size():
    for case in OTHERS["notes"]:
        size = case["note"].split("\n")[1]
        altered = note.parse_note(case["note"].replace("\n" + size, "\n42", 1))
        for text in case["witnesses"]:
            with pytest.raises(note.NoteForged):
                cosignatures(altered, [parse_cosigner_key(text)])


def test_the_time_of_a_cosignature_is_read_as_others_read_it():
    """The value that transparency-dev/formats gives for this signature."""
    data = base64.b64decode(
        "ZGhGuQAAAABm/qTPeyKXD+R2rzyQsxPiP8mXum7qq/iF0u4vanlqJyocWODBt97w9uL+8qT7S5gxEHWWOworDcFiEBYJ"
        "XORmnFBOBA=="
    )

    assert int.from_bytes(data[4:12], "big") == 1727964367
    assert len(data) == len(base64.b64decode(_line(TEXT, 5).split()[-1]))


@pytest.mark.parametrize(
    "text",
    [
        "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
        "bananas.sigstore.dev+12344556",
        "rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!",
        "rekor.sigstore.dev+12345678+AwEB",
        "remora.n621.de+00000000+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "remora.n621.de+da77ade7+AOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    ],
)
def test_what_is_no_cosigner_key_is_refused(text):
    with pytest.raises(KeyMalformed):
        parse_cosigner_key(text)


def test_a_cosigner_key_is_spelled_as_it_was_read():
    assert parse_cosigner_key(str(WITNESS)) == WITNESS


def test_a_plain_signature_with_the_same_key_is_no_cosignature():
    signed = note.sign_note(TEXT, WITNESS.name, RAW, PRIVATE.sign)

    assert cosignatures(note.parse_note(signed), [WITNESS]) == []


def test_a_cosignature_verifies_with_its_time():
    (found,) = cosignatures(note.parse_note(f"{TEXT}\n{_line(TEXT, 1679315147)}"), [WITNESS])

    assert (found.key, found.time_s) == (WITNESS, 1679315147)


def test_every_changed_byte_of_a_cosignature_is_noticed():
    data = base64.b64decode(_line(TEXT, 1679315147).split()[-1])
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1
        signed = note.parse_note(f"{TEXT}\n{note.signature_line(WITNESS.name, bytes(broken))}")
        if place < 4:
            assert cosignatures(signed, [WITNESS]) == []
        else:
            with pytest.raises(note.NoteForged):
                cosignatures(signed, [WITNESS])


def test_a_cosignature_of_another_length_is_forged():
    data = base64.b64decode(_line(TEXT, 9).split()[-1])
    for wrong in (data[:-1], data + b"\0", data[:4] + b"\0" * 8):
        with pytest.raises(note.NoteForged):
            cosignatures(
                note.parse_note(f"{TEXT}\n{note.signature_line(WITNESS.name, wrong)}"), [WITNESS]
            )


def test_extension_lines_are_covered():
    line = _line(TEXT + "extra\n", 9)

    with pytest.raises(note.NoteForged):
        cosignatures(note.parse_note(f"{TEXT}extrA\n\n{line}"), [WITNESS])


def test_a_time_beyond_its_range_is_forged():
    line = _line(TEXT, 1 << 63)

    with pytest.raises(note.NoteForged):
        cosignatures(note.parse_note(f"{TEXT}\n{line}"), [WITNESS])


def _line(text, time_s):
    return cosign(text, WITNESS, PRIVATE.sign, time_s=time_s)
