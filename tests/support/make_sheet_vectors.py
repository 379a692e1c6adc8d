"""Writes sheet.json in tests/vectors: ``python -m tests.support.make_sheet_vectors``.

It changes only when the act or the spelling of a head does.
"""

import json
from pathlib import Path

from sync import shortcode
from sync.evidence import canonical
from sync.evidence.encoding import sha256_hex
from sync.shortcode import FullHead

_FILE = Path(__file__).parent.parent / "vectors" / "sheet.json"
_HEAD = FullHead(
    "0f0e0d0c-0b0a-4908-8706-050403020100",
    "000102030405060708090a0b0c0d0e0f",
    412,
    sha256_hex(b"the line that the paper shows"),
)
_ABOUT = (
    "The act sheet.printed (docs/protocol.md section 4.1) and what stands on a paper against the "
    "head that was printed: shows is true where it is that head, false where it is another one, "
    "and null where it is no head at all."
)


def main() -> None:
    act = {
        "type": "sheet.printed",
        "officer": "11111111-1111-4111-8111-111111111111",
        "inspection": "33333333-3333-4333-8333-333333333333",
        "seq": _HEAD.seq,
        "head": _HEAD.head,
        "sha256": sha256_hex(b"page"),
        "items": [{"item": "44444444-4444-4444-8444-444444444444", "sha256": sha256_hex(b"photo")}],
        "revisions": [sha256_hex(b"revision")],
        "salt": "00" * 16,
    }
    data = {
        "about": _ABOUT,
        "device": _HEAD.device,
        "epoch": _HEAD.epoch,
        "act": act,
        "canonical": canonical.dumps(act).decode(),
        "mandatory": ["head", "inspection", "items", "officer", "seq", "sha256"],
        "short": shortcode.spell(_HEAD.seq, _HEAD.head),
        "scanned": shortcode.spell_full(_HEAD),
        "said": [{"said": said, "shows": shows} for said, shows in _said()],
    }
    text = json.dumps(data, ensure_ascii=False, indent=1) + "\n"
    _FILE.write_text(text, "utf-8")


def _said() -> list[tuple[str, bool | None]]:
    code = shortcode.code_of(_HEAD.head)
    short, full = shortcode.spell(_HEAD.seq, _HEAD.head), shortcode.spell_full(_HEAD)
    spaced = " ".join(code[start : start + 5] for start in range(0, len(code), 5))
    return [
        (short, True),
        (short.lower(), True),
        (f"412-{spaced}", True),
        (f"413-{code}", True),
        (f"412-{_other(code, 1)}", True),
        (f"412-{_other(code, 2)}", True),
        (f"412-{_other(code, 3)}", False),
        (shortcode.spell(_HEAD.seq, sha256_hex(b"another line")), False),
        (full, True),
        (full.lower(), True),
        (full.replace(":412:", ":413:"), False),
        (full.replace(_HEAD.device.upper(), "1" + _HEAD.device.upper()[1:]), False),
        ("", None),
        ("412", None),
        (f"412-{'U' * 20}", None),
        (f"412-{code[:19]}", None),
        (full + "0", None),
    ]


def _other(code: str, count: int) -> str:
    """``code`` with its first ``count`` letters wrong."""
    return "".join("Z" if letter != "Z" else "Y" for letter in code[:count]) + code[count:]


if __name__ == "__main__":
    main()
