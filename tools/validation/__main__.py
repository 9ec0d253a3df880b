"""Answer every question with a known answer and write the page: `python -m tools.validation --help`.

Exits with 1 if a requirement is missed. In full it takes minutes, on two cores that should be idle.
"""

import argparse
import importlib
import pkgutil
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

import tools.validation
from harness.errors import NotMeasurableError, UsageError
from harness.runtime import machine
from harness.runtime.cores import choose_cores
from harness.runtime.workspace import git_commit
from tools import exit_code
from tools.validation.section import Section, page

PAGE = Path("reports/published/validation.md")


def questions() -> dict[str, ModuleType]:
    """Return name → question, for every module directly in this folder that is one, by name."""
    package = tools.validation
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name != "__main__")
    modules = {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "TITLE")}


def main(words: Sequence[str] | None = None) -> int:
    """Answer the questions, write the page, and return 1 if a requirement was missed."""
    known = questions()
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tools.validation", description=__doc__, formatter_class=shown)
    parser.add_argument("--effort", type=float, default=1.0, help="share of the full time, above 0 (default 1)")
    parser.add_argument("--only", metavar="NAME", choices=sorted(known), help=f"one question: {', '.join(known)}")
    parser.add_argument("--out", metavar="FILE", type=Path, help=f"the page (default {PAGE}; one question has a separate page)")
    options = parser.parse_args(words)
    if not 0 < options.effort <= 1:
        parser.error("--effort is a share above 0 and at most 1")
    command = shlex.join(["python", "-m", "tools.validation", *(sys.argv[1:] if words is None else words)])
    chosen, default = list(known.values()), PAGE
    if options.only is not None:  # a part must not replace the whole page
        chosen, default = [known[options.only]], PAGE.with_stem(f"{PAGE.stem}-{options.only}")
    return exit_code(partial(_answer, chosen, options.effort, options.out or default, command))


def _answer(chosen: Sequence[ModuleType], effort: float, out: Path, command: str) -> int:
    sections: list[Section] = []
    commit, dirty = git_commit()
    # Before measuring, so that the load average is the machine's own.
    facts = {"commit": f"{commit or 'unknown'}{' and changes' if dirty else ''}", **machine.describe(choose_cores())}
    for question in chosen:
        sys.stdout.write(f"{question.TITLE} …\n")
        sys.stdout.flush()
        try:
            section = question.run(effort)
        except NotMeasurableError as reason:
            section = Section(question.TITLE, not_measured=str(reason))
        sections.append(section)
        lines = [f"  {'met   ' if r.met else 'missed'}  {r.text}\n" for r in section.requirements]
        sys.stdout.write("".join(lines) or f"  {section.not_measured or 'no requirement'}\n")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page(sections, facts, command), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}; name another file with --out") from error
    sys.stdout.write(f"{out}\n")
    return 0 if all(section.is_met for section in sections) else 1


if __name__ == "__main__":
    sys.exit(main())
