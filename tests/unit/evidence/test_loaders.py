"""The loaders for vectors of others, on small folders of each format; each tells bad from good.

Key, checkpoints and notes are those that their makers published (Tessera's golden
log, transparency-dev, Apache-2.0; ``sumdb/note`` of Go, BSD-3-Clause). The log's
tiles follow from its entries, which are the words "one" to "fifteen".
"""

import hashlib
import json
from datetime import UTC, datetime

import bagit
import pytest

from sync.evidence import merkle, tsp
from sync.evidence.verify_cli import main
from tests.support.tsa import Authority
from tests.support.vectors_of_others import cases

LOG_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
CHECKPOINTS = {
    9: (
        "8HQCmYKw3Oc37Jcl5tEw4qlAxacqyBklU+xIWIsUN5s=",
        "M9e0lpoQJNHwk5wKABX02dgva8oOowxWHpAQJLbsX/+okywwgssPbuu8Yn/msB9H1Ep/TZrMzMtdJ0zjmPZCeeZ3Kwo=",
    ),
    14: (
        "X563LrpqupgW22X68TY1Z0EbsHoMkL/1sIb8DFDxPaI=",
        "M9e0lrB2XxfPi7eImgmhbCnLlXKUQ23RHsPZYJToeTbj4pnQcpys2AWlEHDo0agLGwJKpVwMKbur7eVvn9db6D5JGgM=",
    ),
    15: (
        "ztShEESP/U2eoPuUaLyhTgOgfhRUShjIrcnotnqv6h0=",
        "M9e0llwvabgYByGfcSW7R3qiUiOvdTgW2PGQWEAvDsOegOAsW38t3NOJQ8+2tXSyzylNMExtqemkDfZ+4BoB+oEMWwg=",
    ),
}
ENTRIES = [
    *("one", "two", "three", "four", "five", "six", "seven", "eight"),
    *("nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"),
]
NOTE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFY"
    "C2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))


def write_log(folder):
    write(folder / "log.vkey", LOG_KEY + "\n")
    leaves = [merkle.leaf_hash(entry.encode()) for entry in ENTRIES]
    for size, (root, signature) in CHECKPOINTS.items():
        text = f"example.com/log/testdata\n{size}\n{root}\n"
        write(
            folder / f"log/checkpoint.{size}",
            f"{text}\n\u2014 example.com/log/testdata {signature}\n",
        )
        write(folder / f"log/tile/0/000.p/{size}", b"".join(leaves[:size]))
    return len(CHECKPOINTS)


def write_notes(folder):
    for name, text in (("valid/a", NOTE), ("invalid/b", NOTE.replace("problem", "riddle"))):
        write(folder / f"{name}.note", text)
        write(folder / f"{name}.vkey", NOTE_KEY)
    return 2


def write_bag(bag, *, version="1.0", manifest=None, declaration=None, **files):
    payload = b"Tue, Jul 24, 2018  9:45:38 AM\n"
    digest = hashlib.sha256(payload).hexdigest()
    write(bag / "data/text-file.txt", payload)
    write(
        bag / "bagit.txt",
        declaration or f"BagIt-Version: {version}\nTag-File-Character-Encoding: UTF-8\n",
    )
    write(bag / "manifest-sha256.txt", manifest or f"{digest}  data/text-file.txt\n")
    for name, data in files.items():
        write(bag / name.replace("__", "/").replace("_", "-").replace("-txt", ".txt"), data)


DIGEST = hashlib.sha256(b"Tue, Jul 24, 2018  9:45:38 AM\n").hexdigest()
ROW = f"{DIGEST}  data/text-file.txt\n"
VALID_BAGS = {
    "plain": {},
    "older": {"version": "0.97"},
    "capitals": {"manifest": ROW.upper().replace("DATA/TEXT-FILE.TXT", "data/text-file.txt")},
    "star": {"manifest": ROW.replace("  ", " *")},
    "crlf": {"manifest": ROW.replace("\n", "\r\n")},
    "oxum": {"bag_info_txt": "Payload-Oxum: 30.1\n"},
    "blanks-in-0.96": {
        "declaration": "BagIt-Version : 0.96\nTag-File-Character-Encoding : UTF-8\n"
    },
}
INVALID_BAGS = {
    "another-digest": {"manifest": ROW.replace(DIGEST[:4], "0000")},
    "missing": {"manifest": ROW + f"{DIGEST}  data/missing\n"},
    "unlisted": {"data__more": "more"},
    "twice": {"manifest": ROW * 2},
    "out": {"manifest": ROW + f"{DIGEST}  ../../README.md\n"},
    "home": {"manifest": ROW + f"{DIGEST}  ~/README.md\n"},
    "root": {"manifest": ROW + f"{DIGEST}  /etc/hostname\n"},
    "drive": {"manifest": ROW + f"{DIGEST}  C:\\README.md\n"},
    "blanks": {"declaration": "BagIt-Version : 1.0\nTag-File-Character-Encoding : UTF-8\n"},
    "mark": {"declaration": "\ufeffBagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"},
    "encoding": {"declaration": "BagIt-Version: 1.0\nTag-File-Character-Encoding: none-such\n"},
    "no-encoding": {"declaration": "BagIt-Version: 1.0\n"},
    "oxum": {"bag_info_txt": "Payload-Oxum: 31.1\n"},
    "tag": {"tagmanifest_sha256_txt": f"{DIGEST}  bagit.txt\n"},
    "fetch": {"fetch_txt": "http://localhost/ 5 data/absent\n"},
    "algorithm": {"manifest_none_such_txt": ROW},
}


def write_bags(folder):
    for name, parts in VALID_BAGS.items():
        write_bag(folder / f"v1.0/valid/{name}", **parts)
    for name, parts in INVALID_BAGS.items():
        write_bag(folder / f"v1.0/invalid/{name}", **parts)
    write_bag(folder / "v1.0/warning/left-to-taste")
    return len(VALID_BAGS) + len(INVALID_BAGS)


def write_all(folder):
    """All formats in one folder; returns the number of cases."""
    return sum(write(folder / name) for name, write in FORMATS.items())


def write_stamps(folder):
    """As rfc3161-client keeps its own: by several authorities, one long ended, one damaged."""
    sha256 = {"digest": hashlib.sha256, "hash_oid": "2.16.840.1.101.3.4.2.1"}
    sha512 = {"digest": hashlib.sha512, "hash_oid": "2.16.840.1.101.3.4.2.3"}
    begin, end = datetime(2015, 1, 1, tzinfo=UTC), datetime(2016, 1, 1, tzinfo=UTC)
    for name, hashing, traits in (
        ("plain", sha256, {}),
        ("chain", sha512, {"chained": True}),
        ("ended", sha256, {"valid_from": begin, "valid_to": end}),
    ):
        authority = Authority(folder / "keys" / name, **traits)
        home = folder / name
        home.mkdir(parents=True)
        (home / "ts_chain.pem").write_bytes(authority.root.read_bytes())
        (home / "payload").write_bytes(b"hello")
        imprint = hashing["digest"](b"hello").digest()
        request = tsp.build_request(imprint, nonce=7, hash_oid=hashing["hash_oid"])
        at_ms = 1000 * int(begin.timestamp()) + 86_400_000
        answer = authority.stamp_at(request, at_ms) if name == "ended" else authority.stamp(request)
        (home / "response.tsr").write_bytes(answer)
        damaged = answer[:-9] + bytes([answer[-9] ^ 1]) + answer[-8:]
        (home / "response-invalid-signature.tsr").write_bytes(damaged)
    return 6


FORMATS = {
    "tessera": write_log,
    "notes": write_notes,
    "bags": write_bags,
    "stamps": write_stamps,
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_of_others_is_judged_as_its_makers_judge_it(tmp_path, name):
    count = FORMATS[name](tmp_path)

    found = list(cases(tmp_path))

    assert len(found) == count
    assert [case.name for case in found if case.run() is not case.wanted] == []


def test_the_bags_are_judged_alike_by_the_library_of_congress(tmp_path):
    """Its own program asks less of blanks, of unknown algorithms and of what is to be fetched."""
    write_bags(tmp_path)

    for name, expected in (("valid", True), ("invalid", False)):
        for folder in sorted((tmp_path / "v1.0" / name).iterdir()):
            try:
                good = bagit.Bag(str(folder)).is_valid()
            except (bagit.BagError, ValueError, LookupError):
                good = False
            assert good is expected or folder.name in ("algorithm", "blanks", "fetch"), folder


def test_a_bag_of_others_is_checked_on_the_command_line(tmp_path, capsys):
    write_bag(tmp_path / "good")
    write_bag(tmp_path / "bad", data__more="more")

    assert main(["--bag", str(tmp_path / "good"), "--lang", "en"]) == 0
    assert "PASS" in capsys.readouterr().out
    assert main(["--bag", str(tmp_path / "bad"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["faults"][0]["file"] == "data/more"
    assert main(["--bag", str(tmp_path / "none"), "--lang", "en"]) == 2
    assert "Cannot verify" in capsys.readouterr().err


def test_a_golden_log_with_one_leaf_or_root_altered_is_refused(tmp_path):
    write_log(tmp_path)
    tile = tmp_path / "log/tile/0/000.p/15"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])

    refused = [case.name for case in cases(tmp_path) if not _holds(case)]

    assert refused == ["log/checkpoint.15"]


def _holds(case):
    try:
        return case.run()
    except merkle.ProofInvalid:
        return False


def test_a_file_that_is_no_vector_is_left_alone(tmp_path):
    write(tmp_path / "output/x.json", "{}")
    write(tmp_path / "list.json", json.dumps([1]))
    write(tmp_path / "broken.json", "{")
    write(tmp_path / "lonely.note", NOTE)

    assert list(cases(tmp_path)) == []
