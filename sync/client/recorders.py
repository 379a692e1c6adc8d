"""Reading recorder, wearer, time and key mark from the names that body cameras give their files.

Vendors differ, so the patterns are data: ``recorders.toml`` in the device
folder replaces the ones here (docs/client.md §5).
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sync.client.errors import PatternsInvalid

DEFAULT_PATTERNS = r"""
extensions = ["mp4", "mov", "avi", "mkv", "ts", "3gp", "wav", "mp3", "m4a", "aac", "amr",
              "jpg", "jpeg", "png", "heic", "heif", "webp", "dng", "tif", "tiff"]

# Product number, wearer's number, date and time, running number, optional key mark:
# DSJ00012_031234_20260314092230_0007_IMP.MP4
[[recorder]]
pattern = '''(?x) (?P<recorder>[A-Za-z0-9-]+) [_@] (?P<wearer>[A-Za-z0-9-]+)
             _ (?P<time>\d{14}) (_\d+)? (_?(?P<key>IMP|KEY|SOS))?'''
time = "%Y%m%d%H%M%S"

# The same with date and time apart: DSJ00012_031234_20260314_092230_0007.MP4
[[recorder]]
pattern = '''(?x) (?P<recorder>[A-Za-z0-9-]+) [_@] (?P<wearer>[A-Za-z0-9-]+)
             _ (?P<time>\d{8}_\d{6}) (_\d+)? (_?(?P<key>IMP|KEY|SOS))?'''
time = "%Y%m%d_%H%M%S"

# Phones and action cameras: IMG_20260314_092230.jpg, VID_20260314_092230_1.mp4
[[recorder]]
pattern = '(IMG|VID|PXL|MVIMG)_(?P<time>\d{8}_\d{6})\d*(_\d+)?'
time = "%Y%m%d_%H%M%S"
"""


@dataclass(frozen=True)
class NameFacts:
    """What a name claims; empty where it claims nothing. ``recorded_at`` has no zone."""

    recorder: str = ""
    wearer: str = ""
    recorded_at: str = ""
    key_mark: bool = False


@dataclass(frozen=True)
class _Pattern:
    name: re.Pattern[str]
    time: str


class NamePatterns:
    """The patterns of one docking station, first match wins."""

    def __init__(self, patterns: Sequence[_Pattern], extensions: frozenset[str]) -> None:
        self._patterns = patterns
        self._extensions = extensions

    @classmethod
    def load(cls, path: Path) -> "NamePatterns":
        """Read ``path``, or the built-in patterns where there is no such file.

        Raises:
            PatternsInvalid: if it cannot be read or holds no usable pattern.
        """
        try:
            text = path.read_text("utf-8") if path.exists() else DEFAULT_PATTERNS
            data = tomllib.loads(text)
            patterns = [_pattern(entry) for entry in data.get("recorder", [])]
            extensions = frozenset(str(e).lower().lstrip(".") for e in data["extensions"])
        except (OSError, ValueError, KeyError, TypeError, re.error) as error:
            raise PatternsInvalid(str(path), str(error)) from error
        return cls(patterns, extensions)

    def is_media(self, name: str) -> bool:
        """Whether files of this name are evidence to import, rather than only listed."""
        return name.rpartition(".")[2].lower() in self._extensions

    def read(self, name: str) -> NameFacts:
        """What ``name`` claims about its recording."""
        stem = name.rpartition(".")[0] or name
        for pattern in self._patterns:
            match = pattern.name.fullmatch(stem)
            if match is None:
                continue
            found = match.groupdict(default="")
            return NameFacts(
                recorder=found.get("recorder", ""),
                wearer=found.get("wearer", ""),
                recorded_at=_local_time(found.get("time", ""), pattern.time),
                key_mark=bool(found.get("key")),
            )
        return NameFacts()


def _pattern(entry: dict[str, Any]) -> _Pattern:
    return _Pattern(re.compile(entry["pattern"]), str(entry.get("time", "")))


def _local_time(text: str, form: str) -> str:
    """ISO 8601 without a zone; empty for a time that no calendar knows."""
    try:
        return datetime.strptime(text, form).isoformat() if text else ""
    except ValueError:
        return ""
