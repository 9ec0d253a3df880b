"""The review that scenarios test: an optional file `review.toml` in their folder.

Every promise in it is listed wherever promises are listed, tried or not.
"""

import tomllib
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.results.run import Review

FILE = "review.toml"


def read(folder: Path) -> Review | None:
    """Return the review of a folder of scenarios, None without one.

    Raises:
        UsageError: the file cannot be read, or is not a review.
    """
    file = folder / FILE
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Review)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # TOMLDecodeError, UnicodeDecodeError and ValidationError are ValueErrors
        raise UsageError(f"{file} is not a review: {error}; fix or remove it") from error
