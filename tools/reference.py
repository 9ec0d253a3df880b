"""Write the parts of the documentation that the code decides: `python -m tools.reference`, or `make reference`.

The pages of commands and of the run record, the JSON Schema of `run.json`, the table of settings, the page about the published run
and the figures are made from the parsers, the records, the configuration, that run, and simulations. A test compares them with what
is committed.
"""

import argparse
import ast
import contextlib
import importlib
import inspect
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

import harness
from harness import cli, configuration, errors
from harness.cli import _options
from harness.pytest_plugin import options as pytest_options
from harness.results import load, run, store
from harness.results.store import write_bytes
from tools import exit_code, figures, review_page

DOCS = Path(__file__).parents[1] / "docs"
LOCUST = Path(cli.__file__).parents[1] / "locust_adapter" / "request.py"
BEGIN, END = "<!-- settings, written by `make reference` -->\n\n", "\n<!-- end of settings -->\n"
SCHEMA = "https://json-schema.org/draft/2020-12/schema"
COMMANDS_HEAD = """\
# Commands

Every command of `harness` with its options, as its `--help` prints them. Commands that a project adds are not listed
([commands.md](../commands.md)). All end with the [exit codes](../verdicts.md#exit-code) of this package, and all take
`--traceback`, which prints the traceback of an error.
"""
PYTEST_HEAD = """\
## pytest

The plugin adds these options; plain `pytest` verifies that arms agree, and any measuring option of pytest-benchmark times them:
[scenario.md](../scenario.md#under-pytest).
"""
PYTHON_HEAD = """\
# Python

Every public name, from its source. All are imported from the package, `from harness import Scenario, Case`; names with other paths
are internal, and change without notice.
"""
RECORD_HEAD = """\
# The run record

A run is a folder: `run.json`, the raw samples beside it, and the report. [run.schema.json](run.schema.json) is the JSON Schema
of `run.json`, for validation and for typed clients in other languages. In Python, `harness.load_run` reads a run
([analysis.md](../analysis.md)). A baseline is the same record without samples. The record has version {version}
(`schema_version`); a version is not changed in a way that its readers do not understand.

Numbers have their unit in the name. A figure that a run does not have is null, or its list is empty.
"""
SAMPLES_HEAD = """\
## Files of samples

`samples_file` of a scenario is a CSV file with the columns `{samples}`: one row per recorded operation. Under load it has the
columns `{histograms}`: one row per bucket of a histogram that is not empty, with its lowest time and the number of its
operations.
"""


def documents() -> dict[Path, str]:
    """Return the content of every file that is written."""
    published = store.read_run(review_page.PUBLISHED)
    return {
        DOCS / "reference" / "commands.md": commands_page(),
        DOCS / "reference" / "python.md": python_page(),
        DOCS / "reference" / "run.schema.json": json.dumps(schema(), indent=1, ensure_ascii=False) + "\n",
        DOCS / "reference" / "record.md": record_page(),
        DOCS / "configuration.md": with_settings((DOCS / "configuration.md").read_text(encoding="utf-8")),
        DOCS / "explain" / "review.md": review_page.page_of(published),
        **{DOCS / "assets" / name: drawn for name, drawn in figures.figures(published).items()},
    }


def commands_page() -> str:
    """Return the page of all commands that are shipped, and of the options of pytest."""
    with tempfile.TemporaryDirectory() as elsewhere, contextlib.chdir(elsewhere):  # where no project adds commands
        parser = cli._parser()  # noqa: SLF001 - the one that every command line is parsed with
        parts = [COMMANDS_HEAD, *(part for name, command in _actions(parser) for part in _command(f"harness {name}", command, 2))]
    rows = [(f"`{name} {metavar}`", text.replace("%%", "%")) for name, _, _, metavar, text in pytest_options.OPTIONS]
    return "\n".join([*parts, PYTEST_HEAD, _table(("option", "meaning"), rows)])


def _actions(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the name and parser of each command of a parser."""
    for action in parser._actions:  # noqa: SLF001 - argparse shows them nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from sorted(action.choices.items())


def _command(name: str, parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    yield f"{'#' * level} {name}\n"
    yield f"{_paragraphs(parser.description or '')}\n"
    for group in parser._action_groups:  # noqa: SLF001
        rows = [(f"`{_form(action)}`", _help(action)) for action in group._group_actions if _is_shown(action)]  # noqa: SLF001
        if rows:
            if group.title not in {"options", "positional arguments"}:
                yield f"**{(group.title or '').capitalize()}.** {_paragraphs(group.description or '')}".rstrip() + "\n"
            yield _table(("option" if group.title != "positional arguments" else "argument", "meaning"), rows)
    for action, child in _actions(parser):
        yield from _command(f"{name} {action}", child, level + 1)


def _is_shown(action: argparse.Action) -> bool:
    is_common = action.dest in {"help", "traceback"}
    return not is_common and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001


def _form(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    value = "" if action.nargs == 0 else metavar
    return " ".join([", ".join(action.option_strings), value]).strip()


def _help(action: argparse.Action) -> str:
    return _cell((action.help or "").replace("%%", "%"))


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|").replace("<", r"\<")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def python_page() -> str:
    """Return the page of all public names by module: those of scenarios, then those of results, then errors."""
    parts = [PYTHON_HEAD]
    for module in sorted(harness._HOMES, key=lambda name: (name == errors.__name__, name.startswith("harness.results"))):  # noqa: SLF001
        doc = inspect.getdoc(importlib.import_module(module)) or ""
        parts.append(f"## {doc.splitlines()[0].rstrip('.')}\n")
        parts += [f"::: harness.{name}\n" for name in harness._HOMES[module].split()]  # noqa: SLF001
    return "\n".join(parts)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `run.json`: that of the records, with the documentation of their fields."""
    (root,), parts = msgspec.json.schema_components([run.Run])
    for name, definition in parts.items():
        documented = _field_docs(_record(name)) if "properties" in definition else {}
        for key, text in documented.items():
            if key in definition["properties"]:
                definition["properties"][key]["description"] = text
        if "description" in definition:
            definition["description"] = _paragraphs(inspect.cleandoc(definition["description"]))
    ordered = json.loads(json.dumps(parts).replace("#/components/schemas/", "#/$defs/"))
    reference = json.loads(json.dumps(root).replace("#/components/schemas/", "#/$defs/"))
    title = f"run.json of advice-on-trial, version {store.SCHEMA_VERSION}"
    ordered["Run"]["properties"]["schema_version"]["const"] = store.SCHEMA_VERSION
    return {"$schema": SCHEMA, "title": title, **reference, "$defs": ordered}


def _record(name: str) -> type:
    """Return the record of a name."""
    found: type = next(getattr(module, name) for module in (run, load) if hasattr(module, name))
    return found


@cache
def _documented(module: ModuleType) -> Mapping[str, Mapping[str, str]]:
    """Return class → field → the docstring below it."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            for field, text in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                ):
                    found.setdefault(node.name, {})[field.target.id] = " ".join(str(text.value.value).split())
    return found


def _field_docs(record: type) -> dict[str, str]:
    """Return field → documentation, of inherited fields as well."""
    found: dict[str, str] = {}
    for part in reversed(record.__mro__[:-1]):
        found.update(_documented(importlib.import_module(part.__module__)).get(part.__name__, {}))
    return found


def record_page() -> str:
    """Return the page of the run record: every record that it consists of, the outermost first."""
    definitions = schema()["$defs"]
    parts = [RECORD_HEAD.format(version=store.SCHEMA_VERSION)]
    for name in _in_order(definitions):
        definition = definitions[name]
        parts.append(f"## {name}\n\n{definition.get('description', '')}\n")
        if "enum" in definition:
            parts.append("One of " + ", ".join(f"`{value}`" for value in definition["enum"]) + ".\n")
        else:
            rows = [
                (f"`{key}`", _cell(_type(value)), _cell(value.get("description", "")))
                for key, value in definition["properties"].items()
            ]
            parts.append(_table(("field", "type", "meaning"), rows))
    parts.append(SAMPLES_HEAD.format(samples=", ".join(store.SAMPLE_COLUMNS), histograms=", ".join(store.HISTOGRAM_COLUMNS)))
    return "\n".join(parts)


def _in_order(definitions: Mapping[str, Any]) -> list[str]:
    """Return the names of the definitions, each after the one that refers to it first."""
    found: dict[str, None] = {"Run": None}
    for name in found.copy():
        _follow(name, definitions, found)
    return list(found)


def _follow(name: str, definitions: Mapping[str, Any], found: dict[str, None]) -> None:
    for child in re.findall(r"#/\$defs/(\w+)", json.dumps(definitions[name])):
        if child not in found:
            found[child] = None
            _follow(child, definitions, found)


def _type(value: Mapping[str, Any]) -> str:
    """Return the type of a field in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(_type(part) for part in value["anyOf"])
    if value.get("type") == "array":
        if "prefixItems" in value:
            return f"({', '.join(_type(part) for part in value['prefixItems'])})"
        return f"list of {_type(value['items'])}"
    if value.get("type") == "object":
        return f"name → {_type(value['additionalProperties'])}"
    return str(value.get("type", "any"))


def with_settings(page: str) -> str:
    """Return the page of settings with its table as the code has it."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{settings_table()}{END}{after}"


def settings_table() -> str:
    """Return the table of all keys of `[tool.harness]`, and of the options that override them."""
    documented = {field.name: text for field in fields(configuration.Configuration) if (text := _meaning(field.name))}
    with tempfile.TemporaryDirectory() as elsewhere, contextlib.chdir(elsewhere):
        parser = cli._parser()  # noqa: SLF001 - the one that every command line is parsed with
        overriding = list(_overriding(parser))
    rows = []
    for key, (_, example) in configuration.CONVERTERS.items():
        named = [f"`{option}` of `harness {'`, `'.join(commands)}`" for option, commands in _grouped(key, overriding)]
        named += [f"`{option}` of pytest" for option, *_ in pytest_options.OPTIONS if option == f"--harness-{key}"]
        named += [f"`{option}` of Locust" for option in _of_locust(key)]
        rows.append((f"`{key}`", f"`{example}`", documented[key], "; ".join(named) or "–"))
    rows.append(("`gate.tolerances`", '`"scenario.metric" = 0.1`', documented["tolerances"], "–"))
    return _table(("key", "example", "meaning", "overridden by"), rows)


def _meaning(name: str) -> str:
    return _cell(_documented(configuration).get("Configuration", {}).get(name, ""))


def _overriding(parser: argparse.ArgumentParser, name: str = "harness") -> Iterator[tuple[str, str, str]]:
    """Yield (key, option, command) of each option whose default is a key of the settings."""
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action.default, _options.Configured):
            yield action.default.key, action.option_strings[-1], name
    for command, child in _actions(parser):
        yield from _overriding(child, command)


def _grouped(key: str, overriding: list[tuple[str, str, str]]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for known, option, command in overriding:
        if known == key:
            found.setdefault(option, []).append(command)
    return list(found.items())


def _of_locust(key: str) -> list[str]:
    """Return the options of Locust whose default is a key, from the source: importing it would patch this process."""
    return re.findall(rf'"(--\w+)", default=project\.{key} ', LOCUST.read_text(encoding="utf-8"))


def main() -> int:
    """Write every file, and print the names of those that changed."""
    for path, text in documents().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_bytes(path, text.encode())
            sys.stdout.write(f"{os.path.relpath(path)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
