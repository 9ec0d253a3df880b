"""Values cached in a run: the first process computes a value, the others read it."""

import itertools
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.databases.run_cache import cached_in_run
from harness.scenario import Setting

OTHER_PROCESS = """
import sys
from pathlib import Path
from harness.databases.run_cache import cached_in_run
from harness.scenario import Setting
folder = Path(sys.argv[1])
print(cached_in_run(Setting(folder, folder), "answer", lambda: 0))
"""


def test_only_the_first_process_computes_the_value(tmp_path: Path) -> None:
    """Later calls with the same name return the first value, in another process too."""
    setting = Setting(tmp_path, tmp_path)
    assert [cached_in_run(setting, "answer", partial(int, number)) for number in ("42", "43")] == [42, 42]
    command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"


def test_later_runs_read_the_value(tmp_path: Path) -> None:
    """A function of a module is computed once for all runs with the same setting, and again for another one."""
    made = itertools.count(1)

    def value(folder: str, **changes: Any) -> int:
        (tmp_path / folder).mkdir()
        setting = Setting(tmp_path / folder, tmp_path / folder)
        return cached_in_run(replace(setting, **changes), f"count-{tmp_path.name}", lambda: next(made))

    assert [value("first"), value("second")] == [1, 1]
    changes: list[dict[str, Any]] = [{"seed": 1}, {"size": "tiny"}, {"engine": "turso"}, {"quick": True}, {"scale": 0.5}]
    assert [value(f"other-{number}", **change) for number, change in enumerate(changes)] == [2, 3, 4, 5, 6]
    assert [value(f"again-{number}", **change) for number, change in enumerate(changes)] == [2, 3, 4, 5, 6]


def test_a_value_of_unknown_code_stays_in_its_run(tmp_path: Path) -> None:
    """A callable that is not a plain function is called again by the next run."""
    found = []
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        setting = Setting(tmp_path / number, tmp_path / number)
        found.append(cached_in_run(setting, f"unknown-{tmp_path.name}", partial(int, number)))
    assert found == [1, 2]


def test_each_name_and_scale_has_its_own_value(tmp_path: Path) -> None:
    """Values of different names or scales are separate."""
    setting = Setting(tmp_path, tmp_path)
    keys = [(setting, "one"), (setting, "other"), (replace(setting, scale=0.5), "one")]
    made = [cached_in_run(key, name, partial(int, number)) for number, (key, name) in enumerate(keys)]
    assert made == [0, 1, 2]
