"""Scenario files with one injected fault each: what it is, where it is, and how a command has to end that meets it.

Not a question of its own: `tools.chaos.scenario_faults` measures each of them beside a scenario without a fault.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

GOOD = '''\
"""Add numbers up."""

from harness import Case, Group, Scenario


class Good(Scenario):
    """Add numbers up."""

    arms = {"baseline": "a loop", "optimised": "the same loop"}
    groups = [Group("g", "a sum")]

    def cases(self, setting):
        return [Case("g", f"sum {n}", n) for n in (900, 1000)]

    def open(self, arm, setting):
        return arm

    def run(self, instance, case):
        return sum(range(case.args))
'''
"""The scenario without a fault, beside which each injected one is measured."""

_FILE = '''\
"""Add numbers up."""

import asyncio, atexit, ctypes, gc, os, resource, signal, subprocess, sys, tempfile, threading, time, warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from harness import Arm, Case, Group, LoadTest, Promise, Scenario, speedup, times

{imported}

class Injected(Scenario):
    """Add numbers up."""

{methods}
{declared}
'''
_DECLARED = {
    "arms": '{"baseline": "as it is", "optimised": "with the fault"}',
    "groups": '[Group("g", "a sum")]',
}
_METHODS = {
    "constructor": ("__init__(self)", "{}", False),
    "prepare": ("prepare(self, setting)", "{}", False),
    "cases": ("cases(self, setting)", '{}\nreturn [Case("g", f"sum {{n}}", n) for n in (900, 1000)]', True),
    "open": ("open(self, arm, setting)", 'if arm == "optimised":\n    {}\nreturn arm', True),
    "run": ("run(self, instance, case)", 'if instance == "optimised":\n    {}\nreturn sum(range(case.args))', True),
    "reset": ("reset(self, instance, case, answer)", 'if instance == "optimised":\n    {}', False),
    "normalise": ("normalise(self, case, answer)", "{}\nreturn answer", False),
    "state": ("state(self, instance, case)", 'if instance == "optimised":\n    {}', False),
    "counts": ("counts(self, instance)", 'if instance == "optimised":\n    {}\nreturn {{"steps": 1}}', False),
    "servers": ("servers(self, setting)", "{}\nyield {{}}", False),
    "closing": ("open(self, arm, setting)", 'yield arm\nif arm == "optimised":\n    {}', False),
}
"""Phase → the signature of its method, its body around the fault, and whether every scenario needs it."""


class PlantedOutcome(StrEnum):
    """The way in which a command has to end that meets a fault."""

    FAILED = "failed"
    """The scenario fails with a message that names the fault; the others are measured, and the exit code is 1."""
    REFUSED = "refused"
    """The file is refused before anything is measured, with its name; the exit code is 2."""
    ENDED = "ended"
    """The scenario is measured, and what it left running is ended and named in a warning; the exit code is 0."""
    HARMLESS = "harmless"
    """The scenario is measured as any other; the exit code is 0."""

    @property
    def code(self) -> int:
        """The exit code of the command."""
        return {PlantedOutcome.FAILED: 1, PlantedOutcome.REFUSED: 2}.get(self, 0)


@dataclass(frozen=True)
class PlantedFault:
    """One injected fault."""

    name: str
    """Unique; the name of the scenario and of its file is made of it."""
    phase: str
    """The part of a scenario that has it, such as "run"."""
    source: str
    """The text of the scenario file."""
    outcome: PlantedOutcome
    """The way in which a run has to end."""
    says: tuple[str, ...]
    """The parts that the message about the fault must have, besides the name of the scenario; `harness run` has all of them."""
    under_load: PlantedOutcome | None
    """The way in which `harness load` has to end; None where the fault cannot show under load."""
    slow: bool = False
    """It has to reach a deadline, which takes seconds."""

    @property
    def scenario(self) -> str:
        """The name of the scenario."""
        return "injected_" + self.name.replace(" ", "_").replace(".", "_").replace("-", "_")

    def write(self, folder: Path) -> Path:
        """Write the scenario file into a folder and return it."""
        file = folder / f"{self.scenario}.py"
        file.write_text(self.source, encoding="utf-8")
        return file


def source(phase: str, fault: str, declared: Mapping[str, str] | None = None) -> tuple[str, int]:
    """Return the text of a scenario file with a fault in a phase, and the line on which the fault begins; 0 without one.

    `declared` has the scenario's attributes as texts; those that it does not name are without a fault.
    """
    marked = f"{fault}  # the fault" if "\n" not in fault else fault.replace("\n", "  # the fault\n", 1)
    methods = []
    for name, (signature, body, is_needed) in _METHODS.items():
        if name == phase or (is_needed and not (name == "open" and phase == "closing")):
            before = "    @contextmanager\n" if name in {"servers", "closing"} else ""
            indent = body.partition("{}")[0].rpartition("\n")[2]
            inserted = textwrap.indent(marked, indent).strip() if name == phase else "pass"
            methods.append(f"{before}    def {signature}:\n{textwrap.indent(body.format(inserted), ' ' * 8)}\n")
    attributes = "\n".join(f"    {name} = {text}" for name, text in {**_DECLARED, **(declared or {})}.items())
    imported = marked if phase == "import" else ""
    text = _FILE.format(imported=imported, declared=attributes, methods="\n".join(methods))
    lines = text.split("\n")
    return text, next((number for number, line in enumerate(lines, 1) if line.endswith("# the fault")), 0)


def _fault(
    name: str,
    phase: str,
    body: str,
    *says: str,
    outcome: PlantedOutcome = PlantedOutcome.FAILED,
    line: bool = True,
    load: bool | PlantedOutcome = True,
    slow: bool = False,
) -> PlantedFault:
    """Return a fault in a phase; its message names the line on which the fault is if `line`."""
    text, number = source(phase, body)
    refused = phase in {"import", "constructor"} and outcome == PlantedOutcome.FAILED
    outcome = PlantedOutcome.REFUSED if refused else outcome
    place = (f"line {number}",) if line and outcome in {PlantedOutcome.FAILED, PlantedOutcome.REFUSED} else ()
    under_load = load if isinstance(load, PlantedOutcome) else outcome if load else None
    return PlantedFault(name, phase, text, outcome, (*place, *says), under_load, slow=slow)


def _declared(name: str, declared: Mapping[str, str], *says: str) -> PlantedFault:
    """Return a file whose class declares what cannot be."""
    text, _ = source("", "", declared)
    number = next(number for number, line in enumerate(text.split("\n"), 1) if line.startswith(f"    {next(iter(declared))} ="))
    says = (f"line {number}", *says)
    return PlantedFault(name, "declarations", text, PlantedOutcome.REFUSED, says, PlantedOutcome.REFUSED)


_RUN_ON = ("prepare", "cases", "open", "run", "reset", "normalise", "state", "closing")
"""The phases in a worker process."""
_WHO = {
    "open": ("optimised", "open"),
    "run": ("optimised", "sum 900"),
    "reset": ("optimised", "sum 900"),
    "normalise": ("baseline", "sum 900"),
    "state": ("optimised", "sum 900"),
    "closing": ("optimised",),
}
"""Phase → what is known there: the arm and the case."""
_ON_ITS_OWN = ("closing", "prepare")
"""Phases that are not the same under load."""

_EXITS = {
    "sys.exit": ("sys.exit(0)", ("SystemExit",)),
    "os._exit": ("os._exit(0)", ("SystemExit",)),
    "abort": ("raise KeyboardInterrupt", ("KeyboardInterrupt",)),
}
_KILLS = {
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(60)",
    "SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_DFL)\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)",
    "SIGSEGV": "ctypes.string_at(0)",
}
_RAISED = {
    "BaseException": ("raise type('Odd', (BaseException,), {})('odd')", ("Odd: odd",)),
    "GeneratorExit": ("raise GeneratorExit", ("GeneratorExit",)),
    "CancelledError": ("raise asyncio.CancelledError", ("CancelledError",)),
    "RecursionError": ("def deeper(): deeper()\ndeeper()", ("RecursionError",)),
    "MemoryError": ("bytearray(1 << 60)", ("MemoryError",)),
    "text that raises": (
        "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})('x')",
        ("Mute",),
    ),
    "text that exits": (
        "raise type('Mute', (Exception,), {'__str__': lambda self: sys.exit(0)})('x')",
        ("Mute",),
    ),
    "lone surrogate": ("raise ValueError('half \\ud800 pair')", ("ValueError: half",)),
    "giant message": ("raise ValueError('long ' * 10_000_000)", ("ValueError: long",)),
    "terminal control": ("raise ValueError('\\x1b[31mred\\x1b[0m')", ("ValueError",)),
    "nested groups": (
        "error = ValueError('inner')\nfor _ in range(3000): error = ExceptionGroup('g', [error])\nraise error",
        ("ValueError: inner",),
    ),
    "StopIteration": ("raise StopIteration", ("StopIteration",)),
    "cause that is itself": ("error = ValueError('own')\nerror.__cause__ = error\nraise error", ("ValueError: own",)),
}
_HANGS = {
    "sleep": "time.sleep(1e6)",
    "loop": "while True: pass",
    "wait for a child": "subprocess.run(['sleep', '1000000'])",
}


def faults() -> list[PlantedFault]:
    """Return all injected faults; the names are unique."""
    found = [
        _of_a_measure(),
        *_of_exits(),
        *_of_kills(),
        *_of_errors(),
        *_of_hangs(),
        *_of_processes(),
        *_of_the_process(),
        *_of_answers(),
    ]
    return [*found, *_of_cases(), *_of_declarations()]


def _of_a_measure() -> PlantedFault:
    """Return a promise whose own measure raises."""
    text, _ = source("", "", {"promises": "[Promise('P1', 'faster', times(2), lambda result, arm: 1 / 0)]"})
    says = ("P1", "optimised", "ZeroDivisionError")
    return PlantedFault("measure that raises", "promises", text, PlantedOutcome.FAILED, says, None)


def _of_exits() -> list[PlantedFault]:
    phases = ("import", "constructor", *_RUN_ON, "servers")
    return [
        _fault(
            f"{how} in {phase}",
            phase,
            body,
            *_WHO.get(phase, ()),
            *says,
            load=phase not in _ON_ITS_OWN,
        )
        for how, (body, says) in _EXITS.items()
        for phase in phases
        if not (how == "abort" and phase in {"import", "constructor", "servers"})  # as Ctrl-C is
    ]


def _of_kills() -> list[PlantedFault]:
    found = []
    for how, body in _KILLS.items():
        for phase in ("import", *_RUN_ON) if how == "SIGKILL" else ("import", "cases", "run"):
            who = tuple(each for each in _WHO.get(phase, ()) if each != "open")
            found.append(_fault(f"{how} in {phase}", phase, body, *who, how, line=False, load=phase not in _ON_ITS_OWN))
    return found


def _of_errors() -> list[PlantedFault]:
    found = [_fault(f"{how} in run", "run", body, *_WHO["run"], *says, line=False) for how, (body, says) in _RAISED.items()]
    for how in ("BaseException", "CancelledError", "text that raises", "lone surrogate", "nested groups"):
        for phase in ("open", "cases", "import"):
            body, says = _RAISED[how]
            found.append(_fault(f"{how} in {phase}", phase, body, *says, line=False))
    return found


def _of_hangs() -> list[PlantedFault]:
    whole = [("cases", "loop"), ("open", "sleep"), ("run", "sleep"), ("run", "loop"), ("run", "wait for a child")]
    return [
        _fault(
            f"{how} in {phase}",
            phase,
            _HANGS[how],
            *(("optimised",) if phase in {"run", "open"} else ("making the cases",)),
            line=False,
            slow=phase != "run",
        )
        for phase, how in whole
    ]


def _of_processes() -> list[PlantedFault]:
    ended = PlantedOutcome.ENDED
    stays = "threading.Thread(target=threading.Event().wait, name='stays').start()"
    return [
        _fault("fork in import", "import", "os.fork()", "fork"),
        _fault("fork in cases", "cases", "os.fork()", "fork", load=False),
        _fault("fork in open", "open", "os.fork()", "optimised", "fork"),
        _fault("fork in run", "run", "os.fork()", "optimised", "fork"),
        _fault("thread that stays", "open", stays, "stays", outcome=ended, load=False),
        _fault("busy executor", "open", "ThreadPoolExecutor(1, 'busy').submit(time.sleep, 1e6)", "busy", outcome=ended, load=False),
        _fault("child that stays", "open", "subprocess.Popen(['sleep', '600'])", "sleep", outcome=ended, load=False),
        _fault(
            "child in its own session",
            "open",
            "subprocess.Popen(['sleep', '601'], start_new_session=True)",
            "sleep",
            outcome=ended,
            load=False,
        ),
        _fault(
            "child in an environment of its own",
            "open",
            "subprocess.Popen(['sleep', '602'], start_new_session=True, env={})",
            "sleep",
            outcome=ended,
            load=False,
        ),
        _fault("thread at import", "import", stays, "stays", outcome=ended, load=False),
        _fault(
            "thread at import exits",
            "import",
            "threading.Thread(target=lambda: (time.sleep(1), os._exit(0)), daemon=True).start()",
            outcome=PlantedOutcome.HARMLESS,
        ),
    ]


def _of_the_process() -> list[PlantedFault]:
    """Return faults that change the process in which the scenario runs."""
    harmless = PlantedOutcome.HARMLESS
    changes = {
        "output closed": "globals().get('closed') or globals().update(closed=(os.close(1), os.close(2)))",
        "streams replaced": "sys.stdout = sys.stderr = None",
        "folder removed": "os.chdir(folder := tempfile.mkdtemp()); os.rmdir(folder)",
        "environment cleared": "os.environ.clear()",
        "mask": "os.umask(0o777)",
        "path cleared": "sys.path.clear()",
        "warnings are errors": "warnings.simplefilter('error')",
        "hook replaced": "sys.excepthook = lambda *_: os._exit(0)",
        "exit handler": "atexit.register(os._exit, 0)",
        "signals ignored": "[signal.signal(number, signal.SIG_IGN) for number in (2, 15, 1)]",
        "low recursion": "sys.setrecursionlimit(120)",
        "garbage off": "gc.disable()",
    }
    found = [_fault(f"{name} in import", "import", body, outcome=harmless) for name, body in changes.items()]
    later = ("output closed", "streams replaced", "environment cleared", "mask", "exit handler", "signals ignored", "hook replaced")
    found += [_fault(f"{name} in open", "open", changes[name], outcome=harmless) for name in later]
    frozen = "time.perf_counter_ns = lambda: 5"
    monotonic = "time.monotonic = lambda: 5.0\ntime.perf_counter_ns = lambda: 5\ntime.perf_counter = lambda: 5.0"
    return [
        *found,
        replace(
            _fault(
                "descriptors closed in import", "import", "os.closerange(3, 256)", "Bad file descriptor", line=False, load=False
            ),
            outcome=PlantedOutcome.FAILED,  # the command that imports it does without; its processes do not
        ),
        _fault("descriptors closed in open", "open", "os.closerange(3, 256)", "optimised", line=False),
        _fault("descriptors closed in run", "run", "os.closerange(3, 256)", "optimised", line=False),
        _fault("descriptors closed in cases", "cases", "os.closerange(3, 256)", "Bad file descriptor", line=False, load=False),
        _fault("clock frozen in import", "import", frozen, "clock", line=False),
        _fault("clock frozen in open", "open", frozen, "clock", line=False, load=False),
        _fault("clock frozen in run", "run", frozen, "clock", line=False, load=False),
        _fault("all clocks frozen in open", "open", monotonic, "clock", line=False, load=False),
        _fault(
            "no more files",
            "run",
            "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)); open('/dev/null')",
            "optimised",
            "OSError",
        ),
        _fault(
            "no more memory",
            "run",
            "resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20)); bytearray(1 << 28)",
            "optimised",
            "MemoryError",
        ),
    ]


def _of_answers() -> list[PlantedFault]:
    odd = "return globals().setdefault('Odd', type('Odd', (), {{'__eq__': lambda self, other: {}, '__hash__': None}}))()"
    return [
        _fault("equality that raises", "normalise", odd.format("1 / 0"), "sum 900", "ZeroDivisionError", line=False),
        _fault("equality that exits", "normalise", odd.format("sys.exit(0)"), "sum 900", "SystemExit", line=False),
        _fault("equality that exits at once", "normalise", odd.format("os._exit(0)"), "sum 900", "SystemExit", line=False),
        _fault("equality of no truth", "normalise", odd.format("None"), "sum 900", line=False),
        _fault("answer within itself", "run", "answer = []\nanswer.append(answer)\nreturn answer", *_WHO["run"], line=False),
        _fault("answer that differs", "run", "return -1", *_WHO["run"], "-1", line=False),
        _fault("answer that is not a number", "run", "return float('nan')", *_WHO["run"], "nan", line=False),
        _fault("lazy answer", "run", "return (n for n in range(3))", *_WHO["run"], "a generator", line=False),
        _fault(
            "text of an answer that exits",
            "run",
            "return type('Odd', (), {'__repr__': lambda self: sys.exit(0)})()",
            *_WHO["run"],
            line=False,
        ),
        _fault(
            "answer whose attributes raise",
            "run",
            "return type('Odd', (), {'__getattr__': lambda self, name: 1 / 0})()",
            *_WHO["run"],
            line=False,
        ),
        _fault(
            "deep answer",
            "run",
            "answer = []\nfor _ in range(100_000): answer = [answer]\nreturn answer",
            *_WHO["run"],
            line=False,
        ),
    ]


def _of_cases() -> list[PlantedFault]:
    def case(text: str) -> str:
        return f"return [{text}]"

    refused = PlantedOutcome.REFUSED  # as there is no other scenario beside it
    exits = "type('Odd', (), {'__reduce__': lambda self: sys.exit(0)})()"
    return [
        _fault(
            "case of no group", "cases", case("Case('other', 'n 0', 0)"), "'other'", "choose from 'g'", line=False, load=refused
        ),
        _fault("group that is not a text", "cases", case("Case(['g'], 'n 0', 0)"), "['g']", line=False, load=refused),
        _fault("name that is not a text", "cases", case("Case('g', 5, 0)"), "5", line=False, load=refused),
        _fault("two cases of one name", "cases", case("Case('g', 'n 0', 0), Case('g', 'n 0', 1)"), "'n 0'", line=False, load=False),
        _fault("case that is not one", "cases", case("5"), "returns 5", line=False, load=refused),
        _fault("no cases", "cases", "return []", "no cases", line=False),
        _fault("cases that are none", "cases", "return None", "cases", line=False),
        _fault("case that exits when copied", "cases", case(f"Case('g', 'n 0', {exits})"), "SystemExit", line=False, load=False),
        _fault(
            "case that names half a character",
            "cases",
            "return [Case('g', 'half \\ud800 pair', 900)]",
            outcome=PlantedOutcome.HARMLESS,
        ),
        _fault("case with a long name", "cases", "return [Case('g', 'n' * 1_000_000, 900)]", outcome=PlantedOutcome.HARMLESS),
    ]


def _of_declarations() -> list[PlantedFault]:
    def promise(claim: str = "times(2)", measure: str = "speedup('g')", more: str = "") -> str:
        return f"[Promise('P1', 'faster', {claim}, {measure}{more})]"

    return [
        _declared("group as text", {"groups": '["g"]'}, "groups"),
        _declared("groups as one group", {"groups": 'Group("g", "a sum")'}, "groups"),
        _declared("no groups", {"groups": "[]"}, "groups"),
        _declared("two groups of one name", {"groups": '[Group("g", "a"), Group("g", "b")]'}, "'g'"),
        _declared("group named by a number", {"groups": '[Group(5, "a")]'}, "5"),
        _declared("growth as a number", {"groups": '[Group("g", "a", growth=0.5)]'}, "growth"),
        _declared("skip as a list", {"groups": '[Group("g", "a", skip=["optimised"])]'}, "skip"),
        _declared("skip of an unknown arm", {"groups": '[Group("g", "a", skip={"optimized": "x"})]'}, "optimized"),
        _declared("arms as a list", {"arms": '["baseline", "optimised"]'}, "arms"),
        _declared("arms as a number", {"arms": "2"}, "arms"),
        _declared("no baseline", {"arms": '{"optimised": "x", "other": "y"}'}, "baseline"),
        _declared("one arm", {"arms": '{"baseline": "x"}'}, "baseline"),
        _declared("two arms of one name", {"arms": '{"baseline": "x", "optimised": "y", "optimised": "z"}'}, "optimised"),
        _declared("arm described by a number", {"arms": '{"baseline": "x", "optimised": 5}'}, "optimised"),
        _declared("promises as a text", {"promises": '"faster"'}, "promises"),
        _declared("promise as a text", {"promises": '["faster"]'}, "promise"),
        _declared("promise on no group", {"promises": promise(measure="speedup('other')")}, "'other'"),
        _declared("promise on no arm", {"promises": promise(more=", arms=['other']")}, "'other'"),
        _declared("promise without a measure", {"promises": promise(measure="'g'")}, "P1"),
        _declared("two promises of one name", {"promises": f"{promise()} + {promise()}"}, "P1"),
        _declared("promise without a claim", {"promises": promise(claim="2")}, "P1"),
        _declared("engines as a text", {"engines": '"sqlite"'}, "engines"),
        _declared("no engines", {"engines": "[]"}, "engines"),
        _declared("tolerances as a list", {"tolerances": '["steps"]'}, "tolerances"),
        _declared("tolerance as a text", {"tolerances": '{"steps": "much"}'}, "'steps'"),
        _declared("load test as a number", {"load_test": "30"}, "load_test"),
        _declared("flag as a text", {"groups": '[Group("g", "a", slow="no")]'}, "slow"),
        _declared("load test of no rate", {"load_test": "LoadTest(0)"}, "rate_per_s"),
        _declared("run is not a method", {"run": "5"}, "run"),
    ]
