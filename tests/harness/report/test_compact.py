"""Figures in fewer characters that look the same and share no name."""

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from harness.report.compact import compact
from harness.report.svg import figure, inline, look

SVG = """<svg class="figure" viewBox="0 0 10 10" style="--natural: 10px"><defs>
</defs>
<g>
<path d="M 0 10
L 10.04 10.06
z
" style="fill: none"/>
<g/>
<g transform="translate(1.04 2.06)"><g><path d="M 0 10.04
L 1.25 -3
" clip-path="url(#long-name)" style="fill: none; stroke: var(--ink)"/></g></g>
<a href="#elsewhere"><text x="1" y="2.06" style="fill: var(--ink)"> style="fill: none" L 1.04 </text></a>
</g>
<defs><clipPath id="long-name"><rect x="0" y="0" width="10.04" height="1"/></clipPath></defs></svg>"""


def test_what_shows_nothing_is_left_out() -> None:
    """Bare and empty groups, an invisible path, white space; ids and styles are short, texts and other links are kept."""
    text = compact(SVG)
    assert "<g>" not in text
    assert "<g/>" not in text
    assert "elsewhere" in text
    assert "long-name" not in text
    assert '> style="fill: none" L 1.04 </text>' in text
    assert 'd="M0 10L1.2 -3"' in text
    assert 'transform="translate(1 2.1)"' in text
    assert text.count("style=") == 2, "that of the figure, and in the text"
    assert set(re.findall(r"url\(#([^)]+)\)", text)) == set(re.findall(r' id="([^"]+)"', text))
    ET.fromstring(text)


def test_equal_styles_are_one_class() -> None:
    """And different ones are different classes."""
    text = compact(
        '<svg><path style="fill: red" d="M 0 0"/><path style="fill: red" d="M 0 0"/><path style="fill: blue" d=""/></svg>'
    )
    classes = re.findall(r'class="([^"]+)"', text)
    assert len(classes) == 3
    assert len(set(classes)) == 2
    assert text.count("{fill:") == 2


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=20))
def test_points_move_by_a_twentieth_at_most(points: list[tuple[float, float]]) -> None:
    """Coordinates keep one digit after the point, and their number and order."""
    commands = " ".join(f"{'L' if place else 'M'} {x:.6f} {y:.6f}\n" for place, (x, y) in enumerate(points))
    found = re.search(r' d="([^"]*)"', compact(f'<svg><path d="{commands}" style="stroke: red"/></svg>'))
    assert found
    numbers = [float(number) for number in re.findall(r"-?[\d.]+(?:e[+-]\d+)?", found[1])]
    wanted = [value for point in points for value in point]
    assert len(numbers) == len(wanted)
    assert all(abs(a - b) <= 0.0501 for a, b in zip(numbers, wanted, strict=True))


def test_a_figure_is_half_as_long() -> None:
    """The same figure of Matplotlib, with and without its repetitions."""
    with look():
        drawing = figure(300, 200)
        drawing.subplots().plot(range(50), [place % 7 for place in range(50)])
        text = inline(drawing, "one", "label")
    assert len(text) < 5_000
    ET.fromstring(text)


def test_control_characters_are_replaced() -> None:
    """A name with an escape or a direction mark cannot change the text after it."""
    assert "<text>a\ufffdb\ufffdc</text>" in compact("<svg><text>a\x1bb\u202ec</text></svg>")
