"""Rebuilding the tree names the one thing that was changed, wherever it is and however large."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.operations.ledger_audit.tree import Misfit, TreeCheck, cover, leaves_of
from sync.evidence import merkle

_OTHER = b"\xff" * 32


class Stored:
    """A ledger's rows in memory: leaf hashes as stored, as their events have them, and nodes."""

    def __init__(self, size):
        self.leaves = [hashlib.sha256(str(n).encode()).digest() for n in range(size)]
        self.events = list(self.leaves)
        self.nodes = {}
        tree = merkle.CompactRange()
        for leaf in self.leaves:
            for level, position, node in tree.append(leaf)[1:]:
                self.nodes[level, position] = node
        self.edge = list(tree.edge)
        self.root = tree.root()

    def walk(self, start=0, end=None):
        """The misfits of the leaves from ``start`` to ``end``, and the tree."""
        end = len(self.leaves) if end is None else end
        edge = [
            self.nodes.get(place) if place[0] else self.leaves[place[1]] for place in cover(start)
        ]
        tree, found = TreeCheck(start, edge), []
        for n in range(start, end):
            found += tree.add(self.leaves[n], self.events[n], self.nodes)
        found += tree.settle(self.edge if end == len(self.leaves) else ())
        return found, tree


sizes = st.integers(1, 70)


@given(sizes)
def test_what_was_not_changed_fits_and_leads_to_the_root(size):
    stored = Stored(size)

    found, tree = stored.walk()

    assert found == []
    assert tree.leads_to(stored.root)
    assert not tree.leads_to(_OTHER)


@given(sizes, st.data())
def test_a_changed_event_is_named_alone_and_the_tree_still_leads_to_its_root(size, data):
    stored, index = Stored(size), data.draw(st.integers(0, size - 1))
    stored.events[index] = _OTHER

    found, tree = stored.walk()

    assert found == [Misfit("event", 0, index)]
    assert tree.leads_to(stored.root)


@given(sizes, st.data(), st.booleans())
def test_a_changed_or_missing_leaf_is_named_alone(size, data, missing):
    stored, index = Stored(size), data.draw(st.integers(0, size - 1))
    stored.leaves[index] = None if missing else _OTHER

    found, tree = stored.walk()

    assert found == [Misfit("leaf_missing" if missing else "leaf", 0, index)]
    assert tree.leads_to(stored.root)


@given(st.integers(2, 70), st.data(), st.booleans())
def test_a_changed_or_missing_node_is_named_alone(size, data, missing):
    stored = Stored(size)
    place = data.draw(st.sampled_from(sorted(stored.nodes)))
    if missing:
        del stored.nodes[place]
    else:
        stored.nodes[place] = _OTHER

    found, tree = stored.walk()

    assert found == [Misfit("node_missing" if missing else "node", *place)]
    assert tree.leads_to(stored.root)


@given(st.integers(2, 70), st.data())
def test_a_leaf_that_was_changed_with_its_event_is_within_the_one_place_that_is_named(size, data):
    stored = Stored(size)
    whole = size if size % 2 == 0 else size - 1
    index = data.draw(st.integers(0, whole - 1))
    stored.leaves[index] = stored.events[index] = _OTHER

    (found,), _ = stored.walk()

    first, last = leaves_of(found)
    assert found.kind == "below"
    assert first <= index <= last
    assert last - first == 1


@given(st.integers(2, 70), st.data())
@settings(max_examples=50)
def test_cut_into_slices_the_walk_names_the_same(size, data):
    stored = Stored(size)
    index = data.draw(st.integers(0, size - 1))
    cut = data.draw(st.integers(0, size))
    stored.events[index] = _OTHER

    found = stored.walk(0, cut)[0] + stored.walk(cut)[0]

    assert found == [Misfit("event", 0, index)]


@given(st.integers(2, 70), st.data())
def test_leaves_that_were_rewritten_with_everything_above_lead_to_another_root(size, data):
    stored, other = Stored(size), Stored(size)
    index = data.draw(st.integers(0, size - 1))
    other.leaves[index] = other.events[index] = _OTHER
    tree = merkle.CompactRange()
    for leaf in other.leaves:
        for level, position, node in tree.append(leaf)[1:]:
            other.nodes[level, position] = node
    other.edge = list(tree.edge)

    found, walked = other.walk()

    assert found == []
    assert not walked.leads_to(stored.root)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 255, 256, 70_000])
def test_a_tree_is_covered_once_by_its_complete_subtrees(size):
    covered = [
        leaf
        for level, position in cover(size)
        for leaf in range(position << level, (position + 1) << level)
    ]

    assert covered == list(range(size))
