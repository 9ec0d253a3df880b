"""The report of a bug of this package: a file to attach, and the line that names it."""

import platform
import tempfile
import traceback

from harness.version import DISTRIBUTION, version


def internal_error(error: BaseException, command: str) -> str:
    """Write the error's traceback to a file and return one line that names it; without a file, the line where the error was raised.

    `command` is the command line that led to it.
    """
    what = " ".join(f"{type(error).__name__}: {error}".split())
    head = f"{DISTRIBUTION} {version()}, Python {platform.python_version()}, {platform.platform()}\n{command}\n\n"
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="harness-error-", suffix=".txt", delete=False) as file:
            file.writelines([head, *traceback.format_exception(error)])
        place = file.name
    except OSError:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"this line: {frame.filename}:{frame.lineno}"
    return f"internal error ({what}); report it with {place}"
