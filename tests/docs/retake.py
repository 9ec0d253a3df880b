"""Record again the runs that pages show, and write what they print into the pages: `python -m tests.docs.retake PAGE…`.

It takes the whole time of the commands, so that it is for quiet cores. The sentences below a block may name its figures: they are
to be read again, and the lines that have some are printed.
"""

import argparse
import gzip
import json
import re
import sys
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.results.store import RUN_FILE
from tests.docs import session as sessions
from tests.docs.blocks import ROOT, Block, blocks, transcript
from tests.docs.session import RECORDED, REMARK, Session

FIGURE = re.compile(r"\d(?:[\d.,]*)(?: ?×| %| times| ms| µs)|\[\d")
"""A figure of a sentence that may be one of a run."""


def retake(page: Path) -> list[str]:
    """Record the runs of a page again, change its blocks, and return the lines of its sentences that have figures."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        session = sessions.start(page, Path(folder), stack)
        is_example = page.is_relative_to(ROOT / "examples")
        changed: dict[int, str] = {}
        for block in blocks(page):
            if block.recorded and block.kind == "console":
                changed[block.line] = _recorded(session, block)
            elif _reads_recorded(session, block) or (is_example and block.kind == "console"):
                changed[block.line] = _printed_again(session, block)
            elif block.text.startswith(f"copy {RECORDED.relative_to(ROOT)}/"):
                _keep(session, *block.text.split()[1:])
            elif not is_example:
                session.is_whole = block.text.startswith("serve ")
                session.try_block(block)
    lines = page.read_text(encoding="utf-8").splitlines()
    for line, text in sorted(changed.items(), reverse=True):
        end = lines.index("```", line)
        lines[line:end] = text.splitlines()
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    shown = {number for block in blocks(page) for number in range(block.line, block.line + block.text.count("\n") + 2)}
    return [
        f"{page.relative_to(ROOT)}:{number}: {line}"
        for number, line in enumerate(lines, start=1)
        if number not in shown and FIGURE.search(line)
    ]


def _keep(session: Session, source: str, name: str) -> None:
    """Keep a result file of pytest-benchmark that the page's commands have written, without the machine's name."""
    found = json.loads((session.folder / name).read_text(encoding="utf-8"))
    found["machine_info"]["node"] = "here"
    (ROOT / source).write_bytes(gzip.compress(json.dumps(found).encode(), mtime=0))
    session.recorded.add(name)


def _reads_recorded(session: Session, block: Block) -> bool:
    return block.kind == "console" and any(f" {name}" in block.text for name in session.recorded)


def _recorded(session: Session, block: Block) -> str:
    """Run the last command of a block as it is, keep its run, and return the block with what it prints."""
    command, _ = transcript(block.text)[-1]
    before = {*(session.folder / "runs").glob("*")}
    session.is_whole = True
    session.command(command, 0)
    session.is_whole = False
    (written,) = {*(session.folder / "runs").glob("*")} - before
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{block.recorded}.json.gz").write_bytes(gzip.compress((written / RUN_FILE).read_bytes(), mtime=0))
    remarks = [line for line in session.printed.splitlines() if line.startswith(REMARK)]
    target = session.place_recorded(block.recorded).relative_to(session.folder)
    session.command(f"harness report {target} --format terminal", 0)
    printed = "\n".join([*remarks, session.printed.rstrip(), f"{target}/report.html"])
    return block.text[: block.text.rindex("$ ")] + f"$ {command}\n{printed}"


def _printed_again(session: Session, block: Block) -> str:
    """Return a block with what its commands print now."""
    parts = []
    pairs = transcript(block.text)
    for (command, lines), (_, code) in zip(pairs, sessions.with_codes([command for command, _ in pairs], block), strict=True):
        session.command(command, code)
        printed = [line.rstrip() for line in session.printed.splitlines() if line.strip() or "" in lines]
        parts.append("\n".join([f"$ {command}", *excerpt(lines, printed)]))
    return "\n".join(parts)


def excerpt(shown: list[str], printed: list[str]) -> list[str]:
    """Return what is printed; where `...` leaves lines out, as many as each part has, from its first one on, figures aside."""
    if "..." not in shown:
        return printed
    found: list[str] = []
    start = 0
    parts = [[*lines] for is_gap, lines in groupby(shown, "...".__eq__) if not is_gap]
    for part in parts:
        masked = sessions.masked(part[0])
        start = next((place for place in range(start, len(printed)) if sessions.masked(printed[place]) == masked), start)
        found += ["...", *printed[start : start + len(part)]]
        start += len(part)
    return [*found[shown[0] != "..." :], *(["..."] if shown[-1] == "..." else [])]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.docs.retake", description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE")
    for each in parser.parse_args().pages:
        sys.stdout.writelines(f"{line}\n" for line in retake(each.resolve()))
