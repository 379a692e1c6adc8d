"""The only two spellings of bytes in a journal: lowercase hex and unpadded base64url."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from .errors import BadEncoding

_HEX = re.compile(r"\A(?:[0-9a-f]{2})*\Z")


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def from_hex(text: str, *, size: int) -> bytes:
    """Decode ``size`` bytes from lowercase hex.

    Raises:
        BadEncoding: for upper case, odd length or another size.
    """
    if len(text) != 2 * size or not _HEX.match(text):
        raise BadEncoding("not %d bytes of lowercase hex" % size)
    return bytes.fromhex(text)


def to_b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_b64url(text: str) -> bytes:
    """Decode unpadded base64url that encodes again to the same text (docs/protocol.md §4.1).

    Raises:
        BadEncoding: for padding, foreign characters or stray low bits, so that
            one signature cannot be written in two ways.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadEncoding("not base64url") from error
    if to_b64url(data) != text:
        raise BadEncoding("base64url that does not encode again to itself")
    return data
