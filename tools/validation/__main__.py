"""Answer every question with a known answer and write the page: `python -m tools.validation --help`.

Exits with 1 if a requirement is missed. In full it takes minutes, on two cores that should be idle.
"""

import argparse
import importlib
import pkgutil
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import tools.validation
from harness.errors import HarnessError, NotMeasurableError, UsageError
from harness.runtime import machine
from harness.runtime.cores import choose_cores
from harness.runtime.workspace import git_commit
from tools.validation.section import Section, page

PAGE = Path("reports/published/validation.md")


class Question(Protocol):
    """A module of this folder that answers one question."""

    __name__: str
    TITLE: str

    def run(self, effort: float) -> Section:
        """Answer it with a share of the full effort."""
        ...


def questions() -> dict[str, Question]:
    """Return name → question, for every module directly in this folder that is one, by name."""
    found: dict[str, Question] = {}
    package = tools.validation
    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg and module.name != "__main__":
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            if hasattr(loaded, "TITLE"):
                found[module.name] = cast("Question", loaded)
    return dict(sorted(found.items()))


def answered(question: Question, effort: float) -> Section:
    """Answer one question; one that cannot be measured here states the reason."""
    try:
        return question.run(effort)
    except NotMeasurableError as reason:
        return Section(question.TITLE, not_measured=str(reason))


def main(words: Sequence[str] | None = None) -> int:
    """Answer the questions, write the page, and return 1 if a requirement was missed."""
    known = questions()
    parser = argparse.ArgumentParser(
        prog="python -m tools.validation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--effort", type=float, default=1.0, help="share of the full time, above 0 (default 1)")
    parser.add_argument("--only", metavar="NAME", choices=sorted(known), help=f"one question: {', '.join(known)}")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help=f"the page (default {PAGE}; a single question has a page of its own)"
    )
    options = parser.parse_args(words)
    if not 0 < options.effort <= 1:
        parser.error("--effort is a share above 0 and at most 1")
    try:
        if options.only is None:
            return _try(known, options.effort, options.out or PAGE, words)
        alone = PAGE.with_stem(f"{PAGE.stem}-{options.only}")  # a part must not replace the whole page
        return _try({options.only: known[options.only]}, options.effort, options.out or alone, words)
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return error.code


def _try(chosen: Mapping[str, Question], effort: float, out: Path, words: Sequence[str] | None) -> int:
    sections: list[Section] = []
    facts = _facts()  # before measuring, so that the load average is the machine's own
    for question in chosen.values():
        sys.stdout.write(f"{question.TITLE} …\n")
        sys.stdout.flush()
        section = answered(question, effort)
        sections.append(section)
        lines = [f"  {'met   ' if r.met else 'missed'}  {r.text}\n" for r in section.requirements]
        sys.stdout.write("".join(lines) or f"  {section.not_measured or 'no requirement'}\n")
    command = shlex.join(["python", "-m", "tools.validation", *(sys.argv[1:] if words is None else words)])
    _write(page(sections, facts, command), out)
    sys.stdout.write(f"{out}\n")
    return 0 if all(section.is_met for section in sections) else 1


def _facts() -> dict[str, str]:
    commit, dirty = git_commit()
    return {"commit": f"{commit or 'unknown'}{' and changes' if dirty else ''}", **machine.describe(choose_cores())}


def _write(text: str, to: Path) -> None:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{to} cannot be written: {error.strerror}; name another file with --out") from error


if __name__ == "__main__":
    sys.exit(main())
