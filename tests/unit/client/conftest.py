"""A device in a folder of its own."""

import pytest

from tests.support.fieldkit import Kit


@pytest.fixture
def kit(tmp_path):
    """The folder and the pretended server of an enrolled device."""
    return Kit(tmp_path / "device")


@pytest.fixture
def device(kit):
    """The enrolled device, open."""
    with kit.open() as device:
        yield device
