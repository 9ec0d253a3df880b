"""Is a wrong option, argument, file, address or setting refused in one line? Several hundred are tried over all commands.

Alone: `python -m tools.chaos --only usage_errors`, some minutes.
"""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import cli
from tools.chaos.commands_tried import LIMIT_S, PYTEST, ROOT, Attempt, TriedOutcome, note, problem, tried
from tools.section import Requirement, Section, SectionTable

TITLE = "Is every wrong option, argument, file, address and setting refused in one line?"

SCENARIO = '''\
"""Membership tests."""

from harness import Case, Group, Promise, Scenario, speedup, times


class Membership(Scenario):
    """Look a number up in a set."""

    arms = {"baseline": "a list", "optimised": "a set"}
    groups = (Group("lookup", "is this number there?"),)
    promises = (Promise("X1", "twice as fast", times(2), speedup("lookup")),)

    def cases(self, setting):
        return [Case("lookup", f"number {n}", n) for n in range(90, 100)]

    def open(self, arm, setting):
        return list(range(100)) if arm == "baseline" else set(range(100))

    def run(self, instance, case):
        return case.args in instance
'''
TIMES = {"min": 0.9, "max": 1.1, "mean": 1.0, "stddev": 0.1, "rounds": 3, "median": 1.0, "iqr": 0.1, "iterations": 1}
BENCHMARKS = {
    "machine_info": {},
    "commit_info": {},
    "benchmarks": [{"name": "test_a", "fullname": "t.py::test_a", "stats": {**TIMES, "data": [0.9, 1.0, 1.1]}}],
    "datetime": "2026-01-05T10:22:11",
    "version": "5.0.0",
}
STORED = '''\
"""Rows of a database, and a cache."""

from contextlib import contextmanager

from harness import Case, Group, Promise, Scenario, speedup, times
from harness.servers.lifecycle import with_cache


class Stored(Scenario):
    """Ask a database and a cache."""

    engines = ("ENGINE",)
    arms = {"baseline": "one", "optimised": "another"}
    groups = (Group("ask", "a question"),)
    promises = (Promise("X1", "twice as fast", times(2), speedup("ask")),)

    def cases(self, setting):
        return [Case("ask", "one", 1)]

    @contextmanager
    def open(self, arm, setting):
        with with_cache(setting):
            yield 1

    def run(self, instance, case):
        return 1
'''
PYTEST_TRIES = {0, 3, 10, 12, 20, 26, 32}
"""Places of the settings that are tried with pytest as well, which takes a second each."""
GOOD, BASE = "scenarios/good.py", "base.json"
LONG_NAME, LONG_PATH = "x" * 300, "y/" * 3000
DIGITS = "9" * 5000
NO_NUMBERS = {
    "empty": "",
    "blank": " ",
    "below zero": "-1",
    "not a number": "nan",
    "infinite": "inf",
    "too large": "1e400",
    "5,000 digits": DIGITS,
    "other digits": "\u0661\u0662",
    "underscores": "1_000",
    "no text": "\udcff",
    "control characters": "1\x1b]0;title\x07",
    "two lines": "1\n::error::x",
    "a word": "many",
}
"""Texts that are none of the values of options with a range."""
NO_PATHS = {"empty": "", "name of 300": LONG_NAME, "path of 6,000": LONG_PATH}
NO_FILES = {
    **NO_PATHS,
    "missing": "no-such-file",
    "below a file": f"{BASE}/x",
    "device": "/dev/zero",
    "pipe": "pipe",
    "dangling link": "dangling",
    "link to itself": "loop",
    "empty file": "empty.json",
    "binary": "binary.json",
    "no text": "undecoded-\udcff",
    "control characters": "no\x1b[31m\nfile",
}
"""Paths of nothing that a command can read."""
LOOSE = {"--out", "--scenarios", "--junit", "--markdown", "--html", "--folder", "--resume", "--slow-log"}
"""Options with a path, which are tried with paths."""
FREE = {"--arms", "--ignore", "--as", "--name", "--regressed-on-purpose"}
"""Options with names of the user's choice, in which few texts are wrong."""


def prepare(folder: Path) -> None:
    """Write the files that attempts name."""
    scenarios = folder / "scenarios"
    for name in ("scenarios", "folder", "bad"):
        (folder / name).mkdir()
    (scenarios / "good.py").write_text(SCENARIO)
    for engine in ("postgres", "sqlite"):
        (folder / f"on_{engine}.py").write_text(STORED.replace("ENGINE", engine))
    (folder / "text.md").write_text("A comment.\n")
    (folder / BASE).write_text(json.dumps(BENCHMARKS))
    (folder / "empty.json").touch()
    (folder / "binary.json").write_bytes(bytes(range(256)))
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "full").symlink_to("/dev/full")
    os.mkfifo(folder / "pipe")
    for name, content in _no_scenarios().items():
        (folder / "bad" / name).write_bytes(content)
    os.mkfifo(folder / "bad" / "pipe.py")
    (folder / "bad" / "dangling.py").symlink_to("nowhere.py")
    (folder / "bad" / "folder.py").mkdir()
    for number, (_, text) in enumerate(_no_settings()):
        (folder / f"project{number}").mkdir()
        (folder / f"project{number}" / "pyproject.toml").write_bytes(text)
    (folder / "projects").mkdir()
    (folder / "projects" / "pyproject.toml").mkdir()


def _no_scenarios() -> dict[str, bytes]:
    """Return files without a valid scenario, by name."""
    packed = io.BytesIO()
    tarfile.open(fileobj=packed, mode="w:gz").close()
    code = SCENARIO.encode()
    return {
        "empty.py": b"",
        "nulls.py": code + b"\0\0",
        "syntax.py": code + b"\ndef :\n",
        "indent.py": b"if True:\nx = 1\n",
        "latin.py": "# \xe9\n".encode("latin-1") + code,
        "declared.py": b"# -*- coding: no-such-encoding -*-\n" + code,
        "utf16.py": SCENARIO.encode("utf-16"),
        "nested.py": b"x = " + b"(" * 5000 + b")" * 5000 + b"\n",
        "unclosed.py": b'"""never closed\n',
        "digits.py": b"x = " + DIGITS.encode() + b"\n",
        "packed.py": packed.getvalue(),
        "text.txt": b"no Python\n",
        "two words.py": code,
        "json.py": b"import json\n" + code.replace(b'"""Look', b'b"""Look'),
        "import.py": b"import no_such_module\n",
        "lone.py": b"raise ValueError('\\udcff\\ud800')\n",
        "escape.py": b"raise ValueError('\\x1b]0;title\\x07\\n::error::x')\n",
        "lines.py": b"raise ValueError('one\\ntwo\\nthree')\n",
        "deep.py": b"def f():\n    f()\nf()\n",
        "exits.py": b"import sys\nsys.exit(0)\n",
        "base.py": b"raise BaseException('base')\n",
        "group.py": b"raise ExceptionGroup('several', [ValueError('one'), KeyError('two')])\n",
        "os.py": code,
        "class.py": code.replace(b"(Scenario)", b""),
        "two.py": code + code.replace(b'"""Membership tests."""', b"").replace(b"class Membership", b"class Another"),
        "undescribed.py": code.replace(b'    """Look a number up in a set."""\n', b""),
        "arms.py": code.replace(b'"baseline": "a list", ', b""),
    }


def _no_settings() -> list[tuple[str, bytes]]:
    """Return files of settings that are wrong, with what is wrong."""
    tables = {
        "a number for the table": b"[tool]\nharness = 1\n",
        "a text for the table": b'[tool]\nharness = "x"\n',
        "a list for the table": b"[tool]\nharness = []\n",
        "an inline table": b'tool = {harness = {size = "huge"}}\n',
        "not TOML": b"[tool.harness\n",
        "binary": bytes(range(256)),
        "another encoding": "[tool.harness]\nsize = 'gr\xf6\xdfe'\n".encode("latin-1"),
        "5,000 digits": b"[tool.harness]\nbudget = " + DIGITS.encode() + b"\n",
        "an impossible date": b"[tool.harness]\nsize = 2026-02-31\n",
        "nested lists": b"[tool.harness]\nsize = " + b"[" * 5000 + b"]" * 5000 + b"\n",
    }
    values = {
        "scenarios": ("1", "[]", '""', '"missing"', '"../base.json"', f'"{LONG_NAME}"', '"a\\u0000b"', '"\\u001b[31m"'),
        "commands": ("true", '"missing"', "{}", f'"{LONG_NAME}"'),
        "engine": ("1", '"oracle"', '""', '["sqlite"]'),
        "size": ("1", '"huge"', '""', '"tiny\\n::error::x"'),
        "budget": ("-1", "0", "nan", "inf", "true", "[]", '"soon"', '""', "1e400", '"5000d"', "2026-01-01"),
        "gate": ("1", "[]", "{other = 1}", "{tolerances = 1}", "{tolerances = {a = 1}}", '{tolerances = {"a.b" = -1}}'),
        "colour": ('"red"',),
        '"\\u001b[31m"': ("1",),
    }
    named = [(f"{key} = {value[:30]}", f"[tool.harness]\n{key} = {value}\n") for key in values for value in values[key]]
    nonfinite = [(f"a tolerance of {x}", f'[tool.harness.gate.tolerances]\n"a.b" = {x}\n') for x in ("nan", "inf", "true", '"x"')]
    return [*tables.items(), *((name, text.encode()) for name, text in (*named, *nonfinite))]


def attempts() -> list[Attempt]:
    """Return what is tried."""
    return [*_options(), *_arguments(), *_paths(), *_written(), *_scenario_files(), *_settings(), *_addresses(), *_environments()]


def _options() -> Iterator[Attempt]:
    """Yield every option of every command with values out of its range."""
    seen = set[str]()
    for command, parser in _commands():
        for action in parser._actions:  # noqa: SLF001 - the parser that every command line is read with
            flag = next((text for text in action.option_strings if text.startswith("--")), "")
            takes = flag and action.nargs is None and not isinstance(action, argparse._HelpAction | argparse._StoreConstAction)  # noqa: SLF001 - the parser that every command line is read with
            if not takes or flag in FREE or flag in LOOSE or (action.type in {None, str} and action.choices is None):
                continue
            is_first = flag not in seen
            seen.add(flag)
            for name, text in NO_NUMBERS.items():
                if is_first or name in {"empty", "5,000 digits"}:  # the same option of another command has the same converter
                    yield Attempt("options", f"{' '.join(command)} {flag}: {name}", [*command, f"{flag}={text}"])
    for command in (["run"], ["run", "--seed", "1"], ["gate"], ["data", "prune"]):
        for word in ("--no-such-option", "--se", "-x", "--quick=1", "--\x1b[31m", "--\udcff", f"--{LONG_NAME}"):
            yield Attempt("options", f"{' '.join(command)} {word[:20]!r}", [*command, word])
    yield Attempt("options", "no command", [])
    yield Attempt("options", "unknown command", ["rum"])
    yield Attempt("options", "a command of control characters", ["\x1b[31m"])
    yield Attempt("options", "a value is missing", ["run", "--seed"])
    yield Attempt("options", "two that exclude each other", ["load", GOOD, "--rate", "5", "--users", "5"])
    yield Attempt("options", "two formats", ["report", BASE, "--json", "--format", "html"])


def _commands() -> list[tuple[list[str], argparse.ArgumentParser]]:
    """Return every command and action with its parser."""
    found: list[tuple[list[str], argparse.ArgumentParser]] = []
    left: list[tuple[list[str], argparse.ArgumentParser]] = [([], cli._parser())]  # noqa: SLF001 - the parser that every command line is read with
    while left:
        words, parser = left.pop(0)
        groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 - the parser that every command line is read with
        left += [([*words, name], inner) for group in groups for name, inner in group.choices.items()]
        found += [] if groups else [(words, parser)]
    return found


def _arguments() -> Iterator[Attempt]:
    """Yield options whose values are judged by their command, and arguments that do not fit together."""
    load, run = ["load", GOOD], ["run", GOOD]
    rates = (
        "0",
        "-5",
        "abc",
        "",
        "poisson:",
        "poisson:nan",
        "ramp:1",
        "ramp:5..x",
        "steps:",
        "steps:1,,2",
        "1e400",
        DIGITS,
        "nan",
        "inf",
    )
    for rate in (
        *rates,
        "replay:",
        "replay:no-such-file",
        "replay:pipe",
        "replay:/dev/zero",
        "replay:folder",
        "replay:binary.json",
        "\x1b",
    ):
        yield Attempt("arguments", f"load --rate {rate[:20]!r}", [*load, f"--rate={rate}"])
    slos = (
        "",
        "p95",
        "p95 < ",
        "p95 < -1ms",
        "p101 < 5ms",
        "p95 < nan",
        "errors < 200%",
        "p95 < 5ms,, mean < 1s",
        DIGITS,
        "\x1b",
        "p95 < " + DIGITS,
    )
    for slo in slos:
        yield Attempt("arguments", f"capacity --slo {slo[:20]!r}", ["capacity", GOOD, f"--slo={slo}"])
    capacity = ["capacity", GOOD, "--slo", "p95 < 1s"]
    for words in (
        [*load, "--arms", "no-such-arm"],
        [*load, "--arms", ""],
        [*load, "--arms", "a,,b"],
        [*load, "--arms", "\udcff"],
        [*load, "--method", "GET"],
        [*load, "--header", "A: b"],
        [*load, "--body", "x"],
        [*load, "--compare", "5"],
        [*load, "another"],
        [*capacity, "--arms", "no-such-arm"],
        [*capacity, "--budget", "1s", "--step", "2s"],
        [*capacity, "--kind", "both"],
        ["ablate", GOOD],
        [*run, "--plant", "0%"],
        [*run, "no-such-scenario"],
        ["run", ""],
        ["run", "\udcff"],
        ["run", "a\nb"],
        ["gate"],
        ["gate", BASE],
        ["gate", BASE, BASE, BASE],
        ["gate", BASE, BASE, "--only", "no-such-name"],
        ["gate", BASE, BASE, "--only", ""],
        ["gate", BASE, BASE, "--except", "*"],
        ["gate", BASE, BASE, "--out", "x"],
        ["gate", BASE, BASE, "--resume", "folder"],
        ["gate", BASE, BASE, "--explain", "x"],
        ["gate", "--against", "", "--", "pytest"],
        ["gate", "--against", "HEAD", "--drift", "3%"],
        ["gate", "--against", "HEAD"],
        ["gate", "--against", "HEAD", "--out", "x", "--resume", "y"],
        ["compare", BASE, BASE, "--only", "["],
        ["report", BASE, "--all"],
        ["report", BASE, "--format", "pdf"],
        ["history", BASE, "--only", "no-such-name"],
        ["baseline", "accept", BASE],
        ["baseline", "accept", BASE, "--as", ""],
        ["baseline", "accept", BASE, "--as", "../x"],
        ["baseline", "accept", BASE, "--as", LONG_NAME],
        ["baseline", "accept", BASE, "--regressed-on-purpose", " "],
        ["explain", "no-such-name"],
        ["explain", "\x1b[31m"],
        ["comment", BASE, "--name", ""],
        ["comment", BASE, "--name", "-->"],
        ["init", "--template", "x"],
        ["init", "--ci", "x"],
        ["data", "prune", "--all", "--max-size", "1GB"],
        ["completion", "tcsh"],
        ["network", "--rtt", "1,,2"],
        ["network", "--rtt", DIGITS],
    ):
        yield Attempt("arguments", " ".join(words)[:60], words)
    url = "http://127.0.0.1:9"
    targets = (
        "http://",
        "http://:80",
        "http://[::1",
        "http://h:99999",
        "http://h:x",
        "http://u@p@h",
        "ftp://h",
        "h:80",
        "http://a b",
        "http://\udcff",
    )
    for target in (*targets, "https://127.0.0.1:9", "http://192.0.2.1", "http://example.org", "http://" + "x" * 6000, url):
        yield Attempt("arguments", f"load {target[:30]!r}", ["load", target])
    for words in (
        ["--method", ""],
        ["--method", "GE T"],
        ["--method", "G\nET"],
        ["--header", ""],
        ["--header", "A"],
        ["--header", "A: b\r\nC: d"],
        ["--header", "\xe9: b"],
        ["--body", "@no-such-file"],
        ["--body", "@pipe"],
        ["--body", "@/dev/zero"],
        ["--body", "@"],
        ["--values", ""],
        ["--values", "id"],
        ["--values", "id=1..x"],
        ["--values", f"id=1..{DIGITS}"],
        ["--values", "id=@no-such-file"],
        ["--values", "id=@pipe"],
        ["--values", "other=1"],
        ["--ignore", "a,,b"],
        ["--compare", "1001"],
    ):
        yield Attempt("arguments", f"load URL {' '.join(words)[:30]!r}", ["load", f"{url}/{{id}}", *words])


def _paths() -> Iterator[Attempt]:
    """Yield every argument that is a file with paths of none."""
    for name, path in NO_FILES.items():
        for words in (
            ["report", path],
            ["compare", BASE, path],
            ["gate", path, BASE],
            ["history", path],
            ["baseline", "accept", path],
            ["comment", path],
            ["run", path],
            ["load", path],
            ["load", path, "http://127.0.0.1:9"],
            ["init", path],
        ):
            if words[0] != "comment" or name not in {"empty file", "binary"} or name == "binary":
                yield Attempt("paths", f"{' '.join(words)[:20]}: {name}", words)
    for words in (
        ["report", "folder"],
        ["gate", "folder", BASE],
        ["history", "folder"],
        ["comment", "folder"],
        ["run", "folder"],
        ["load", "folder"],
    ):
        yield Attempt("paths", f"{words[0]}: a folder without a run", words)
    yield Attempt("paths", "init: a file", ["init", BASE])
    for name, path in {
        **NO_PATHS,
        "missing": "no-such-folder",
        "device": "/dev/null",
        "pipe": "pipe",
        "dangling link": "dangling",
    }.items():
        yield Attempt("paths", f"run --scenarios: {name}", ["run", f"--scenarios={path}"])
        yield Attempt("paths", f"list --scenarios: {name}", ["list", f"--scenarios={path}"])


def _written() -> Iterator[Attempt]:
    """Yield outputs that cannot be written."""
    places = {
        **NO_PATHS,
        "below a file": f"{BASE}/x",
        "below a device": "/dev/null/x",
        "dangling link": "dangling/x",
        "link to itself": "loop/x",
    }
    for name, path in places.items():
        for words in (
            ["run", GOOD, "--processes", "0", f"--out={path}"],
            ["report", BASE, f"--out={path}"],
            ["compare", BASE, BASE, f"--out={path}"],
            ["history", BASE, f"--out={path}"],
            ["gate", BASE, BASE, f"--junit={path}"],
            ["gate", BASE, BASE, f"--markdown={path}"],
            ["gate", BASE, BASE, f"--html={path}"],
        ):
            quiet = words[0] != "compare"  # its table is printed first, and kept
            yield Attempt("outputs", f"{words[0]} {words[-1].partition('=')[0]}: {name}", words, is_quiet=quiet)
    for flag in ("--junit", "--markdown", "--html"):
        for name, path in {"a folder": "folder", "a full device": "full", "a pipe without a reader": "pipe"}.items():
            yield Attempt("outputs", f"gate {flag}: {name}", ["gate", BASE, BASE, flag, path])


def _scenario_files() -> Iterator[Attempt]:
    """Yield files without a valid scenario."""
    names = sorted([*_no_scenarios(), "pipe.py", "dangling.py", "folder.py", "missing.py"])
    for name in names:
        for command in ("run", "load") if name not in {"deep.py", "nested.py"} else ("run",):
            yield Attempt("scenario files", f"{command} {name}", [command, f"bad/{name}"])
    yield Attempt("scenario files", "list: a folder with some", ["list", "--scenarios", "bad"])


def _settings() -> Iterator[Attempt]:
    """Yield settings of projects that are wrong."""
    for number, (name, text) in enumerate(_no_settings()):
        commands = b"commands" in text
        yield Attempt("settings", f"run: {name}", ["no-such-command"] if commands else ["run"], folder=f"project{number}")
        if number in PYTEST_TRIES:
            yield _of_pytest("settings", f"pytest: {name}", [], f"project{number}")
    for words in (["--harness-seed=-1"], ["--harness-rtt=nan"], [f"--harness-budget={DIGITS}"], ["--harness-scenarios="]):
        yield _of_pytest("options", f"pytest {words[0][:30]}", words)
    for words in ([f"--harness-scenarios={LONG_NAME}"], ["--harness-engine=\x1b[31m"], ["--harness-size=huge"]):
        yield _of_pytest("options", f"pytest {words[0][:30]!r}", words)


def _of_pytest(kind: str, name: str, words: Sequence[str], folder: str = "") -> Attempt:
    """Return an attempt of pytest with the plugin, whose exit code for wrong usage is 4."""
    plain = ["-q", "-p", "no:cacheprovider", "-p", "harness.pytest_plugin", "--rootdir=.", *words]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return Attempt(kind, name, plain, (4,), environment, folder, PYTEST, is_quiet=False)


def _addresses() -> Iterator[Attempt]:
    """Yield addresses of servers that cannot be used."""
    wrong = {
        "empty user": "://:x@127.0.0.1:1/d",
        "unescaped @": "://u:p@ss@127.0.0.1:1/d",
        "unescaped /": "://u:p/ss@127.0.0.1:1/d",
        "no host": "://u:p@/d",
        "port of letters": "://u:p@127.0.0.1:port/d",
        "port too large": "://u:p@127.0.0.1:99999/d",
        "port of 5,000 digits": f"://u:p@127.0.0.1:{DIGITS}/d",
        "a space": "://u:p p@127.0.0.1:1/d",
        "a line break": "://u:p@127.0.0.1:1/d\n",
        "control characters": "://u:p@127.0.0.1:1/\x1b[31m",
        "IPv6 without brackets": "://u:p@::1:1/d",
        "half a bracket": "://u:p@[::1/d",
        "two hosts": "://u:p@127.0.0.1,127.0.0.2/d",
        "another machine": "://u:p@192.0.2.1:1/d",
        "host in the query": "://u:p@127.0.0.1:1/d?host=192.0.2.1",
        "unknown option": "://u:p@127.0.0.1:1/d?colour=red",
        "no server": "://u:p@127.0.0.1:9/d",
        "a bad escape": "://u:p%zz@127.0.0.1:1/d",
        "no text": "://u:\udcff@127.0.0.1:1/d",
        "long": f"://u:{'p' * 6000}@127.0.0.1:1/d",
    }
    others = {
        "a word": "x",
        "another database": "mysql://u:p@127.0.0.1/d",
        "unknown driver": "postgresql+pg8000://u:p@127.0.0.1:1/d",
        "digits": DIGITS,
    }
    postgres, redis = ["data", "load", "--engine", "postgres", "--size", "tiny"], ["serve", "--size", "tiny"]
    here = str(ROOT)  # these are commands of this project, and start a server at once; what follows are commands of the harness
    for engine, variable in (("postgres", "HARNESS_POSTGRES_URL"), ("sqlite", "HARNESS_REDIS_URL")):
        words, environment = ["run", f"on_{engine}.py", "--processes", "0"], {variable: "postgresql://u:p@ss@127.0.0.1:1/d"}
        yield Attempt("addresses", f"{variable} in a run", words, environment=environment, is_quiet=False)
    for name, rest in wrong.items():
        yield Attempt(
            "addresses", f"PostgreSQL: {name}", postgres, environment={"HARNESS_POSTGRES_URL": f"postgresql{rest}"}, folder=here
        )
        yield Attempt(
            "addresses",
            f"Redis: {name}",
            redis,
            environment={"HARNESS_REDIS_URL": f"redis{rest.replace('/d', '/0')}"},
            is_quiet=False,
        )
    for name, url in others.items():
        yield Attempt("addresses", f"PostgreSQL: {name}", postgres, environment={"HARNESS_POSTGRES_URL": url}, folder=here)
        yield Attempt("addresses", f"Redis: {name}", redis, environment={"HARNESS_REDIS_URL": url}, folder=here)


def _environments() -> Iterator[Attempt]:
    """Yield variables of the environment that are wrong, and settings of the terminal, which are never wrong."""
    sizes = ("", "abc", "-1", "nan", DIGITS, "1e400", "\u0661", "\x1b[31m", "10 XB")
    for size in sizes[1:]:
        yield Attempt(
            "environment", f"HARNESS_CACHE_SIZE={size[:20]!r}", ["data", "list"], environment={"HARNESS_CACHE_SIZE": size}
        )
    for name, path in {
        "a file": BASE,
        "a device": "/dev/null",
        "a pipe": "pipe",
        "a name of 300": LONG_NAME,
    }.items():
        if path:
            yield Attempt("environment", f"HARNESS_CACHE: {name}", ["data", "list"], environment={"HARNESS_CACHE": path})
    for name, value in {
        "a folder": "folder",
        "a full device": "full",
        "below a file": f"{BASE}/x",
        "a name of 300": LONG_NAME,
    }.items():
        words = ["gate", BASE, BASE, "--github"]
        yield Attempt(
            "environment", f"GITHUB_STEP_SUMMARY: {name}", words, environment={"GITHUB_STEP_SUMMARY": value}, is_quiet=False
        )
    job = {"GITHUB_REF": "refs/pull/5/merge", "GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "a/b"}
    for name, changed in {
        "no token": {"GITHUB_TOKEN": ""},
        "no address": {"GITHUB_API_URL": ""},
        "a file as address": {"GITHUB_API_URL": "file:///etc/passwd"},
        "an address of control characters": {"GITHUB_API_URL": "http://127.0.0.1:9/\x1b[31m"},
        "an address without a host": {"GITHUB_API_URL": "http://"},
        "an address with a bad port": {"GITHUB_API_URL": "http://127.0.0.1:x"},
        "an address that is not text": {"GITHUB_API_URL": "http://127.0.0.1:9/\udcff"},
        "a token of two lines": {"GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_TOKEN": "a\r\nX: y"},
        "a token that is not Latin": {"GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_TOKEN": "\u2603"},
        "no answer": {"GITHUB_API_URL": "http://127.0.0.1:9"},
    }.items():
        yield Attempt("environment", f"comment: {name}", ["comment", "text.md"], environment={**job, **changed})
    for name, value in (
        ("COLUMNS", "1"),
        ("COLUMNS", "abc"),
        ("COLUMNS", "0"),
        ("COLUMNS", "-5"),
        ("COLUMNS", DIGITS),
        ("LINES", "x"),
        ("LINES", DIGITS),
        ("COLUMNS", "²"),
        ("TERM", "dumb"),
        ("TERM", "\x1b"),
        ("LANG", "C"),
        ("LC_ALL", "xx_YY"),
        ("TZ", "Mars"),
        ("NO_COLOR", "x"),
        ("HARNESS_ALLOW_REMOTE", "\x1b"),
        ("HOME", "/nonexistent"),
        ("XDG_CACHE_HOME", "relative"),
    ):
        for words in (["report", BASE, "--format", "terminal"], ["--help"], ["explain"]):
            yield Attempt("terminal", f"{words[0]} with {name}={value[:20]!r}", words, (0,), {name: value}, is_quiet=False)


REDIRECTED = (
    ("> /dev/full", (2,)),
    (">&-", (2,)),
    ("| head -c 1 > /dev/null", (0, 2)),
    ("2>&-", (0,)),
    ("> /dev/full 2>&-", (2,)),
    (">&- 2>&-", (2,)),
    ("<&-", (0,)),
)
"""Redirections of a command that succeeds, and the right exit codes."""
OPTIONS = (["-O"], ["-OO"], ["-W", "error"], ["-X", "dev"], ["-b", "-b"], ["-I"], ["-X", "utf8=0"])
"""Options of the interpreter."""


def real(folder: Path, every: int = 1) -> list[tuple[Attempt, TriedOutcome]]:
    """Return every nth of the attempts, as real commands, with its outcome."""
    return [(attempt, _real(command, folder)) for attempt, command in list(_commands_of_a_shell())[::every]]


def _commands_of_a_shell() -> Iterator[tuple[Attempt, list[str]]]:
    """Yield attempts with outputs of the shell, and with options of the interpreter, each with its command."""
    shown = ["report", BASE, "--format", "terminal"]
    for words in (shown, ["explain", "--markdown"], ["--help"], ["report", BASE, "--json"]):
        for redirection, codes in REDIRECTED:
            script = f'"$0" -m harness "$@" {redirection}' + ("; exit ${PIPESTATUS[0]}" if "|" in redirection else "")
            attempt = Attempt("streams", f"{' '.join(words)} {redirection}", words, codes, is_quiet=False)
            yield attempt, ["bash", "-c", script, sys.executable, *words]
    for options in OPTIONS:
        start = [str(ROOT / "harness" / "__main__.py")] if "-I" in options else ["-m", "harness"]
        for words, code in ((["run", "--seed", "x"], 2), (["report", "missing"], 2), (shown, 0), (["list"], 0)):
            attempt = Attempt("interpreter", f"{' '.join(options)}: {' '.join(words)}", words, (code,), is_quiet=code != 0)
            yield attempt, [sys.executable, *options, *start, *words]


def _real(command: Sequence[str], folder: Path) -> TriedOutcome:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "GITHUB_", "CI_", "COLUMNS"))
    }
    environment["PYTHONPATH"] = str(ROOT)
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return TriedOutcome(None, out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape"))
    return TriedOutcome(process.returncode, out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape"))


def run(effort: float) -> Section:
    """Try everything, or a part of it."""
    every = max(1, round(1 / effort))
    with tempfile.TemporaryDirectory(prefix="harness-usage-") as folder:
        place = Path(folder)
        prepare(place)
        chosen = attempts()[::every]
        found = list(zip(chosen, tried(chosen, place), strict=True)) + real(place, every)
    return section(found)


def section(found: Sequence[tuple[Attempt, TriedOutcome]]) -> Section:
    """Return the section."""
    problems = [(attempt, problem(attempt, outcome)) for attempt, outcome in found]
    rows = []
    for kind in dict.fromkeys(attempt.kind for attempt, _ in found):
        of_kind = [what for attempt, what in problems if attempt.kind == kind]
        slowest = max(outcome.seconds for attempt, outcome in found if attempt.kind == kind)
        rows.append([kind, f"{len(of_kind)}", f"{sum(not what for what in of_kind)}", f"{slowest:.1f}"])
    wrong = [(attempt, what) for attempt, what in problems if what]
    bugs = sum(what in {"traceback", "internal error"} for _, what in wrong)
    return Section(
        TITLE,
        _TEXT,
        [SectionTable("Attempts", ("kind", "tried", "right", "slowest, in s"), rows)],
        [
            Requirement(
                f"one line and the documented exit code: {len(found) - len(wrong)} of {len(found)}", bool(found) and not wrong
            ),
            Requirement(f"a traceback or an internal error: {bugs} of {len(found)}", bool(found) and not bugs),
        ],
        [note(attempt.kind, attempt.name, what) for attempt, what in wrong],
    )


_TEXT = (
    "Every option of every command gets texts that are not in its range: empty, no numbers, 5,000 digits, other digits, control"
    " characters, undecodable bytes. Every argument that is a file gets paths of none, every output a place that cannot be"
    " written. Scenario files, settings of a project, addresses of servers and variables of the environment are wrong in every way"
    " that is known. Right is the documented exit code (2; of pytest 4; settings of a terminal are never wrong), one line on"
    " standard error, no traceback, and nothing that a terminal or the log of a CI service obeys."
)
