"""The common style of all figures: drawn with Matplotlib, written as SVG in the colours of the page.

Figures are drawn in placeholder colours (`#f0000n`). In the SVG each becomes a CSS variable of the page, so that one drawing serves
the light and the dark page. The same figure gives the same bytes.
"""

import io
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import blended_transform_factory

from harness.report.compact import compact
from harness.report.numbers import Unit
from harness.results.run import AA_CONTROL, BASELINE, ScenarioResult

_NAMES = ("ink", "muted", "grid", "card", "keeps", "band", "arm-baseline", "arm-control", *(f"arm-{n}" for n in range(1, 7)))
VARIABLES = {f"#f000{number:02}": f"--{name}" for number, name in enumerate(_NAMES)}
"""The variable of the page's style sheet for each placeholder colour."""

INK, MUTED, GRID, PAPER, KEEPS, BAND, BASELINE_COLOUR, CONTROL_COLOUR, *ARM_COLOURS = VARIABLES

Styles = dict[str, dict[str, Any]]
"""Arm → what Matplotlib takes to draw its lines: `color`, `linestyle`, `marker`."""

ARM_STYLES = [
    {"color": colour, "linestyle": line, "marker": marker}
    for colour, line, marker in zip(ARM_COLOURS, ((0, (5, 1.6)), "-", *["-."] * 4), "sD^vPX", strict=True)
]
"""The styles of arms by position; lines and markers differ too, so that colour is never the only difference."""

INCH = 72.0
"""Matplotlib's SVG has 72 units per inch, so a figure's size in these units is its view box."""

LOOK: dict[str, Any] = {
    **dict.fromkeys(("text.color", "axes.titlecolor"), INK),
    **dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), MUTED),
    **dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), GRID),
    **dict.fromkeys(("axes.facecolor", "figure.facecolor", "savefig.facecolor"), "none"),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon", "text.parse_math"), False),
    **dict.fromkeys(("axes.grid", "axes.axisbelow"), True),
    **dict.fromkeys(("grid.linewidth", "xtick.major.width", "ytick.major.width"), 0.6),
    "axes.linewidth": 0.7,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.titlesize": 11.5,
    "font.size": 10.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "reports",
}


def look() -> AbstractContextManager[None]:
    """Apply the look to figures made and written inside the context."""
    return mpl.rc_context(LOOK)  # type: ignore[arg-type] # the stubs list every key as a literal


def figure(width: float, height: float) -> Figure:
    """Return an empty figure of `width` by `height` view-box units, which pyplot does not know."""
    return Figure(figsize=(width / INCH, height / INCH))


def row_axes(width: float, sides: tuple[float, float], tall: float, ends: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return a figure and its axes for rows, `tall` units in all, y downwards; texts go to the `sides` and `ends` around them."""
    (left, right), (top, foot) = sides, ends
    height = top + tall + foot
    drawing = figure(width, height)
    axes = drawing.add_axes((left / width, foot / height, 1 - (left + right) / width, tall / height))
    axes.set(ylim=(tall, 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    return drawing, axes


def write(axes: Axes, x: float, y: float, text: str, room: float = math.inf, **style: Any) -> None:
    """Write beside rows, `x` units from the figure's left edge and at `y` of the axis, cut to `room` units."""
    place = blended_transform_factory(axes.figure.dpi_scale_trans, axes.transData)
    axes.figure.text(x / INCH, y, shorten(text, room), va="center", transform=place, **style)


def interval_mark(
    axes: Axes, value: float, bounds: tuple[float | None, float | None], y: float, colour: str, *, marker: str = "o", hollow: bool
) -> None:
    """Draw a value as a mark and its interval, if it has one, as a bar."""
    low, high = bounds
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
    face = "none" if hollow else colour
    axes.plot([value], [y], marker, color=colour, markersize=6.2, markerfacecolor=face, markeredgewidth=1.5, clip_on=False)


def panels(titles: Sequence[str], height: float = 200) -> tuple[Figure, list[Axes]]:
    """Return a figure of small multiples of `height` units each, two in a row, with room above them for a legend."""
    width, legend_height = 560, 30
    across, down = min(len(titles), 2), -(-len(titles) // 2)
    tall = height if len(titles) > 1 else height * 1.25
    whole = legend_height + down * tall
    drawing = figure(width, whole)
    sides = {"left": 58 / width, "right": 1 - 14 / width, "top": 1 - (legend_height + 22) / whole, "bottom": 42 / whole}
    gaps = {"hspace": 66 / (tall - 66), "wspace": 66 / ((width - 72) / across - 33)}
    grid = drawing.add_gridspec(down, across, **sides, **gaps)
    axes = [drawing.add_subplot(grid[place // across, place % across]) for place in range(len(titles))]
    for panel, title in zip(axes, titles, strict=True):
        panel.set_title(shorten(title, 200))
    return drawing, axes


def arm_styles(order: Iterable[str], shown: Iterable[str]) -> Styles:
    """Return colour, line and marker of each arm by its position in `order`, the same in every figure of a scenario.

    Positions count without the baseline and the A/A control, which have their own styles, and only the arms shown if there are more
    arms than colours.
    """
    drawn = dict.fromkeys(shown)
    arms = [name for name in dict.fromkeys([*order, *drawn]) if name not in {BASELINE, AA_CONTROL}]
    if len(arms) > len(ARM_COLOURS):
        arms = [name for name in arms if name in drawn]
    return {
        BASELINE: {"color": BASELINE_COLOUR, "linestyle": "-", "marker": "o"},
        AA_CONTROL: {"color": CONTROL_COLOUR, "linestyle": ":", "marker": "x"},
        **{name: ARM_STYLES[place % len(ARM_STYLES)] for place, name in enumerate(arms)},
    }


def styles_of(result: ScenarioResult, shown: Iterable[str]) -> Styles:
    """Return the styles of a scenario's arms."""
    return arm_styles((arm.name for arm in result.arms), shown)


def is_crowded(arms: Iterable[str]) -> bool:
    """Whether there are more arms than colours, so that they cannot be distinguished in one panel."""
    return len(set(arms) - {BASELINE, AA_CONTROL}) > len(ARM_COLOURS)


def legend(drawing: Figure, styles: Mapping[str, dict[str, Any]]) -> None:
    """Write a legend of lines in one row at the top left, from names and their styles."""
    legend_of(drawing, [Line2D([], [], markersize=5, linewidth=1.6, label=name, **style) for name, style in styles.items()])


def legend_of(drawing: Figure, artists: Sequence[Artist], **style: Any) -> None:
    """Write a legend in one row at the top left, from artists with labels."""
    anchor = (8 / (drawing.get_figwidth() * INCH), 1.0)
    usual = {"ncols": len(artists), "handlelength": 2.4, "columnspacing": 1.6, "bbox_to_anchor": anchor}
    drawing.legend(handles=artists, loc="upper left", borderaxespad=0.2, **usual | style)


def log_axis(axes: Axes, which: str, unit: Unit | None = None) -> None:
    """Make the `which` ("x" or "y") axis logarithmic with plain labels; with a `unit`, values are in nanoseconds."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    decades = high / low
    steps = (1.0,) if decades > 2e3 else (1.0, 3.0) if decades > 60 else (1.0, 2.0, 5.0) if decades > 4 else None  # noqa: PLR2004
    axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]) if steps is None else LogLocator(subs=steps))
    axis.set_minor_locator(NullLocator())
    scale = unit.ns if unit else 1.0
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:,.10g}"))
    axes.tick_params(which="both", length=0)


def shorten(text: str, width: float) -> str:
    """Return `text` cut to about `width` view-box units in the font of figures, with an ellipsis if it was cut."""
    used = 0.0
    for place, sign in enumerate(text):
        used += 10.5 if ord(sign) > 0x2E7F else 6.0  # noqa: PLR2004 - from here on scripts are one em wide
        if used > width:
            return text[: max(1, place - 1)].rstrip() + "…"
    return text


def inline(drawing: Figure, identity: str, label: str) -> str:
    """Return a figure as an SVG element: coloured by the page, ids prefixed by `identity`, `label` for screen readers."""
    sink = io.StringIO()
    with look(), warnings.catch_warnings():
        # The browser has the glyphs that Matplotlib's font lacks (Japanese): it only needs the text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        drawing.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", sink.getvalue(), flags=re.DOTALL)
    referenced = set(re.findall(r'(?:url\(|xlink:href=")#([^)"]+)', text))
    text = re.sub(r"<[^>]+>", lambda tag: _for_the_page(tag[0], identity, referenced), text)
    _, box, inner = re.split(r'<svg[^>]*(viewBox="[^"]*")[^>]*>', re.sub(r"\n\s*", "\n", text), maxsplit=1)
    style = f"--natural: {drawing.get_figwidth() * INCH:.0f}px"
    return compact(f'<svg class="figure" {box} style="{style}" role="img" aria-label="{escape(label)}">{inner.strip()}')


def _for_the_page(tag: str, identity: str, referenced: set[str]) -> str:
    tag = re.sub(r' id="([^"]*)"', lambda m: f' id="{identity}-{m[1]}"' if m[1] in referenced else "", tag)
    tag = re.sub(r"url\(#([^)]+)\)", rf"url(#{identity}-\1)", tag)
    tag = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{identity}-\1"' if tag.startswith("<use") else r'href="#\1"', tag)
    tag = re.sub(r"#f000[01][0-9]", lambda m: f"var({VARIABLES[m[0]]})", tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r' target="_blank"| transform="rotate\(-?0 [^)]*\)"', "", tag)
    return re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), tag)
