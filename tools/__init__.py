"""Development tools, not shipped: validation against known answers and benchmarks of the generator."""

import sys
from collections.abc import Callable

from harness.errors import HarnessError


def exit_code(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; an error is one line on standard error."""
    try:
        return command()
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return error.code
