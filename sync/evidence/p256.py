"""ECDSA over P-256 with SHA-256 in pure Python, for verifying where nothing else is installed.

It only verifies: it holds no secrets, so it need not run in constant time.
"""

from __future__ import annotations

import hashlib
from typing import List, Optional, Tuple

from .errors import SyncError

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

# SubjectPublicKeyInfo of an uncompressed P-256 point is this prefix and 64 bytes
# (RFC 5480): one key, one encoding, hence one key id.
_SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")

_WINDOW = 5
_Affine = Tuple[int, int]
_Jacobian = Tuple[int, int, int]
_INFINITY = (1, 1, 0)


class KeyMalformed(SyncError):
    """Bytes are not the one encoding of a public key of the required kind."""

    code = "evidence.key_malformed"


class PublicKey:
    """A P-256 public key, with the multiples that make verifying fast."""

    def __init__(self, point: _Affine) -> None:
        self.point = point
        self._multiples: Optional[List[_Affine]] = None

    def multiples(self) -> List[_Affine]:
        if self._multiples is None:
            self._multiples = _odd_multiples(self.point)
        return self._multiples


def parse_spki(der: bytes) -> PublicKey:
    """Parse the SubjectPublicKeyInfo DER of an uncompressed P-256 key.

    Raises:
        KeyMalformed: for another algorithm, another encoding, or a point off the curve.
    """
    if len(der) != len(_SPKI_PREFIX) + 64 or not der.startswith(_SPKI_PREFIX):
        raise KeyMalformed("not the SPKI of an uncompressed P-256 key")
    x = int.from_bytes(der[-64:-32], "big")
    y = int.from_bytes(der[-32:], "big")
    if x >= P or y >= P or (y * y - (x * x - 3) * x - _B) % P:
        raise KeyMalformed("a point that is not on P-256")
    return PublicKey((x, y))


def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether the 64-byte ``signature`` r‖s over SHA-256 of ``message`` is good.

    Both S values verify, as FIPS 186-5 says; journals add :func:`is_low_s`.
    """
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    inverse = pow(s, -1, N)
    point = _double_multiply(digest * inverse % N, r * inverse % N, key)
    if not point[2]:
        return False
    # Comparing r·Z² with X saves an inversion; r may stand for r + N when that fits.
    z_squared = point[2] * point[2] % P
    return any(r_field * z_squared % P == point[0] for r_field in (r, r + N) if r_field < P)


def is_low_s(signature: bytes) -> bool:
    """Whether S lies in the lower half, so that the signature has no twin."""
    return 0 < int.from_bytes(signature[32:64], "big") <= N // 2


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    z_squared = z * z % P
    y_squared = y * y % P
    beta = x * y_squared % P
    alpha = 3 * (x - z_squared) * (x + z_squared) % P
    x3 = (alpha * alpha - 8 * beta) % P
    y3 = (alpha * (4 * beta - x3) - 8 * y_squared * y_squared) % P
    return x3, y3, 2 * y * z % P


def _add(point: _Jacobian, other: _Affine) -> _Jacobian:
    x1, y1, z1 = point
    x2, y2 = other
    if not z1:
        return x2, y2, 1
    z_squared = z1 * z1 % P
    h = (x2 * z_squared - x1) % P
    slope = (y2 * z_squared * z1 - y1) % P
    if not h:
        return _INFINITY if slope else _double(point)
    h_squared = h * h % P
    h_cubed = h * h_squared % P
    v = x1 * h_squared % P
    x3 = (slope * slope - h_cubed - 2 * v) % P
    return x3, (slope * (v - x3) - y1 * h_cubed) % P, z1 * h % P


def _affine(point: _Jacobian) -> _Affine:
    inverse = pow(point[2], -1, P)
    squared = inverse * inverse % P
    return point[0] * squared % P, point[1] * squared * inverse % P


def _odd_multiples(point: _Affine) -> List[_Affine]:
    """1, 3, 5 … times ``point``; none is at infinity, since the group's order is prime."""
    twice = _affine(_double((point[0], point[1], 1)))
    multiples = [point]
    for _ in range(2 ** (_WINDOW - 2) - 1):
        multiples.append(_affine(_add((multiples[-1][0], multiples[-1][1], 1), twice)))
    return multiples


def _digits(scalar: int) -> List[int]:
    """The signed digits of ``scalar`` (wNAF), lowest first: odd or zero, few of them not zero."""
    digits = []
    while scalar:
        digit = 0
        if scalar & 1:
            digit = scalar & (2**_WINDOW - 1)
            if digit >= 2 ** (_WINDOW - 1):
                digit -= 2**_WINDOW
            scalar -= digit
        digits.append(digit)
        scalar >>= 1
    return digits


def _double_multiply(u1: int, u2: int, key: PublicKey) -> _Jacobian:
    """``u1``·G + ``u2``·key in one pass (Shamir's trick)."""
    rows = [(_digits(u1), _GENERATOR.multiples()), (_digits(u2), key.multiples())]
    sum_ = _INFINITY
    for position in range(max(len(digits) for digits, _ in rows) - 1, -1, -1):
        if sum_[2]:
            sum_ = _double(sum_)
        for digits, multiples in rows:
            digit = digits[position] if position < len(digits) else 0
            if digit > 0:
                sum_ = _add(sum_, multiples[digit >> 1])
            elif digit < 0:
                x, y = multiples[-digit >> 1]
                sum_ = _add(sum_, (x, P - y))
    return sum_


_GENERATOR = PublicKey(_G)
