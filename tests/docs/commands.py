"""Commands that pages name: checked without being run."""

import argparse
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache

from harness.cli import _own_traceback_setting, _parser
from harness.errors import EXTRAS
from harness.pytest_plugin import options
from tests.docs.blocks import ROOT

OUTSIDE = {"docker", "gh", "kubectl", "make", "pip", "pipx", "uv", "uvx"}
"""Programs that change more than a folder: they are never run."""
OTHERS = {*OUTSIDE, "cat", "cd", "export", "git", "locust", "mkdir", "patch", "pytest", "python", "sed", "sh", "test"}
"""The programs besides `harness` that pages may use."""


FOREIGN = {
    "--benchmark-*",
    "--benchmark-autosave",
    "--benchmark-compare",
    "--benchmark-disable",
    "--benchmark-json",
    "--benchmark-only",
    "--benchmark-save-data",
    "--benchmark-skip",
    "--collect-only",
    "--deselect",
    "--exit-code-on-error",
    "--export-json",
    "--group",
    "--headless",
    "--json-file",
    "--junitxml",
    "--master-bind-host",
    "--maxfail",
    "--only-summary",
    "--out csv=FILE",
    "--out json=FILE",
    "--out json=…",
    "--print-stats",
    "--processes N",
    "--protocol HTTP/1.1",
    "--record-samples",
    "--summary-export",
    "--web-host",
    "--web-login",
}
"""Options of other programs (pytest, Locust, k6, …) that pages name: each was looked up in the program's manual."""
PAST = {"--summary", "--margin 3", "make conformance"}
"""What is gone, or refused now, which pages about changes name."""


def check_command(command: str, *, is_mention: bool = False, is_new: bool = False) -> None:
    """Check what can be checked of a command without running it: its options, targets, extras and files.

    A command that a recipe adds is a new one of `python -m harness`; so are the files that it names.

    Raises:
        AssertionError: it cannot be used as it is; the message says why.
    """
    words = shlex.split(re.sub(r"\$\([^)]*\)|\$\{\{.*?\}\}", "VALUE", command))
    while words and re.match(r"\w+=", words[0]):
        words.pop(0)
    if not words:
        return
    program, *rest = words
    if program == "harness":
        check_parses(rest, is_mention=is_mention)
        return
    assert program in OTHERS, f"{program!r} is not a program that pages use: {command}"
    if program == "python" and rest[:1] == ["-m"] and not is_new:
        check_module(rest[1])
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
        named = {word for word in rest if "=" not in word}
        assert named <= targets, f"no such target: {named - targets}"
    if program == "pip":
        for extras in re.findall(r"\[([\w,]+)\]", command):
            assert {*extras.split(",")} <= {*EXTRAS, "all"}, f"no such extra: {extras}"
    check_files(rest)


def check_files(words: Sequence[str]) -> None:
    """Check that files of this repository exist."""
    for word in words:
        if re.match(r"(deploy|tools|scenarios|reports)/", word):
            assert (ROOT / word).exists(), f"no such file: {word}"


def check_module(name: str) -> None:
    """Check that a module of this repository exists; those of other packages may."""
    package, *rest = name.split(".")
    if package in {"harness", "tests", "tools"}:
        path = ROOT / package / "/".join(rest)
        assert path.is_dir() or path.with_suffix(".py").is_file(), f"no such module: {name}"


def check_parses(words: Sequence[str], *, is_mention: bool) -> None:
    """Check that the arguments of `harness` are ones; a mention in a sentence may leave out what is required."""
    refused = refusal(words, may_be_incomplete=is_mention)
    assert not refused, f"not a command: {shlex.join(['harness', *words])}: {refused}"


def check_mention(mention: str, *, is_past: bool = False) -> None:
    """Check a command or options in backquotes, of a page about changes if it is about the past."""
    if (is_past and any(past in mention for past in PAST)) or mention in FOREIGN or mention.startswith("--harness-…"):
        return
    if mention.startswith("--"):
        check_options(mention)
    else:
        check_command(mention, is_mention=True)


def check_options(text: str) -> None:
    """Check that a command of the harness, or pytest with its plugin, has these options, and accepts their values.

    A value in capitals stands for any.
    """
    words = shlex.split(text)
    names = {word for word in words if word.startswith("--")}
    if names <= {name for name, *_ in options.OPTIONS}:
        return
    is_pattern = any(re.match(r"[A-Z]{2,}", word) or "…" in word for word in words)
    having = [name for name, known in command_options().items() if names <= known]
    assert having, f"no command has the options {text}"
    refusals = [refused for name in having if not is_pattern and (refused := refusal([*name, *words]))]
    assert is_pattern or len(refusals) < len(having), f"no command accepts {text}: {refusals[0]}"


@cache
def command_options() -> dict[tuple[str, ...], set[str]]:
    """Return each command of the harness, by its words, with its options."""
    return dict(_options(_parser(), ()))


def _options(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    yield words, {*parser._option_string_actions}
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for name, below in action.choices.items():
                below.declare_options()
                yield from _options(below, (*words, name))


def refusal(words: Sequence[str], *, may_be_incomplete: bool = True) -> str:
    """Return why the arguments of `harness` are refused; empty if they are not."""
    printed = io.StringIO()
    with _own_traceback_setting(), redirect_stderr(printed), redirect_stdout(io.StringIO()), suppress(SystemExit):
        _parser().parse_args([*words])
    message = printed.getvalue().strip()
    return "" if may_be_incomplete and re.search("arguments are required|expected one argument", message) else message


def steps(found: object) -> Iterator[str]:
    """Yield the commands of the steps of a workflow, of GitHub or GitLab."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key in {"run", "script", "before_script"}:
                lines = value if isinstance(value, list) else value.splitlines()
                yield from (part.strip() for line in lines for part in re.split(r"\|\||&&", line))
            else:
                yield from steps(value)
    elif isinstance(found, list):
        for value in found:
            yield from steps(value)
