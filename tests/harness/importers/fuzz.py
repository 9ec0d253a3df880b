"""Fuzz the importers by coverage: any file gives a run or an error of one line.

    pip install atheris
    python -m tests.harness.importers.fuzz -max_total_time=60

It starts with the files in `fixtures`, and takes libFuzzer's options. It is not part of the suite, since it has no end.
"""

import importlib
import shutil
import sys
import tempfile
from pathlib import Path

from harness.errors import HarnessError

FIXTURES = Path(__file__).with_name("fixtures")
NAMES = {b"T": "x_stats.csv", b"N": "x_stats.csv"}
"""First byte → file name; other files are JSON."""


def main() -> None:
    """Fuzz until stopped."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["harness.importers"]):
        importers = importlib.import_module("harness.importers")
    with tempfile.TemporaryDirectory() as name:
        folder, corpus = Path(name), Path(name) / "corpus"
        shutil.copytree(FIXTURES, corpus)

        def one(content: bytes) -> None:
            file = folder / NAMES.get(content[:1], "x.json")
            file.write_bytes(content)
            try:
                importers.read(file)
            except HarnessError as error:
                if "\n" in str(error):
                    raise AssertionError(f"more than a line: {error}") from error

        atheris.Setup([sys.argv[0], str(corpus), *sys.argv[1:]], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
