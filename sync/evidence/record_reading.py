"""Reading the records of a package strictly: exactly the fields and types that are written."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

from . import canonical
from .encoding import from_b64url, from_hex
from .errors import SyncError
from .interval import Interval, OutsideBounds
from .package import (
    CONSISTENCY,
    CUSTODY,
    INCLUSION,
    INDEX,
    KEYS,
    RECEIPTS,
    ChainName,
    PackageMalformed,
)
from .records import (
    DISPOSITIONS,
    ENCLOSED,
    CaseIndex,
    ChainHead,
    ConsistencyRecord,
    CustodyEvent,
    DeviceKeyRecord,
    InclusionRecord,
    IndexItem,
    IndexOfficer,
    Keys,
    LinePlace,
    Object,
)

_T = TypeVar("_T")
_NUMBER = rb"(0|[1-9][0-9]{0,14})"
_INCLUSION = re.compile(rb'\A\{"index":%s,"leaf":"([0-9a-f]{64})","path":\[' % _NUMBER)
_HEX = b"0123456789abcdef"
# All of a custody line but the event itself, which has one spelling as well.
_CUSTODY = re.compile(
    rb'\A\{"event":(\{.*\}),"generation":%s,"index":%s,"salt":"([0-9a-f]{64})"\}\Z'
    % (_NUMBER, _NUMBER),
    re.DOTALL,
)
_ITEM_TEXTS = (
    "item",
    "sha256",
    "media_type",
    "class",
    "officer",
    "state",
    "disposition",
    "file",
    "reason",
)


def parse_index(data: bytes) -> CaseIndex:
    """Read ``data/case-index.json``.

    Raises:
        PackageMalformed.
    """
    return _strictly(INDEX, lambda: _index(canonical.loads(data)))


def parse_keys(data: bytes) -> Keys:
    """Read ``proofs/keys.json``.

    Raises:
        PackageMalformed.
    """
    return _strictly(KEYS, lambda: _keys(canonical.loads(data)))


def parse_custody_event(line: bytes) -> CustodyEvent:
    """Read one line of ``data/custody.ndjson``.

    Raises:
        PackageMalformed.
    """
    return _strictly(CUSTODY, lambda: _custody(line))


def parse_inclusion(line: bytes) -> InclusionRecord:
    """Read one line of ``proofs/inclusion.ndjson``.

    Raises:
        PackageMalformed.
    """
    # There is one for each of very many leaves: one look at its only spelling, not three.
    match = _INCLUSION.match(line)
    path = _hex_list(line[match.end() : -2]) if match and line.endswith(b"]}") else None
    if match is None or path is None:
        raise PackageMalformed(INCLUSION, "exactly index, leaf and path")
    return InclusionRecord(int(match.group(1)), bytes.fromhex(match.group(2).decode()), path)


def _hex_list(text: bytes) -> Optional[Tuple[bytes, ...]]:
    """The hashes in ``"…","…"``; None where that is not what stands there."""
    if not text:
        return ()
    hashes = text[1:-1].split(b'","')
    joined = b"".join(hashes)
    if text[:1] != b'"' or text[-1:] != b'"' or set(map(len, hashes)) != {64}:
        return None
    if joined.translate(None, _HEX):
        return None
    path = bytes.fromhex(joined.decode())
    return tuple([path[start : start + 32] for start in range(0, len(path), 32)])


def parse_consistency(line: bytes) -> ConsistencyRecord:
    """Read one line of ``proofs/consistency.ndjson``.

    Raises:
        PackageMalformed.
    """

    def read() -> ConsistencyRecord:
        value = _fields(canonical.loads(line), size=int, root=str, path=list)
        return ConsistencyRecord(
            _natural(value["size"]), from_hex(value["root"], size=32), _path(value["path"])
        )

    return _strictly(CONSISTENCY, read)


def parse_receipt_record(line: bytes) -> str:
    """The signed note in one line of ``proofs/receipts.ndjson``.

    Raises:
        PackageMalformed.
    """
    return _strictly(RECEIPTS, lambda: str(_fields(canonical.loads(line), note=str)["note"]))


def _strictly(file: str, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except PackageMalformed as error:
        raise PackageMalformed(file, error.reason) from error
    except SyncError as error:
        raise PackageMalformed(file, str(error)) from error


def _index(value: Any) -> CaseIndex:
    value = _fields(
        value,
        v=int,
        inspection=dict,
        exported_at_ms=int,
        ledger=dict,
        chains=list,
        items=list,
        officers=list,
        devices=list,
        announced=list,
    )
    ledger = _fields(value["ledger"], origin=str, generation=int, size=int)
    if value["v"] != 1 or not isinstance(value["inspection"].get("id"), str):
        raise PackageMalformed(INDEX, "version or inspection")
    return CaseIndex(
        inspection=value["inspection"],
        exported_at_ms=value["exported_at_ms"],
        origin=ledger["origin"],
        generation=ledger["generation"],
        ledger_size=_natural(ledger["size"]),
        chains=tuple(_head(chain) for chain in value["chains"]),
        items=tuple(_item(item) for item in value["items"]),
        officers=tuple(_officer(officer) for officer in value["officers"]),
        devices=tuple(_device(device) for device in value["devices"]),
        announced=tuple(_digest(digest) for digest in value["announced"]),
    )


def _item(value: Any) -> IndexItem:
    given = [
        name for name in ("discarded", "interval") if isinstance(value, dict) and name in value
    ]
    kinds = {**dict.fromkeys(_ITEM_TEXTS, str), **dict.fromkeys(given, dict)}
    value = _fields(value, size=int, line=dict, about=dict, **kinds)
    if value["disposition"] not in DISPOSITIONS:
        raise PackageMalformed(INDEX, "disposition")
    if bool(value["file"]) != (value["disposition"] == ENCLOSED):
        raise PackageMalformed(INDEX, "an enclosed item has a file, another has none")
    if not value["reason"] and value["disposition"] != ENCLOSED:
        raise PackageMalformed(INDEX, "an item that is not enclosed has a reason")
    return IndexItem(
        item=value["item"],
        sha256=_digest(value["sha256"]),
        size=_natural(value["size"]),
        media_type=value["media_type"],
        capture_class=value["class"],
        officer=value["officer"],
        state=value["state"],
        disposition=value["disposition"],
        file=value["file"],
        reason=value["reason"],
        line=_place(value["line"]),
        discarded=_place(value["discarded"]) if "discarded" in value else None,
        interval=_interval(value["interval"]) if "interval" in value else None,
        about=value["about"],
    )


def _head(value: Any) -> ChainHead:
    value = _fields(value, device=str, epoch=str, branch=str, next_seq=int, head=str)
    return ChainHead(_chain(value), _natural(value["next_seq"]), _digest(value["head"]))


def _place(value: Any) -> LinePlace:
    value = _fields(value, device=str, epoch=str, branch=str, seq=int)
    return LinePlace(_chain(value), _natural(value["seq"]))


def _chain(value: Object) -> ChainName:
    return ChainName(value["device"], value["epoch"], value["branch"])


def _officer(value: Any) -> IndexOfficer:
    value = _fields(value, officer=str, person=str, name=str, certificate_no=str)
    return IndexOfficer(value["officer"], value["person"], value["name"], value["certificate_no"])


def _device(value: Any) -> Object:
    if not isinstance(value, dict) or not isinstance(value.get("device"), str):
        raise PackageMalformed(INDEX, "device")
    return value


def _interval(value: Any) -> Interval:
    names = ["not_after_ms", "not_after_index"]
    if isinstance(value, dict) and "not_before_ms" in value:
        names += ["not_before_ms", "not_before_index"]
    kinds: Dict[str, type] = dict.fromkeys(names, int)
    if isinstance(value, dict) and "outside" in value:
        kinds["outside"] = dict
    value = _fields(value, **kinds)
    return Interval(
        not_before_ms=value.get("not_before_ms"),
        not_before_index=value.get("not_before_index"),
        not_after_ms=value["not_after_ms"],
        not_after_index=value["not_after_index"],
        outside=_outside(value["outside"]) if "outside" in value else None,
    )


def _outside(value: Object) -> OutsideBounds:
    names = [
        end + unit
        for end in ("not_before", "not_after")
        if end + "_ms" in value
        for unit in ("_ms", "_index")
    ]
    if not names:
        raise PackageMalformed(INDEX, "bounds without an end")
    return OutsideBounds(**_fields(value, **dict.fromkeys(names, int)))


def _keys(value: Any) -> Keys:
    value = _fields(value, v=int, devices=list, ledger=str, receipt=str)
    if value["v"] != 1:
        raise PackageMalformed(KEYS, "an unknown version")
    devices = []  # type: List[DeviceKeyRecord]
    for device in value["devices"]:
        device = _fields(device, device=str, key_id=str, spki=str, enrolled_index=int)
        devices.append(
            DeviceKeyRecord(
                device["device"],
                _digest(device["key_id"]),
                from_b64url(device["spki"]),
                _natural(device["enrolled_index"]),
            )
        )
    return Keys(tuple(devices), value["ledger"], value["receipt"])


def _custody(line: bytes) -> CustodyEvent:
    match = _CUSTODY.match(line)
    if match is None:
        # Say first whether it is canonical at all, then what is missing.
        value = _fields(canonical.loads(line), event=dict, generation=int, index=int, salt=str)
        from_hex(value["salt"], size=32)
        raise PackageMalformed("", "whole numbers from 0")
    event, generation, index, salt = match.groups()
    # Both halves are canonical by themselves, and so is the line that they make.
    body = canonical.loads(event, max_depth=canonical.MAX_DEPTH - 1)
    _fields(body, v=int, kind=str, at_ms=int, actor=dict, subject=dict, snapshot=dict)
    return CustodyEvent(int(generation), int(index), bytes.fromhex(salt.decode()), event, body)


def _fields(value: Any, **kinds: type) -> Object:
    """``value`` if it is an object of exactly these fields with these types."""
    if not isinstance(value, dict) or set(value) != set(kinds):
        raise PackageMalformed("", "exactly the fields " + ", ".join(sorted(kinds)))
    for name, kind in kinds.items():
        if type(value[name]) is not kind:
            raise PackageMalformed("", name)
    return value


def _natural(value: int) -> int:
    if value < 0:
        raise PackageMalformed("", "a whole number from 0")
    return value


def _digest(value: Any) -> str:
    if not isinstance(value, str):
        raise PackageMalformed("", "a digest")
    from_hex(value, size=32)
    return value


def _path(values: List[Any]) -> Tuple[bytes, ...]:
    if not all(isinstance(value, str) for value in values):
        raise PackageMalformed("", "path")
    return tuple(from_hex(value, size=32) for value in values)
