"""The command `harness`, also as `python -m harness`.

A signal that asks to stop ends it without a traceback from here on, before anything else is imported.
"""

import _signal  # type: ignore[import-not-found]  # of the module signal, which takes a while to import
import os
import sys

INTERRUPTED = 3
"""The exit code of an interrupted command: `harness.errors.INTERRUPTED`."""


def _end(*_: object) -> None:
    """End with one line while there is nothing to keep and nothing to remove."""
    try:
        os.write(2, b"harness: interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def main() -> int:
    """Run the command."""
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        if _signal.getsignal(number) is not _signal.SIG_IGN:
            _signal.signal(number, _end)
    from harness.cli import main as command  # noqa: PLC0415 - takes a while

    return command()


if __name__ == "__main__":
    sys.exit(main())
