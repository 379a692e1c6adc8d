"""The place up to which a device has read the feed, and the opaque text it is given as.

A cursor cannot lead anybody to a document of a scope that the device does not hold,
so it carries no signature: whoever forges one only misses or repeats its own.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from server.failures import Invalid
from sync.evidence.encoding import from_b64url, to_b64url
from sync.evidence.errors import BadEncoding

#: What the first schema gave: generation and ledger index, without scopes.
_OLD = re.compile(r"1\.[0-9]{1,16}\.[0-9]{1,16}")
_FORM = re.compile(
    r"2\.([0-9]{1,10})\.([0-9]{1,16})\.([0-9]{1,16})"
    r"(?:\.([0-9]{1,16})\.([^.\x00-\x1f]{1,32})\.([^\x00-\x1f]{1,80}))?"
)


class Place(NamedTuple):
    """Where a change stands in one device's feed; a tuple, since pages are sorted by it.

    ``at`` is the position from which the device is to have it: the document's own,
    or that of the grant of its scope, whichever is later, or that of the loss.
    """

    at: int
    position: int = 0
    kind: str = ""
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """All changes up to ``place`` have been given, in a walk that began at ``since``."""

    generation: int
    since: int
    place: Place


@dataclass(frozen=True)
class Outdated:
    """A cursor that this server gave in a form that it no longer reads."""


def write_cursor(cursor: Cursor) -> str:
    """The opaque text of ``cursor``."""
    place = cursor.place
    text = f"2.{cursor.generation}.{cursor.since}.{place.at}"
    if place.kind:
        text += f".{place.position}.{place.kind}.{place.id}"
    return to_b64url(text.encode())


def read_cursor(text: str) -> Cursor | Outdated:
    """What :func:`write_cursor` wrote.

    Raises:
        Invalid: if no version of this feed writes such a text.
    """
    try:
        plain = from_b64url(text).decode()
    except (BadEncoding, UnicodeError) as error:
        raise Invalid("cursor", "not a cursor of this feed") from error
    if _OLD.fullmatch(plain):
        return Outdated()
    form = _FORM.fullmatch(plain)
    if form is None:
        raise Invalid("cursor", "not a cursor of this feed")
    generation, since, at, position, kind, identifier = form.groups()
    place = Place(int(at))
    if kind is not None:
        place = Place(int(at), int(position), kind, identifier)
    return Cursor(generation=int(generation), since=int(since), place=place)
