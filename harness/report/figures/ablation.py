"""The gain of each switch, alone and last: two marks per switch, and a line for all of them together."""

from harness.language import gettext, mark
from harness.report.ablation import parts
from harness.report.numbers import ratio_with_interval
from harness.report.plot import EDGE, TEXT, WIDTH, Chart, ChartPanel, Scale, bar, dots, log_scale
from harness.results.run import Ablation, Gain, Run, SwitchGain

ORDER = 1
TITLE = mark("Gain of each switch, alone and last")
HOW_TO_READ = mark("Right of 1 is faster, hollow is not significant: solid line all on, dotted the product of the gains alone.")
STRIP = 22
"""The height of the marks of a switch."""
KEY = (("a1", mark("the switch alone (all off ÷ only this one on)")), ("a2", mark("the switch last (all but this one ÷ all on)")))
"""The class and the meaning of the two marks of a switch."""


def draw_run(run: Run) -> Chart | None:
    """Draw a panel per ablated group with a row per switch; None for a run without ablation."""
    panels = [_panel(heading, found) for heading, found in parts(run)]
    key = [(colour, gettext(name)) for colour, name in KEY]
    return Chart(panels, None, len(panels), key) if panels else None


def _panel(heading: str, found: Ablation) -> ChartPanel:
    gains = [found.total, found.product, *(gain for switch in found.switches for gain in (switch.alone, switch.last))]
    scale = log_scale((value for g in gains for value in (1.0, g.ratio, g.low, g.high) if value), EDGE, WIDTH - EDGE)
    panel = ChartPanel(heading)
    bottom = (TEXT + STRIP) * len(found.switches) + 3
    panel.across(scale, 3, bottom)
    panel.path("o", f"M{scale.at(1)} 3V{bottom}")
    panel.arm("a5")
    panel.path("t", f"M{scale.at(found.total.ratio)} 3V{bottom}")
    panel.end()
    panel.arm("a0")
    panel.path("h", f"M{scale.at(found.product.ratio)} 3V{bottom}")
    panel.end()
    for number, switch in enumerate(found.switches):
        _row(panel, switch, scale, (TEXT + STRIP) * number)
    return panel


def _row(panel: ChartPanel, switch: SwitchGain, scale: Scale, top: int) -> None:
    for (colour, _), gain, y in zip(KEY, (switch.alone, switch.last), (top + TEXT + 6, top + TEXT + 15), strict=True):
        panel.arm(colour)
        _mark(panel, gain, scale, y)
        panel.end()
    shown = ratio_with_interval(switch.last)
    panel.text(0, top + 12, switch.switch, room=WIDTH - 7 * len(shown) - 10)
    panel.text(WIDTH, top + 12, shown, "e")


def _mark(panel: ChartPanel, gain: Gain, scale: Scale, y: int) -> None:
    if gain.low is not None and gain.high is not None:
        panel.path("b", bar(scale.at(gain.low), scale.at(gain.high), y))
    panel.path("c", dots([(scale.at(gain.ratio), y)]))
    if not gain.is_clear:
        panel.path("q", dots([(scale.at(gain.ratio), y)]))
