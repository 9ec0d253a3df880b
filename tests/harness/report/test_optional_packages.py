"""Packages of the `report` extra: not imported for text reports, and named by an error if they are missing."""

import subprocess
import sys

import pytest

TEXT = "harness.report.overview, harness.report.gate, harness.report.markdown, harness.report.junit, harness.report.github"
HEAVY = {"matplotlib", "pandas", "numpy", "jinja2", "scipy"}


def run_python(code: str) -> str:
    """Return what a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_text_reports_import_no_heavy_package() -> None:
    """Terminal and Markdown need neither figures nor templates."""
    code = f"import sys, {TEXT}, harness.report.terminal; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert run_python(code) == "[]"


@pytest.mark.parametrize(
    ("package", "statement", "message"),
    [
        ("matplotlib", "from harness.report.figures import drawings; drawings()", "drawing figures needs the package matplotlib"),
        ("jinja2", "import harness.report.html", "the HTML report needs the package jinja2"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(package: str, statement: str, message: str) -> None:
    """The error is one line with the pip command."""
    code = (
        f"import sys; sys.modules[{package!r}] = None\nfrom harness.errors import UsageError\n"
        f"try:\n    {statement}\nexcept UsageError as error:\n    print(error)"
    )
    assert run_python(code) == f"{message}; install it with: pip install 'advice-on-trial[report]'"
