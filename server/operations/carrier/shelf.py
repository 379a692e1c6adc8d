"""Where parts wait, still encrypted, for a disc of the same carrier that has not come yet."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sync.carrier.manifest import MANIFEST_NAME, part_name


@dataclass(frozen=True)
class Shelf:
    """A folder of the server's own, mode 0700, with one folder for each waiting carrier."""

    path: Path

    def manifest(self, carrier: str) -> Path:
        return self.path / carrier / MANIFEST_NAME

    def part(self, carrier: str, number: int) -> Path:
        return self.path / carrier / part_name(number)

    def keep(self, carrier: str, source: Path) -> None:
        """Copy ``source`` here, whole or not at all; what is here already stays.

        Raises:
            OSError.
        """
        target = self.path / carrier / source.name
        if target.exists():
            return
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = target.with_suffix(".tmp")
        with open(source, "rb") as file, open(draft, "wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        draft.rename(target)

    def clear(self, carrier: str) -> None:
        """Nothing of this carrier is waited for any more."""
        shutil.rmtree(self.path / carrier, ignore_errors=True)
