"""Canonical JSON: the restricted profile of RFC 8785 that every signed byte uses.

Refuses what two implementations could write differently: floats, null, large
integers, non-ASCII keys, duplicate keys and lone surrogates (docs/protocol.md §4.1).
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Tuple, Union

from .errors import NotCanonical

#: A value of the profile. ``Json`` is recursive, which this syntax level cannot spell.
Json = Union[str, int, bool, List[Any], Dict[str, Any]]

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def dumps(value: Json) -> bytes:
    """Return the one canonical encoding of ``value``, UTF-8 without a newline.

    Raises:
        NotCanonical: if ``value`` lies outside the profile.
    """
    _check(value, 0)
    return _ENCODER.encode(value).encode("utf-8")


def loads(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse ``data`` and insist that it is canonical to the last byte.

    Raises:
        NotCanonical: if it is not JSON, or outside the profile, or if encoding
            the value again gives other bytes.
    """
    try:
        text = data.decode("utf-8")
        value = _DECODER.decode(text)
    except NotCanonical:
        raise
    except RecursionError as error:
        raise NotCanonical("nested too deeply") from error
    except ValueError as error:
        raise NotCanonical("not JSON in UTF-8") from error
    _check(value, 0, max_depth)
    if _ENCODER.encode(value) != text:
        raise NotCanonical("not the canonical encoding")
    return value


def _check(value: Any, depth: int, max_depth: int = MAX_DEPTH) -> None:
    if depth > max_depth:
        raise NotCanonical("nested deeper than %d" % max_depth)
    kind = type(value)
    if kind is str:
        if _SURROGATE.search(value):
            raise NotCanonical("a lone surrogate")
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotCanonical("an integer beyond 2^53")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise NotCanonical("a key outside ASCII")
            _check(item, depth + 1, max_depth)
    elif kind is list or kind is tuple:
        for item in value:
            _check(item, depth + 1, max_depth)
    elif kind is not bool:
        raise NotCanonical("a %s, which the profile does not know" % kind.__name__)


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotCanonical("a duplicate key")
    return value


def _no_float(_text: str) -> Any:
    raise NotCanonical("a number with a fraction or exponent")


def _integer(text: str) -> int:
    # Long digit strings cost quadratic time to convert; no legal integer has over 16 digits.
    if len(text) > 17:
        raise NotCanonical("an integer beyond 2^53")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_no_float,
    parse_int=_integer,
    parse_constant=_no_float,
)
