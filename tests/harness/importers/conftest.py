"""Files of every format, as the tools wrote them (k6's and old versions' as documented)."""

from collections.abc import Callable
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def shape() -> Callable[[str], Path]:
    """Return the path of a file by name."""
    return lambda name: FIXTURES / name


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Return a function that writes a file with a neutral name, and returns its path."""

    def write(body: str | bytes) -> Path:
        path = tmp_path / "results.txt"
        path.write_bytes(body.encode() if isinstance(body, str) else body)
        return path

    return write
