"""Whatever devices, people, the network and sudden deaths do: at rest every view agrees.

The steps are fixed by hypothesis's derandomised search; ``scripts/bench chaos``
runs the same rules for as long as one likes, from a seed that it prints.
"""

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.support.chaos import RULES, Chaos

_SEEDS = st.integers(0, 2**32 - 1)
_BOUNDED = settings(
    max_examples=3,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def _rule(name):
    def step(self, seed):
        getattr(self.chaos, name)(random.Random(seed))

    step.__name__ = name
    return rule(seed=_SEEDS)(step)


class _Machine(RuleBasedStateMachine):
    """A bureau with three devices; every rule of the chaos is a rule here."""

    open_chaos = None

    @initialize(seed=_SEEDS)
    def begin(self, seed):
        rng = random.Random(seed)
        self.chaos = self.open_chaos()
        for _ in range(3):
            self.chaos.enrol(rng)
            self.chaos.open_inspection(rng)

    @rule()
    def settle(self):
        self.chaos.settle()

    # What happens most in a bureau happens most here.
    push_often = _rule("push")
    push_more = _rule("push")

    def teardown(self):
        self.chaos.settle()
        self.chaos.close()


for _name in RULES:
    setattr(_Machine, _name, _rule(_name))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_at_rest_all_views_agree_whatever_went_wrong(kind, make_database, tmp_path_factory):
    class Machine(_Machine):
        def open_chaos(self):
            return Chaos(make_database(kind), tmp_path_factory.mktemp("chaos"))

    run_state_machine_as_test(Machine, settings=_BOUNDED)
