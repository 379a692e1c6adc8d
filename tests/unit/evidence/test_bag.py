import io
import zipfile

import bagit
import pytest

from sync.evidence import bag
from tests.support.small_package import build_small_package

DIGEST = "0" * 64


def test_a_manifest_is_read_back_sorted():
    data = bag.format_manifest([("data/b", DIGEST), ("data/a", DIGEST)])

    assert data == f"{DIGEST}  data/a\n{DIGEST}  data/b\n".encode()
    assert list(bag.parse_manifest(data, file=bag.MANIFEST)) == ["data/a", "data/b"]


@pytest.mark.parametrize(
    "data",
    [
        f"{DIGEST}  data/a".encode(),
        f"{DIGEST} data/a\n".encode(),
        f"{DIGEST} *data/a\n".encode(),
        f"{DIGEST.replace('0', 'A')}  data/a\n".encode(),
        f"{DIGEST}  ../a\n".encode(),
        f"{DIGEST}  data/a\r\n".encode(),
        f"{DIGEST}  data/b\n{DIGEST}  data/a\n".encode(),
        f"{DIGEST}  data/a\n{DIGEST}  data/a\n".encode(),
        b"\n",
        b"\xff\n",
    ],
)
def test_a_manifest_in_another_form_is_refused(data):
    with pytest.raises(bag.BagMalformed):
        bag.parse_manifest(data, file=bag.MANIFEST)


def test_bag_info_is_read_back():
    fields = [("Source-Organization", "示范区生态环境分局"), ("Payload-Oxum", "5.1")]

    assert bag.parse_info(bag.format_info(fields)) == fields


@pytest.mark.parametrize(("label", "value"), [("A b", "c"), ("A", "b\nc"), ("A", ""), ("A", " b")])
def test_bag_info_that_could_be_read_otherwise_is_not_written(label, value):
    with pytest.raises(bag.BagMalformed):
        bag.format_info([(label, value)])


@pytest.mark.parametrize("data", [b"A: b", b"A b\n", b"A:b\n", b"\xff\n"])
def test_bag_info_in_another_form_is_refused(data):
    with pytest.raises(bag.BagMalformed):
        bag.parse_info(data)


def test_the_reference_implementation_finds_a_package_valid(tmp_path):
    with zipfile.ZipFile(io.BytesIO(build_small_package().pack())) as archive:
        archive.extractall(tmp_path)

    assert bagit.Bag(str(tmp_path)).validate()
