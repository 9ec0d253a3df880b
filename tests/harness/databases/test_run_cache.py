"""Values cached in a run: the first process computes a value, the others read it."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

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


def test_each_name_and_scale_has_its_own_value(tmp_path: Path) -> None:
    """Values of different names or scales are separate."""
    setting = Setting(tmp_path, tmp_path)
    keys = [(setting, "one"), (setting, "other"), (replace(setting, scale=0.5), "one")]
    made = [cached_in_run(key, name, partial(int, number)) for number, (key, name) in enumerate(keys)]
    assert made == [0, 1, 2]
