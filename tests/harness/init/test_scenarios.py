"""The text of a first scenario: it can be loaded, and a template that does not fit says why."""

import ast
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.init.findings import AppSite, Imported, Place, RoutesFact, Sources
from harness.init.scenarios import TEMPLATES, fitting, written

APP = AppSite("fastapi", "shop.web", "app", is_factory=False, place=Place("shop/web.py", 3))


@pytest.mark.parametrize("name", ["function", "empty"])
def test_templates_that_need_nothing(tmp_path: Path, name: str) -> None:
    """They are Python, with a place for the change to try, and of at most 35 lines."""
    found = written(name, tmp_path, Sources(), Imported())
    ast.parse(found.text)
    assert "TODO" in found.text
    assert len([line for line in found.text.splitlines() if line.strip()]) <= 35
    assert found.about == ""


@pytest.mark.parametrize(
    ("name", "imported", "sources", "message"),
    [
        ("sql", Imported(), Sources(), "no SQLAlchemy tables were found; choose --template function, http or empty"),
        (
            "sql",
            Imported(problems=["x cannot be imported: x.py, line 3: OSError: y"]),
            Sources(),
            "x.py, line 3: OSError: y; fix that",
        ),
        ("http", Imported(), Sources(), "no Flask, FastAPI, Starlette or Django application was found; use `harness load URL`"),
        ("http", Imported(routes=[RoutesFact(APP, [])]), Sources(apps=[APP]), "shop.web.app has no page without parameters"),
        ("http", Imported(problems=["shop.web.app cannot be used: E"]), Sources(apps=[APP]), "shop.web.app cannot be used: E; fix"),
    ],
)
def test_a_template_that_does_not_fit_says_why(
    tmp_path: Path, name: str, imported: Imported, sources: Sources, message: str
) -> None:
    """The reason is the project's: nothing found, or an import that fails, with its line."""
    with pytest.raises(UsageError, match=f"^the {name} template does not fit: .*") as refused:
        written(name, tmp_path, sources, imported)
    assert message in str(refused.value)


def test_without_code_to_measure_no_template_fits(tmp_path: Path) -> None:
    """The caller then takes functions of its own."""
    assert fitting(tmp_path, Sources(), Imported()) == []
    assert TEMPLATES == ("sql", "http", "function", "empty")


def test_a_name_that_a_module_has_is_not_taken(tmp_path: Path) -> None:
    """A scenario file must not shadow one, also not one below `src`."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "first_scenario.py").write_text("")
    (tmp_path / "first_scenario_bench.py").write_text("")
    assert written("empty", tmp_path, Sources(), Imported()).name == "first_scenario_bench_2"
