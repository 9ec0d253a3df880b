"""Scenario files: found by name or path, loaded, and refused by file name."""

import os
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import discovery
from harness.discovery import (
    NoScenarioError,
    find,
    imported_modules,
    load,
    load_unless_helper,
    refuse_changed,
    refuse_same_names,
    scenario_files,
    watch_locust,
)
from harness.errors import ScenarioFailedError, UsageError

TOYS = Path(__file__).parents[1] / "toys"
DOC = '    """Add the numbers up without making a list of them.\n\n    The review says that a generator saves memory.\n    """\n'
GOOD = (TOYS / "adding.py").read_text().replace("        await asyncio.sleep(0)\n", "")


def written(folder: Path, text: str, name: str = "some_scenario.py") -> Path:
    """Write a scenario file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text)
    return file


def test_a_good_file_loads_under_its_own_name() -> None:
    """The file's stem is the name, the docstring's first line the title, and marked methods are its findings."""
    loaded = load(TOYS / "adding.py")
    assert (loaded.name, loaded.title) == ("adding", "Add the numbers up without making a list of them")
    assert list(loaded.scenario.arms) == ["baseline", "proposed", "optimised"]
    assert [(finding.arm, finding.message) for finding in loaded.findings] == [("proposed", "the proposal still makes a list")]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("import asynccontextmanager", "import nothing_like_it", "cannot be imported: ImportError"),
        ("class Adding(", "class Adding(((", "cannot be imported: SyntaxError"),
        ('"baseline": "a list of lists", ', "", "has no baseline"),
        (', "proposed": Arm("one list", as_written=True), "optimised": "the formula"', "", "has only a baseline"),
        ("(Scenario[dict[str, Any]])", "", "exactly one subclass of Scenario, found none"),
        ("    def cases(", "    def no_cases(", "does not define cases(); add it"),
        (DOC, "", "no docstring"),
    ],
)
def test_a_bad_file_is_refused_by_its_name(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """Each way of being wrong is one line that begins with the file and says what to do."""
    assert old in GOOD
    file = written(tmp_path / "mine", GOOD.replace(old, new))
    with pytest.raises(UsageError) as refused:
        load(file)
    assert str(refused.value).startswith(str(file))
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_generator_in_place_of_run_is_refused(tmp_path: Path) -> None:
    """Its work would not be timed."""
    lazy = GOOD.replace("async def run(", "def run(").replace("        return sum(part", "        yield 0\n        return sum(part")
    with pytest.raises(UsageError, match=r"run is a generator, .*; return a list instead"):
        load(written(tmp_path / "mine", lazy))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('groups = (Group("sum", "add the first numbers"),)', 'groups = {"sum": "add"}', "[Group('sum', 'add'), …]"),
        (
            "    promises = (",
            "    memory_groups = ()\n    promises = (",
            "`memory_groups` was removed; remove it: the memory of every group",
        ),
        ("    async def run(", "    own_ns = None\n    async def run(", "`own_ns` was removed; call it"),
    ],
)
def test_a_scenario_of_the_old_contract_is_refused_with_the_line_to_change(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    """File, line, and what takes the old declaration's place."""
    assert old in GOOD
    text = GOOD.replace(old, new)
    line = text[: text.index(new.strip().splitlines()[0])].count("\n") + 1
    with pytest.raises(UsageError, match=f", line {line}: ") as refused:
        load(written(tmp_path / "mine", text))
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("from harness.judge.verdict import Promise", "'harness.judge' was removed; write `from harness import …`"),
        ("from fixtures.probes.ping import ping", "was removed; write `from harness import …`"),
        ("from harness.scenario import shows", "`shows` was renamed; write `from harness import demonstrates`"),
    ],
)
def test_imports_of_the_old_contract_say_what_to_write(tmp_path: Path, line: str, complaint: str) -> None:
    """The message has the new import line."""
    with pytest.raises(UsageError, match=r", line 3, cannot be imported: ") as refused:
        load(written(tmp_path / "mine", f'"""Doc."""\n\n{line}\n'))
    assert complaint in str(refused.value)


def test_the_line_of_a_failing_import_is_named(tmp_path: Path) -> None:
    """The message says in which line of the scenario file the import went wrong."""
    file = written(tmp_path / "mine", '"""Doc."""\n\nraise RuntimeError("no licence")\n')
    with pytest.raises(UsageError, match=r"line 3, cannot be imported: RuntimeError: no licence"):
        load(file)


@pytest.mark.parametrize("name", ["json.py", "colorsys.py", "sys.py", "pytest.py"])
def test_a_file_that_shadows_a_module_is_refused(tmp_path: Path, name: str) -> None:
    """Locust would replace the module with such a file, so it has to be renamed."""
    file = written(tmp_path / "mine", GOOD, name)
    with pytest.raises(UsageError, match="shadows the importable module"):
        load(file)


def test_a_file_name_must_be_a_python_name(tmp_path: Path) -> None:
    """The message suggests a valid name."""
    with pytest.raises(UsageError, match=r"rename it, for example to n_plus_one\.py"):
        load(written(tmp_path / "mine", GOOD, "n-plus-one.py"))


def test_scenarios_are_found_by_name_file_and_folder(tmp_path: Path) -> None:
    """`all`, a name, a file and a folder all mean the same file, once; private files and the locustfile are not scenarios."""
    file = written(tmp_path / "mine", GOOD)
    for other in ("_shared.py", "locustfile.py"):
        written(tmp_path / "mine", "", other)
    folder = tmp_path / "mine"
    assert find(["all", "some_scenario", str(file), str(folder)], folder) == [file]


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    """The message has the names in the folder."""
    written(tmp_path / "mine", GOOD)
    with pytest.raises(
        UsageError, match=r"unknown scenario 'indexs'; choose from some_scenario, or name a scenario file or a folder of them"
    ):
        find(["indexs"], tmp_path / "mine")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """No scenario is an error with the next step, not an empty success."""
    with pytest.raises(UsageError, match=r"no scenario file in .*; `harness init` writes a first one: a .py file"):
        scenario_files(tmp_path)


def test_inherited_findings_come_first_and_once(tmp_path: Path) -> None:
    """A base class may hold findings; one that the scenario overrides is the scenario's."""
    mixin = (
        "class Findings:\n"
        '    @demonstrates("inherited")\n    async def inherited(self, instance, cases): return "shown"\n\n'
        '    @demonstrates("overridden")\n    async def makes_a_list(self, instance, cases): return "shown"\n\n\n'
    )
    names = [line for line in GOOD.splitlines() if "async def" in line and "cases: Sequence[Case]" in line]
    (method,) = [line.split("def ")[1].split("(")[0] for line in names]
    text = GOOD.replace("class Adding(Scenario", f"{mixin.replace('makes_a_list', method)}class Adding(Findings, Scenario")
    found = load(written(tmp_path / "mine", text)).findings
    assert [finding.message for finding in found] == ["inherited", "the proposal still makes a list"]


def test_a_missing_extra_is_named_by_its_pip_command(tmp_path: Path) -> None:
    """What an import of the harness refuses is passed on, without advice to fix the file."""
    text = GOOD.replace(
        "import asyncio\n", "import asyncio\nfrom harness.errors import UsageError\nraise UsageError('run: pip install x')\n"
    )
    with pytest.raises(UsageError, match=r"some_scenario\.py cannot be imported: run: pip install x$"):
        load(written(tmp_path / "mine", text))


def test_a_project_without_scenarios_gets_the_next_step(tmp_path: Path) -> None:
    """Without a scenarios folder, the message says how to name another one, whether or not a scenario was named."""
    with pytest.raises(
        UsageError, match=r"no folder '.*nowhere' of scenario files; `harness init` writes a first one, or name your folder"
    ):
        find(["all"], tmp_path / "nowhere")
    with pytest.raises(
        UsageError, match=r"unknown scenario 'x'; there are none in '.*nowhere'; `harness init` writes a first one, or name a"
    ):
        find(["x"], tmp_path / "nowhere")


def test_a_missing_extra_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario that imports a package of an extra says how to install it."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(UsageError, match=r"asyncpg is not installed; install it with: pip install 'advice-on-trial\[postgres\]'"):
        load(written(tmp_path / "mine", '"""Doc."""\n\nimport asyncpg\n'))


@pytest.mark.parametrize(
    ("body", "place", "reason"),
    [
        ("import sys\nsys.exit(0)\n", "line 2", "SystemExit: 0"),
        ("import sys; sys.exit()\n", "line 1", "SystemExit: None"),
        ("import os\n\nos._exit(0)\n", "line 3", "SystemExit: 0"),
        ("class Broken:\n    raise SystemExit('bye')\n", "line 2", "SystemExit: bye"),
        ("class Stop(BaseException):\n    pass\n\n\nraise Stop\n", "line 5", "Stop; fix the file"),
        ("import asyncio\nraise asyncio.CancelledError\n", "line 2", "CancelledError; fix the file"),
        ("import pytest\npytest.skip('not now', allow_module_level=True)\n", "line 2", "Skipped: not now"),
        ("def again():\n    again()\n\n\nagain()\n", r"line \d", "RecursionError"),
    ],
)
def test_a_file_that_ends_the_process_is_refused(tmp_path: Path, body: str, place: str, reason: str) -> None:
    """No file can end the command that imports it, neither silently nor with a traceback."""
    file = tmp_path / "leaving.py"
    file.write_text(body)
    leave = os._exit
    with pytest.raises(UsageError, match=rf"leaving\.py, {place}, cannot be imported: {re.escape(reason)}"):
        load(file)
    assert os._exit is leave
    assert "scenario_leaving" not in sys.modules


def test_a_forked_process_may_exit_while_a_file_is_imported(tmp_path: Path) -> None:
    """Only the importing process is kept from ending."""
    file = tmp_path / "forking.py"
    file.write_text("import os\nif os.fork() == 0:\n    os._exit(7)\nraise ValueError(os.waitstatus_to_exitcode(os.wait()[1]))\n")
    with pytest.raises(UsageError, match="ValueError: 7"):
        load(file)


def test_ctrl_c_during_an_import_is_not_an_error_of_the_file(tmp_path: Path) -> None:
    """The interrupt reaches the command."""
    file = tmp_path / "interrupted.py"
    file.write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load(file)


def test_locust_s_own_import_of_a_file_is_watched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that exits is refused with its line; the adapter's own exit, which has its message, and other errors pass."""
    leaving, using, broken = (tmp_path / name for name in ("leaving.py", "using.py", "broken.py"))
    leaving.write_text("import os\nos._exit(0)\n")
    using.write_text("import argparse\nargparse.ArgumentParser().exit(3)\n")
    broken.write_text("1 / 0\n")
    main = SimpleNamespace(load_locustfile=runpy.run_path)
    watch_locust(main)
    with pytest.raises(SystemExit) as refused:
        main.load_locustfile(str(leaving))
    assert refused.value.code == 2
    assert capsys.readouterr().err.startswith(f"harness: {leaving}, line 2, cannot be imported: SystemExit: 0")
    with pytest.raises(SystemExit) as passed:
        main.load_locustfile(str(using))
    assert passed.value.code == 3
    with pytest.raises(ZeroDivisionError):
        main.load_locustfile(str(broken))


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b"# coding: latin-1\n# gr\xf6\xdfer\n"], ids=["mark", "coding"])
def test_a_file_is_read_in_the_encoding_that_python_reads_it_in(tmp_path: Path, head: bytes) -> None:
    """With a byte order mark, or with a declared encoding."""
    file = written(tmp_path, "")
    file.write_bytes(head + GOOD.encode())
    assert load(file).name == "some_scenario"


MODELS = "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase): ...\n"


def test_helpers_beside_scenarios_are_skipped(tmp_path: Path) -> None:
    """conftest.py, __init__.py and modules without a class that may be a scenario are not scenario files."""
    file = written(tmp_path / "mine", GOOD)
    for other in ("conftest.py", "__init__.py", "helpers.py"):
        written(tmp_path / "mine", "import json\n\nVALUE = json.dumps(1)\n", other)
    assert scenario_files(tmp_path / "mine") == [file]


def test_a_file_without_a_scenario_is_skipped_unless_it_is_named(tmp_path: Path) -> None:
    """What only an import can show is decided then; a file that was named is refused with the next step."""
    models = written(tmp_path / "mine", MODELS, "models.py")
    assert scenario_files(tmp_path / "mine") == [models]
    assert load_unless_helper(models, ["all", str(tmp_path)]) is None
    for named in (str(models), "models"):
        with pytest.raises(NoScenarioError, match=r"exactly one subclass of Scenario, found none; rename a helper, .* _models\.py"):
            load_unless_helper(models, [named])


def test_a_file_that_imports_a_scenario_and_has_none_is_refused(tmp_path: Path) -> None:
    """Its author meant it to be one."""
    file = written(tmp_path / "mine", "from harness import Scenario\n")
    with pytest.raises(UsageError, match="found none"):
        load_unless_helper(file, [])


def test_an_unknown_name_gets_the_nearest_one(tmp_path: Path) -> None:
    """A typing error in a scenario's name is answered with the name."""
    written(tmp_path / "mine", GOOD)
    with pytest.raises(UsageError, match=r"unknown scenario 'some_scenari'; did you mean some_scenario\? choose from"):
        find(["some_scenari"], tmp_path / "mine")


def test_two_files_of_one_name_in_different_folders_are_refused(tmp_path: Path) -> None:
    """The message has both."""
    first, other = written(tmp_path / "mine", GOOD), written(tmp_path / "other", GOOD)
    with pytest.raises(UsageError, match="two scenarios are named 'some_scenario'") as refused:
        find([str(first.parent), str(other.parent)], tmp_path)
    assert str(first) in str(refused.value)
    assert str(other) in str(refused.value)


@pytest.mark.parametrize("other", ["linked", "SOME_SCENARIO"])
def test_names_that_are_one_in_results_are_refused(tmp_path: Path, other: str) -> None:
    """A link has the name of its file, and some file systems do not tell upper from lower case."""
    first = written(tmp_path / "mine", GOOD)
    if other == "linked":
        second = tmp_path / "other" / "linked.py"
        second.parent.mkdir()
        second.symlink_to(written(tmp_path / "elsewhere", GOOD))
    else:
        second = written(tmp_path / "other", GOOD, "SOME_SCENARIO.py")
    with pytest.raises(UsageError, match=r"two scenarios are named '\w+': .*mine.* and .*other.*; rename one, or name one of them"):
        find([str(first), str(second)], tmp_path)


def test_a_file_and_a_link_to_it_are_one_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a path is written, it is loaded once."""
    file = written(tmp_path / "mine", GOOD)
    (tmp_path / "linked.py").symlink_to(file)
    monkeypatch.chdir(tmp_path)
    names = [str(file), "mine/some_scenario.py", "./mine/", "linked.py", "mine/../mine/some_scenario.py", "all"]
    assert [each.resolve() for each in find(names, Path("mine"))] == [file]


def test_a_file_named_like_its_folder_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project would import the folder under this name, and Locust the file."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = written(tmp_path / "orders_of_a_test", GOOD, "orders_of_a_test.py")
    with pytest.raises(UsageError, match="shadows the importable module 'orders_of_a_test'; rename the file"):
        load(file)


@pytest.mark.parametrize("is_equal", [False, True], ids=["two files", "one file"])
def test_helpers_of_one_name_in_two_projects_clash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_equal: bool) -> None:
    """A process imports one of them; the other project's scenario would be declared by the wrong one."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(discovery, "_imported_from", {})
    code = f"from bench_of_a_test._sizes import SIZE\n{GOOD}"
    files = [written(tmp_path / project / "bench_of_a_test", code, f"{project}.py") for project in ("one", "other")]
    for number, file in enumerate(files):
        helper = file.with_name("_sizes.py")
        if number and is_equal:
            helper.symlink_to(files[0].with_name("_sizes.py"))
        else:
            helper.write_text(f"SIZE = {number}\n")
    try:
        assert load(files[0]).name == "one"
        if is_equal:
            assert load(files[1]).name == "other"
            return
        with pytest.raises(UsageError) as refused:
            load(files[1])
    finally:
        for name in [name for name in sys.modules if name.startswith("bench_of_a_test")]:
            del sys.modules[name]
    helpers = [file.with_name("_sizes.py") for file in files]
    assert str(refused.value) == (
        f"{files[1]} imports bench_of_a_test._sizes from {helpers[1]}, and {files[0]} has imported {helpers[0]} under this name; "
        "run them one at a time, or rename one module"
    )


def test_modules_that_a_file_may_import_are_found(tmp_path: Path) -> None:
    """Wherever the statement is, with the packages around them; a file that is not Python has none."""
    file = written(tmp_path, "import a.b, c as d\ndef late():\n    from e.f import g\nfrom . import h\n")
    assert imported_modules(file) == {"a", "a.b", "c", "e", "e.f", "e.f.g"}
    assert imported_modules(written(tmp_path, "import a (", "cut.py")) == set()


def test_two_kinds_of_files_of_one_name_are_refused() -> None:
    """As one scenario's results would be stored under the name of the other one."""
    loaded = load(TOYS / "adding.py")
    with pytest.raises(UsageError, match=r"two scenarios are named 'adding': .*adding\.py and .*adding\.target\.json; rename one"):
        refuse_same_names([loaded, replace(loaded, file=loaded.file.with_name("adding.target.json"))])
    refuse_same_names([loaded, replace(loaded, name="other")])


def test_a_file_that_was_changed_since_it_was_imported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose processes import it again would mix two versions."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = written(tmp_path / "mine", GOOD)
    before = load(file)
    refuse_changed(load(file), before.digest)
    refuse_changed(load(file), "")
    file.write_text(f"{GOOD}\n# changed\n")
    with pytest.raises(
        ScenarioFailedError, match=r"some_scenario\.py was changed during the run, which would mix two versions; run"
    ):
        refuse_changed(load(file), before.digest)


def test_a_scenario_imports_from_the_project_and_from_its_src(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are on the path, the project's folder first, whether or not the project is installed."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "code_below_src.py").write_text("WHERE = 'src'\n")
    (tmp_path / "code_beside.py").write_text("from code_below_src import WHERE\n")
    assert load(written(tmp_path / "bench", f"from code_beside import WHERE\n{GOOD}")).name == "some_scenario"
    assert sys.path[:2] == [str(tmp_path), str(tmp_path / "src")]
