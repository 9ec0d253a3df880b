"""Does text from files control a terminal, the log of a CI service or a page? Files that try it, given to every command.

Alone: `python -m tools.chaos --only hostile_text`, about a minute.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tools.chaos.commands_tried import Attempt, TriedOutcome, note, obeyed, problem, tried
from tools.chaos.usage_errors import SCENARIO, TIMES
from tools.section import Requirement, Section, SectionTable

TITLE = "Does text from a file control a terminal, a log or a page?"

MARK = "mArK"
"""A word of every hostile text, by which it is found in what is printed."""
HOSTILE = {
    "colours and titles": f"\x1b[31m{MARK}\x1b]0;title\x07\x1bc",
    "C1 bytes": f"\x9b31m{MARK}\x85\x9d0;title\x9c",
    "carriage return": f"{MARK}\rall passed\x08\x08",
    "line breaks": f"{MARK}\n::error::boo\n  ::add-mask::x\n::stop-commands::y",
    "other commands": f"##[error]{MARK} ##vso[task.complete] ##teamcity[x]\n##[group]x",
    "GitLab's sections": f"\x1b[0Ksection_start:1:{MARK}[collapsed=true]\r\x1b[0Kx",
    "bidirectional": f"\u202e{MARK}\u2066\u2028\u2029\u061c",
    "zero width": f"\u200b{MARK}\u2060\ufeff\u00ad\U000e0041",
    "markup": f"<script>alert(1)</script>{MARK}<img src=x onerror=alert(1)></td></svg>",
    "Markdown": f"![{MARK}](https://example.org/x.png) [x](javascript:x) | `a` | @team @org/team #12 ~~x~~ </details>",
    "long": f"{MARK}{'x' * 5000}",
    "half a pair": f"{MARK}\ud800\udcff",
}
CODES = tuple(range(5))
_CHARACTERS = "<script>|<img |</svg>"
IN_MARKDOWN = re.compile(
    rf"{_CHARACTERS}|(?<![\\`\w])@(?=team|org)|(?<!\\)!\[|(?<!\\)\]\((?:https|javascript)|</details>", re.IGNORECASE
)
"""What a comment on a pull request would obey: elements, mentions, images and links."""
IN_PAGE = re.compile(r"<script>alert|<img src=x|</td></svg>|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e\u2066\u2028]", re.IGNORECASE)
"""What a page would obey."""


def prepare(folder: Path) -> None:
    """Write the hostile files."""
    for number, text in enumerate(HOSTILE.values()):
        _prepare(folder / str(number), text)


def _prepare(place: Path, text: str) -> None:
    place.mkdir()
    for name, content in _results(text).items():
        (place / name).write_text(content, encoding="utf-8", errors="surrogatepass" if name.endswith(".py") else "replace")
    for folder in ("scenarios", "failing", "project", "commands"):
        (place / folder).mkdir()
    literal = repr(text)
    hostile = (
        SCENARIO.replace('"Look a number up in a set."', literal)
        .replace('"a list"', literal)
        .replace('"is this number there?"', literal)
    )
    hostile = hostile.replace('"""Look a number up in a set."""', f"__doc__ = {literal}").replace(
        'f"number {n}"', f"f'{{n}} ' + {literal}"
    )
    hostile = hostile.replace('"twice as fast"', literal)
    (place / "scenarios" / "hostile.py").write_text(hostile)
    (place / "failing" / "raises.py").write_text(SCENARIO.replace("return case.args in instance", f"raise ValueError({literal})"))
    (place / "failing" / "import_.py").write_text(f"raise ValueError({literal})\n")
    review = {"title": text, "sections": text, "X1": text}
    (place / "scenarios" / "review.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in review.items()))
    key = json.dumps(text)
    (place / "project" / "pyproject.toml").write_text(f"[tool.harness]\n{key} = 1\n")
    (place / "commands" / "pyproject.toml").write_text('[tool.harness]\ncommands = "."\n')
    (place / "commands" / "serve.py").write_text(f"{literal}\nraise ValueError({literal})\n")


def _results(text: str) -> dict[str, str]:
    """Return files of other tools whose every text is hostile, by name."""
    stats = {**TIMES, "data": [0.9, 1.0, 1.1]}
    machine = {"node": text, "cpu": {"brand_raw": text}, "system": text, "python_version": text}
    commit = {"id": text, "branch": text, "time": text, "dirty": False}
    bench = {"name": text, "fullname": text, "group": text, "params": {text: text}, "extra_info": {text: text}, "stats": stats}
    pytest = {"machine_info": machine, "commit_info": commit, "benchmarks": [bench], "datetime": text, "version": text}
    slower = json.loads(json.dumps(pytest))
    slower["benchmarks"][0]["stats"] = {key: [9.0, 9.5, 9.9] if key == "data" else 9.0 for key in stats}
    timed = {
        "command": text,
        "mean": 1.0,
        "stddev": 0.1,
        "median": 1.0,
        "min": 0.9,
        "max": 1.1,
        "times": [0.9, 1.0, 1.1],
        "exit_codes": [0, 1, 0],
    }
    head = "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,Max Response Time"
    quoted = '"' + text.replace('"', '""') + '"'
    return {
        "pytest.json": json.dumps(pytest),
        "slower.json": json.dumps(slower),
        "other.json": json.dumps({**pytest, "benchmarks": [{**bench, "name": "b", "fullname": f"other {text}"}]}),
        "hyperfine.json": json.dumps({"results": [timed]}),
        "locust_stats.csv": f"{head}\r\nGET,{quoted},10,2,5,5,1,9\r\n,Aggregated,10,2,5,5,1,9\r\n",
        "unknown.txt": text,
        "broken.json": '{"a": ' + json.dumps(text),
        "preamble.json": f"{text}\n{{}}",
        "x.http": f"GET {text}\n",
        "x.har": json.dumps({"log": {"entries": [{"request": {"method": text, "url": text, "headers": []}}]}}),
        "x.json": json.dumps(
            {"openapi": "3.0.0", "servers": [{"url": "http://127.0.0.1:9"}], "paths": {f"/{text}": {"get": {"operationId": text}}}}
        ),
        "schema.json": json.dumps({"schema_version": 99, "harness_version": text}),
        "text.md": text,
    }


def attempts(folder: Path) -> Iterator[Attempt]:
    """Yield the commands that show each hostile text."""
    for number, (kind, text) in enumerate(HOSTILE.items()):
        place = str(folder / str(number))
        for words in (
            *(
                ["report", name, "--format", form]
                for name in ("pytest.json", "hyperfine.json", "locust_stats.csv")
                for form in ("terminal", "markdown", "json")
            ),
            ["report", "pytest.json", "--format", "terminal", "--all"],
            ["report", "pytest.json", "--out", "page"],
            ["compare", "pytest.json", "slower.json"],
            ["gate", "pytest.json", "slower.json", "--github"],
            ["gate", "pytest.json", "slower.json", "--junit", "g.xml", "--markdown", "g.md", "--html", "g.html"],
            ["gate", "pytest.json", "other.json", "--markdown", "-"],
            ["history", "pytest.json", "slower.json", "--out", "history"],
            *(["report", name] for name in ("unknown.txt", "broken.json", "preamble.json", "schema.json")),
            ["load", "x.http", "http://127.0.0.1:9"],
            ["load", "x.har"],
            ["load", "x.json"],
            ["list"],
            ["list", "--promises"],
            ["list", "--json"],
            ["list", "--scenarios", "failing"],
            ["run", text.replace("\0", "")[:200]],
            ["report", text[:200]],
            ["run", "--engine", text],
            ["explain", text],
            ["gate", "--against", text, "--", "pytest"],
            [text],
        ):
            yield Attempt(kind, " ".join(words)[:40], words, CODES, folder=place, is_quiet=False)
        yield Attempt(kind, "settings", ["list"], CODES, folder=f"{place}/project", is_quiet=False)
        yield Attempt(kind, "help with a project's command", ["--help"], CODES, folder=f"{place}/commands", is_quiet=False)
        yield Attempt(kind, "a project's command", ["serve"], CODES, folder=f"{place}/commands", is_quiet=False)
    for kind in ("colours and titles", "line breaks"):  # a run takes seconds
        place = str(folder / str(list(HOSTILE).index(kind)))
        for words in (
            ["run", "scenarios/hostile.py", "--processes", "0"],
            ["run", "failing/raises.py", "--processes", "0", "--all"],
        ):
            yield Attempt(kind, " ".join(words), words, CODES, folder=place, is_quiet=False)


@dataclass(frozen=True)
class Shown:
    """The effect of a hostile text on one output."""

    kind: str
    name: str
    problem: str
    is_shown: bool


def written(folder: Path) -> Iterator[Shown]:
    """Yield what is wrong with the files that were written: Markdown, JUnit XML and pages."""
    for number, kind in enumerate(HOSTILE):
        for name in ("g.md", "g.xml", "g.html", "page/report.html", "history/history.html"):
            file = folder / str(number) / name
            if file.is_file():
                body = file.read_text(encoding="utf-8")
                yield Shown(kind, name, judged(name, body), MARK in body)


def judged(name: str, body: str) -> str:
    """Return what a reader of a file would obey; empty if nothing."""
    if name.endswith(".md"):
        found = IN_MARKDOWN.search(body)
        return f"a comment obeys {found[0]!r}" if found else obeyed(body)
    if name.endswith(".xml"):
        try:
            ET.fromstring(body)  # noqa: S314 - written here
        except ET.ParseError as error:
            return f"not XML: {error}"
        return obeyed(body)
    found = IN_PAGE.search(body)
    return f"a page obeys {found[0]!r}" if found else ""


def run(effort: float) -> Section:
    """Try everything, or a part of it."""
    every = max(1, round(1 / effort))
    with tempfile.TemporaryDirectory(prefix="harness-hostile-") as name:
        folder = Path(name)
        prepare(folder)
        chosen = list(attempts(folder))[::every]
        outcomes = tried(chosen, folder)
        return section([*map(shown, chosen, outcomes), *written(folder)])


def shown(attempt: Attempt, outcome: TriedOutcome) -> Shown:
    """Return what became of the text in a command's output."""
    return Shown(attempt.kind, attempt.name, problem(attempt, outcome), MARK in outcome.out + outcome.err)


def section(found: Sequence[Shown]) -> Section:
    """Return the section."""
    rows = []
    for kind in dict.fromkeys(each.kind for each in found):
        of_kind = [each for each in found if each.kind == kind]
        rows.append([kind, f"{len(of_kind)}", f"{sum(e.is_shown for e in of_kind)}", f"{sum(bool(e.problem) for e in of_kind)}"])
    wrong = [each for each in found if each.problem]
    return Section(
        TITLE,
        _TEXT,
        [SectionTable("Texts", ("text", "outputs", "that show it", "obeyed"), rows)],
        [
            Requirement(
                f"outputs that a terminal, a log, a comment or a page obeys: {len(wrong)} of {len(found)}",
                bool(found) and not wrong,
            )
        ],
        [note(each.kind, each.name, each.problem) for each in wrong],
    )


_TEXT = (
    "Result files, scenarios, settings, names of files and arguments in which every text is hostile: escape sequences,"
    " C1 bytes, carriage returns, commands of GitHub Actions, Azure Pipelines, TeamCity and GitLab, characters that reverse or hide"
    " text, elements of HTML, images, links and mentions of Markdown, very long words, and half surrogate pairs. They are given to"
    " the commands; what these print, and the Markdown, JUnit XML and pages that they write, is searched for all that is obeyed."
)
