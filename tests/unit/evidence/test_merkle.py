import json
import random
from pathlib import Path

import pytest

from sync.evidence import merkle

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/merkle.json").read_text("utf-8"))
LEAVES = [merkle.leaf_hash(b"%d" % number) for number in range(40)]


def rfc_root(leaves):
    """MTH of RFC 6962 §2.1, told recursively as the RFC tells it."""
    if not leaves:
        return merkle.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return merkle.node_hash(rfc_root(leaves[:middle]), rfc_root(leaves[middle:]))


@pytest.fixture(scope="module")
def nodes():
    tree, nodes = merkle.CompactRange(), {}
    for leaf in LEAVES:
        for level, position, node in tree.append(leaf):
            nodes[level, position] = node
    return nodes


def get_node(nodes):
    return lambda level, position: nodes[level, position]


def test_the_root_of_every_size_is_that_of_the_rfc(nodes):
    tree = merkle.CompactRange()

    for size in range(len(LEAVES) + 1):
        assert merkle.root(size, get_node(nodes)) == rfc_root(LEAVES[:size]) == tree.root()
        if size < len(LEAVES):
            tree.append(LEAVES[size])


def test_a_tree_goes_on_from_its_stored_edge(nodes):
    tree = merkle.CompactRange()
    for leaf in LEAVES[:21]:
        tree.append(leaf)

    again = merkle.CompactRange(tree.size, tree.edge)
    again.append(LEAVES[21])

    assert again.root() == rfc_root(LEAVES[:22])


def test_an_edge_of_another_size_is_refused():
    with pytest.raises(ValueError, match="another edge"):
        merkle.CompactRange(3, [LEAVES[0]])


def test_every_leaf_of_every_size_is_proved(nodes):
    for size in range(1, len(LEAVES) + 1):
        root = rfc_root(LEAVES[:size])
        for index in range(size):
            path = merkle.inclusion_proof(size, index, get_node(nodes))
            merkle.verify_inclusion(LEAVES[index], index=index, size=size, path=path, root=root)


def test_every_pair_of_sizes_is_proved_consistent(nodes):
    roots = [rfc_root(LEAVES[:size]) for size in range(len(LEAVES) + 1)]
    for second in range(len(LEAVES) + 1):
        for first in range(second + 1):
            path = merkle.consistency_proof(first, second, get_node(nodes))
            merkle.verify_consistency(
                first=first,
                second=second,
                first_root=roots[first],
                second_root=roots[second],
                path=path,
            )


def test_a_proof_with_any_hash_altered_dropped_or_added_fails(nodes):
    root = rfc_root(LEAVES[:37])
    path = merkle.inclusion_proof(37, 20, get_node(nodes))
    altered = [[*path[:place], bytes(32), *path[place + 1 :]] for place in range(len(path))]
    dropped = [[*path[:place], *path[place + 1 :]] for place in range(len(path))]
    added = [[*path[:place], path[0], *path[place:]] for place in range(len(path) + 1)]

    for bad in [*altered, *dropped, *added]:
        with pytest.raises(merkle.ProofInvalid):
            merkle.verify_inclusion(LEAVES[20], index=20, size=37, path=bad, root=root)


def test_many_proofs_under_one_root_are_judged_as_each_by_itself(nodes):
    """In any order, with every hash altered, dropped or added, and of other leaves."""
    chance = random.Random(4)
    for size in (1, 2, 7, 37, len(LEAVES)):
        root = rfc_root(LEAVES[:size])
        cases = []
        for index in range(size):
            path = merkle.inclusion_proof(size, index, get_node(nodes))
            cases += [(LEAVES[index], index, path)] * 2
            cases += [(LEAVES[index], other, path) for other in (index - 1, index + 1, index ^ 2)]
            cases += [(LEAVES[index - 1], index, path)] if size > 1 else []
            for place in range(len(path)):
                cases.append((LEAVES[index], index, [*path[:place], bytes(32), *path[place + 1 :]]))
                cases.append((LEAVES[index], index, [*path[:place], *path[place + 1 :]]))
                cases.append((LEAVES[index], index, [*path[:place], path[0], *path[place:]]))
                cases.append((LEAVES[index], index, [*path[:place], b"short", *path[place + 1 :]]))
            cases.append((LEAVES[index][:31], index, path))
        chance.shuffle(cases)
        checker = merkle.InclusionChecker(size, root)

        for leaf, index, path in cases:
            alone = _accepts(
                merkle.verify_inclusion, leaf, index=index, size=size, path=path, root=root
            )
            assert _accepts(checker.check, leaf, index=index, path=tuple(path)) is alone


def _accepts(check, *args, **values):
    try:
        check(*args, **values)
    except merkle.ProofInvalid:
        return False
    return True


def test_a_history_that_was_rewritten_is_not_consistent(nodes):
    other = [*LEAVES[:3], LEAVES[30], *LEAVES[4:11]]

    with pytest.raises(merkle.ProofInvalid):
        merkle.verify_consistency(
            first=11,
            second=37,
            first_root=rfc_root(other),
            second_root=rfc_root(LEAVES[:37]),
            path=merkle.consistency_proof(11, 37, get_node(nodes)),
        )


@pytest.mark.parametrize(("first", "second"), [(5, 3), (-1, 3)])
def test_no_proof_is_made_for_a_tree_that_shrinks(nodes, first, second):
    with pytest.raises(ValueError, match="begin"):
        merkle.consistency_proof(first, second, get_node(nodes))


def test_no_proof_is_made_for_a_leaf_that_is_not_there(nodes):
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(3, 3, get_node(nodes))


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: case["name"])
def test_inclusion_vectors_for_other_implementations_hold(case):
    values = {
        "index": case["index"],
        "size": case["size"],
        "path": [bytes.fromhex(text) for text in case["path"]],
        "root": bytes.fromhex(case["root"]),
    }
    leaf = merkle.leaf_hash(bytes.fromhex(case["entry"]))

    if case["good"]:
        merkle.verify_inclusion(leaf, **values)
    else:
        with pytest.raises(merkle.ProofInvalid):
            merkle.verify_inclusion(leaf, **values)


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: case["name"])
def test_consistency_vectors_for_other_implementations_hold(case):
    values = {
        "first": case["first"],
        "second": case["second"],
        "first_root": bytes.fromhex(case["first_root"]),
        "second_root": bytes.fromhex(case["second_root"]),
        "path": [bytes.fromhex(text) for text in case["path"]],
    }

    if case["good"]:
        merkle.verify_consistency(**values)
    else:
        with pytest.raises(merkle.ProofInvalid):
            merkle.verify_consistency(**values)


def test_a_path_tells_with_what_the_longer_tree_begins(nodes):
    get = get_node(nodes)
    for second in range(2, len(LEAVES)):
        root = merkle.root(second, get)
        for first in range(1, second):
            path = merkle.consistency_proof(first, second, get)
            values = {"first": first, "second": second, "root": root, "path": path}
            if first & (first - 1) == 0:
                with pytest.raises(merkle.ProofInvalid):
                    merkle.start_of_path(**values)
            else:
                assert merkle.start_of_path(**values) == merkle.root(first, get)


@pytest.mark.parametrize(
    "change",
    [
        {"root": b"\0" * 32},
        {"path": []},
        {"path": [b"\0" * 32] * 3},
        {"path": [b"short"]},
        {"first": 0},
        {"first": 9},
    ],
)
def test_a_path_that_does_not_hold_tells_nothing(nodes, change):
    get = get_node(nodes)
    values = {"first": 5, "second": 9, "root": merkle.root(9, get)}
    values["path"] = merkle.consistency_proof(5, 9, get)

    with pytest.raises(merkle.ProofInvalid):
        merkle.start_of_path(**{**values, **change})
