"""The commands: one file each, found by name. The only prints and the only exit codes.

A command module has a docstring (its first line is the help), `arguments(parser)` and `run(options) -> exit code`. It imports what
is heavy inside its functions, so that `harness --help` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import NoReturn

from harness.errors import HarnessError

EXIT_CODES = """exit codes:
  0  good
  1  a regression, a failed promise gate, or a scenario that failed
  2  wrong use, or input or output that cannot be read or written
  3  inconclusive, or stopped before the end
  4  not comparable: a benchmark is missing or renamed, or the data, the tool or the kind of run is another"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the error and the next step on one line, and exit with 2."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. The one place where errors become lines for a person."""
    if os.getcwd() not in sys.path:  # noqa: PTH109 - the string is what sys.path holds
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - a person's scenarios import the person's own code, as under pytest
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("harness: stopped", file=sys.stderr)
        return 3
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the reader went away; the exit must not write to it again
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="harness",
        description="Puts performance advice on trial: arms measured in interleaved pairs, verdicts with intervals.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        doc = (module.__doc__ or "").strip()
        command = commands.add_parser(
            info.name,
            help=doc.splitlines()[0].rstrip("."),
            description=doc,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(command)
        command.set_defaults(run=module.run)
    return parser
