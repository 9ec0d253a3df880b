"""The page about the architecture: drawn from the import contracts, complete, and up to date."""

import shutil
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from harness.errors import UsageError
from tools.architecture import PAGE, ROOT, contracts, described, draw, main, summary, written

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = contracts(PROJECT)
SVG = "{http://www.w3.org/2000/svg}"


def declared(*found: dict[str, Any]) -> dict[str, Any]:
    """Return a pyproject.toml with contracts."""
    return {"tool": {"importlinter": {"contracts": [{"name": "layers", **contract} for contract in found]}}}


def test_the_page_is_up_to_date() -> None:
    """The page and the figures are what `make architecture` writes."""
    for file, text in written().items():
        assert (ROOT / file).read_text(encoding="utf-8") == text, f"{file} is not up to date; run `make architecture`"


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.figure.stem)
def test_a_figure_has_every_module_in_its_layer(contract: Any) -> None:
    """Each box has the name of a module, no two overlap, none lies outside, and those of a layer are in one row."""
    picture = ET.fromstring(draw(contract))
    width, height = int(picture.get("width", 0)), int(picture.get("height", 0))
    boxes = [box for box in picture.iter(f"{SVG}rect") if "box" in box.get("class", "").split()]
    names = [text.text for text in picture.iter(f"{SVG}text") if text.get("class") is None]
    assert names == [module for layer in contract.layers for module in layer.modules]
    places = [[int(box.get(key, 0)) for key in ("x", "y", "width", "height")] for box in boxes]
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in places)
    rows = [[places.pop(0) for _ in layer.modules] for layer in contract.layers]
    assert all(len({y for _, y, _, _ in row}) == 1 for row in rows)
    assert all(left[0] + left[2] < right[0] for row in rows for left, right in pairwise(row))
    assert all(above[0][1] + above[0][3] < below[0][1] for above, below in pairwise(rows))


def test_layers_of_the_contract_are_drawn() -> None:
    """Independent and joined modules are distinguished, and the importers of a protected module are named."""
    (drawn,) = contracts(
        declared(
            {"type": "layers", "containers": ["a"], "layers": ["top", "left : right", "one|two"]},
            {"type": "protected", "protected_modules": ["a.one"], "allowed_importers": ["a.top"]},
        )
    )
    assert [(layer.modules, layer.joined) for layer in drawn.layers] == [
        (("top",), False),
        (("left", "right"), True),
        (("one", "two"), False),
    ]
    assert "top; left and right; one, two" in described(drawn)
    figure = draw(drawn)
    assert figure.count('class="joint"') == 1
    assert figure.count('class="box protected"') == 1
    assert "one: imported by a.top alone" in figure


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ({"type": "forbidden"}, "a contract of type forbidden cannot be drawn"),
        ({"type": "layers", "containers": ["a", "b"], "layers": ["c"]}, "has several containers"),
    ],
)
def test_another_contract_is_refused(contract: dict[str, Any], message: str) -> None:
    """A contract that the figures would leave out is an error, so that the page never shows less than is enforced."""
    with pytest.raises(UsageError, match=message):
        contracts(declared(contract))


def test_modules_without_a_docstring_are_refused(tmp_path: Path) -> None:
    """And so are contracts that name a module which is missing."""
    (tmp_path / "bare.py").touch()
    with pytest.raises(UsageError, match="has no docstring"):
        summary(tmp_path, "bare")
    with pytest.raises(UsageError, match=r"names a\.b, which is not a module"):
        summary(tmp_path, "a.b")


def test_a_new_layer_is_written_into_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A module that is placed appears in the figure and the table; a page without the place for a contract is refused."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(text.replace('  "errors', '  "brand_new | errors'), encoding="utf-8")
    for folder in ("docs", "harness", "fixtures", "datasets", "service", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "harness" / "brand_new.py").write_text('"""A module of today."""\n')
    assert main(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[0] == str(PAGE)
    page = tmp_path / PAGE
    assert "| `harness.brand_new` | A module of today. |" in page.read_text(encoding="utf-8")
    assert ">brand_new</text>" in (tmp_path / "docs/architecture/harness.svg").read_text(encoding="utf-8")
    page.write_text("# Architecture\n", encoding="utf-8")
    with pytest.raises(UsageError, match="lacks the lines of the contract"):
        main(tmp_path)
