"""Ending with one's parent: nothing that the launcher starts may outlive it."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent(signum: signal.Signals) -> None:
    """Ask the kernel for ``signum`` when our parent dies; it holds across exec, not across fork.

    Covers the launcher being killed outright. Elsewhere than on Linux it does nothing.
    """
    try:
        prctl = ctypes.CDLL(None).prctl
    except (AttributeError, OSError):
        return
    parent = os.getppid()
    prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signum), 0, 0, 0)
    # The parent may have died before the request was made.
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)


def children_end_with_us() -> None:
    """Make every process forked from now on die with this one and take signals again.

    honcho's own helpers ignore SIGTERM while their command runs, hence SIGKILL;
    the command itself, told by ``end_with_parent``, then stops in good order.
    """

    def in_child() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        end_with_parent(signal.SIGKILL)

    os.register_at_fork(after_in_child=in_child)
