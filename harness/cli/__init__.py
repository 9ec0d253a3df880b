"""The commands: one file each, found by name. The only prints and the only exit codes.

A command module has a docstring (its first line is the help), `arguments(parser)` and `run(options) -> exit code`. It imports what
is heavy inside its functions, so that `harness --help` answers at once. A project adds commands in the same form (`_project`).
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from harness.cli._project import ProjectCommand, ProjectCommands, find_project_commands
from harness.errors import HarnessError

EXIT_CODES = """exit codes:
  0  good
  1  a regression, a failed promise gate, or a scenario that failed
  2  wrong use, or input or output that cannot be read or written
  3  inconclusive, or stopped before the end
  4  not comparable: a benchmark is missing or renamed, or the data, the tool or the kind of run is another"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    hint: str = ""
    """The next step after an error; empty for the help."""

    declare: Callable[[], None] | None = None
    """Declares the options of a command whose module is imported only when the command is chosen."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Declare the options if that is still to be done, then parse."""
        declare, self.declare = self.declare, None
        if declare is not None:
            declare()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the error and the next step on one line, and exit with 2."""
        self.exit(2, f"{self.prog}: {message}; {self.hint or f'see `{self.prog} --help`'}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. The one place where errors become lines for a person."""
    if os.getcwd() not in sys.path:  # noqa: PTH109 - the string is what sys.path holds
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - a person's scenarios import the person's own code, as under pytest
    try:
        options = _parser().parse_args(argv)
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


def _parser() -> _Parser:
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
    _add_project(parser, commands, find_project_commands(Path.cwd(), tuple(commands.choices)))
    return parser


def _add_project(parser: _Parser, commands: Any, project: ProjectCommands) -> None:
    """Add a project's commands, under their own heading in the help."""
    width = max(len(name) for name in [*commands.choices, *(command.name for command in project.commands)])
    lines = [f"  {command.name:<{width}}  {command.summary}" for command in project.commands]
    if project.problem:
        lines.append(f"  {project.problem}")
        parser.hint = project.problem
    if lines:
        parser.add_argument_group("commands of this project", "\n".join(lines))
    for command in project.commands:
        if command.name not in commands.choices:
            _add_project_command(commands, command)


def _add_project_command(commands: Any, command: ProjectCommand) -> None:
    parser: _Parser = commands.add_parser(
        command.name, description=command.doc, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def declare() -> None:
        module = command.load()
        module.arguments(parser)
        parser.set_defaults(run=module.run)

    parser.declare = declare
