"""Copies of files that share their blocks until one of them is written, where the file system can do that, as Btrfs and XFS can."""

import errno
import fcntl
import shutil
from pathlib import Path

_FICLONE = 0x40049409
"""Linux: let a file share the blocks of another one."""
_WITHOUT = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}
"""Errors of file systems that cannot share blocks, or not between these files."""


def share_blocks(source: Path, target: Path) -> bool:
    """Create or overwrite `target` with the blocks of `source`; return False where the file system cannot do that."""
    try:
        with source.open("rb") as old, target.open("wb") as new:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
        return False
    return True


def clone(source: Path, target: Path) -> None:
    """Create or overwrite `target` with the content of `source`: shared blocks if possible, else a copy; OSError if that fails.

    Writes to either of them never change the other one.
    """
    if not share_blocks(source, target):
        shutil.copyfile(source, target)
