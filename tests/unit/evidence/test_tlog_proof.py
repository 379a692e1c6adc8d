"""C2SP tlog-proof files, read and written."""

import pytest

from sync.evidence.tlog_proof import ProofMalformed, TlogProof, format_proof, parse_proof

_NOTE = "example.com/log\n9\nAAAA\n\n— example.com/log AAAAAAA=\n"


@pytest.mark.parametrize("extra", [b"", b"salt and event"])
@pytest.mark.parametrize("path", [(), (bytes(32), b"\x01" * 32)])
def test_what_is_written_is_read_again(extra, path):
    proof = TlogProof(7, path, _NOTE, extra)

    assert parse_proof(format_proof(proof)) == proof


def test_the_example_of_the_specification_is_read():
    text = (
        "c2sp.org/tlog-proof@v1\n"
        "extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6\n"
        "index 73894\n"
        "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"
        "B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n"
        "\n"
        "example.com/fancylog\n"
        "109482\n"
        "sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n"
        "\n"
        "— example.com/fancylog hI2DJw==\n"
    )

    proof = parse_proof(text)

    assert (proof.index, len(proof.path)) == (73894, 2)
    assert proof.extra == b"age-v1.2.1-darwin-arm64.tar.gz"
    assert proof.checkpoint.startswith("example.com/fancylog\n109482\n")
    assert format_proof(proof) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\n\n" + _NOTE,
        "c2sp.org/tlog-proof@v2\nindex 1\n\n" + _NOTE,
        "c2sp.org/tlog-proof@v1\nindex 01\n\n" + _NOTE,
        "c2sp.org/tlog-proof@v1\nindex -1\n\n" + _NOTE,
        "c2sp.org/tlog-proof@v1\nextra !\nindex 1\n\n" + _NOTE,
        "c2sp.org/tlog-proof@v1\nextra AAA=\n\n" + _NOTE,
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n" + _NOTE,
        "c2sp.org/tlog-proof@v1\nindex 1\nindex 1\n\n" + _NOTE,
        "c2sp.org/tlog-proof@v1\r\nindex 1\r\n\r\n" + _NOTE,
    ],
)
def test_what_is_no_proof_is_refused(text):
    with pytest.raises(ProofMalformed):
        parse_proof(text)
