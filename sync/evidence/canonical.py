"""Canonical JSON: the restricted profile of RFC 8785 that every signed byte uses.

Refuses what two implementations could write differently: floats, null, large
integers, non-ASCII keys, duplicate keys and lone surrogates (docs/protocol.md §4.1).
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Union

from .errors import NotCanonical

#: A value of the profile. ``Json`` is recursive, which this syntax level cannot spell.
Json = Union[str, int, bool, List[Any], Dict[str, Any]]

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCODER = json.JSONEncoder(
    sort_keys=True,
    separators=(",", ":"),
    ensure_ascii=False,
    allow_nan=False,
    # Depth is bounded before anything is encoded.
    check_circular=False,
)


def dumps(value: Json) -> bytes:
    """Return the one canonical encoding of ``value``, UTF-8 without a newline.

    Raises:
        NotCanonical: if ``value`` lies outside the profile.
    """
    _check(value, 0)
    return encode(value)


def encode(value: Json) -> bytes:
    """Like :func:`dumps` for a value, or a part of one, that :func:`parse` has given.

    Raises:
        NotCanonical: for a lone surrogate, which UTF-8 cannot write.
    """
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate") from error


def loads(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse ``data`` and insist that it is canonical to the last byte.

    Raises:
        NotCanonical: if it is not JSON, or outside the profile, or if encoding
            the value again gives other bytes.
    """
    value = parse(data, max_depth=max_depth)
    if encode(value) != data:
        raise NotCanonical("not the canonical encoding")
    return value


def parse(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse ``data`` within the profile; the caller compares its encoding with ``data``.

    Only that comparison refuses foreign spellings, duplicate keys and lone
    surrogates (from escapes), none of which is written again in the same way.

    Raises:
        NotCanonical: if it is not JSON, or outside the profile.
    """
    try:
        text = data.decode("utf-8")
        value, end = _DECODER.raw_decode(text)
    except NotCanonical:
        raise
    except RecursionError as error:
        raise NotCanonical("nested too deeply") from error
    except ValueError as error:
        raise NotCanonical("not JSON in UTF-8") from error
    if end != len(text):
        raise NotCanonical("something behind the value")
    if isinstance(value, (dict, list)):
        _check_parsed(value, 0, max_depth)
    elif value is None:
        raise NotCanonical("null")
    return value


def _check(value: Any, depth: int, max_depth: int = MAX_DEPTH) -> None:
    kind = type(value)
    if kind is str:
        if _SURROGATE.search(value):
            raise NotCanonical("a lone surrogate")
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotCanonical("an integer beyond 2^53")
    elif kind is dict or kind is list or kind is tuple:
        if depth >= max_depth:
            raise NotCanonical("nested deeper than %d" % max_depth)
        if kind is dict:
            for key in value:
                if type(key) is not str or not key.isascii():
                    raise NotCanonical("a key outside ASCII")
        for item in value.values() if kind is dict else value:
            _check(item, depth + 1, max_depth)
    elif kind is not bool:
        raise NotCanonical("a %s, which the profile does not know" % kind.__name__)


def _check_parsed(value: Any, depth: int, max_depth: int) -> None:
    """The part of :func:`_check` that neither the parser nor the comparison has done."""
    if depth >= max_depth:
        raise NotCanonical("nested deeper than %d" % max_depth)
    if type(value) is dict:
        if not "".join(value).isascii():
            raise NotCanonical("a key outside ASCII")
        value = value.values()
    for item in value:
        kind = type(item)
        if kind is dict or kind is list:
            _check_parsed(item, depth + 1, max_depth)
        elif item is None:
            raise NotCanonical("null")


def _no_float(_text: str) -> Any:
    raise NotCanonical("a number with a fraction or exponent")


def _integer(text: str) -> int:
    # Long digit strings cost quadratic time to convert; no legal integer has over 16 digits.
    if len(text) > 17:
        raise NotCanonical("an integer beyond 2^53")
    value = int(text)
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise NotCanonical("an integer beyond 2^53")
    return value


# No hook for objects: a Python call for each costs more than all the rest of parsing.
_DECODER = json.JSONDecoder(parse_float=_no_float, parse_int=_integer, parse_constant=_no_float)
