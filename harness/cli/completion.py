"""Print the code with which a shell completes commands, options and names.

  bash  add to ~/.bashrc: eval "$(harness completion bash)"
  zsh   add to ~/.zshrc, after compinit: eval "$(harness completion zsh)"
  fish  run once: harness completion fish > ~/.config/fish/completions/harness.fish

The Tab key then also completes the commands of a project, scenarios, runs, engines, sizes, and what `harness explain` explains.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.cli import _options
from harness.errors import UsageError
from harness.runtime.channel import leave

SHELLS = ("bash", "zsh", "fish")
REQUESTED = "_ARGCOMPLETE"
"""The variable that the code of a shell sets when it asks for completions."""
RUNS = Path("runs")
FILES = {"AFTER", "BASE CANDIDATE", "BEFORE", "FILE", "FOLDER", "RUN", "SCENARIO", "TARGET"}
"""The placeholders of options and arguments that may be any file."""
FOLDERS = {"DIR"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(options: argparse.Namespace) -> int:
    """Print the code and return 0."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["harness"], shell=options.shell).strip("\n"))
    return 0


def is_requested() -> bool:
    """Return whether a shell asks for completions instead of running a command."""
    return REQUESTED in os.environ


def complete(parser: Any) -> int:
    """Send the shell the completions of its command line, and end the process; `parser` is that of `harness`.

    It returns, with 1, only if argcomplete is not installed any more: a message would end up in the line that is typed.
    """
    try:
        import argcomplete
    except ModuleNotFoundError:
        return 1
    typed = os.environ.get("COMP_LINE", "").split()
    for name, command in parser.actions.choices.items():
        if name in typed:
            with suppress(Exception):  # of a project's command, which reports it when it is run
                command.declare_options()
    values: Any = _ValueCompleter()  # not of argcomplete's own class, which would have to be imported for it
    argcomplete.autocomplete(parser, always_complete_options=False, exit_method=leave, default_completer=values)
    raise AssertionError("argcomplete ends the process")


class _ValueCompleter:
    """The completer of values: names where they are known, files where one is expected, and nothing otherwise."""

    def __call__(self, prefix: str, action: argparse.Action, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        """Return the values that an option or argument may have, those after a comma in a list of them."""
        from argcomplete.completers import DirectoriesCompleter, FilesCompleter

        form = str(action.metavar)
        placeholder = form.partition("[")[0]
        known = NAMES.get((placeholder, bool(action.option_strings)))
        names: list[str] = []
        with suppress(UsageError):  # about the project's settings, which a command reports when it is run
            names += known(parsed_args) if known else []
        earlier = prefix[: prefix.rfind(",") + 1] if "[," in form else ""
        files = {**dict.fromkeys(FILES, FilesCompleter), **dict.fromkeys(FOLDERS, DirectoriesCompleter)}.get(placeholder)
        paths = files()(prefix) if files else ()
        offered = [*(earlier + name for name in names), *(path for path in paths if path.rstrip("/") not in names)]
        return [name for name in offered if name.isprintable()]  # the shell shows them as they are


def _engines(_: argparse.Namespace) -> Iterable[str]:
    from harness import options

    return options.known_engines()


def _sizes(_: argparse.Namespace) -> Iterable[str]:
    from harness import options

    return options.SIZES


def _languages(_: argparse.Namespace) -> Iterable[str]:
    from harness.language import languages

    return languages()


def _explained(_: argparse.Namespace) -> Iterable[str]:
    from harness import explanations

    return (name.replace(" ", "-") for name in explanations.names())


def _runs(_: argparse.Namespace) -> Iterable[str]:
    return (str(run) for run in sorted(RUNS.glob("*")) if run.is_dir())


def _scenarios(found: argparse.Namespace) -> Iterable[str]:
    from harness.discovery import scenario_candidates

    _options.resolve(found)
    return [file.stem for file in scenario_candidates(found.scenarios)]


NAMES: Mapping[tuple[str, bool], Callable[[argparse.Namespace], Iterable[str]]] = {
    ("ENGINE", True): _engines,
    ("SIZE", True): _sizes,
    ("LANG", True): _languages,
    ("NAME", False): _explained,
    ("RUN", False): _runs,
    ("SCENARIO", False): _scenarios,
    ("TARGET", False): _scenarios,
}
"""Placeholder, and whether it is that of an option → the names that are known."""
