"""The command `harness`, also as `python -m harness`."""

import sys

from harness.runtime.signals import end_when_asked


def main() -> int:
    """Run the command; a signal that arrives while it is imported ends it without a traceback."""
    end_when_asked()
    from harness.cli import main as command  # noqa: PLC0415 - takes a while

    return command()


if __name__ == "__main__":
    sys.exit(main())
