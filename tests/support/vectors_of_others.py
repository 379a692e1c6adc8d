"""Loaders for vectors made by others (docs/evidence.md §9): each file in a known format is a case.

A folder may hold any of them at any depth; what a loader does not recognise it
leaves alone. Nothing but the verifier's own modules and the standard library is
imported, so that the same loaders run inside the stand-alone file.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sync.evidence import canonical, ed25519, foreign_bag, merkle, note, p256, tsp
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.errors import NotCanonical, SyncError
from sync.evidence.verifier_stamps import ask_openssl

_TILE_LEAVES = 256
_HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}


@dataclass(frozen=True)
class Case:
    """One vector. ``run`` says what we make of it, ``wanted`` what its makers do."""

    name: str
    run: Callable[[], bool]
    wanted: bool


def cases(folder: Path) -> Iterator[Case]:
    """All cases below ``folder``, in the order of their names."""
    for loader in (proofs, signatures, canonical_pairs, logs, notes, bags, time_stamps):
        yield from loader(folder)


def proofs(folder: Path) -> Iterator[Case]:
    """JSON as in transparency-dev/merkle ``testdata``: one proof in each file."""
    for path, value in _json_files(folder, "wantErr"):
        if "leafHash" in value:
            for name, judge in (("alone", _included), ("shared", _included_among_others)):
                yield Case(f"{_name(folder, path)}-{name}", _judging(judge, value), _good(value))
        elif "root1" in value:
            yield Case(_name(folder, path), _judging(_consistent, value), _good(value))


def _good(value):
    return not value["wantErr"]


def _included(value):
    merkle.verify_inclusion(
        _bytes(value["leafHash"]),
        index=value["leafIdx"],
        size=value["treeSize"],
        path=[_bytes(text) for text in value["proof"] or ()],
        root=_bytes(value["root"]),
    )


def _included_among_others(value):
    checker = merkle.InclusionChecker(value["treeSize"], _bytes(value["root"]))
    path = tuple(_bytes(text) for text in value["proof"] or ())
    checker.check(_bytes(value["leafHash"]), index=value["leafIdx"], path=path)


def _consistent(value):
    merkle.verify_consistency(
        first=value["size1"],
        second=value["size2"],
        first_root=_bytes(value["root1"]),
        second_root=_bytes(value["root2"]),
        path=[_bytes(text) for text in value["proof"] or ()],
    )


def signatures(folder: Path) -> Iterator[Case]:
    """Wycheproof JSON of P-256 signatures in r‖s over SHA-256, and of Ed25519.

    A case that its makers call "acceptable" is left to either answer.
    """
    for path, value in _json_files(folder, "testGroups"):
        for group in value["testGroups"]:
            verify = _verifier_of(group)
            for case in group["tests"] if verify else ():
                if case["result"] != "acceptable":
                    yield Case(
                        f"{_name(folder, path)}-{case['tcId']}",
                        lambda verify=verify, case=case: verify(
                            bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
                        ),
                        case["result"] == "valid",
                    )


def _verifier_of(group):
    kind, key = group.get("type"), group.get("publicKey", {})
    if kind == "EcdsaP1363Verify" and (key["curve"], group["sha"]) == ("secp256r1", "SHA-256"):
        public_key = p256.parse_spki(bytes.fromhex(group["publicKeyDer"]))
        return lambda message, signature: p256.verify(public_key, message, signature)
    if kind == "EddsaVerify" and key["curve"] == "edwards25519":
        raw = bytes.fromhex(key["pk"])
        return lambda message, signature: ed25519.verify(raw, message, signature)
    return None


def canonical_pairs(folder: Path) -> Iterator[Case]:
    """Files of the same name in ``input`` and ``output`` folders, as in json-canonicalization.

    What lies outside our narrower profile (docs/protocol.md §4.1) must be refused.
    """
    for path in _sorted(folder.rglob("output/*.json")):
        source = path.parent.parent / "input" / path.name
        if source.is_file():
            yield Case(_name(folder, path), lambda p=path, s=source: _is_canonical(p, s), True)


def _is_canonical(output, source):
    expected = output.read_bytes().rstrip(b"\n")
    # "56.0" in an input is 56 in RFC 8785; to our profile only the latter is a number.
    value = json.loads(source.read_text("utf-8"), parse_float=_whole_or_float)
    if _in_profile(value):
        return canonical.dumps(value) == expected and canonical.loads(expected) == value
    try:
        canonical.loads(expected)
    except NotCanonical:
        return True
    return False


def _whole_or_float(text):
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _in_profile(value):
    """The profile, told again apart from the code under test."""
    if isinstance(value, bool | str):
        return True
    if isinstance(value, int):
        return abs(value) < 2**53
    if isinstance(value, list):
        return all(map(_in_profile, value))
    if isinstance(value, dict):
        return all(key.isascii() and _in_profile(item) for key, item in value.items())
    return False


def logs(folder: Path) -> Iterator[Case]:
    """A golden log as Tessera writes them: ``checkpoint*`` and ``tile/0/…`` side by side.

    The log's verifier keys stand in ``*.vkey`` files, there or in a folder above,
    one on each line. Every checkpoint must be signed, have the root that the tiles
    give at its size, and be consistent with the next larger one.
    """
    for tiles in _sorted(folder.rglob("tile/0")):
        log = tiles.parent.parent
        for path in _sorted(log.glob("checkpoint*")):
            yield Case(_name(folder, path), lambda log=log, path=path: _is_golden(log, path), True)


def _is_golden(log, path):
    text, _ = note.open_note(path.read_text("utf-8"), _keys_near(log))
    point = parse_checkpoint(text)
    leaves = list(_leaves(log, point.size))
    tree, nodes = merkle.CompactRange(), {}
    for leaf in leaves:
        for level, position, node in tree.append(leaf):
            nodes[level, position] = node
    for index, leaf in enumerate(leaves):
        proof = merkle.inclusion_proof(point.size, index, lambda *place: nodes[place])
        merkle.verify_inclusion(leaf, index=index, size=point.size, path=proof, root=point.root)
    for size in range(1, point.size):
        merkle.verify_consistency(
            first=size,
            second=point.size,
            first_root=merkle.root(size, lambda *place: nodes[place]),
            second_root=point.root,
            path=merkle.consistency_proof(size, point.size, lambda *place: nodes[place]),
        )
    return tree.root() == point.root


def _leaves(log, size):
    """The leaf hashes from the tiles of level 0, the last of which may be a partial one."""
    for number in range((size + _TILE_LEAVES - 1) // _TILE_LEAVES):
        count = min(_TILE_LEAVES, size - number * _TILE_LEAVES)
        path = log / "tile/0" / _tile_name(number)
        if count < _TILE_LEAVES and not path.is_file():
            partial = path.with_name(path.name + ".p")
            path = min(p for p in partial.iterdir() if int(p.name) >= count)
        data = path.read_bytes()
        for start in range(0, 32 * count, 32):
            yield data[start : start + 32]


def _tile_name(number):
    """``x001/x234/067`` for tile 1,234,067, as tlog-tiles spells it."""
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def notes(folder: Path) -> Iterator[Case]:
    """``X.note`` beside ``X.vkey``: signed by one of these keys, unless it lies in ``invalid``."""
    for path in _sorted(folder.rglob("*.note")):
        keys = path.with_suffix(".vkey")
        if keys.is_file():
            wanted = "invalid" not in path.relative_to(folder).parts
            yield Case(_name(folder, path), lambda p=path, k=keys: _is_signed(p, k), wanted)


def _is_signed(path, keys):
    try:
        note.open_note(path.read_bytes().decode("utf-8"), _read_keys(keys))
    except (SyncError, UnicodeDecodeError):
        return False
    return True


def bags(folder: Path) -> Iterator[Case]:
    """Folders below ``valid``, ``invalid`` and ``linux-only``, as in bagit-conformance-suite.

    Those below ``warning`` are valid or not as one likes, and those of other systems
    are for these, so both are left out.
    """
    for parent in _sorted(folder.rglob("*")):
        if parent.name in ("valid", "invalid", "linux-only") and parent.is_dir():
            for bag in _sorted(p for p in parent.iterdir() if p.is_dir()):
                if any(bag.iterdir()) and not any(bag.glob("*.note")):
                    yield Case(
                        _name(folder, bag),
                        lambda bag=bag: not foreign_bag.check_any_bag(str(bag)),
                        parent.name != "invalid",
                    )


def time_stamps(folder: Path) -> Iterator[Case]:
    """``X.tsr`` beside ``X.pem`` or ``ts_chain.pem``, whom to trust; good unless named invalid.

    What was stamped may lie beside as ``X.data`` or ``payload``. Stamps that enclose no
    certificate are left out: we ask for it.
    """
    for path in _sorted(folder.rglob("*.tsr")):
        chains = (path.with_suffix(".pem"), path.with_name("ts_chain.pem"))
        trusted = next((chain for chain in chains if chain.is_file()), None)
        if trusted is not None and _encloses_its_signer(path):
            wanted = not any("invalid" in part for part in path.relative_to(folder).parts)
            yield Case(_name(folder, path), lambda p=path, t=trusted: _is_stamped(p, t), wanted)


def _encloses_its_signer(path):
    try:
        return tsp.parse_stamp(path.read_bytes()).signer is not None
    except SyncError:
        return True  # whether it should be readable its name tells


def _is_stamped(path, trusted):
    answer = path.read_bytes()
    try:
        stamp = tsp.parse_stamp(answer)
    except SyncError:
        return False
    for data in (path.with_suffix(".data"), path.with_name("payload")):
        if data.is_file():
            digest = hashlib.new(_HASHES[stamp.hash_oid], data.read_bytes()).digest()
            if digest != stamp.imprint:
                return False
    return bool(ask_openssl(stamp, answer, trusted.read_text("ascii"), partial=True)[0])


def _judging(judge, value):
    def run():
        try:
            judge(value)
        except merkle.ProofInvalid:
            return False
        return True

    return run


def _json_files(folder, member):
    for path in _sorted(folder.rglob("*.json")):
        try:
            value = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        if isinstance(value, dict) and member in value:
            yield path, value


def _keys_near(log):
    for folder in (log, *log.parents[:2]):
        keys = [key for path in _sorted(folder.glob("*.vkey")) for key in _read_keys(path)]
        if keys:
            return keys
    return []


def _read_keys(path):
    rows = path.read_text("utf-8").splitlines()
    return [note.parse_verifier_key(row) for row in rows if row.strip()]


def _bytes(text):
    return base64.b64decode(text or "")


def _sorted(paths):
    return sorted(paths, key=lambda path: path.as_posix())


def _name(folder, path):
    return path.relative_to(folder).as_posix()
