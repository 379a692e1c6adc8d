"""The canonical JSON of ``sync.evidence`` at the speed of orjson, for what a push is full of.

It may refuse what the profile allows, since whoever uses it then asks
``sync.evidence.canonical``; it never takes what the profile refuses.
"""

from typing import Any

import orjson

from sync.evidence import canonical
from sync.evidence.errors import NotCanonical
from sync.evidence.line import Codec

_LEAVES = (str, bool)


def parse(data: bytes, *, max_depth: int = canonical.MAX_DEPTH) -> Any:
    """As ``canonical.parse``; the caller compares what :func:`encode` makes of the value.

    Raises:
        NotCanonical: if it is not JSON, or outside the profile.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotCanonical("not JSON in UTF-8") from error
    _check([value], max_depth + 1)
    return value


def encode(value: Any) -> bytes:
    """As ``canonical.encode``, for a value that has been parsed.

    Raises:
        NotCanonical: for what JSON cannot write.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise NotCanonical("not JSON") from error


CODEC = Codec(parse, encode)


def _check(items: Any, room: int) -> None:
    """What orjson takes and the profile does not: null, floats, large integers, depth, keys."""
    if not room:
        raise NotCanonical("nested too deeply")
    for item in items:
        kind = type(item)
        if kind in _LEAVES:
            continue
        if kind is dict:
            if not "".join(item).isascii():
                raise NotCanonical("a key outside ASCII")
            _check(item.values(), room - 1)
        elif kind is list:
            _check(item, room - 1)
        elif kind is not int or not -canonical.MAX_INTEGER <= item <= canonical.MAX_INTEGER:
            raise NotCanonical("a value that the profile does not know")
