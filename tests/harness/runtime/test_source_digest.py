"""The digest of code: any module that is imported belongs to it, and nothing else of the project."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from harness.runtime.source_digest import source_digest
import shop.scenario
print(source_digest(["shop.scenario"]))
"""
FILES = {
    "shop/__init__.py": "",
    "shop/scenario.py": "import json, numpy\nfrom shop import rows\nfrom .models import Order\n\n\ndef late():\n    import lone\n",
    "shop/rows.py": "from shop.deep import numbers as n\n",
    "shop/deep/__init__.py": "",
    "shop/deep/numbers.py": "ONE = 1\n",
    "shop/models.py": "class Order: ...\n",
    "shop/unrelated.py": "TWO = 2\n",
    "lone.py": "THREE = 3\n",
}
ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of a small project."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digest(project: Path, program: str = PROGRAM) -> str:
    """Return the digest of the project's scenario, in a fresh process."""
    environment = {"PYTHONPATH": f"{project}:{ROOT}", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_each_imported_file_counts_wherever_its_import_is(project: Path) -> None:
    """Absolute, relative and late imports, of modules, names and packages; a file that nothing imports does not count."""
    before = digest(project)
    assert len(before) == 64
    assert digest(project) == before
    for name, text in FILES.items():
        (project / name).write_text(text + "# edited\n")
        assert (digest(project) == before) == (name == "shop/unrelated.py"), name
        (project / name).write_text(text)
    assert digest(project) == before


def test_code_without_a_file_has_no_digest(project: Path) -> None:
    """A program that was typed, a module that does not exist, or one that cannot be parsed."""
    for name in ("__main__", "shop.missing", "sys"):
        assert digest(project, PROGRAM.replace('["shop.scenario"]', f'["{name}"]')) == "None"
    (project / "lone.py").write_text("def (\n")
    assert digest(project) == "None"


def test_installed_packages_and_python_count_by_their_versions(project: Path) -> None:
    """Another version of a distribution, or of Python, gives another digest."""
    change = "import harness.runtime.source_digest as s, platform\n"
    before = digest(project)
    newer = change + "found = s._distributions()\ns._distributions = lambda: [*found, 'numpy-99.dist-info']\n" + PROGRAM
    assert digest(project, newer) != before
    assert digest(project, change + "platform.python_version = lambda: '3.99.0'\n" + PROGRAM) != before
    assert digest(project, change + "s._own = lambda: 'edited'\n" + PROGRAM) != before
