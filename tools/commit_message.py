"""Check commit messages: `python -m tools.commit_message FILE`, as git's hook commit-msg, or `--history` for the repository.

A subject is `area: verb object`, such as "report: wrap long names": at most 72 characters, the verb an imperative, without a full
stop. The reason is in the body, after an empty line.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import UsageError
from tools import exit_code

ROOT = Path(__file__).parents[1]
LAST_OTHER = "e8a62e8"
"""The last commit whose subject has another form: "Merge …"."""
LIMIT = 72
"""The most characters of a subject."""
MERGE = "merge"
"""The area of merges, whose subject names what was merged: no verb."""
EXAMPLE = "write `area: verb object`, such as `report: wrap long names`"
SUBJECT = re.compile(r"(?P<area>[a-z][a-z0-9_]*(?:, [a-z][a-z0-9_]*)*): (?P<verb>[a-z][a-z-]*),?(?: \S.*)?")
UNFINISHED = re.compile(r"\b(wip|work in progress|fixup|squash|tmp|xxx)\b", re.IGNORECASE)
NO_VERB = re.compile(
    r"a|all|an|and|any|both|each|every|for|from|how|if|in|it|its|last|less|more|new|no|not|of|old|on|one|other|some|that|the|these"
    r"|this|those|to|trial|what|when|where|which|who|why|with|wip|\w+(ing|ed)"
)
"""Articles, pronouns, prepositions and participles."""
IMPERATIVES = {"bring", "embed", "exceed", "feed", "need", "proceed", "seed", "shed", "speed", "swing"}
"""Imperatives that end like a participle."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is wrong with a message, or with those of the history; return 1 if something is, otherwise 0."""
    parser = argparse.ArgumentParser(prog="python -m tools.commit_message", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", type=Path, metavar="FILE", help="file with the message, as git passes it to the hook")
    source.add_argument("--history", action="store_true", help=f"check the commits since {LAST_OTHER}")
    options = parser.parse_args(arguments)
    if options.history:
        found = [f"{commit[:7]}: {problem}" for commit, message in history() for problem in problems(message)]
    else:
        try:
            found = problems(written(options.file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {options.file}: {error}; name the file with the message") from error
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


def problems(message: str) -> list[str]:
    """Return what is wrong with a commit message, and what to write.

    Example:
        >>> problems("report: wrap long names")
        []
        >>> problems("Fixed the report.")
        ["the subject 'Fixed the report.' has no area; write `area: verb object`, such as `report: wrap long names`"]
    """
    subject, *rest = message.split("\n")
    found = []
    if len(subject) > LIMIT:
        found.append(f"the subject has {len(subject)} characters; write at most {LIMIT}, and the rest in the body")
    if subject.endswith("."):
        found.append(f"the subject {subject!r} ends with a full stop; remove it")
    if rest and rest[0].strip():
        found.append("the second line is not empty; leave it empty between the subject and the body")
    if unfinished := UNFINISHED.search(subject):
        found.append(f"the subject {subject!r} says {unfinished[0]!r}; commit what is finished, and name it")
    shape = SUBJECT.fullmatch(subject.removesuffix("."))
    if shape is None:
        found.append(f"the subject {subject!r} {_misshapen(subject)}; {EXAMPLE}")
    elif shape["area"] != MERGE and (NO_VERB.fullmatch(shape["verb"]) and shape["verb"] not in IMPERATIVES):
        found.append(f"the subject {subject!r} has {shape['verb']!r} in place of an imperative verb; {EXAMPLE}")
    return found


def _misshapen(subject: str) -> str:
    area, colon, rest = subject.partition(": ")
    if not subject.strip():
        return "is empty"
    if not colon or not rest.strip():
        return "has no area"
    if not re.fullmatch(r"[a-z][a-z0-9_]*(, [a-z][a-z0-9_]*)*", area):
        return f"has the area {area!r}, which is not a name in lower case"
    return "does not begin with a verb in lower case after its area"


def written(text: str) -> str:
    """Return the message in the text of an editor, without comments and the changes that `git commit --verbose` shows."""
    kept, *_ = re.split(r"^# -+ >8 -+$", text, maxsplit=1, flags=re.MULTILINE)
    return "\n".join(line for line in kept.splitlines() if not line.startswith("#")).strip()


def history() -> Iterator[tuple[str, str]]:
    """Yield the hash and the message of each commit after LAST_OTHER; UsageError in a clone that does not have it."""
    command = ["git", "log", "--format=%H%x00%B%x1e", f"{LAST_OTHER}..HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise UsageError(f"git cannot list the commits since {LAST_OTHER}: {done.stderr.strip()}; use a whole clone")
    for entry in filter(str.strip, done.stdout.split("\x1e")):
        commit, _, message = entry.strip().partition("\0")
        yield commit, message.strip()


if __name__ == "__main__":
    sys.exit(exit_code(main))
