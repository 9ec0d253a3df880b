"""What is made once a run: the first who asks makes it, the others get the same."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.databases.run_cache import cached_in_run
from harness.scenario import Setting

ELSEWHERE = """
import sys
from pathlib import Path
from harness.databases.run_cache import cached_in_run
from harness.scenario import Setting
folder = Path(sys.argv[1])
print(cached_in_run(Setting(folder, folder), "answer", lambda: 0))
"""


def test_only_the_first_makes_it(tmp_path: Path) -> None:
    """Whoever asks for the name again gets what was made first, another process included."""
    setting = Setting(tmp_path, tmp_path)
    assert [cached_in_run(setting, "answer", partial(int, number)) for number in ("42", "43")] == [42, 42]
    asked = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    done = subprocess.run(asked, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"


def test_each_name_and_share_of_the_data_has_its_own(tmp_path: Path) -> None:
    """Nothing is taken for something else's."""
    setting = Setting(tmp_path, tmp_path)
    places = [(setting, "one"), (setting, "other"), (replace(setting, scale=0.5), "one")]
    made = [cached_in_run(place, name, partial(int, number)) for number, (place, name) in enumerate(places)]
    assert made == [0, 1, 2]
