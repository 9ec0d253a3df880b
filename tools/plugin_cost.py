"""Measure what the installed pytest plugin costs a project that does not use it: `python -m tools.plugin_cost`.

CPU time (user and system) of `pytest --collect-only` on 50 tests, in interleaved pairs: with the plugin, and with `-p no:harness`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

TESTS = 50
PAIRS = 40


def cpu_ms(folder: Path, *options: str) -> float:
    """Return the CPU time of a collection, in milliseconds."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(command, cwd=folder, env=kept, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return 1000 * (usage.ru_utime + usage.ru_stime)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, and print both medians and the median difference."""
    parser = argparse.ArgumentParser(prog="python -m tools.plugin_cost", description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"number of pairs (default: {PAIRS})")
    pairs = parser.parse_args(words).pairs
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_it.py").write_text("".join(f"def test_{n}():\n    pass\n\n\n" for n in range(TESTS)))
        without = ("-p", "no:harness")
        cpu_ms(folder)
        cpu_ms(folder, *without)  # the first of each compiles
        measured = [
            (cpu_ms(folder), cpu_ms(folder, *without)) if n % 2 else (cpu_ms(folder, *without), cpu_ms(folder))[::-1]
            for n in range(pairs)
        ]
    with_it, without_it = (statistics.median(side) for side in zip(*measured, strict=True))
    more = statistics.median(a - b for a, b in measured)
    sys.stdout.write(f"CPU time: {with_it:.0f} ms with the plugin, {without_it:.0f} ms without, median difference {more:+.1f} ms\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
