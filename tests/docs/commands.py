"""Commands that pages name: checked without being run."""

import re
import shlex
from collections.abc import Iterator, Sequence

from harness.cli import _parser
from harness.errors import EXTRAS
from tests.docs.blocks import ROOT

OUTSIDE = {"docker", "kubectl", "make", "pip", "pipx", "uv", "uvx"}
"""Programs that change more than a folder: they are never run."""
OTHERS = {*OUTSIDE, "cd", "export", "git", "locust", "mkdir", "pytest", "python", "sed"}
"""The programs besides `harness` that pages may use."""


def check_command(command: str) -> None:
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
        check_parses(rest)
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


def check_parses(words: Sequence[str]) -> None:
    """Check that the arguments of `harness` are ones; the name of a command alone is one."""
    parser = _parser()
    if len(words) <= 2 and not any(word.startswith("-") for word in words):
        action = next(group for group in parser._actions if group.choices is not None)
        if words[:1] and words[0] in (action.choices or {}) and len(words) == 1:
            return
    problems: list[str] = []
    try:
        parser.parse_args([*words])
    except SystemExit as ended:
        if ended.code:
            problems.append(shlex.join(["harness", *words]))
    assert not problems, f"not a command: {problems[0]}"


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
