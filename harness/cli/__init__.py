"""The commands, one file each, found by name. Only this package prints to standard output and decides exit codes.

A command module has a docstring (its first line is the help), `arguments(parser)` and `run(options) -> exit code`. It imports
heavy packages inside its functions, so that every `--help` is fast. A project adds commands in the same form (`_project`).
"""

import argparse
import importlib
import os
import pkgutil
import re
import shlex
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from harness.cli import _options, completion
from harness.cli._project import ProjectCommand, find_project_commands
from harness.cli._streams import usable_streams
from harness.errors import (
    INTERNAL_ERROR,
    INTERRUPTED,
    TRACEBACK,
    HarnessError,
    ScenarioFailedError,
    UsageError,
    bug_report,
    extra_of,
    failed_import,
    print_traceback,
    refusal_of_system,
)
from harness.results.names import shortened
from harness.runtime import leftovers
from harness.runtime.channel import refuse_exits
from harness.runtime.signals import Requests, as_interrupts, end_at_once, end_now, end_when_asked
from harness.suggestions import choose_from, did_you_mean
from harness.text import message_line, printable, without_command

DESCRIPTION = (
    "Test performance advice: measure the arms of a scenario in interleaved pairs and decide every promise with an interval."
)
EXIT_CODES = """exit codes:
  0   pass
  1   regression or failure
  2   usage error, unreadable input, or output that cannot be written
  3   inconclusive or interrupted
  4   not comparable: different scenarios, data, settings or versions
  70  internal error: a bug, please report it"""


MOST = 2_000
"""The most characters of an error: one may repeat an argument, or a text of a file, of any length."""


class _Help(argparse.HelpFormatter):
    """Help text that is wrapped to the terminal: paragraphs are filled, and the lines of an indented list stay apart."""

    def add_argument(self, action: argparse.Action) -> None:
        """Align the help of commands as well: argparse leaves out their indent, so that the longest one had a line of its own."""
        super().add_argument(action)
        names = [len(name) for name in action.choices or ()] if isinstance(action, argparse._SubParsersAction) else []  # noqa: SLF001
        self._action_max_length = max([self._action_max_length, *(self._current_indent + 2 + length for length in names)])

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = []
        for part in text.strip("\n").split("\n\n"):
            is_list = re.search(r"^  ", part, re.MULTILINE)
            lines = part.splitlines() if is_list else [" ".join(part.split())]
            paragraphs.append("\n".join(_filled(line, width, indent) for line in lines))
        return "\n\n".join(paragraphs)


def _filled(line: str, width: int, indent: str) -> str:
    """Return a line wrapped; the text of one such as "  name   text" stays in its column."""
    found = re.match(r" *(?:\S+ {2,})?", line)
    hanging = " " * (found.end() if found else 0)
    return textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent + hanging)


class _PrintVersion(argparse.Action):
    """Print the distribution's name and version, which is read only when it is wanted because that is slow; exit with 0."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from harness.version import DISTRIBUTION, version

        print(f"{DISTRIBUTION} {version()}")
        parser.exit()


class _WantTraceback(argparse.Action):
    """Have the tracebacks of errors printed, in the processes of the command as well."""

    def __call__(self, *_: object) -> None:
        os.environ[TRACEBACK] = "1"


class _Parser(argparse.ArgumentParser):
    """A parser whose help fits the terminal and whose errors are one line."""

    hint: str = ""
    """The next step after an error; empty for the help."""
    declare: Callable[[], None] | None = None
    """Declares the options of a command whose module is imported only when the command is chosen."""
    actions: Any = None
    """The group of commands or actions, if it has any."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": _Help, "epilog": EXIT_CODES, **kwargs})
        help_ = f"print the traceback of an error, also by {TRACEBACK}=1"
        self.add_argument("--traceback", action=_WantTraceback, nargs=0, default=argparse.SUPPRESS, help=help_)

    def add_subparsers(self, **options: Any) -> Any:
        """Return the parser's actions, to which those of a project's command of the same name are added."""
        if self.actions is None:
            self.actions = super().add_subparsers(**options)
        return self.actions

    def declare_options(self) -> None:
        """Declare the options if that is still to be done."""
        declare, self.declare = self.declare, None
        if declare is not None:
            declare()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Declare the options, then parse."""
        self.declare_options()
        namespace, unknown = super().parse_known_args(args, namespace)
        if not hasattr(namespace, "words"):
            namespace.words = [*(sys.argv[1:] if args is None else args)]  # those after the name of the command
        if unknown:
            options = (did_you_mean(text.partition("=")[0], self._option_string_actions) for text in unknown if text[:1] == "-")
            near = next(filter(None, options), "")
            self.error(f"unrecognized arguments: {' '.join(unknown)}{f'; {near.rstrip()}' if near else ''}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        """Print the error and the next step on one line, and exit with 2."""
        message = message.removeprefix("argument ")
        if message.endswith("?"):
            message = f"{message} {self.hint or f'see `{self.prog} --help`'}"
        elif self.hint or ";" not in message:  # a converter's message has its own next step
            message = f"{message}; {self.hint or f'see `{self.prog} --help`'}"
        self.exit(2, shortened(message_line(f"{self.prog}: {message}"), MOST) + "\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help; argparse would ignore that it cannot be written."""
        lines = (line if line.isprintable() else printable(line) for line in message.split("\n"))
        (file or sys.stderr).write("\n".join(map(without_command, lines)))  # it has texts of a project's files

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is not among the choices; argparse would list them with quotes and brackets."""
        if action.choices is not None and value not in action.choices:
            noun = (action.metavar if isinstance(action.metavar, str) else action.dest).lower()
            raise argparse.ArgumentError(None, f"unknown {noun} {value!r}; {choose_from(value, map(str, action.choices))}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. The one place where errors become lines on standard error."""
    is_process = argv is None  # which ends with the command
    if is_process:
        end_when_asked()
        leftovers.adopt()
    allow_exits = refuse_exits()
    try:
        with usable_streams(), as_interrupts() as requests, _own_traceback_setting(), leftovers.marked() as mark:
            code = _main(argv, requests, mark)
    except KeyboardInterrupt:  # between the lines above
        if not is_process:
            raise
        end_now()
    finally:
        if not is_process:
            allow_exits()
    if is_process:
        end_at_once(code)
    return code


@contextmanager
def _own_traceback_setting() -> Iterator[None]:
    """Put back at the end what --traceback changes in the environment."""
    before = os.environ.get(TRACEBACK)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(TRACEBACK, None)
        else:
            os.environ[TRACEBACK] = before


def _main(argv: Sequence[str] | None, requests: Requests, mark: str) -> int:
    try:
        try:
            code = _run(argv)
        finally:
            sys.stdout.flush()
            for left in leftovers.end_left(mark):
                _refuse(f"{left} was still running at the end; it was ended", 0)
    except HarnessError as error:
        print_traceback(error)
        return _refuse(str(error), INTERRUPTED if requests.number else error.code)
    except KeyboardInterrupt:
        return _refuse("interrupted", INTERRUPTED)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - every bug ends with its own exit code
        print_traceback(error)
        if requests.number:  # an import that was interrupted may raise anything
            return _refuse("interrupted", INTERRUPTED)
        if refusal := refusal_of_system(error):
            return _refuse(refusal, UsageError.code)
        command = shlex.join(["harness", *(sys.argv[1:] if argv is None else argv)])
        return _refuse(bug_report(error, command), INTERNAL_ERROR)
    return code or (INTERRUPTED if requests.number else 0)


def _run(argv: Sequence[str] | None) -> int:
    try:
        here = os.getcwd()  # noqa: PTH109 - the string is what sys.path holds
    except FileNotFoundError:
        raise UsageError("the current folder was removed; change to another one") from None
    if here not in sys.path:
        sys.path.insert(0, here)  # scenarios import the project's code, as under pytest
    parser = _parser()
    if completion.is_requested():
        return completion.complete(parser)
    options = parser.parse_args(argv)
    _options.resolve(options)
    try:
        code: int = options.run(options)
    except ModuleNotFoundError as error:
        if extra := extra_of(error):
            raise failed_import(error, extra) from error
        raise
    except SystemExit as ended:
        if not options.run.__module__.startswith(__name__):  # a command of a project may end itself
            raise
        *_, (frame, line) = traceback.walk_tb(ended.__traceback__)
        place = f"{frame.f_code.co_filename}, line {line}"
        raise ScenarioFailedError(f"{place}, ended the command (SystemExit: {ended.code}); remove that") from ended
    return code


def _refuse(message: str, code: int) -> int:
    print(shortened(message_line(f"harness: {message}"), MOST), file=sys.stderr)
    return code


def _parser() -> _Parser:
    parser = _Parser(prog="harness", description=DESCRIPTION)
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    extensible: list[str] = []
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        doc = (module.__doc__ or "").strip()
        command = commands.add_parser(info.name, help=doc.partition("\n")[0].rstrip("."), description=doc)
        module.arguments(command)
        command.set_defaults(run=module.run)
        if getattr(module, "EXTENSIBLE", False):
            extensible.append(info.name)
    _add_project(parser, commands, extensible)
    return parser


def _add_project(parser: _Parser, commands: Any, extensible: Sequence[str]) -> None:
    """Add a project's commands, under their own heading in the help; a problem with them is shown there, and as a hint."""
    found: list[ProjectCommand] = []
    try:
        found = find_project_commands(Path.cwd(), commands.choices.keys() - {*extensible})
    except UsageError as problem:
        parser.hint = str(problem)
    aligned = [*commands.choices, *(command.name for command in found), "traceback"]  # an option, whose dashes take the indent
    width = max(map(len, aligned))
    lines = [f"  {command.name:<{width}}  {command.summary}" for command in found] or [f"  {parser.hint}"]
    if found or parser.hint:
        parser.add_argument_group("commands of this project", "\n".join(lines))
    for command in found:
        if command.name not in commands.choices:
            added: _Parser = commands.add_parser(command.name, description=command.doc)
            added.declare = partial(_declare, added, command)
        elif command.name in extensible:
            extended: _Parser = commands.choices[command.name]
            extended.declare = partial(_extend, extended, command)


def _declare(parser: _Parser, command: ProjectCommand) -> None:
    module = command.load()
    module.arguments(parser)
    parser.set_defaults(run=module.run)


def _extend(parser: _Parser, command: ProjectCommand) -> None:
    """Add the actions of a project's command to those of harness, which work as before if that is not possible."""
    own = dict(parser.actions.choices)
    try:
        _declare(parser, command)
        parser.description = f"{parser.description}\n\n{command.doc}"
    except (UsageError, argparse.ArgumentError) as problem:
        parser.hint = f"{command.file}: {problem}" if isinstance(problem, argparse.ArgumentError) else str(problem)
        for name in parser.actions.choices.keys() - own.keys():
            del parser.actions.choices[name]
