"""A run of exports into one folder: what it has finished is written there, so that it can go on."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from server.failures import ServerError
from server.locking import locked
from server.operations.export.asked import Asked

#: Beside the packages: a line for each that was asked for.
PROGRESS = "liuhen-export.ndjson"
_STEP = 1 << 20


class FolderTaken(ServerError):
    """Another run of exports is writing into the folder."""

    code = "export.folder_taken"


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A package that was asked for in this folder; ``despite`` does not tell two apart."""

    inspection: str
    package: str
    asked: dict[str, object]


class Run:
    """What was asked for in one folder; of one inspection the last counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun: dict[tuple[str, str], str] = {}
        for begun in _read(path):
            self._begun[begun.inspection, _key(begun.asked)] = begun.package

    def package_of(self, inspection_id: str, asked: Asked) -> str | None:
        """The package that was asked for in the same way before."""
        return self._begun.get((inspection_id, _key(_manner(asked))))

    def begin(self, inspection_id: str, asked: Asked, package_id: str) -> None:
        """Write down that the package was asked for, before it is built."""
        begun = Begun(inspection=inspection_id, package=package_id, asked=_manner(asked))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(begun)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._begun[inspection_id, _key(begun.asked)] = package_id


@contextmanager
def run_in(folder: Path) -> Iterator[Run]:
    """The run of ``folder``, for one process at a time.

    Raises:
        FolderTaken: if another one is under way.
    """
    with locked(folder) as mine:
        if not mine:
            raise FolderTaken(str(folder))
        yield Run(folder / PROGRESS)


def is_whole(path: Path, *, sha256: str, size: int) -> bool:
    """Whether ``path`` holds exactly these bytes."""
    if not path.is_file() or path.stat().st_size != size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_STEP):
            digest.update(piece)
    return digest.hexdigest() == sha256


def _manner(asked: Asked) -> dict[str, object]:
    return {"route": asked.route, "redacted": asked.redacted, "sm3": asked.sm3}


def _key(manner: dict[str, object]) -> str:
    return json.dumps(manner, sort_keys=True)


def _read(path: Path) -> Iterator[Begun]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for line in lines:
        try:
            yield Begun(**json.loads(line))
        except (ValueError, TypeError):
            # The line that a kill cut short; its package is asked for again.
            continue
