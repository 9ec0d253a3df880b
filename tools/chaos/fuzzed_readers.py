"""Does any damaged or made-up file crash a reader? Mutations of real files, for a fixed time per reader.

Alone: `python -m tools.chaos --only fuzzed_readers`, some minutes: `SECONDS` per reader, in a process with a
limit of memory, and of time per file. Mutations cut, repeat, splice and flip bytes, and replace, remove and repeat the members of
JSON and the words of other text. Inputs that lead to a new answer are kept, and mutated further.
"""

import contextlib
import gzip
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from harness import configuration, importers
from harness.errors import HarnessError
from harness.gate.against import gate_folder
from harness.gate.result_files import FileRules, side_by_side
from harness.load import arrivals
from harness.report import markdown, overview, terminal
from harness.results import store
from harness.targets import building, plan
from tools.chaos.commands_tried import ROOT, obeyed
from tools.section import Requirement, Section, SectionTable

TITLE = "Does a damaged or made-up file crash a reader?"

SECONDS = 12.0
"""Time per reader."""
LIMIT_S = 10.0
"""Seconds that one file may take, on a machine that is busy."""
MEMORY_BYTES = 3 * 2**30
MOST_BYTES = 200_000
"""Ten of these are the most that a mutation has, and that a run has which is mutated."""
FIXTURES = (ROOT / "tests" / "harness" / "importers" / "fixtures", ROOT / "tests" / "cases" / "files")
URL = "http://127.0.0.1:9"


def _shown(path: Path) -> None:
    """Read a result as `harness report` does, and write it in every form of text; check that none controls a terminal."""
    run = importers.read(path)
    blocks = overview.full(run)
    for text in (terminal.write(overview.brief(run, speeds=True), 80), markdown.write(blocks, markdown.MOST)):
        if isinstance(text, str) and (what := obeyed(text)):
            raise AssertionError(what)


def _compared(path: Path) -> None:
    found = importers.reading(path)
    side_by_side(found, found, FileRules())


HAR = {
    "log": {
        "entries": [
            {
                "startedDateTime": "2026-01-05T10:22:11.000Z",
                "request": {
                    "method": "POST",
                    "url": f"{URL}/a?b=c",
                    "headers": [{"name": "Accept", "value": "*/*"}],
                    "postData": {"mimeType": "application/json", "text": '{"a": 1}'},
                },
                "response": {"status": 200, "content": {"mimeType": "application/json"}},
            }
        ]
    }
}
OPENAPI = {
    "openapi": "3.0.3",
    "servers": [{"url": URL}],
    "paths": {
        "/items/{id}": {
            "get": {
                "operationId": "item",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": 9}},
                    {"name": "q", "in": "query", "schema": {"$ref": "#/components/schemas/Word"}, "example": "red"},
                ],
                "responses": {"200": {"description": "ok"}},
            }
        }
    },
    "components": {"schemas": {"Word": {"type": "string", "enum": ["red", "green"]}}},
}
REQUESTS = 'GET /a\nPOST /b\nContent-Type: application/json\n\n{"a": 1}\n\n###\nGET http://127.0.0.1:9/c?d=1\n'
YAML = "openapi: 3.0.3\nservers:\n  - url: http://127.0.0.1:9\npaths:\n  /a: &a\n    get: {operationId: a}\n  /b: *a\n"
PLAN = {
    "type": "HttpPlan",
    "name": "x",
    "title": "x",
    "arms": {"baseline": {"url": URL, "host": "127.0.0.1", "port": 9, "requests": []}},
    "values": {},
}
SETTINGS = """\
[tool.harness]
scenarios = "bench"
engine = "sqlite"
size = "tiny"
budget = "30s"
[tool.harness.gate.tolerances]
"a.b" = 0.02
"""
SAMPLES = ",".join(store.SAMPLE_COLUMNS) + '\r\n0,1,2,baseline,lookup,3,1500\r\n0,1,2,optimised,"a, b",3,900\r\n'
HISTOGRAMS = ",".join(store.HISTOGRAM_COLUMNS) + "\r\n0,1,2,baseline,lookup,response,1500,3\r\n"
TRACE = "0\n0.001\n0.5\n1.25\n"
REQUEST = {"against": "a" * 40, "candidate": "x", "arguments": ["all"], "options": {"--margin": "3.000%"}}


def _files(*suffixes: str) -> list[bytes]:
    found = [file for folder in FIXTURES if folder.is_dir() for file in sorted(folder.iterdir()) if file.suffix in suffixes]
    return [file.read_bytes() for file in found]


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


@dataclass(frozen=True)
class FuzzedReader:
    """A function that reads a file, and what it reads in usual times."""

    name: str
    read: Callable[[Path], object]
    file: str
    """The name of the file."""
    seeds: Callable[[], Sequence[bytes]]


def _runs() -> list[bytes]:
    found = [gzip.decompress(file.read_bytes()) for file in sorted((ROOT / "tests").rglob("*run.json.gz"))]
    return [body for body in found if len(body) <= 10 * MOST_BYTES]


READERS = (
    FuzzedReader("result files of other tools, shown", _shown, "file", lambda: _files(".json", ".csv", ".js", ".ndjson", ".txt")),
    FuzzedReader("result files of other tools, compared", _compared, "file", lambda: _files(".json", ".csv", ".js", ".ndjson")),
    FuzzedReader("run.json, load.json and baselines", _shown, "run.json", _runs),
    FuzzedReader("raw samples", store.read_samples, "samples.csv", lambda: [SAMPLES.encode()]),
    FuzzedReader("histograms", store.read_histograms, "histograms.csv", lambda: [HISTOGRAMS.encode()]),
    FuzzedReader("HAR", lambda path: building.of_file(path, [], building.RequestOptions()), "x.har", lambda: [_json(HAR)]),
    FuzzedReader(
        "OpenAPI",
        lambda path: building.of_file(path, [URL], building.RequestOptions()),
        "x.json",
        lambda: [_json(OPENAPI), YAML.encode()],
    ),
    FuzzedReader(
        "files of requests",
        lambda path: building.of_file(path, [URL], building.RequestOptions()),
        "x.http",
        lambda: [REQUESTS.encode()],
    ),
    FuzzedReader("plans of targets", plan.read, "x.target.json", lambda: [_json(PLAN)]),
    FuzzedReader(
        "review.toml",
        lambda path: store.read_review(path.parent),
        "review.toml",
        lambda: [(ROOT / "scenarios" / "review.toml").read_bytes()],
    ),
    FuzzedReader("[tool.harness]", configuration.read, "pyproject.toml", lambda: [SETTINGS.encode()]),
    FuzzedReader("replayed arrivals", arrivals.read_trace, "trace.csv", lambda: [TRACE.encode()]),
    FuzzedReader("folders of gates", gate_folder._request, "request.json", lambda: [_json(REQUEST)]),  # noqa: SLF001 - what --resume reads
)

SPECIAL: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, -1e-308, 2**63, 10**400, "", "NaN", "1e999", "x" * 5000, "\u202e\u200b|`<img src=x>`@team"),
    *("\x1b]0;t\x07\r\n::error::x", [], {}, [[[[]]]], {"": {"": ""}}, [None] * 100),
)
"""Values that take the place of a member."""
TOKENS = (
    *(
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b"null",
        b"-1",
        b"[" * 3000,
        b'{"a":' * 2000,
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ),
    *(
        b"\xed\xa0\x80",
        b"\x1b[31m",
        b"\r",
        b"\n\n",
        b'"',
        b"\\",
        b"\\ud800",
        b",",
        b";",
        b"::error::x",
        b"\x1f\x8b",
        b"'",
        b"<",
        b"&a *a ",
    ),
)
"""Bytes that take the place of a word."""
_WORD = re.compile(rb"[\w.+-]+|[^\w\s]")


def mutated(body: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return a body with one to four changes, some of which keep JSON valid."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        body = chance.choice(_WAYS)(body, others, chance)[: 10 * MOST_BYTES]
    return body


def _flipped(body: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    found = bytearray(body or b"x")
    for _number in range(chance.choice((1, 3, 20))):
        found[chance.randrange(len(found))] = chance.randrange(256)
    return bytes(found)


def _cut(body: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(body) + 1) for _number in range(2))
    return chance.choice((body[:first], body[last:], body[:first] + body[last:]))


def _repeated(body: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    first = chance.randrange(len(body) + 1)
    part = body[first : first + chance.choice((1, 10, 200))]
    return body[:first] + part * chance.choice((2, 50, 1000)) + body[first:]


def _spliced(body: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    other = chance.choice(others)
    return body[: chance.randrange(len(body) + 1)] + other[chance.randrange(len(other) + 1) :]


def _token(body: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    words = list(_WORD.finditer(body[:MOST_BYTES]))
    if not words:
        return body + chance.choice(TOKENS)
    word = chance.choice(words)
    return body[: word.start()] + chance.choice(TOKENS) + body[word.end() if chance.random() < 0.7 else word.start() :]  # noqa: PLR2004


def _member(body: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    """Replace, remove or repeat a member of a JSON document; other text gets a token."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _token(body, _, chance)
    place: Any = document
    while isinstance(place, dict | list) and place:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], dict | list) or not place[key] or chance.random() < 0.25:  # noqa: PLR2004
            way = chance.random()
            if way < 0.6:  # noqa: PLR2004
                place[key] = chance.choice(SPECIAL)
            elif way < 0.8:  # noqa: PLR2004
                del place[key]
            elif isinstance(place, dict):
                place[chance.choice(("", "x" * 3000, f"{key}\x1b[1m", "__class__", f" {key}"))] = place[key]
            else:
                place[key:key] = [place[key]] * 3
            break
        place = place[key]
    try:
        return json.dumps(document).encode()
    except (ValueError, RecursionError):
        return body


def _encoded(body: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    encodings = (lambda: gzip.compress(body), lambda: gzip.compress(body)[:-9], lambda: b"\xef\xbb\xbf" + body)
    wide = (
        lambda: body.decode("latin-1").encode("utf-16"),
        lambda: body.replace(b"\n", b"\r\n"),
        lambda: body.replace(b"\n", b"\r"),
    )
    return chance.choice((*encodings, *wide))()


_WAYS = (_flipped, _cut, _repeated, _spliced, _token, _token, _member, _member, _member, _encoded)


@dataclass
class ReaderOutcome:
    """The effect of the files on one reader."""

    name: str
    files: int = 0
    refused: int = 0
    answers: int = 0
    """Different answers: the reader's forms of refusal, by place and words."""
    slowest_s: float = 0.0
    crashes: list[str] = field(default_factory=list)
    """The kinds of crashes, each with its place."""


class TooSlowError(BaseException):
    """A file took longer than allowed."""


def fuzz(reader: FuzzedReader, folder: Path, seconds: float, seed: int = 0) -> ReaderOutcome:
    """Let a reader read mutated files for some seconds."""
    chance, found = random.Random(seed), ReaderOutcome(reader.name)  # noqa: S311 - the same files each time
    seeds = list(reader.seeds())
    kept, seen, file = list(seeds), set[str](), folder / reader.file
    ends_s = time.monotonic() + seconds
    queue = [*seeds, b""]
    while queue or time.monotonic() < ends_s:
        body = queue.pop() if queue else mutated(chance.choice(kept if chance.random() < 0.5 else seeds), kept, chance)  # noqa: PLR2004
        file.write_bytes(body)
        start_s = time.monotonic()
        answer = _answer(reader, file, found)
        found.slowest_s = max(found.slowest_s, time.monotonic() - start_s)
        found.files += 1
        if answer not in seen:
            seen.add(answer)
            kept.append(body)
    found.answers = len(seen)
    return found


def _answer(reader: FuzzedReader, file: Path, found: ReaderOutcome) -> str:
    """Return what a reader made of a file, in a form that is the same for like files; add a crash to what was found."""

    def stop(*_: object) -> NoReturn:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        reader.read(file)
    except HarnessError as error:
        found.refused += 1
        text = str(error)
        if "\n" in text.strip() and not file.name.endswith(".toml"):
            found.crashes += _new(found.crashes, f"an error of several lines: {text[:80]!r}")
        return re.sub(r"\d+|'[^']*'", "#", text.replace(str(file), ""))[:120]
    except TooSlowError:
        found.crashes += _new(found.crashes, f"longer than {LIMIT_S:g} s: {_kept(file)}")
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is a crash
        frame = [frame for frame in traceback.extract_tb(error.__traceback__) if "harness/" in frame.filename][-1:]
        place = "".join(
            f" in {Path(each.filename).relative_to(ROOT)}:{each.lineno}" for each in frame if str(ROOT) in each.filename
        )
        found.crashes += _new(found.crashes, f"{type(error).__name__}: {str(error)[:80]!r}{place}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return "read"


def _new(known: Sequence[str], crash: str) -> list[str]:
    """Return a crash in a list, unless one of the same kind at the same place is known."""
    return [] if _kind(crash) in map(_kind, known) else [crash]


def _kind(crash: str) -> tuple[str, str]:
    return crash.partition(":")[0], crash.rpartition(" in ")[2] if " in " in crash else ""


def _kept(file: Path) -> str:
    return f"{file.stat().st_size:,} bytes"


def outcomes(seconds: float) -> Iterator[ReaderOutcome]:
    """Yield what happens to every reader, each in a process of its own with a limit of memory."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    for number, reader in enumerate(READERS):
        with tempfile.TemporaryDirectory(prefix="harness-fuzz-") as folder:
            command = [sys.executable, "-m", __name__, str(number), folder, str(seconds)]
            done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
                yield ReaderOutcome(reader.name, crashes=[f"the process ended: {last}"])
            else:
                yield ReaderOutcome(**json.loads(done.stdout))


def run(effort: float) -> Section:
    """Fuzz every reader."""
    return section(list(outcomes(SECONDS * effort)))


def section(found: Sequence[ReaderOutcome]) -> Section:
    """Return the section."""
    rows = [[o.name, f"{o.files:,}", f"{o.refused:,}", f"{o.answers:,}", f"{o.slowest_s:.2f}", f"{len(o.crashes)}"] for o in found]
    crashed, files = [each for each in found if each.crashes], sum(each.files for each in found)
    columns = ("reader", "files", "refused", "different answers", "slowest, in s", "kinds of crashes")
    return Section(
        TITLE,
        _TEXT,
        [SectionTable("Readers", columns, rows)],
        [Requirement(f"readers that crash: {len(crashed)} of {len(found)}, with {files:,} files", bool(files) and not crashed)],
        [f"{each.name}: {crash}" for each in crashed for crash in each.crashes],
    )


_TEXT = (
    f"Every reader of files gets mutations of files that it reads, and mutations of those that led to a new answer. A crash is any"
    f" exception but the harness's own, an error of several lines, more than {LIMIT_S:g} s for one file, or more than"
    f" {MEMORY_BYTES // 2**30} GiB. Results are also shown as text and Markdown, in which nothing may control a terminal or a log."
)


def main(number: str, folder: str, seconds: str) -> None:
    """Fuzz one reader and print the outcome as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with contextlib.redirect_stdout(sys.stderr):
        found = fuzz(READERS[int(number)], Path(folder), float(seconds))
    sys.stdout.write(json.dumps(asdict(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
