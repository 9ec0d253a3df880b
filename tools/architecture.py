"""Draw the layers of the import contracts, and write them into docs/architecture.md: `python -m tools.architecture`.

The contracts are those that import-linter checks, in pyproject.toml, so that the page shows what is enforced. Each figure is one
contract about layers; the table below it says what each module is, by its docstring.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from tools import exit_code

ROOT = Path(__file__).parents[1]
PAGE = Path("docs/architecture.md")
FIGURES = Path("docs/architecture")
BEGIN, END = "<!-- {name}: written by `make architecture` -->", "<!-- end -->"

CHARACTER, PADDING, GAP = 8, 12, 10
"""Width of a character of a name, and the spaces inside and between boxes, in pixels."""
BOX, ROW = 30, 46
"""Height of a box, and of a layer with the space below it."""
MARGIN, ARROW = 16, 56
"""Space around a figure, and the width of the arrow's column."""
STYLE = """
svg { font: 13px ui-monospace, monospace; }
text { fill: #1f2937; text-anchor: middle; }
.note { font: 12px system-ui, sans-serif; fill: #4b5563; }
.layer { fill: #f3f4f6; }
.box { fill: #ffffff; stroke: #6b7280; }
.joint { fill: none; stroke: #2563eb; stroke-dasharray: 4 3; }
.protected { stroke: #b45309; stroke-width: 2; }
.arrow { stroke: #4b5563; stroke-width: 1.5; fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb; }
  .note { fill: #9ca3af; }
  .layer { fill: #1f2937; }
  .box { fill: #111827; stroke: #9ca3af; }
  .joint { stroke: #60a5fa; }
  .protected { stroke: #f59e0b; }
  .arrow { stroke: #9ca3af; }
}
"""


@dataclass(frozen=True)
class Layer:
    """Modules that may import those of the layers below."""

    modules: tuple[str, ...]
    """Names within the contract's container."""
    joined: bool
    """Whether the modules may import each other."""


@dataclass(frozen=True)
class LayersContract:
    """A contract about layers, and what it says about each module."""

    name: str
    container: str
    """The package whose modules are in the layers; empty for packages of the repository."""
    layers: tuple[Layer, ...]
    protected: dict[str, tuple[str, ...]]
    """Module → those that may import it, of a contract that protects it."""

    @property
    def figure(self) -> Path:
        """The file of the contract's figure."""
        return FIGURES / f"{self.container or 'repository'}.svg"


def contracts(project: dict[str, Any]) -> list[LayersContract]:
    """Return the contracts about layers in a pyproject.toml; UsageError if one has another form than those that are drawn."""
    declared = project["tool"]["importlinter"]["contracts"]
    protected = {
        module: (*each["allowed_importers"],)
        for each in declared
        if each["type"] == "protected"
        for module in each["protected_modules"]
    }
    if unknown := {each["type"] for each in declared} - {"layers", "protected"}:
        raise UsageError(f"a contract of type {', '.join(sorted(unknown))} cannot be drawn; teach tools/architecture.py to draw it")
    found = []
    for each in declared:
        if each["type"] == "layers":
            container, *others = each.get("containers", [""])
            if others:
                raise UsageError(f"the contract {each['name']!r} has several containers; give each its own contract")
            layers = tuple(map(_layer, each["layers"]))
            inside = {name.removeprefix(f"{container}."): by for name, by in protected.items()}
            names = {module for layer in layers for module in layer.modules}
            found.append(
                LayersContract(each["name"], container, layers, {name: by for name, by in inside.items() if name in names})
            )
    return found


def _layer(text: str) -> Layer:
    return Layer(tuple(re.split(r"\s*[|:]\s*", text.strip())), joined=":" in text)


def draw(contract: LayersContract) -> str:
    """Return a contract's figure as SVG: the layers from above, each of boxes, and an arrow in the direction of imports."""
    widths = [[_width(module) for module in layer.modules] for layer in contract.layers]
    inner = max(sum(row) + GAP * (len(row) + 1) for row in widths)
    width = MARGIN + ARROW + inner + MARGIN
    notes = list(_notes(contract))
    bottom = MARGIN + ROW * len(contract.layers)
    height = bottom + 20 * len(notes) + MARGIN // 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{escape(contract.name)}</title>",
        f"<desc>{escape(described(contract))}</desc>",
        f"<style>{STYLE}</style>",
        f'<path class="arrow" d="M{MARGIN + 12} {MARGIN}V{bottom - 22}m-5 -8l5 8l5 -8"/>',
        f'<text class="note" transform="translate({MARGIN + 34} {(MARGIN + bottom) // 2}) rotate(-90)">may import</text>',
    ]
    for place, (layer, row) in enumerate(zip(contract.layers, widths, strict=True)):
        top = MARGIN + ROW * place
        left = MARGIN + ARROW
        lines.append(f'<rect class="layer" x="{left}" y="{top}" width="{inner}" height="{BOX + 8}" rx="4"/>')
        left += (inner - sum(row) - GAP * (len(row) - 1)) // 2
        if layer.joined:
            span = sum(row) + GAP * (len(row) - 1)
            lines.append(f'<rect class="joint" x="{left - 5}" y="{top + 1}" width="{span + 10}" height="{BOX + 6}" rx="4"/>')
        for module, wide in zip(layer.modules, row, strict=True):
            kind = "box protected" if module in contract.protected else "box"
            lines.append(f'<rect class="{kind}" x="{left}" y="{top + 4}" width="{wide}" height="{BOX}" rx="3"/>')
            lines.append(f'<text x="{left + wide // 2}" y="{top + 24}">{escape(module)}</text>')
            left += wide + GAP
    for place, note in enumerate(notes):
        lines.append(f'<text class="note" x="{MARGIN + ARROW + inner // 2}" y="{bottom + 14 + 20 * place}">{escape(note)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _width(module: str) -> int:
    return CHARACTER * len(module) + 2 * PADDING


def _notes(contract: LayersContract) -> Iterator[str]:
    """Yield the legend: the signs that a figure has."""
    if any(layer.joined for layer in contract.layers):
        yield "dashed: these may also import each other; all others of a layer do not"
    else:
        yield "the boxes of a layer do not import each other"
    for module, importers in contract.protected.items():
        yield f"{module}: imported by {' and '.join(importers)} alone"


def described(contract: LayersContract) -> str:
    """Return a figure in words, for those who cannot see it."""
    layers = "; ".join((" and " if layer.joined else ", ").join(layer.modules) for layer in contract.layers)
    return f"Layers from the top, each of which may import those below: {layers}."


def table(contract: LayersContract, root: Path = ROOT) -> str:
    """Return a contract's modules as a table in Markdown: a row per module, with the first sentence of its docstring."""
    lines = [
        f"![Layers, as in the table below]({contract.figure.relative_to(PAGE.parent)})",
        "",
        "| layer | module | what it is |",
        "|---:|---|---|",
    ]
    for number, layer in enumerate(contract.layers, 1):
        for module in layer.modules:
            name = f"{contract.container}.{module}" if contract.container else module
            lines.append(f"| {number} | `{name}` | {summary(root, name)} |")
    return "\n".join(lines)


def summary(root: Path, module: str) -> str:
    """Return the first line of a module's docstring; UsageError if there is no such module, or it has none."""
    path = root.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    try:
        doc = ast.get_docstring(ast.parse(file.read_bytes()))
    except OSError as error:
        raise UsageError(f"a contract names {module}, which is not a module: {error}; remove it from pyproject.toml") from error
    if not doc:
        raise UsageError(f"{file} has no docstring; write one, its first line is in the table of modules")
    return doc.splitlines()[0].replace("|", "\\|")


def written(root: Path = ROOT) -> dict[Path, str]:
    """Return every file that is written, with its text; UsageError if the page lacks the lines of a contract."""
    found = contracts(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")))
    page = (root / PAGE).read_text(encoding="utf-8")
    for contract in found:
        name = contract.container or "repository"
        begin = BEGIN.format(name=name)
        before, opened, rest = page.partition(begin)
        _, closed, after = rest.partition(END)
        if not (opened and closed):
            raise UsageError(f"{PAGE} lacks the lines of the contract {contract.name!r}; add {begin} and {END}")
        page = f"{before}{begin}\n\n{table(contract, root)}\n\n{END}{after}"
    return {PAGE: page, **{contract.figure: draw(contract) for contract in found}}


def main(root: Path = ROOT) -> int:
    """Write the page and its figures, and return 0."""
    for file, text in written(root).items():
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
