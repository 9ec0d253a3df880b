"""Packages of the `report` extra: not imported for text reports, and named by an error if they are missing."""

import subprocess
import sys

TEXT = "harness.report.overview, harness.report.gate, harness.report.markdown, harness.report.junit, harness.report.github"
HEAVY = {"matplotlib", "pandas", "numpy", "jinja2", "scipy"}


def run_python(code: str) -> str:
    """Return what a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_text_reports_import_no_heavy_package() -> None:
    """Terminal and Markdown need neither figures nor templates."""
    code = f"import sys, {TEXT}, harness.report.terminal; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert run_python(code) == "[]"


def test_a_missing_package_is_named_with_its_extra() -> None:
    """The error is one line with the pip command."""
    code = (
        "import sys; sys.modules['jinja2'] = None\nfrom harness.errors import UsageError\n"
        "try:\n    import harness.report.html\nexcept UsageError as error:\n    print(error)"
    )
    message = "the HTML report needs the package jinja2; install it with: pip install 'advice-on-trial[report]'"
    assert run_python(code) == message


def test_figures_need_no_package_of_the_extra() -> None:
    """Every figure is written by this project: no plotting package is imported."""
    code = f"import sys, harness.report.figures as f; f.drawings(); print(sorted({HEAVY - {'numpy'}!r} & set(sys.modules)))"
    assert run_python(code) == "[]"
