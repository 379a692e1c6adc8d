"""The text of a receipt says one thing in one way."""

import pytest

from sync.evidence.errors import LineMalformed
from sync.evidence.receipt import Receipt, parse_receipt

_RECEIPT = Receipt(
    origin="example/ledger",
    generation=1,
    device="d" * 8,
    epoch="e" * 32,
    branch="",
    first_seq=0,
    last_seq=9,
    last_digest="ab" * 32,
    first_index=5,
    server_ms=1_777_856_400_000,
    clock="synchronised",
)


def test_a_receipt_reads_back():
    assert parse_receipt(_RECEIPT.to_text()) == _RECEIPT


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "more x\n",
        lambda text: text.replace("generation 1", "generation 01"),
        lambda text: text.replace("last_seq 9", "last_seq -9"),
        lambda text: text.replace("origin ", "origins "),
        lambda text: text.replace("v1", "v2"),
        lambda text: "",
    ],
)
def test_a_receipt_of_another_form_is_refused(change):
    with pytest.raises(LineMalformed):
        parse_receipt(change(_RECEIPT.to_text()))
