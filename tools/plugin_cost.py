"""Measure what the installed pytest plugin costs a project that does not use it: `python -m tools.plugin_cost`.

CPU time of `pytest --collect-only` on 50 tests, in interleaved pairs of two environments of the same packages: with
the wheel, and without it. The option `-p no:harness` would hide a part, since pytest reads the list of files of each plugin that is
installed. Needs `uv`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools import exit_code
from tools.floors import install, wheel

TESTS = 50
PAIRS = 40


def project(folder: Path) -> None:
    """Write a project whose tests cost nothing."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text("".join(f"def test_{n}():\n    pass\n\n\n" for n in range(TESTS)))


def cpu_ms(python: str, folder: Path) -> float:
    """Return the CPU time of a collection, in milliseconds."""
    command = [python, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(command, cwd=folder, env=kept, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return 1000 * (usage.ru_utime + usage.ru_stime)


def measure(pythons: tuple[str, str], folder: Path, pairs: int) -> list[tuple[float, float]]:
    """Return the CPU times of pairs of collections, each pair with one of both environments, in alternating order."""
    for python in pythons:
        cpu_ms(python, folder)  # the first one compiles
    measured = []
    for number in range(pairs):
        first, second = pythons if number % 2 else reversed(pythons)
        times = {first: cpu_ms(first, folder), second: cpu_ms(second, folder)}
        measured.append((times[pythons[0]], times[pythons[1]]))
    return measured


def summary(measured: Sequence[tuple[float, float]]) -> str:
    """Return the line about the pairs: both medians, and the median difference."""
    with_it, without_it = (statistics.median(side) for side in zip(*measured, strict=True))
    more = statistics.median(a - b for a, b in measured)
    return f"CPU time: {with_it:.0f} ms with the plugin, {without_it:.0f} ms without, median difference {more:+.1f} ms"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, and print both medians and the median difference."""
    parser = argparse.ArgumentParser(prog="python -m tools.plugin_cost", description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"number of pairs (default: {PAIRS})")
    pairs = parser.parse_args(words).pairs
    with tempfile.TemporaryDirectory(prefix="plugin-cost-") as path:
        folder = Path(path)
        built = wheel(folder)
        for name, installed in (("with", built), ("without", None)):
            install(folder / name, sys.executable, "highest", installed, ["pytest"])
        project(folder / "project")
        measured = measure(
            (str(folder / "with" / "bin" / "python"), str(folder / "without" / "bin" / "python")), folder / "project", pairs
        )
    sys.stdout.write(f"{summary(measured)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
