"""Figures as inline SVG, and the registry they come from."""

import re
from importlib.resources import files

import pytest

from harness.report.figures import drawings
from harness.report.svg import ARM_COLOURS, VARIABLES, arm_styles, figure, inline, is_crowded, look, shorten
from harness.results.run import AA_CONTROL


def drawn(text: str, identity: str = "one") -> str:
    """Draw a figure with a text and a clipped line."""
    with look():
        drawing = figure(300, 200)
        axes = drawing.add_subplot()
        axes.plot([0, 1], [0, 1], marker="o")
        axes.set_title(text)
        return inline(drawing, identity, text)


def test_figures_have_the_colours_of_the_page() -> None:
    """Each placeholder colour becomes a variable that the style sheet defines."""
    svg = drawn("plain")
    assert "var(--ink)" in svg
    assert not re.search(r"#f000[01]\d", svg)
    assert "font-family" not in svg


def test_figures_do_not_share_ids() -> None:
    """Two drawings of the same thing share no id."""
    one, two = (set(re.findall(r' id="([^"]+)"', drawn("same", name))) for name in ("one", "two"))
    assert one
    assert not one & two


@pytest.mark.parametrize("text", ["日本語", "$x$", '<b> & "q"', ' id="x" style="fill: #f00001" url(#a)'])
def test_texts_are_shown_unchanged(text: str) -> None:
    """Japanese, formula signs, markup and what looks like an attribute are shown as text."""
    svg = drawn(text)
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f">{shown}</text>" in svg


def test_shorten_knows_wide_scripts() -> None:
    """Japanese is cut earlier than English, and short texts stay whole."""
    assert shorten("abc", 100) == "abc"
    assert len(shorten("日" * 40, 100)) < len(shorten("a" * 40, 100)) < 40


def test_every_figure_has_a_title_and_how_to_read_it() -> None:
    """Each file of the folder draws a run or a scenario, and has one line on how to read it."""
    found = drawings()
    assert [d.__name__.rpartition(".")[2] for d in found][:2] == ["ablation", "ratio_by_process"]
    assert all(hasattr(d, "draw") != hasattr(d, "draw_run") for d in found)
    assert all(d.TITLE and d.HOW_TO_READ.endswith(".") and "\n" not in d.HOW_TO_READ for d in found)


def test_the_style_sheet_defines_every_colour() -> None:
    """Every colour a figure may use is defined for the light and for the dark page."""
    text = (files("harness.report.html") / "style.css").read_text(encoding="utf-8")
    assert all(len(re.findall(rf"{variable}:", text)) == 2 for variable in VARIABLES.values())


def test_arms_are_styled_by_position() -> None:
    """An arm's style depends on its position without the baseline, not on its name or on the other arms shown."""
    order = ["baseline", "zeta", "alpha"]
    assert arm_styles(order, ["alpha"])["alpha"] == arm_styles(order, order)["alpha"]
    assert [arm_styles(order, order)[arm]["color"] for arm in order[1:]] == list(ARM_COLOURS[:2])


def test_more_arms_than_colours_are_crowded() -> None:
    """The baseline and the A/A control do not count; of many arms the ones shown get different colours."""
    many = [f"only {number}" for number in range(9)]
    assert is_crowded(many)
    assert not is_crowded(["baseline", AA_CONTROL, *many[:6]])
    assert len({style["color"] for style in arm_styles(many, many[4:9]).values()}) == 5 + 2
