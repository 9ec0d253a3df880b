"""What a review promises, as it stands: a file `review.toml` beside the scenarios that try it.

A folder of scenarios needs none. Where there is one, every promise in it has a row wherever promises are listed, tried or not.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.results.run import Review

FILE = "review.toml"


def read(folder: Path) -> Review | None:
    """Return the review of a folder of scenarios, or None if it has none.

    Raises:
        UsageError: the file cannot be read, or says something that no review says.
    """
    file = folder / FILE
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Review)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # TOMLDecodeError, UnicodeDecodeError and ValidationError are ValueErrors
        raise UsageError(f"{file} is no review: {error}; mend it or take it away") from error
