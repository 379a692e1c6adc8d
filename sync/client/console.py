"""How commands speak: one sentence for people, or one JSON object for scripts, and an exit code."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import click

from sync.catalogue import has, text
from sync.client.device import Device
from sync.client.errors import NotEnrolled, sentence
from sync.client.folder import DeviceFolder
from sync.client.library import Library
from sync.client.status import read_outbox
from sync.errors import SyncError

#: Exit codes (docs/client.md §3); 2 is click's own for wrong usage.
DONE, FAILED, UNSENT = 0, 1, 3


@dataclass
class Console:
    """The global options of one run."""

    folder: Path
    lang: str
    as_json: bool

    @contextmanager
    def device(self) -> Iterator[Device]:
        """The enrolled device.

        Raises:
            NotEnrolled.
        """
        # Only enrolling makes a folder: a mistyped one would look like an empty device.
        if not DeviceFolder(self.folder).database.exists():
            raise NotEnrolled(str(self.folder))
        with Device.open(self.folder) as device:
            device.need_enrolment()
            yield device

    @contextmanager
    def library(self) -> Iterator[Library]:
        """The local copy, readable also while another process works in the folder.

        Raises:
            NotEnrolled, FolderDamaged.
        """
        with closing(read_outbox(self.folder)) as outbox:
            yield Library(outbox)

    def tell(self, key: str, value: Any = None, **more: object) -> None:
        """Say the sentence ``key``, filled from ``value``; or print ``value`` as JSON."""
        values = _plain(value) | more
        if self.as_json:
            self.dump(values)
        else:
            click.echo(text(key, self.lang, **values))

    def say(self, key: str, **values: object) -> None:
        """Say a sentence to people only."""
        if not self.as_json:
            click.echo(text(key, self.lang, **values))

    def dump(self, value: dict[str, Any]) -> None:
        """Print ``value`` to scripts only."""
        if self.as_json:
            click.echo(json.dumps(value, ensure_ascii=False))

    def phrase(self, key: str, **values: object) -> str:
        """A phrase of the catalogue, for use inside another."""
        return text(key, self.lang, **values)

    def plain(self, value: Any) -> dict[str, Any]:
        """``value`` as JSON holds it."""
        return _plain(value)

    def fail(self, error: SyncError) -> None:
        """Say what went wrong, in one sentence."""
        if self.as_json:
            self.dump({"error": self.problem(error)})
        else:
            click.echo(sentence(error, self.lang), err=True)

    def problem(self, error: SyncError) -> dict[str, str]:
        return {"code": error.code, "message": sentence(error, self.lang)}

    def reason(self, code: str) -> str:
        """Why a line or medium is not where it should be, with what to do next."""
        for key in (code, f"client.reason.{code}", f"errors.{code}"):
            if has(key):
                return text(key, self.lang)
        return code

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None] | None]:
        """A progress bar on a terminal, nothing elsewhere."""
        if self.as_json or not sys.stderr.isatty():
            yield None
            return
        bars = _Bars(self.lang)
        try:
            yield bars.show
        finally:
            bars.finish()


class _Bars:
    """One bar for each stage, drawn on standard error."""

    def __init__(self, lang: str) -> None:
        self._lang = lang
        self._stage = ""
        self._bar: Any = None

    def show(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self.finish()
            self._stage = stage
            label = text(f"client.stage.{stage}", self._lang)
            self._bar = click.progressbar(length=total, label=label, file=sys.stderr)
            self._bar.render_progress()
        self._bar.length = total
        self._bar.update(done - self._bar.pos)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.render_finish()
        self._stage, self._bar = "", None


def both(key: str) -> str:
    """Help text: Chinese first, English beside it."""
    return f"{text(key, 'zh')} / {text(key, 'en')}"


def _plain(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return dict(value)
