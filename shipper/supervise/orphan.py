"""Sees to it that a process does not outlive the supervisor, not even one that is frozen."""

from __future__ import annotations

import ctypes
import os
import signal
from multiprocessing import forkserver

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h; see prctl(2)."""


def end_with_parent() -> None:
    """Let the kernel kill this process when the fork server, its parent, ends.

    The fork server ends when nobody holds the pipe any more that the supervisor keeps open. It gives every process
    a copy, for processes of its own (`multiprocessing.forkserver`, Python 3.11), and a frozen one would hold that
    for ever; so it is closed here, and this process cannot start others through the fork server.
    """
    inherited = vars(forkserver._forkserver)  # noqa: SLF001 - there is no public way to the pipe
    if inherited["_forkserver_alive_fd"] is not None:
        os.close(inherited["_forkserver_alive_fd"])
        inherited["_forkserver_alive_fd"] = None
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
