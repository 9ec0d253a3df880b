"""A project's settings: `[tool.harness]` in its pyproject.toml, read by the command line, the pytest plugin and the Locust adapter.

The file is the nearest pyproject.toml, in a folder or in the closest of its parents that has one; paths in it are relative to it.
Command-line options override it. A key that is unknown or has an invalid value is a usage error, which names the file and the key.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness import options
from harness.errors import UsageError
from harness.results.compressed import bytes_of
from harness.results.names import shortened
from harness.suggestions import did_you_mean

PROJECT_FILE = "pyproject.toml"
SECTION = "tool.harness"
MAX_BYTES = 10 * 2**20
TOLERANCES = f"{SECTION}.gate.tolerances"
TOLERANCE_EXAMPLE = 'write "scenario.metric" = 0.02'


@dataclass(frozen=True)
class Configuration:
    """The settings in `[tool.harness]`; None for those that are not set."""

    file: Path | None = None
    """The project's pyproject.toml, if it has one."""
    scenarios: str | None = None
    """The folder of scenario files; without it `scenarios`, and pytest collects none."""
    commands: str | None = None
    """The folder of the project's own commands."""
    engine: str | None = None
    """The database engine; without it the first one of each scenario. A scenario that declares none has none."""
    size: str | None = None
    """The size of the dataset: `tiny`, `small`, `medium` or `large`; without it `small`, and `tiny` in pytest, Locust and
    `harness gate`."""
    budget: float | None = None
    """The time budget of a run, and of the timing in pytest: seconds, or a duration; without it from the number of scenarios, and
    20 s in pytest."""
    tolerances: Mapping[str, float] = field(default_factory=dict)
    """"scenario.metric" → the share by which it may change, from `[tool.harness.gate.tolerances]`."""

    def folder(self, key: str) -> Path | None:
        """Return the folder that a key names, relative to the current folder where it is below it; None if the key is not set.

        Raises UsageError if there is no such folder.
        """
        named: str | None = getattr(self, key)
        if self.file is None or named is None:
            return None
        found = self.file.parent / named
        if not found.is_dir():
            wanted = "is not a folder next to this file; create it or fix the name"
            raise UsageError(f"{self.file}: [{SECTION}] {key} = {shortened(named)!r} {wanted}")
        here = Path(os.path.relpath(found))
        return found if ".." in here.parts else here


def configuration(start: Path) -> Configuration:
    """Return the settings of the project that a folder belongs to; UsageError if its pyproject.toml cannot be used."""
    file = next((found for folder in (start, *start.parents) if (found := folder / PROJECT_FILE).is_file()), None)
    return Configuration() if file is None else read(file)


def read(file: Path) -> Configuration:
    """Return the settings in a pyproject.toml; UsageError if it cannot be read, or a setting is unknown or invalid."""
    try:
        found: object = tomllib.loads(bytes_of(file, MAX_BYTES).decode())
    except (OSError, ValueError, RecursionError) as error:  # of TOML; and of a number with more digits than Python reads
        raise UsageError(f"{file} cannot be read: {error}; fix the file") from error
    for name in SECTION.split("."):
        found = found.get(name, {}) if isinstance(found, dict) else {}
    if not isinstance(found, dict):
        raise UsageError(f"{file}: {SECTION} is not a table; write [{SECTION}]")
    _refuse_unknown(file, SECTION, found, {*CONVERTERS, "gate"})
    gate = found.get("gate", {})
    if not isinstance(gate, dict):
        raise UsageError(f"{file}: [{SECTION}] gate is not a table; write [{TOLERANCES}]")
    _refuse_unknown(file, f"{SECTION}.gate", gate, {"tolerances"})
    values = {key: _converted(file, key, found[key]) for key in CONVERTERS if key in found}
    return Configuration(file, **values, tolerances=_tolerances(file, gate.get("tolerances", {})))  # type: ignore[arg-type]


def _refuse_unknown(file: Path, section: str, found: Mapping[str, object], known: set[str]) -> None:
    for key in found.keys() - known:
        remedy = did_you_mean(key, known, "{!r}").strip() or f"choose from {', '.join(sorted(known))}"
        raise UsageError(f"{file}: [{section}] has an unknown key {key!r}; {remedy}")


def _converted(file: Path, key: str, value: object) -> object:
    convert, example = CONVERTERS[key]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (isinstance(value, str) and value) and not (key == "budget" and is_number):
        raise UsageError(f"{file}: [{SECTION}] {key} = {shortened(repr(value))} is not a text; write {key} = {example}")
    try:
        return convert(str(value))
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{file}: [{SECTION}] {key}: {error}") from error


CONVERTERS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "scenarios": (options.place, '"bench"'),
    "commands": (options.place, '"commands"'),
    "engine": (options.engine, '"sqlite"'),
    "size": (options.size, '"small"'),
    "budget": (options.duration, '"30s"'),
}
"""Key → its converter from a text, and an example of a value."""


def _tolerances(file: Path, section: object) -> dict[str, float]:
    if not isinstance(section, dict):
        raise UsageError(f"{file}: [{TOLERANCES}] is not a table; {TOLERANCE_EXAMPLE} below it")
    for name, share in section.items():
        is_number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not (is_number and 0 <= share <= sys.float_info.max):  # TOML has integers of any size
            raise UsageError(f"{file}: [{TOLERANCES}] {name!r} is not a share of 0 or more; {TOLERANCE_EXAMPLE}")
        if "." not in name:
            raise UsageError(f"{file}: [{TOLERANCES}] {name!r} is not a metric of a scenario; {TOLERANCE_EXAMPLE}")
    return {name: float(share) for name, share in section.items()}
