"""Become a side's command: on one core, at the same addresses in every process, and never outliving the coordinator.

Run by path: `launch.py CORE COMMAND …`, CORE empty where it may run anywhere. Standard library alone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_ADDR_NO_RANDOMIZE = 0x0040000
_ASK = 0xFFFFFFFF


def main() -> None:
    """Settle and exec; exits with 127 and one line where the command cannot be run."""
    core, *command = sys.argv[1:]
    if core:
        os.sched_setaffinity(0, {int(core)})
    if sys.platform == "linux":
        system = ctypes.CDLL(None)
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        known = system.personality(_ASK)
        if known != -1:  # a container may forbid it: addresses then differ from process to process, which costs precision alone
            system.personality(known | _ADDR_NO_RANDOMIZE)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the coordinator's own list of arguments, no shell
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
