"""Writes canonical.json and lines.json in tests/vectors: ``python -m tests.support.make_vectors``.

The files are what a second implementation must reproduce; they change only when
the format does, so they are written by hand-run and read by every test run.
"""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from sync.evidence import canonical
from sync.evidence.encoding import to_b64url
from sync.evidence.line import Anchor
from tests.support.simdevice import SimDevice

FOLDER = Path(__file__).parent.parent / "vectors"
_DEVICE = "0f0e0d0c-0b0a-4908-8706-050403020100"
_EPOCH = "000102030405060708090a0b0c0d0e0f"


def _nested(levels: int) -> list:
    return [_nested(levels - 1)] if levels > 1 else []


_VALID = [
    {},
    [],
    {"b": 1, "a": {"z": False, "y": [1, -2, 9007199254740991]}},
    {"text": '引号" 反斜杠\\ 换行\n 控制\u0001 删除\u007f 表情😀'},
    {"": "空键", "A": 1, "a": 2, "_": 3},
    {"10": 1, "9": 2, "\t": 3},
    {"text": "\b\t\n\f\r\x00\x0b\x1f\u2028\ufeff/"},
    {"a": _nested(31)},
]
_INVALID = {
    "keys out of order": b'{"b":1,"a":2}',
    "white space": b'{"a": 1}',
    "a final newline": b'{"a":1}\n',
    "a duplicate key": b'{"a":1,"a":1}',
    "a fraction": b'{"a":1.0}',
    "an exponent": b'{"a":1e2}',
    "minus zero": b'{"a":-0}',
    "null": b'{"a":null}',
    "an integer beyond 2^53": b'{"a":9007199254740992}',
    "a key outside ASCII": '{"é":1}'.encode(),
    "an escape that is not needed": b'{"a":"\\u0041"}',
    "an escaped slash": b'{"a":"\\/"}',
    "a lone surrogate": b'{"a":"\\ud800"}',
    "bytes that are not UTF-8": b'{"a":"\xff"}',
    "nothing": b"",
    "numbers as keys in numeric order": b'{"9":2,"10":1}',
    "a long escape where there is a short one": b'{"a":"\\u000a"}',
    "capitals in an escape": b'{"a":"\\u001F"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "33 levels": b"[" * 33 + b"]" * 33,
}


def main() -> None:
    _write(
        "canonical.json",
        {
            "valid": [{"value": v, "text": canonical.dumps(v).decode()} for v in _VALID],
            "invalid": [{"why": why, "hex": raw.hex()} for why, raw in _INVALID.items()],
        },
    )
    _write("lines.json", _lines())


def _lines() -> dict:
    device = SimDevice(id=_DEVICE, epoch=_EPOCH, key=ec.derive_private_key(7, ec.SECP256R1()))
    device.anchor = Anchor("example.invalid/liuhen", 3, "ab" * 32)
    device.open_epoch()
    device.write_parts(
        {
            "type": "note.added",
            "text": "排放口有泡沫",
            "pos": {"lat": 225431000, "lon": 1140579000},
        },
        {"name": "identity_no", "value": "示例"},
    )
    device.anchor = None
    device.write("future.act", anything=[True, {"deep": "值"}])
    good = device.lines[1].to_bytes()
    value = json.loads(good)
    return {
        "spki": device.spki.hex(),
        "device": device.id,
        "epoch": device.epoch,
        "chain": [
            {"line": line.to_bytes().decode(), "digest": line.digest} for line in device.lines
        ],
        "refused": [
            _refused(
                "a changed text",
                "journal.part_mismatch",
                value,
                b=[{**value["b"][0], "text": "没有泡沫"}, value["b"][1]],
            ),
            _refused(
                "a changed header", "journal.bad_signature", value, e={**value["e"], "seq": 2}
            ),
            _refused("a padded signature", "journal.malformed", value, s=value["s"] + "=="),
            _refused("a signature of zeroes", "journal.malformed", value, s=to_b64url(bytes(64))),
            _refused("a field too many", "journal.malformed", value, x=1),
            {
                "why": "a space",
                "code": "journal.not_canonical",
                "hex": good.replace(b'"e":', b'"e": ').hex(),
            },
        ],
    }


def _refused(why: str, code: str, value: dict, **changes: object) -> dict:
    return {"why": why, "code": code, "hex": canonical.dumps({**value, **changes}).hex()}


def _write(name: str, data: object) -> None:
    text = json.dumps(data, ensure_ascii=False, indent=1) + "\n"
    (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
