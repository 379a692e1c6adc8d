"""Ed25519 verification in pure Python (RFC 8032 §5.1.7), for notes, checkpoints and receipts.

Strict where readings differ: S below the order, canonical encodings of both
points, and no key of small order, under which anyone could sign.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Optional, Tuple

from .p256 import KeyMalformed

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

#: Extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z.
_Point = Tuple[int, int, int, int]
_IDENTITY = (0, 1, 1, 0)


def check_public_key(key: bytes) -> None:
    """Insist that 32 bytes are a usable public key.

    Raises:
        KeyMalformed: for another length, no canonical point, or a point of small order.
    """
    _usable_point(key)


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the 64-byte ``signature`` over ``message`` is good under the 32-byte ``key``.

    Raises:
        KeyMalformed: as :func:`check_public_key`.
    """
    point, commitment = _usable_point(key), _decode(signature[:32])
    if len(signature) != 64 or commitment is None:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= _L:
        return False
    challenge = hashlib.sha512(signature[:32] + key + message).digest()
    k = int.from_bytes(challenge, "little") % _L
    # S·B − k·A = R, in one pass over both scalars.
    return _equal(_double_multiply(s, k, _negate(point)), commitment)


@lru_cache(maxsize=64)
def _usable_point(key: bytes) -> _Point:
    point = _decode(key)
    if point is None:
        raise KeyMalformed("not an Ed25519 public key")
    multiple = point
    for _ in range(3):
        multiple = _add(multiple, multiple)
    if _equal(multiple, _IDENTITY):
        raise KeyMalformed("an Ed25519 key of small order")
    return point


def _decode(data: bytes) -> Optional[_Point]:
    if len(data) != 32:
        return None
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    x = _recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


def _recover_x(y: int, sign: int) -> Optional[int]:
    squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if not squared:
        return None if sign else 0
    x = pow(squared, (_P + 3) // 8, _P)
    if (x * x - squared) % _P:
        x = x * _SQRT_MINUS_ONE % _P
    if (x * x - squared) % _P:
        return None
    return x if x & 1 == sign else _P - x


def _add(left: _Point, right: _Point) -> _Point:
    a = (left[1] - left[0]) * (right[1] - right[0]) % _P
    b = (left[1] + left[0]) * (right[1] + right[0]) % _P
    c = 2 * left[3] * right[3] * _D % _P
    d = 2 * left[2] * right[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _negate(point: _Point) -> _Point:
    return _P - point[0], point[1], point[2], _P - point[3]


def _equal(left: _Point, right: _Point) -> bool:
    return not (
        (left[0] * right[2] - right[0] * left[2]) % _P
        or (left[1] * right[2] - right[1] * left[2]) % _P
    )


def _double_multiply(s: int, k: int, point: _Point) -> _Point:
    """``s``·B + ``k``·``point``."""
    table = (_IDENTITY, _BASE, point, _add(_BASE, point))
    sum_ = _IDENTITY
    for bit in range(max(s.bit_length(), k.bit_length()) - 1, -1, -1):
        sum_ = _add(sum_, sum_)
        choice = (s >> bit & 1) | (k >> bit & 1) << 1
        if choice:
            sum_ = _add(sum_, table[choice])
    return sum_


def _base() -> _Point:
    point = _decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert point is not None  # noqa: S101  # a constant of RFC 8032
    return point


_BASE = _base()
