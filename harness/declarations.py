"""Declarations of a scenario's class: refuse, with file and line, those that cannot be right, before anything is measured."""

import ast
import inspect
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import UsageError
from harness.results.load import CapacityKind
from harness.results.run import AA_CONTROL, BASELINE, PING, PURE_CPU
from harness.scenario import Arm, DeclaredFinding, Group, LoadTest, Scenario
from harness.suggestions import choose_from, nearest
from harness.user_code import METHODS
from harness.verdicts import slo
from harness.verdicts.measures import EVERYWHERE, OF_DATABASES
from harness.verdicts.promise import Claim, Promise

RESERVED = (AA_CONTROL, PURE_CPU, PING, "baseline slowed")
"""Names of the harness's own arms and controls."""


class Declarations:
    """The declarations in one scenario file."""

    def __init__(self, file: Path, kind: type[Scenario[Any]]) -> None:
        """Read the file for the lines of its declarations."""
        self._file, self._kind = file, kind
        self._tree = ast.parse(file.read_bytes())

    def check(self) -> None:
        """Raise UsageError for arms, groups, methods and other attributes that cannot be used."""
        self._check_methods()
        self._check_arms()
        self._check_groups()
        for name, wanted in (("engines", Sequence), ("higher_is_better", Sequence), ("tolerances", Mapping), ("switches", Mapping)):
            value = getattr(self._kind, name)
            if isinstance(value, str) or not isinstance(value, wanted) or not all(isinstance(each, str) for each in value):
                example = "a list of texts" if wanted is Sequence else "a mapping from texts"
                self._refuse(name, f"`{name}` is {_kind_of(value)}; write {example}")
        for metric, share in self._kind.tolerances.items():
            if not _is_number(share) or share < 0:
                self._refuse("tolerances", f"the tolerance of {metric!r} is {share!r:.60}; write a share, such as 0.05")
        self._check_load_test()
        if not self._kind.engines:
            self._refuse("engines", "`engines` is empty; name at least one, or leave it out")

    def check_promises(self, findings: Iterable[DeclaredFinding]) -> None:
        """Raise UsageError for a promise or a finding about an arm, a group or a message that does not exist."""
        arms, groups = list(self._kind.arms), [group.name for group in self._kind.groups]
        messages = []
        for finding in findings:
            messages.append(finding.message)
            if finding.arm not in arms:
                self._refuse(
                    finding.arm,
                    f"finding {finding.message!r} is about an unknown arm {finding.arm!r}; {_choose(finding.arm, arms)}",
                )
        promises: Any = self._kind.promises
        if not isinstance(promises, Sequence) or isinstance(promises, str):
            self._refuse("promises", f"`promises` is {_kind_of(promises)}; write a list: [Promise(id, text, claim, measure), …]")
        for number, promise in enumerate(promises):
            self._check_promise(promise)
            same = (other for other in promises[:number] if (promise.id, promise.part) == (other.id, other.part))
            if any({*promise.tried_on(arms)} & {*other.tried_on(arms)} for other in same):
                self._refuse(promise.id, f"it has two promises {promise.id!r}; rename one, or give each another part")
            subject = f"promise {promise.id!r}"
            self._known(promise, promise.arms, arms, f"{subject} is about an unknown arm")
            self._known(promise, getattr(promise.measure, "groups", ()), groups, f"{subject} is measured on an unknown group")
            self._known(promise, getattr(promise.measure, "messages", ()), messages, f"{subject} needs an unknown finding")
        probes, facts = self._kind.probes, self._kind.facts
        if all(getattr(method, "__module__", "").startswith("harness.") for method in (probes, facts)):
            self.check_metrics([] if probes is Scenario.probes else OF_DATABASES)

    def check_metrics(self, given: Collection[str], *, only_near: bool = False) -> None:
        """Raise UsageError for a promise that reads a metric which is neither `given` nor one of the harness.

        With `only_near`, which is for metrics that depend on the engine, a name that is like none of these is left.
        """
        known = [*given, *(metric for metric in EVERYWHERE if metric not in given)]
        for promise in self._kind.promises:
            metrics = [metric for metric in getattr(promise.measure, "metrics", ()) if not only_near or nearest(metric, known)]
            self._known(promise, metrics, known, f"promise {promise.id!r} reads an unknown metric")

    def _check_promise(self, promise: Any) -> None:
        if not isinstance(promise, Promise):
            self._refuse("promises", f"{promise!r:.60} is not a promise; write Promise(id, text, claim, measure)")
        if isinstance(promise.arms, str):
            self._refuse(promise.id, f"promise {promise.id!r} has a text as its arms; write a list: [{promise.arms!r}]")
        if not isinstance(promise.claim, Claim):
            self._refuse(
                promise.id, f"the claim of promise {promise.id!r} is {_kind_of(promise.claim)}; write times(…), cut(…) or so"
            )
        if not callable(promise.measure):
            found = _kind_of(promise.measure)
            self._refuse(promise.id, f"the measure of promise {promise.id!r} is {found}; write speedup(group) or another measure")

    def _known(self, promise: Promise, names: Iterable[str], known: Collection[str], problem: str) -> None:
        for name in names:
            if name not in known:
                line = self._line_of_text(promise.id, name) or self._line_of_text(promise.id)
                self._raise(line, f"{problem} {name!r}; {_choose(name, known)}")

    def _check_methods(self) -> None:
        for name in ("cases", "open", "run"):
            if getattr(self._kind, name) is getattr(Scenario, name):
                self._refuse("", f"it does not define {name}(); add it, see harness.Scenario")
        for name in sorted(METHODS):
            self._check_parameters(name)
        if inspect.isgeneratorfunction(self._kind.run) or inspect.isasyncgenfunction(self._kind.run):
            self._refuse("run", "run is a generator, whose work would not be timed; return a list instead")

    def _check_parameters(self, name: str) -> None:
        """Refuse a method that cannot be called as the harness calls it."""
        method, declared = getattr(self._kind, name), inspect.getattr_static(self._kind, name)
        if not callable(method):
            self._refuse(name, f"`{name}` is {_kind_of(method)}; write a method")
        wanted = list(inspect.signature(getattr(Scenario, name)).parameters)
        if isinstance(declared, staticmethod | classmethod):
            wanted.remove("self")
        try:
            inspect.signature(method).bind(*wanted)
        except TypeError:
            self._refuse(name, f"{name}() has other parameters than {name}({', '.join(wanted)}); give it these")

    def _check_arms(self) -> None:
        arms: Any = self._kind.arms
        if not isinstance(arms, Mapping):
            self._refuse("arms", f"`arms` is {_kind_of(arms)}; write a mapping: {{'baseline': description, …}}")
        if next(iter(arms), None) != BASELINE:
            self._refuse("arms", f"it has no baseline; the first of its arms must be {BASELINE!r}")
        if len(arms) < 2:  # noqa: PLR2004 - a comparison has two sides
            self._refuse("arms", "it has only a baseline; name at least one arm to compare with it")
        for name, arm in arms.items():
            if not isinstance(name, str) or not name.strip():
                self._refuse("arms", f"an arm is named {name!r}; give it a text")
            if name in RESERVED:
                self._refuse(name, f"an arm is named {name!r}, which is a name of the harness; rename it")
            if not isinstance(arm, str | Arm):
                self._refuse(name, f"arm {name!r} is {_kind_of(arm)}; write its description, or Arm(description, …)")
        if isinstance(arms[BASELINE], Arm) and arms[BASELINE].as_written:
            self._refuse("arms", "the baseline is as_written, but every other arm is compared with it; remove as_written")
        self._refuse_repeated_keys("arms")

    def _refuse_repeated_keys(self, attribute: str) -> None:
        """Refuse a name that is twice in a mapping: Python keeps the second one only."""
        for statement in ast.walk(self._tree):
            if isinstance(statement, ast.Assign | ast.AnnAssign) and attribute in _targets(statement):
                keys = statement.value.keys if isinstance(statement.value, ast.Dict) else []
                names = [key.value for key in keys if isinstance(key, ast.Constant)]
                for name in names:
                    if names.count(name) > 1:
                        self._raise(statement.lineno, f"it has two {attribute} named {name!r}; rename one")

    def _check_groups(self) -> None:
        groups: Any = self._kind.groups
        if not isinstance(groups, Sequence) or not groups or not all(isinstance(group, Group) for group in groups):
            self._refuse("groups", "it has no groups of cases; declare them: groups = [Group(name, description), …]")
        arms, names = list(self._kind.arms), [group.name for group in groups]
        for group in groups:
            if not isinstance(group.name, str) or not group.name.strip():
                self._refuse("groups", f"a group is named {group.name!r}; give it a text")
            if names.count(group.name) > 1:
                self._refuse(group.name, f"it has two groups named {group.name!r}; rename one")
            self._check_group(group)
            for arm in group.skip:
                if arm not in arms or arm == BASELINE:
                    self._refuse(arm, f"group {group.name!r} cannot skip arm {arm!r}; {_choose(arm, arms[1:])}")

    def _check_group(self, group: Group) -> None:
        """Refuse a group whose fields cannot be used."""
        growth: Any = group.growth
        skip: Any = group.skip
        description: Any = group.description
        subject = f"of group {group.name!r}"
        if not isinstance(description, str):
            self._refuse(group.name, f"the description {subject} is {_kind_of(description)}; give it a text")
        for flag in ("slow", "secondary", "uncounted", "load", "memory"):
            if not isinstance(getattr(group, flag), bool):
                self._refuse(group.name, f"{flag} {subject} is {_kind_of(getattr(group, flag))}; write True or False")
        if not isinstance(growth, Sequence) or not all(_is_number(share) and 0 < share <= 1 for share in growth):
            self._refuse(group.name, f"growth {subject} is not above 0 and up to 1; write shares, such as (0.5, 1)")
        if not isinstance(skip, Mapping) or not all(isinstance(text, str) for text in skip.values()):
            self._refuse(group.name, f"skip {subject} is {_kind_of(skip)}; write a mapping of texts: {{arm: reason}}")

    def _check_load_test(self) -> None:
        """Refuse a load that cannot be put on the arms."""
        declared: Any = self._kind.load_test
        if declared is None:
            return
        if not isinstance(declared, LoadTest):
            self._refuse("load_test", f"`load_test` is {_kind_of(declared)}; write LoadTest(rate_per_s, slo=…)")
        for name in ("rate_per_s", "seconds"):
            value = getattr(declared, name)
            if not _is_number(value) or value <= 0:
                self._refuse("load_test", f"{name} of its load test is {value!r}; write a number above 0")
        if not declared.slo:
            return
        try:
            slo.parse(declared.slo)
        except UsageError as error:
            self._refuse("load_test", str(error).replace("--slo", "the SLO of its load test", 1))
        if unknown := [kind for kind in declared.kinds if kind not in list(CapacityKind)]:
            known = ", ".join(f"CapacityKind.{kind.name}" for kind in CapacityKind)
            self._refuse("load_test", f"its load test has an unknown kind of capacity {unknown[0]!r}; choose from {known}")

    def _refuse(self, text: str, problem: str) -> NoReturn:
        """Raise UsageError with the line of an attribute or of a text, if the file has it."""
        self._raise(self._line_of_name(text) or self._line_of_text(text), problem)

    def _raise(self, line: int | None, problem: str) -> NoReturn:
        raise UsageError(f"{self._file}{f', line {line}' if line else ''}: {self._kind.__name__}: {problem}")

    def _line_of_name(self, name: str) -> int | None:
        """Return the line on which an attribute or a method is declared last, in the class or else in another one of the file."""
        classes = [node for node in ast.walk(self._tree) if isinstance(node, ast.ClassDef)]
        classes.sort(key=lambda node: node.name != self._kind.__name__)
        return next((s.lineno for c in classes for s in reversed(c.body) if name and name in _targets(s)), None)

    def _line_of_text(self, first: str, inside: str | None = None) -> int | None:
        """Return the line of a text; with `inside`, that of this text within the call whose first argument is the other one."""
        if inside is None:
            nodes: Iterable[ast.AST] = ast.walk(self._tree)
            return next((node.lineno for node in nodes if isinstance(node, ast.Constant) and node.value == first and first), None)
        for call in ast.walk(self._tree):
            if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == first:
                found = [node.lineno for node in ast.walk(call) if isinstance(node, ast.Constant) and node.value == inside]
                if found:
                    return found[0]
        return None


def _targets(statement: ast.stmt) -> list[str]:
    """Return the names that a statement of a class's body declares."""
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign):
        return [statement.target.id] if isinstance(statement.target, ast.Name) else []
    return [statement.name] if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) else []


def _choose(name: str, known: Iterable[str]) -> str:
    return choose_from(name, known, "{!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _kind_of(value: Any) -> str:
    """Return a value for messages: its type with an article."""
    name = type(value).__name__
    return f"{'an' if re.match('[aeiou]', name, re.IGNORECASE) else 'a'} {name}"
