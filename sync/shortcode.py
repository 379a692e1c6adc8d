"""A journal's head as people pass it on: read aloud and typed, or scanned (docs/protocol.md §4.1).

The short form is ``412-7ZK3M-0Q9XT-4B1RD-V8HWC``: the line's number and the first
100 bits of its digest in Crockford's base 32. 40 bits could be forged in seconds.
The long form, made for a QR code, holds device, epoch and the whole digest.
"""

import re
from dataclasses import dataclass

#: Crockford's alphabet: no I, L, O, U, so a code survives being read aloud.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 20
_GROUP = 5
_BITS = 5
_TYPED = str.maketrans({"O": "0", "I": "1", "L": "1"})
_SEQ = re.compile(r"[0-9]{1,15}")
_SCANNED = re.compile(
    r"LIUHEN-HEAD/1:([0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})"
    r":([0-9A-F]{32}):([0-9]{1,15}):([0-9A-F]{64})"
)


class Mistyped(ValueError):
    """What was typed or scanned is no journal head.

    ``count`` is how many characters of a code were read, ``foreign`` those of
    them that no code has.
    """

    def __init__(self, *, count: int, foreign: str) -> None:
        super().__init__(f"{count} characters, of them foreign {foreign!r}")
        self.count = count
        self.foreign = foreign


@dataclass(frozen=True)
class ShortHead:
    """A head as typed: which line, and the 20 characters of its digest."""

    seq: int
    code: str


@dataclass(frozen=True)
class FullHead:
    """A head as scanned: device, epoch, number of the line and its digest in hex."""

    device: str
    epoch: str
    seq: int
    head: str


def code_of(digest: str) -> str:
    """The first 100 bits of a hexadecimal ``digest`` as 20 characters."""
    bits = int(digest[: CODE_LENGTH * _BITS // 4], 16)
    shifts = range((CODE_LENGTH - 1) * _BITS, -1, -_BITS)
    return "".join(ALPHABET[bits >> shift & (len(ALPHABET) - 1)] for shift in shifts)


def digest_prefix(code: str) -> str:
    """The 25 hexadecimal digits that ``code`` stands for."""
    bits = 0
    for letter in code:
        bits = bits << _BITS | ALPHABET.index(letter)
    return f"{bits:0{CODE_LENGTH * _BITS // 4}x}"


def grouped(code: str) -> str:
    """``code`` in groups of five."""
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def normalise(typed: str) -> str:
    """A code as issued, from however a person typed it: case, spaces, hyphens, O, I and L."""
    return re.sub(r"[\s-]", "", typed).upper().translate(_TYPED)


def spell(seq: int, digest: str) -> str:
    """The short form of a head."""
    return f"{seq}-{grouped(code_of(digest))}"


def spell_full(head: FullHead) -> str:
    """The long form of a head, in the characters that a QR code packs best."""
    return f"LIUHEN-HEAD/1:{head.device}:{head.epoch}:{head.seq}:{head.head}".upper()


def parse(text: str) -> ShortHead | FullHead:
    """Read either form, typed or scanned.

    Raises:
        Mistyped: if it is neither. A code of the right form with a wrong letter
            in it cannot be told here: the server recognises it when it compares
            (docs/evidence.md §6).
    """
    scanned = _SCANNED.fullmatch(text.strip().upper())
    if scanned is not None:
        device, epoch, seq, head = scanned.groups()
        return FullHead(device.lower(), epoch.lower(), int(seq), head.lower())
    number, _, rest = text.strip().partition("-")
    seq, code = normalise(number), normalise(rest)
    foreign = "".join(letter for letter in code if letter not in ALPHABET)
    if foreign or len(code) != CODE_LENGTH or not _SEQ.fullmatch(seq):
        raise Mistyped(count=len(code), foreign=foreign)
    return ShortHead(int(seq), code)


def slipped(typed: str, true: str) -> bool:
    """Whether ``typed`` is ``true`` with a slip of the finger: up to two letters wrong or swapped.

    90 of 100 bits still agree, which nobody can bring about with another digest.
    """
    if len(typed) != len(true):
        return False
    return sum(a != b for a, b in zip(typed, true, strict=True)) <= 2


def shows(said: str, head: FullHead) -> bool:
    """Whether ``said``, scanned or typed from a paper, is ``head``.

    Of a typed code up to two letters may be wrong, and the line's number.

    Raises:
        Mistyped: if it is no journal head at all.
    """
    match parse(said):
        case FullHead() as scanned:
            return scanned == head
        case ShortHead(_, code):
            return slipped(code, code_of(head.head))
