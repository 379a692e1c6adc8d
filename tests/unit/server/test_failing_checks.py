"""Which faults are our own reader's or rules', and which are the machine's."""

import pytest

from media.store import ObjectMissing
from server.operations.media_checks.failing import OwnFault, our_own


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        MemoryError(),
        OSError("no memory to fork"),
        ObjectMissing("media/aa"),
    ],
)
def test_what_the_machine_or_the_store_lacks_is_no_fault_of_the_reader(error):
    with pytest.raises(type(error)) as caught, our_own("reader"):
        raise error

    assert caught.value is error


@pytest.mark.parametrize("error", [RuntimeError("dictionary changed size"), ValueError("x")])
def test_whatever_else_goes_wrong_is_named_as_the_part_that_failed(error):
    with pytest.raises(OwnFault) as caught, our_own("rules"):
        raise error

    assert (caught.value.part, caught.value.kind) == ("rules", type(error).__name__)
