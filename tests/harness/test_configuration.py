"""The settings of a project: found in the nearest pyproject.toml, converted, and refused by name if they cannot be used."""

import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import _options, main
from harness.configuration import CONVERTERS, Configuration, configuration, read
from harness.errors import UsageError

WHOLE = """\
[tool.harness]
scenarios = "bench"
commands = "own"
engine = "postgres"
size = "tiny"
budget = "90s"

[tool.harness.gate.tolerances]
"orders.blocks" = 0.1
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a project with every setting, and make it the current folder."""
    (tmp_path / "pyproject.toml").write_text(WHOLE)
    (tmp_path / "bench" / "deep").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_setting_is_read(project: Path) -> None:
    """Each has its type, and the file is known."""
    file = project / "pyproject.toml"
    tolerances = {"orders.blocks": 0.1}
    assert configuration(project) == Configuration(file, "bench", "own", "postgres", "tiny", 90.0, tolerances)


def test_the_nearest_file_counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be that of a parent folder; folders are relative to it, and to the current folder where they are below it."""
    assert configuration(project).folder("scenarios") == Path("bench")
    monkeypatch.chdir(project / "own")
    assert configuration(Path.cwd()).folder("scenarios") == project / "bench"
    (project / "own" / "pyproject.toml").write_text("")
    assert configuration(Path.cwd()).folder("scenarios") is None


def test_without_a_file_nothing_is_set(tmp_path: Path) -> None:
    """A folder that is not in a project has no settings."""
    assert configuration(tmp_path) == Configuration()
    assert Configuration().folder("scenarios") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[tool.harness]\nscenario = "bench"', r"\[tool.harness\] has an unknown key 'scenario'; did you mean 'scenarios'\?"),
        ("[tool.harness]\ncolour = 1", r"unknown key 'colour'; choose from budget, commands, engine, gate, scenarios, size"),
        (
            "[tool.harness.gate]\ntolerance = 1",
            r"\[tool.harness.gate\] has an unknown key 'tolerance'; did you mean 'tolerances'\?",
        ),
        ("[tool.harness]\nscenarios = 3", r"\[tool.harness\] scenarios = 3 is not a text; write scenarios = \"bench\""),
        ('[tool.harness]\nscenarios = ""', r"scenarios = '' is not a text"),
        ("[tool.harness]\nengine = ['sqlite']", r"engine = \['sqlite'\] is not a text"),
        ('[tool.harness]\nengine = "oracle"', r"engine: unknown engine 'oracle'; choose from postgres, sqlite, turso"),
        ('[tool.harness]\nsize = "huge"', r"size: unknown size 'huge'; choose from tiny, small, medium, large"),
        ('[tool.harness]\nbudget = "soon"', r"budget: 'soon' is not a duration above 0"),
        ("[tool.harness]\nbudget = true", r"budget = True is not a text"),
        ("[tool.harness]\nbudget = -1", r"budget: '-1' is not a duration"),
        ("[tool.harness]\ngate = 3", r"gate is not a table; write \[tool.harness.gate.tolerances\]"),
        ("[tool.harness.gate]\ntolerances = 3", r"\[tool.harness.gate.tolerances\] is not a table"),
        ("[tool]\nharness = 3", r"tool.harness is not a table; write \[tool.harness\]"),
        ("[tool.harness", r"cannot be read: "),
        (f"[tool.harness]\nbudget = {'9' * 5_000}", r"cannot be read: "),
        (f"[tool.harness]\nscenarios = '{'x' * 300}'", r"scenarios: 'x+…x+' can be no path"),
        ("\ufeff[tool.harness]", r"cannot be read: "),
    ],
)
def test_what_cannot_be_used_is_named(project: Path, text: str, message: str) -> None:
    """The message has the file, the key and the next step."""
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=rf"^{project / 'pyproject.toml'}:? .*{message}"):
        configuration(project)


def test_bytes_that_are_not_text_are_refused(project: Path) -> None:
    """A file that is not UTF-8 is a usage error with its name."""
    (project / "pyproject.toml").write_bytes(b"[tool.harness]\nscenarios = '\xff'\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml cannot be read: .*utf-8"):
        configuration(project)


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True), st.integers() | st.booleans(), min_size=1))
def test_any_table_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, table: dict[str, int | bool]) -> None:
    """Whatever the keys and values are, the answer is a configuration or a usage error."""
    file = tmp_path_factory.mktemp("project") / "pyproject.toml"
    file.write_text("[tool.harness]\n" + "".join(f"{key} = {str(value).lower()}\n" for key, value in table.items()))
    try:
        found = read(file)
    except UsageError as error:
        assert str(file) in str(error)  # noqa: PT017 - both outcomes are valid
    else:
        assert found.budget == float(table["budget"])
        assert table.keys() <= CONVERTERS.keys()


def options(*defaults: _options.Configured, **more: object) -> argparse.Namespace:
    """Return the options of a command with these defaults, resolved."""
    found = argparse.Namespace(**{default.key: default for default in defaults}, **more)
    _options.resolve(found)
    return found


def test_settings_are_the_defaults_of_options(project: Path) -> None:
    """An option that takes several gets a list; what the project does not set keeps the command's own default."""
    engines, size = _options.Configured("engine", []), _options.Configured("size", "small")
    found = options(engines, size, _options.Configured("scenarios", Path("scenarios")))
    assert (found.engine, found.size, found.scenarios) == (["postgres"], "tiny", Path("bench"))
    (project / "pyproject.toml").write_text("")
    found = options(engines, size, _options.Configured("scenarios", Path("scenarios")))
    assert (found.engine, found.size, found.scenarios) == ([], "small", Path("scenarios"))


@pytest.mark.usefixtures("project")
def test_a_preview_keeps_its_own_size_and_budget() -> None:
    """`--quick` is on the command line, so that it wins over the project's size and budget."""
    found = options(_options.Configured("size", None), _options.Configured("budget", None), quick=True)
    assert (found.size, found.budget) == (None, None)


def test_the_command_line_wins_and_a_missing_folder_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`harness list` looks into the project's folder, or into the one that is named; a key that names no folder is refused."""
    assert main(["list"]) == 2
    assert "no scenario file in bench; `harness init` writes a first one" in capsys.readouterr().err
    assert main(["list", "--scenarios", "own"]) == 2
    assert "no scenario file in own" in capsys.readouterr().err
    (project / "bench" / "deep").rmdir()
    (project / "bench").rmdir()
    assert main(["list"]) == 2
    assert "[tool.harness] scenarios = 'bench' is not a folder next to this file; create it" in capsys.readouterr().err
