"""A folder of questions, each a module that measures its answer, and the page with all answers."""

import argparse
import importlib
import pkgutil
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from harness.errors import NotMeasurableError, UsageError
from harness.runtime import machine
from harness.runtime.cores import choose_cores
from harness.runtime.workspace import git_commit
from tools import exit_code
from tools.section import Section, markdown, page, parts_of


@dataclass(frozen=True)
class Questions:
    """The questions of a package, and the page that answers them.

    A question is a module with a `TITLE` and a function `run(effort: float) -> Section`. The package's docstring describes the
    command `python -m PACKAGE`.
    """

    package: ModuleType
    """The package in whose folder the questions are."""
    page: Path
    """The page that is written; one question alone replaces its section of it."""
    title: str
    """The title of the page."""
    text: str
    """The sentence below the title."""

    def modules(self) -> dict[str, ModuleType]:
        """Return name → question, for every module directly in the folder that is one, by name."""
        names = sorted(module.name for module in pkgutil.iter_modules(self.package.__path__) if module.name != "__main__")
        modules = {name: importlib.import_module(f"{self.package.__name__}.{name}") for name in names}
        return {name: module for name, module in modules.items() if hasattr(module, "TITLE")}

    def main(self, words: Sequence[str] | None = None) -> int:
        """Answer the questions, write the page, and return 1 if a requirement was missed."""
        known, program = self.modules(), f"python -m {self.package.__name__}"
        shown = argparse.RawDescriptionHelpFormatter
        parser = argparse.ArgumentParser(prog=program, description=self.package.__doc__, formatter_class=shown)
        parser.add_argument("--effort", type=float, default=1.0, help="share of the full work, above 0 (default 1)")
        parser.add_argument("--only", metavar="NAME", choices=sorted(known), help=f"one question: {', '.join(known)}")
        out_help = f"the page (default {self.page}); one question replaces its section of it"
        parser.add_argument("--out", metavar="FILE", type=Path, help=out_help)
        options = parser.parse_args(words)
        if not 0 < options.effort <= 1:
            parser.error("--effort is a share above 0 and at most 1")
        command = f"{program} {shlex.join(sys.argv[1:] if words is None else words)}".rstrip()
        chosen = list(known) if options.only is None else [options.only]
        return exit_code(partial(self._answer, known, chosen, options.effort, options.out or self.page, command))

    def _answer(self, known: Mapping[str, ModuleType], chosen: Sequence[str], effort: float, out: Path, command: str) -> int:
        sections: list[Section] = []
        answered = parts_of(_existing(out)) if len(chosen) < len(known) else {}
        commit, dirty = git_commit()
        # Before measuring, so that the load average is the machine's own.
        facts = {"commit": f"{commit or 'unknown'}{' and changes' if dirty else ''}", **machine.describe(choose_cores())}
        for name in chosen:
            question = known[name]
            sys.stdout.write(f"{question.TITLE} …\n")
            sys.stdout.flush()
            try:
                section = question.run(effort)
            except NotMeasurableError as reason:
                section = Section(question.TITLE, not_measured=str(reason))
            sections.append(section)
            answered[section.title] = markdown(section, command, facts)
            lines = [f"  {'met   ' if r.met else 'missed'}  {r.text}\n" for r in section.requirements]
            sys.stdout.write("".join(lines) or f"  {section.not_measured or 'no requirement'}\n")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            parts = [answered[question.TITLE] for question in known.values() if question.TITLE in answered]
            out.write_text(page(self.title, self.text, parts), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror}; name another file with --out") from error
        sys.stdout.write(f"{out}\n")
        return 0 if all(section.is_met for section in sections) else 1


def _existing(page: Path) -> str:
    """Return the text of a page; empty if there is none."""
    try:
        return page.read_text(encoding="utf-8")
    except OSError:
        return ""
