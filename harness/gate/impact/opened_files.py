"""The files of a folder that a process and its children open, compiled code included, which an audit hook does not see.

Standard library only and loadable by path, because it runs in the process of another tree.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Callable

MOST_FOLDERS = 20_000
"""The number of folders from which on a tree is not watched."""

OPENED, OVERFLOW, FOLDER = 0x20, 0x4000, 0x40000000
"""IN_OPEN, IN_Q_OVERFLOW and IN_ISDIR of `inotify(7)`."""

_EVENT = struct.Struct("iIII")
_NONBLOCKING = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)


class OpenedFiles:
    """Watches all folders below a root, but for those that `skips` is true of. Without inotify, `blind` is the reason."""

    def __init__(self, root: str, skips: Callable[[str], bool]) -> None:
        self.blind = ""
        """The reason why opened files cannot be seen; empty if they can."""
        self._folders: dict[int, str] = {}
        self._file = -1
        if sys.platform != "linux":
            self.blind = f"{sys.platform} cannot watch them"
            return
        system = ctypes.CDLL(None, use_errno=True)
        self._file = system.inotify_init1(_NONBLOCKING)
        if self._file < 0:
            self.blind = os.strerror(ctypes.get_errno())
            return
        for folder, names, _ in os.walk(root):
            names[:] = [name for name in names if not skips(os.path.join(folder, name))]
            number = system.inotify_add_watch(self._file, os.fsencode(folder), OPENED)
            if number < 0 or len(self._folders) >= MOST_FOLDERS:
                self.blind = os.strerror(ctypes.get_errno()) if number < 0 else f"more than {MOST_FOLDERS} folders"
                return
            self._folders[number] = folder

    def take(self) -> set[str]:
        """Return the files opened since the last call."""
        found: set[str] = set()
        while self._file >= 0 and not self.blind:
            try:
                events = os.read(self._file, 1 << 16)
            except BlockingIOError:
                break
            place = 0
            while place < len(events):
                number, mask, _, length = _EVENT.unpack_from(events, place)
                name = events[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0")
                place += _EVENT.size + length
                if mask & OVERFLOW:
                    self.blind = "too many were opened at once"
                elif name and not mask & FOLDER and number in self._folders:
                    found.add(os.path.join(self._folders[number], os.fsdecode(name)))
        return found

    def close(self) -> None:
        """Stop watching."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
