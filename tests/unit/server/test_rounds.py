"""How often a file on which our own program fails is tried before that is told."""

import pytest

from server.operations.media_checks.failing import TRIES, OwnFault, our_own
from server.operations.media_checks.rounds import Rounds


def test_what_failed_often_enough_is_told_also_when_telling_was_interrupted():
    rounds, fault = Rounds(), OwnFault("reader", "ValueError")

    told = [rounds.is_enough("item", fault) for _ in range(TRIES + 2)]

    assert told == [False] * (TRIES - 1) + [True] * 3


def test_a_machine_without_memory_is_no_fault_of_the_reader():
    with pytest.raises(MemoryError), our_own("reader"):
        raise MemoryError
