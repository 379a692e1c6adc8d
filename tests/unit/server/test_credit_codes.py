"""Checking what an administrator types."""

import pytest

from server.operations.directory import is_uscc


@pytest.mark.parametrize("code", ["91000000DEM0000006", "91350100M000100Y43"])
def test_a_credit_code_with_its_check_character_is_right(code):
    assert is_uscc(code)


@pytest.mark.parametrize("code", ["", "91000000DEM0000007", "9100000ODEM0000006", "x" * 18])
def test_a_mistyped_credit_code_is_noticed(code):
    assert not is_uscc(code)
