"""The processes of the Procfile under honcho: started together, stopped together."""

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Message

from server.launch.lifetime import children_end_with_us

_PROCFILE = Path(__file__).resolve().parents[2] / "Procfile"
_STARTED = re.compile(r"(?P<name>\S+) started \(pid=\d+\)")
_STOPPED = re.compile(r"(?P<name>\S+) stopped \(rc=(?P<status>-?\d+)\)")
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def procfile_commands() -> dict[str, str]:
    """Process name to shell command, from the Procfile in the root of the tree."""
    return dict(parse_procfile(_PROCFILE.read_text()).processes)


class Console:
    """honcho's printer: passes the processes' lines on and remembers who stopped first.

    Writes with ``os.write``, since honcho also prints from inside a signal
    handler, where Python's buffered streams refuse to be entered again.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self.width = 0
        self.first_stopped: tuple[str, int] | None = None
        self._not_started = set(names)

    def write(self, message: Message) -> None:
        data = message.data
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        if message.name == "system":
            self._note(text)
            return
        for line in text.splitlines():
            os.write(1, f"{message.name.ljust(self.width)} | {line}\n".encode())

    def _note(self, text: str) -> None:
        if started := _STARTED.match(text):
            self._not_started.discard(started["name"])
            if not self._not_started:
                # honcho cannot stop what it has not yet started: until now signals waited.
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        elif self.first_stopped is None and (stopped := _STOPPED.match(text)):
            self.first_stopped = (stopped["name"], int(stopped["status"]))


def run(commands: Mapping[str, str], env: Mapping[str, str]) -> tuple[str, int] | None:
    """Run ``commands`` until a signal or until one ends; none is alive afterwards.

    Returns:
        Name and exit status of the process that ended by itself, or None if we
        were told to stop.
    """
    console = Console(frozenset(commands))
    manager = Manager(printer=console)
    for name, command in commands.items():
        manager.add_process(name, command, env=dict(env))
    children_end_with_us()
    with _signals_wait(), contextlib.suppress(KeyboardInterrupt):
        manager.loop()
    # 130 and 143: honcho's own marks for SIGINT and SIGTERM received by us.
    if manager.returncode in (130, 143):
        return None
    return console.first_stopped or ("?", manager.returncode or 0)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    sys.stdout.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
