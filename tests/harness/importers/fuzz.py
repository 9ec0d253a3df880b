"""Fuzz the importers by coverage: any file gives a run or an error of one line.

    pip install atheris
    python -m tests.harness.importers.fuzz -max_total_time=60

It starts with the files in `fixtures` and in `tests/cases/files`, and takes libFuzzer's options. It is not part of the suite, since
it has no end.
"""

import importlib
import shutil
import sys
import tempfile
from pathlib import Path

from harness.errors import HarnessError

FOLDERS = (Path(__file__).with_name("fixtures"), Path(__file__).parents[2] / "cases" / "files")
"""The files to start with, of every format."""


def main() -> None:
    """Fuzz until stopped."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["harness.importers"]):
        importers = importlib.import_module("harness.importers")
        importers.importers()
    with tempfile.TemporaryDirectory() as name:
        file, corpus = Path(name) / "file", Path(name) / "corpus"
        for folder in FOLDERS:
            shutil.copytree(folder, corpus, dirs_exist_ok=True)

        def one(content: bytes) -> None:
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
