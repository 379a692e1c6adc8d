"""Takes limits on itself and becomes the program that it is told to be.

Started by ``media.second.film`` as a script of its own, so that no code runs between
fork and exec in a process that has threads. Arguments: megabytes of address space,
seconds of processor time, megabytes of a written file, then the program and its own.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

OPEN_FILES_LIMIT = 32
#: From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
#: As modest as a process can be: people who wait for a page come first.
NICENESS = 19


def main(memory_mb: str, cpu_seconds: str, file_mb: str, *command: str) -> None:
    """Bound what this process may use, for good, and become ``command``."""
    for kind, most in (
        (resource.RLIMIT_AS, int(memory_mb) << 20),
        (resource.RLIMIT_CPU, int(cpu_seconds)),
        (resource.RLIMIT_FSIZE, int(file_mb) << 20),
        (resource.RLIMIT_NOFILE, OPEN_FILES_LIMIT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    os.nice(NICENESS)
    # Whoever waits for the result is killed: then nobody wants it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted here.


if __name__ == "__main__":
    main(*sys.argv[1:])
