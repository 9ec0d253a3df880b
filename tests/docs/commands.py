"""Commands that pages name: checked without being run."""

import io
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout

from harness.cli import _own_traceback_setting, _parser
from harness.errors import EXTRAS
from tests.docs.blocks import ROOT

OUTSIDE = {"docker", "gh", "kubectl", "make", "pip", "pipx", "uv", "uvx"}
"""Programs that change more than a folder: they are never run."""
OTHERS = {*OUTSIDE, "cd", "export", "git", "locust", "mkdir", "pytest", "python", "sed", "test"}
"""The programs besides `harness` that pages may use."""


def check_command(command: str, *, is_mention: bool = False) -> None:
    """Check what can be checked of a command without running it: its options, targets, extras and files.

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
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
        named = {word for word in rest if "=" not in word}
        assert named <= targets, f"no such target: {named - targets}"
    if program == "pip":
        for extras in re.findall(r"\[([\w,]+)\]", command):
            assert {*extras.split(",")} <= {*EXTRAS, "all"}, f"no such extra: {extras}"
    for word in rest:
        if re.match(r"(deploy|tools|scenarios|reports)/", word):
            assert (ROOT / word).exists(), f"no such file: {word}"


def check_parses(words: Sequence[str], *, is_mention: bool) -> None:
    """Check that the arguments of `harness` are ones; a mention in a sentence may leave out what is required."""
    printed, code = io.StringIO(), None
    with _own_traceback_setting(), redirect_stderr(printed), redirect_stdout(io.StringIO()):
        try:
            _parser().parse_args([*words])
        except SystemExit as ended:
            code = ended.code
    is_incomplete = is_mention and re.search("arguments are required|expected one argument", printed.getvalue())
    assert not code or is_incomplete, f"not a command: {shlex.join(['harness', *words])}"


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
