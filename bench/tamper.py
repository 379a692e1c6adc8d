"""No speed but a search for damage that the verifier passes over, or blames on another file.

Packages with real signatures, changed one place at a time: random bits, every
byte, and every journal line and every item in turn, also by somebody who holds
the ledger's key and mends manifests and statement.
"""

import argparse
import io
import json
import random
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sync.evidence import canonical, package
from sync.evidence.verifier import verify_package
from sync.evidence.verifier_claims import Result, Verdict
from tests.support.small_package import Small, build_package_of, build_tiny_package

_FAILED_SHOWN = 20


def run(arguments: list[str]) -> dict[str, object]:
    """Make ``--flips`` random changes to a package of ``--items``, then all the others."""
    parser = argparse.ArgumentParser(prog="scripts/bench tamper")
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--flips", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    large, tiny = build_package_of(options.items), build_tiny_package()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.zip"
        outcome = {
            "random_bits": search(path, random_bits(large, options.flips, chance)),
            "every_byte": search(path, every_byte(tiny, chance)),
            "lines": search(path, lines_touched(large)),
            "items": search(path, items_left_out(large)),
        }
    return {
        "bench": "tamper",
        "items": options.items,
        "seed": options.seed,
        "tried": {name: tried for name, (tried, _) in outcome.items()},
        "undetected": {name: len(missed) for name, (_, missed) in outcome.items()},
        "examples": [what for _, missed in outcome.values() for what in missed][:_FAILED_SHOWN],
    }


#: What was done, the bytes it left, and whether a result names the right place.
Attempt = tuple[str, bytes, Callable[[Result], bool]]


def search(path: Path, attempts: Iterable[Attempt]) -> tuple[int, list[str]]:
    """How many ``attempts`` were made, and those that the verifier did not name."""
    tried, missed = 0, []
    for what, data, is_named in attempts:
        path.write_bytes(data)
        tried += 1
        if not is_named(verify_package(str(path))):
            missed.append(what)
    return tried, missed


def random_bits(small: Small, count: int, chance: random.Random) -> Iterator[Attempt]:
    """One bit of the ZIP at a time, its headers included."""
    data = small.pack()
    owners = owners_of(data)
    for place in (chance.randrange(len(data)) for _ in range(count)):
        yield _flip(data, place, chance, owners[place])


def every_byte(small: Small, chance: random.Random, step: int = 1) -> Iterator[Attempt]:
    """One bit of every byte of the ZIP, or of every ``step``-th."""
    data = small.pack()
    owners = owners_of(data)
    for place in range(chance.randrange(step), len(data), step):
        yield _flip(data, place, chance, owners[place])


def _flip(data: bytes, place: int, chance: random.Random, owner: str) -> Attempt:
    flipped = bytearray(data)
    flipped[place] ^= 1 << chance.randrange(8)
    return f"byte {place} of {owner}", bytes(flipped), lambda result: owner in files_named(result)


def lines_touched(small: Small) -> Iterator[Attempt]:
    """Every journal line deleted, doubled and swapped with the next, all digests mended."""
    for device in small.devices:
        path = package.journal_path(device.chain)
        lines = small.files[path].splitlines(keepends=True)
        for seq, line in enumerate(lines):
            before, after = lines[:seq], lines[seq + 1 :]
            touched = {
                "deleted": [*before, *after],
                "doubled": [*before, line, line, *after],
                "swapped": [*before, *after[:1], line, *after[1:]],
            }
            if not after:
                del touched["swapped"]
            for what, changed in touched.items():
                place = (device.id, device.epoch, seq)
                data = small.pack_signed({**small.files, path: b"".join(changed)})
                yield (
                    f"line {seq} {what}",
                    data,
                    lambda result, place=place: place in places(result),
                )


def items_left_out(small: Small) -> Iterator[Attempt]:
    """Every item in turn taken out of index and originals, all digests mended."""
    for item in small.index.items:
        index = json.loads(small.files[package.INDEX])
        index["items"] = [other for other in index["items"] if other["item"] != item.item]
        index["announced"] = sorted({other["sha256"] for other in index["items"]})
        files = {**small.files, package.INDEX: canonical.dumps(index)}
        files.pop(item.file, None)
        yield (
            f"item {item.item} left out",
            small.pack_signed(files),
            lambda result, item=item.item: item in _values(result, "item"),
        )


def owners_of(data: bytes) -> list[str]:
    """For every byte of a package the file that it belongs to; the ZIP itself at its end."""
    owners = ["case.zip"] * len(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = archive.start_dir
        for info in archive.infolist():
            end = info.header_offset + 30 + len(info.filename) + info.file_size
            owners[info.header_offset : end] = [info.filename] * (end - info.header_offset)
            length = 46 + len(info.filename)
            owners[start : start + length] = [info.filename] * length
            start += length
    return owners


def files_named(result: Result) -> set[object]:
    return _values(result, "file")


def places(result: Result) -> set[tuple[object, ...]]:
    """Every (device, epoch, seq) that a failure names."""
    return {
        tuple(claim.values[name] for name in ("device", "epoch", "seq"))
        for claim in result.claims
        if claim.verdict is Verdict.FAIL and "seq" in claim.values
    }


def _values(result: Result, name: str) -> set[object]:
    return {claim.values.get(name) for claim in result.claims if claim.verdict is Verdict.FAIL}
