"""The cases of transparency-dev/formats, policy/tlog_policy_test.go, and our own."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.evidence.cosignature import CosignerKey
from sync.evidence.note import VerifierKey
from sync.evidence.policy import PolicyMalformed, format_policy, parse_policy


def _raw(seed):
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


LOG = VerifierKey("example.com/log", _raw(99))
W1, W2, W3, W4, W5, W6 = (CosignerKey(f"Wit{n}", _raw(n)) for n in range(1, 7))
EXAMPLE = f"""log {LOG}

witness X1 {W1}
witness X2 {W2}
witness X3 {W3}
group X-witnesses 2 X1 X2 X3

witness Y1 {W4}
witness Y2 {W5}
witness Y3 {W6}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def _parse(text):
    return parse_policy(text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("signers", "met"),
    [
        ((W1, W2, W4), True),
        ((W2, W3, W6), True),
        ((W1, W2, W3, W4, W5, W6), True),
        ((W1, W4, W5, W6), False),
        ((W1, W2, W3), False),
        ((W1, W1, W4), False),
        ((), False),
    ],
)
def test_the_example_of_the_specification_asks_two_of_x_and_one_of_y(signers, met):
    assert _parse(EXAMPLE).is_met_by(signers) is met


def test_a_policy_without_witnesses_asks_for_nothing():
    policy = _parse("quorum none\n")

    assert policy.is_met_by(())
    assert (policy.logs, policy.witnesses) == ((), ())


def test_whitespace_and_comments_mean_nothing():
    policy = _parse(
        f"\n# comment\n\t # another comment\n\twitness \t w1  {W1}   https://w1.example.com/  \n"
        "\n  quorum\tw1"
    )

    (witness,) = policy.witnesses
    assert (witness.name, witness.key, witness.url) == ("w1", W1, "https://w1.example.com/")


def test_names_are_octets():
    policy = _parse(f"witness \udce2\udc84w\udc80 {W1}\nquorum \udce2\udc84w\udc80\n")

    assert policy.is_met_by([W1])
    assert parse_policy(format_policy(policy)) == policy
    with pytest.raises(PolicyMalformed):
        _parse(f"witness K {W1}\nquorum \u212a\n")


def test_keywords_other_than_none_are_names():
    policy = _parse(f"witness all {W1}\nwitness any {W2}\ngroup group 2 all any\nquorum group\n")

    assert policy.is_met_by([W1, W2])
    assert not policy.is_met_by([W1])


def test_a_policy_is_written_as_it_is_read():
    text = (
        f"log {LOG} https://log.example.com/\nwitness w1 {W1} https://w1.example.com/\n"
        f"witness w2 {W2}\ngroup g1 1 w1 w2\nquorum g1\n"
    )

    assert format_policy(_parse(text)).decode() == text


def test_nested_groups_need_the_inner_one():
    policy = _parse(
        f"witness w1 {W1}\nwitness w2 {W2}\nwitness w3 {W3}\ngroup inner any w2 w3\n"
        "group outer all w1 inner\nquorum outer\n"
    )

    assert policy.is_met_by([W1, W3])
    assert not policy.is_met_by([W1])
    assert not policy.is_met_by([W2, W3])


@pytest.mark.parametrize(
    "text",
    [
        "quorum none\n\x01",
        "quorum none\r\n",
        "quibble w1\nquorum none\n",
        f"witness w1 {W1} https://w1.example.com/ # comment\nquorum w1\n",
        "log\nquorum none\n",
        "log garbage\nquorum none\n",
        f"log {W1}\nquorum none\n",
        f"log {LOG}\nlog {LOG} https://log.example.com/\nquorum none\n",
        "witness w1\nquorum none\n",
        f"witness w1 {LOG}\nquorum w1\n",
        f"witness none {W1}\nquorum none\n",
        f"witness w1 {W1}\nwitness w1 {W2}\nquorum w1\n",
        f"witness w1 {W1}\nwitness w2 {CosignerKey('impostor', W1.public_key)}\nquorum w1\n",
        f"witness w1 {W1}\ngroup w1 any w1\nquorum w1\n",
        f"witness w1 {W1}\ngroup g1 1\nquorum w1\n",
        f"witness w1 {W1}\ngroup none any w1\nquorum none\n",
        f"witness w1 {W1}\ngroup g1 0 w1\nquorum g1\n",
        f"witness w1 {W1}\ngroup g1 -1 w1\nquorum g1\n",
        f"witness w1 {W1}\ngroup g1 01 w1\nquorum g1\n",
        f"witness w1 {W1}\ngroup g1 2 w1\nquorum g1\n",
        f"witness w1 {W1}\ngroup g1 any w2\nquorum g1\n",
        f"group g1 any w1\nwitness w1 {W1}\nquorum g1\n",
        f"witness w1 {W1}\ngroup g1 any none w1\nquorum g1\n",
        f"witness w1 {W1}\ngroup g1 all w1 w1\nquorum g1\n",
        f"witness w1 {W1}\nwitness w2 {W2}\ngroup g1 any w1 w2\ngroup g2 any w1\nquorum g1\n",
        f"witness w1 {W1}\ngroup g1 any g1\nquorum g1\n",
        f"witness w1 {W1}\n",
        f"witness w1 {W1}\nquorum w1\nquorum w1\n",
        "quorum unknown\n",
        f"quorum w1\nwitness w1 {W1}\n",
        "quorum\n",
        "quorum none none\n",
        "log \udc80+00000000+AAAA\nquorum none\n",
        "#" * (1 << 18) + "\nquorum none\n",
    ],
)
def test_what_is_no_policy_is_refused(text):
    with pytest.raises(PolicyMalformed):
        _parse(text)


def test_the_line_that_is_wrong_is_named():
    with pytest.raises(PolicyMalformed) as caught:
        _parse(f"witness w1 {W1}\n\ngroup g 3 w1\nquorum g\n")

    assert caught.value.line == 3


def test_thirty_two_of_each_are_no_burden():
    keys = [CosignerKey(f"w{n}", _raw(n + 100)) for n in range(32)]
    rows = [f"witness w{n} {key}" for n, key in enumerate(keys)]
    rows += ["group g0 any w0"] + [f"group g{n} all g{n - 1} w{n}" for n in range(1, 32)]

    policy = _parse("\n".join([*rows, "quorum g31", ""]))

    assert policy.is_met_by(keys)
    assert not policy.is_met_by(keys[1:])
