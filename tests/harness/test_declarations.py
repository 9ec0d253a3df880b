"""Tests of declarations: what cannot be right is refused with file and line before anything is measured."""

from pathlib import Path

import pytest

from harness.declarations import Declarations
from harness.discovery import find, load
from harness.errors import UsageError

CASES = Path(__file__).parents[1] / "cases" / "scenarios"
GOOD = (CASES / "member.py").read_text()
ARMS = 'arms = {"baseline": "a list", "optimised": "a set"}'
GROUPS = 'groups = [Group("lookup", "is this number there?")]'
PROMISES = 'promises = [Promise("X1", "lookups ten times faster", times(10), speedup("lookup"))]'
FINDING = 'Promise("X2", "it works", works(), shown("it fails"))'


def written(folder: Path, old: str, new: str) -> Path:
    """Write a scenario with one thing changed."""
    assert old in GOOD
    file = folder / "changed.py"
    text = GOOD.replace(old, new)
    file.write_text(
        text.replace("from harness import", "from harness import combine, demonstrates, latency, shown, works, Arm, LoadTest,", 1)
    )
    return file


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            PROMISES,
            PROMISES.replace('"lookup"', '"lookups"'),
            "promise 'X1' is measured on an unknown group 'lookups'; did you mean 'lookup'? choose from 'l",
        ),
        (PROMISES, PROMISES.replace('speedup("lookup")', 'latency("lok")'), "promise 'X1' is measured on an unknown group 'lok'"),
        (
            PROMISES,
            PROMISES.replace('speedup("lookup")', 'combine([speedup("lookup"), latency("lok")])'),
            "promise 'X1' is measured on an unknown group 'lok'",
        ),
        (
            PROMISES,
            PROMISES.replace("speedup(", 'arms=["optimized"], measure=speedup('),
            "promise 'X1' is about an unknown arm 'optimized'; did you mean 'optimised'? choose from 'baseline', 'optimised'",
        ),
        (PROMISES, PROMISES.replace("speedup(", 'arms="optimised", measure=speedup('), "write a list: ['optimised']"),
        (PROMISES, f"promises = [{FINDING}]", "promise 'X2' needs an unknown finding 'it fails'; there are none"),
        (PROMISES, 'promises = ["X1"]', "'X1' is not a promise; write Promise(id, text, claim, measure)"),
        (PROMISES, 'promises = Promise("X1", "faster", times(2), speedup("lookup"))', "`promises` is a Promise; write a list"),
        (PROMISES, PROMISES.replace("times(10)", "10"), "the claim of promise 'X1' is an int"),
        (PROMISES, PROMISES.replace('speedup("lookup")', '"speedup"'), "the measure of promise 'X1' is a str"),
        (ARMS, 'arms = {"baseline": "a list", "other": "a set", "other": "two"}', "it has two arms named 'other'; rename one"),
        (ARMS, 'arms = ["baseline", "optimised"]', "`arms` is a list; write a mapping"),
        (ARMS, 'arms = {"optimised": "a set", "baseline": "a list"}', "it has no baseline; the first of its arms must be"),
        (ARMS, 'arms = {"baseline": "a list", "optimised": 1}', "arm 'optimised' is an int"),
        (ARMS, 'arms = {"baseline": "a list", "A/A control": "x"}', "which is a name of the harness; rename it"),
        (ARMS, 'arms = {"baseline": Arm("a", as_written=True), "optimised": "b"}', "remove as_written"),
        (GROUPS, f"{GROUPS[:-1]}, Group('lookup', 'again')]", "it has two groups named 'lookup'; rename one"),
        (GROUPS, 'groups = ["lookup"]', "it has no groups of cases; declare them"),
        (
            GROUPS,
            'groups = [Group("lookup", "x", skip={"opt": "why"})]',
            "group 'lookup' cannot skip arm 'opt'; choose from 'optimised'",
        ),
        (GROUPS, 'groups = [Group("lookup", "x", growth=(2,))]', "growth of group 'lookup' is not above 0 and up to 1"),
        (GROUPS, f'{GROUPS}\n    engines = "sqlite"', "`engines` is a str; write a list of texts"),
        (GROUPS, f"{GROUPS}\n    engines = ()", "`engines` is empty; name at least one"),
        (GROUPS, f"{GROUPS}\n    load_test = 30", "`load_test` is an int; write LoadTest(rate_per_s, slo=…)"),
        (GROUPS, f"{GROUPS}\n    load_test = LoadTest(0)", "rate_per_s of its load test is 0; write a number above 0"),
        (
            GROUPS,
            f"{GROUPS}\n    load_test = LoadTest(30, seconds=float('inf'))",
            "seconds of its load test is inf; write a number",
        ),
        (
            GROUPS,
            f"{GROUPS}\n    load_test = LoadTest(30, slo='p96 < 1ms')",
            "the SLO of its load test has an unknown figure 'p96'",
        ),
        (
            GROUPS,
            f"{GROUPS}\n    load_test = LoadTest(30, slo='max < 1s', kinds=['rps'])",
            "unknown kind of capacity 'rps'; choose",
        ),
        (GROUPS, f"{GROUPS}\n    tolerances = 0.1", "`tolerances` is a float; write a mapping"),
        (
            "async def run(self, instance, case)",
            "async def run(self, case)",
            "run() has other parameters than run(self, instance, case)",
        ),
        ("def cases(self, setting)", "def cases(self)", "cases() has other parameters than cases(self, setting); give it these"),
        (
            "def cases(",
            "def reset(self, instance):\n        pass\n\n    def cases(",
            "reset() has other parameters than reset(self, inst",
        ),
        ("def cases(", "state = 1\n\n    def cases(", "`state` is an int; write a method"),
        (
            "def cases(",
            'def fault(self, instance, cases):\n        ""\n\n    fault = demonstrates("x", arm="no")(fault)\n\n    def cases(',
            "finding 'x' is about an unknown arm 'no'; choose from 'baseline', 'optimised'",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """One line: the file, the line of the declaration, what is wrong and what to write or to choose from."""
    file = written(tmp_path, old, new)
    with pytest.raises(UsageError) as refused:
        load(file)
    changed = file.read_text()
    first, last = changed[: changed.index(new)].count("\n") + 1, changed[: changed.index(new) + len(new)].count("\n") + 1
    assert complaint in str(refused.value)
    assert any(str(refused.value).startswith(f"{file}, line {line}: Membership: ") for line in range(first, last + 1))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "new", ["async def run(self, *args)", "async def run(self, instance, case, extra=None)", "def run(self, instance, case, /)"]
)
def test_a_method_that_can_be_called_is_accepted(tmp_path: Path, new: str) -> None:
    """Further parameters with defaults, and parameters of other kinds, are no fault."""
    file = written(tmp_path, "async def run(self, instance, case)", new)
    assert load(file).name == "changed"


@pytest.mark.parametrize("measure", ["speedup()", "verified()", "shown()"])
def test_a_measure_of_nothing_is_refused(tmp_path: Path, measure: str) -> None:
    """It could only fail after everything is measured."""
    file = written(tmp_path, 'speedup("lookup"))]', f"{measure})]")
    file.write_text(file.read_text().replace("import combine", "import verified, combine"))
    with pytest.raises(UsageError, match=r"changed\.py, line \d+, cannot be imported: TypeError: .* needs at least one of its "):
        load(file)


def test_a_scenario_whose_constructor_raises_is_refused(tmp_path: Path) -> None:
    """With the line, as an import that fails."""
    file = written(tmp_path, "def cases(", "def __init__(self):\n        raise RuntimeError('no licence')\n\n    def cases(")
    with pytest.raises(UsageError, match=r"changed\.py, line \d+.*: Membership\(\) raised RuntimeError: no licence; fix the file"):
        load(file)


def test_two_files_of_one_name_are_refused_with_both_paths(tmp_path: Path) -> None:
    """Data, cases and results are kept apart by the scenario's name; one file by two paths is one scenario."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "member.py").write_text(GOOD)
    one, other = tmp_path / "a" / "member.py", tmp_path / "b" / "member.py"
    with pytest.raises(UsageError) as refused:
        find([str(tmp_path / "a"), str(other)], tmp_path)
    assert str(refused.value) == f"two scenarios are named 'member': {one} and {other}; rename one, or name one of them"
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert find([str(one), str(tmp_path / "link")], tmp_path) == [one]


PROBED = """    def probes(self, instance):
        return []

    def cases("""


@pytest.mark.parametrize(
    ("metric", "complaint"),
    [
        ("bytes_in_alocations", "unknown metric 'bytes_in_alocations'; did you mean 'bytes_in_allocations'? choose from"),
        ("statements", "promise 'X1' reads an unknown metric 'statements'; choose from 'python_calls'"),
    ],
)
def test_a_metric_that_no_probe_gives_is_refused_with_its_line(tmp_path: Path, metric: str, complaint: str) -> None:
    """A scenario without probes and facts of its own has the metrics of the harness, and no others."""
    promise = f'promises = [Promise("X1", "less", cut(0.5), fewer("{metric}", "lookup"))]'
    file = written(tmp_path, PROMISES, promise)
    file.write_text(file.read_text().replace("from harness import", "from harness import cut, fewer,", 1))
    with pytest.raises(UsageError) as refused:
        load(file)
    line = file.read_text()[: file.read_text().index(promise)].count("\n") + 1
    assert f"{file}, line {line}: " in str(refused.value)
    assert complaint in str(refused.value)


def test_metrics_of_a_scenario_s_own_probes_are_left_to_the_run(tmp_path: Path) -> None:
    """Its probes exist only with an instance: what they give is known when work is counted."""
    promise = 'promises = [Promise("X1", "less", cut(0.5), fewer("clicks", "lookup"))]'
    file = written(tmp_path, PROMISES, promise)
    file.write_text(
        file.read_text().replace("from harness import", "from harness import cut, fewer,", 1).replace("    def cases(", PROBED)
    )
    loaded = load(file)
    declared = Declarations(loaded.file, type(loaded.scenario.written))
    declared.check_metrics(["clicks"])
    with pytest.raises(UsageError, match="unknown metric 'clicks'; did you mean 'click'"):
        declared.check_metrics(["click"], only_near=True)
    declared.check_metrics(["statements"], only_near=True)
    with pytest.raises(UsageError, match="unknown metric 'clicks'; choose from 'statements'"):
        declared.check_metrics(["statements"])
