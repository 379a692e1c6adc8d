"""Contexts as canonical JSON, so that a run of the rules can be repeated for ever."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping

from .model import (
    Bounds,
    ClockOffset,
    Content,
    Context,
    Declared,
    Fix,
    Hints,
    KnownCamera,
    Named,
    Neighbour,
    Pixels,
    Policy,
    SameBytes,
    SameScene,
    SecondReading,
    Site,
    Window,
)

#: Which dataclass stands behind a member; the rest are plain values.
_ONE: Dict[str, Any] = {
    "hints": Hints,
    "declared": Declared,
    "clock": ClockOffset,
    "bounds": Bounds,
    "recorder": ClockOffset,
    "window": Window,
    "site": Site,
    "fix": Fix,
    "announced": Content,
    "received": Content,
    "second": SecondReading,
    "camera": KnownCamera,
    "pixels": Pixels,
    "named": Named,
    "policy": Policy,
}
_MANY: Dict[str, Any] = {
    "neighbours": Neighbour,
    "reuse": SameBytes,
    "scenes": SameScene,
}


def context_to_json(context: Context) -> str:
    """The same bytes for the same context, on every machine."""
    return json.dumps(_plain(context), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def context_from_json(text: str) -> Context:
    """Inverse of ``context_to_json``; members that were not known then have their defaults."""
    found = _made(Context, json.loads(text))  # type: Context
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(part) for name, part in vars(value).items() if part is not None}
    return value


def _made(kind: Any, plain: Mapping[str, Any]) -> Any:
    optional = {name: None for name, part in kind.__dataclass_fields__.items() if _empty(part)}
    return kind(**dict(optional, **{name: _member(name, part) for name, part in plain.items()}))


def _empty(part: Any) -> bool:
    """Whether a member without a default may be absent: only one that can be None."""
    return "Optional" in str(part.type)


def _member(name: str, plain: Any) -> Any:
    if name in _ONE:
        return _made(_ONE[name], plain)
    if name in _MANY:
        return tuple(_made(_MANY[name], part) for part in plain)
    return _tuples(plain)


def _tuples(plain: Any) -> Any:
    """Lists as tuples, all the way down."""
    if isinstance(plain, list):
        return tuple(_tuples(part) for part in plain)
    return plain
