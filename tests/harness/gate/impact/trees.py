"""Two versions of a small program, recorded in a process of each and compared."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.gate.impact import recording
from harness.gate.impact.decision import VersionRecording, differences, parsed

DRIVER = """\
import json, os, runpy, sys
root, recording, *folders = sys.argv[1:]
recorder = runpy.run_path(recording)["ProcessRecorder"](root, [__file__])
recorder.start()
sys.path[:0] = [root, *folders]
import suite
benchmarks = {}
for name in dir(suite):
    if name.startswith("bench"):
        recorder.enter(name)
        function = getattr(suite, name)
        def timed():
            return function()
        timed()
        recorder.count(name, timed)
        recorder.leave()
        benchmarks[name] = ["", name]
print("\\n" + json.dumps({**recorder.found(), "benchmarks": benchmarks}))
"""

Files = Mapping[str, str | bytes | None]
"""Path → content; None removes the file."""


def write(folder: Path, *versions: Files) -> Path:
    """Write files, later ones over earlier ones."""
    for files in versions:
        for name, content in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.unlink()
            elif isinstance(content, bytes):
                file.write_bytes(content)
            else:
                file.write_text(content, encoding="utf-8")
    return folder


def record(
    tree: Path, *folders: Path, options: tuple[str, ...] = (), python: str = sys.executable, **variables: str
) -> VersionRecording:
    """Return the recording of the functions of `suite.py` whose names begin with `bench`, without installed packages."""
    driver = tree.parent / "driver.py"
    driver.write_text(DRIVER, encoding="utf-8")
    command = [python, "-S", *options, str(driver), str(tree), str(Path(recording.__file__)), *map(str, folders)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **variables}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return parsed(json.loads(done.stdout.splitlines()[-1]))


def compared(folder: Path, base: Files, change: Files, name: str = "bench") -> list[str]:
    """Return the differences of a benchmark between a version, and one with a change."""
    old, new = write(folder / "old", base), write(folder / "new", base, change)
    return differences(record(old), record(new), (old, new), [name])[name]
