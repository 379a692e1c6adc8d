import json

import pytest

from sync.evidence import package, record_reading, records
from sync.evidence.package import PackageMalformed
from tests.support.small_package import build_small_package

CASES = [
    (package.INDEX, record_reading.parse_index, False),
    (package.KEYS, record_reading.parse_keys, False),
    (package.CUSTODY, record_reading.parse_custody_event, True),
    (package.INCLUSION, record_reading.parse_inclusion, True),
    (package.CONSISTENCY, record_reading.parse_consistency, True),
]


@pytest.fixture(scope="module")
def small():
    return build_small_package()


def documents(small, file, by_line):
    data = small.files[file]
    return data.splitlines() if by_line else [data]


@pytest.mark.parametrize(("file", "parse", "by_line"), CASES)
def test_a_record_is_written_again_to_the_same_bytes(small, file, parse, by_line):
    for data in documents(small, file, by_line):
        assert parse(data).to_bytes() == data


def test_a_receipt_record_holds_the_note_to_the_byte(small):
    for line in small.files[package.RECEIPTS].splitlines():
        assert records.receipt_record(record_reading.parse_receipt_record(line)) == line


@pytest.mark.parametrize(("file", "parse", "by_line"), CASES)
def test_a_record_with_a_field_missing_added_or_of_another_type_is_refused(
    small, file, parse, by_line
):
    data = documents(small, file, by_line)[-1]
    value = json.loads(data)
    broken = [{**value, "more": 1}, [], 5, "text"]
    for name in value:
        broken.append({key: item for key, item in value.items() if key != name})
        for wrong in (None, -1, "x", [0], {}, True):
            if type(wrong) is not type(value[name]):
                broken.append({**value, name: wrong})

    for other in broken:
        text = json.dumps(other, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        with pytest.raises(PackageMalformed) as caught:
            parse(text.encode())
        assert caught.value.file == file


@pytest.mark.parametrize(
    "change",
    [
        {"disposition": "elsewhere"},
        {"disposition": "missing"},
        {"file": ""},
        {"sha256": "0"},
        {"size": -1},
        {"interval": {"not_after_ms": 1}},
        {"interval": 5},
        {"discarded": {"seq": 1}},
        {"line": {}},
    ],
)
def test_an_item_that_contradicts_itself_is_refused(small, change):
    value = json.loads(small.files[package.INDEX])
    value["items"][0].update(change)

    with pytest.raises(PackageMalformed):
        record_reading.parse_index(
            json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "liuhen/package/v1\norigin\n5\n",
        "liuhen/package/v2\norigin\n5\n" + "0" * 64 + "\n",
        "liuhen/package/v1\norigin\n05\n" + "0" * 64 + "\n",
        "liuhen/package/v1\norigin\n5\n" + "0" * 63 + "\n",
        "liuhen/package/v1\norigin\n5\n" + "0" * 64 + "\n\n",
    ],
)
def test_a_statement_in_another_form_is_refused(text):
    with pytest.raises(PackageMalformed):
        package.parse_statement(text)


def test_names_say_what_they_hold():
    chain = package.ChainName("11111111-0000-4000-8000-000000000001", "a" * 32)
    branch = package.ChainName(chain.device, chain.epoch, "b" * 64)

    assert package.journal_chain(package.journal_path(chain)) == chain
    assert package.journal_chain(package.journal_path(branch)) == branch
    assert package.journal_chain("data/journal/x.ndjson") is None
    assert package.original_digest(package.original_path("c" * 64, "image/jpeg")) == "c" * 64
    assert package.original_path("c" * 64, "application/x-unheard-of").endswith(".bin")
    assert package.original_digest("data/original/c.jpg") is None
