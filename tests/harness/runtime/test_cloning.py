"""Copies of files: equal and independent, with or without shared blocks."""

import errno
import fcntl
from pathlib import Path

import pytest

from harness.runtime import cloning


@pytest.mark.parametrize("code", [None, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY])
def test_a_copy_is_independent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    """Writing to the copy leaves the original as it was, whether the file system shares blocks (here simulated) or not."""

    def share(new: int, _request: int, old: int) -> int:
        if code is not None:
            raise OSError(code, "not here")
        with open(old, "rb", closefd=False) as source, open(new, "wb", closefd=False) as target:
            target.write(source.read())
        return 0

    monkeypatch.setattr(fcntl, "ioctl", share)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"rows")
    target.write_bytes(b"something longer")
    assert cloning.share_blocks(source, target) == (code is None)
    cloning.clone(source, target)
    assert target.read_bytes() == b"rows"
    target.write_bytes(b"other")
    assert source.read_bytes() == b"rows"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_an_error_of_the_disk_is_not_taken_for_a_missing_feature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A full disk is reported as it is."""

    def fail(*_: object) -> int:
        raise OSError(code, "disk")

    monkeypatch.setattr(fcntl, "ioctl", fail)
    (tmp_path / "source").write_bytes(b"rows")
    with pytest.raises(OSError, match="disk") as raised:
        cloning.clone(tmp_path / "source", tmp_path / "target")
    assert raised.value.errno == code


def test_a_missing_source_is_an_error(tmp_path: Path) -> None:
    """There is no empty copy instead."""
    with pytest.raises(FileNotFoundError):
        cloning.clone(tmp_path / "source", tmp_path / "target")
    assert not (tmp_path / "target").exists()
