"""Redirects and file names that nobody can bend."""

import pytest

from server.console.media import disposition
from server.console.session import safe_path


@pytest.mark.parametrize("path", ["/", "/items/1?lang=en#review", "/inspections/x"])
def test_a_path_of_our_own_is_kept(path):
    assert safe_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
        "/a\r\nSet-Cookie: x",
    ],
)
def test_anything_else_leads_to_the_desk(path):
    assert safe_path(path) == "/"


def test_a_file_name_cannot_break_the_header():
    header = disposition("attachment", "abc.jpg", 'x"; filename=evil.html\r\nX: 1')

    assert "\r" not in header
    assert header.count('"') == 2
    assert header.startswith('attachment; filename="abc.jpg"; filename*=UTF-8')
