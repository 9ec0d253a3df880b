"""The figures of the statistics in plain words: simulations with fixed seeds, judged and estimated by the harness's own functions.

Each is a small SVG on a white ground, so that it reads on light and dark pages. The numbers in them are computed.
"""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from statistics import median

from harness.results.run import AA_CONTROL, Ratio, Run
from harness.stats.intervals import bounding_ranks, mean_interval, samples_needed
from harness.verdicts.promise import Estimate, times, weigh

WIDTH = 640
STYLE = """\
text{font:13px system-ui,sans-serif;fill:#222}.m{text-anchor:middle}.e{text-anchor:end}.q{fill:#666;font-size:12px}
.axis{stroke:#999;stroke-width:1}.a{fill:#b45309}.b{fill:#0369a1}.c{fill:#666}
.la{stroke:#b45309;stroke-width:2;fill:none}.lb{stroke:#0369a1;stroke-width:2;fill:none}.band{fill:#dcfce7}.gone{fill:#fde8d7}"""
SEED = 20
BUSY = (0.35, 0.6)
"""From and to when other programs use the machine, as shares of the time."""


@dataclass
class Drawing:
    """An SVG that grows by marks."""

    height: int
    title: str
    """Read to those who do not see the figure."""
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, kind: str = "") -> None:
        """Write a text with its baseline at `y`."""
        self.parts.append(f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}">{escape(text)}</text>')

    def dot(self, x: float, y: float, kind: str, radius: float = 4) -> None:
        """Draw a dot."""
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}"/>')

    def line(self, points: Iterable[tuple[float, float]], kind: str = "axis") -> None:
        """Draw a line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" class="{kind}" fill="none"/>')

    def band(self, left: float, right: float, top: float, bottom: float, kind: str = "band") -> None:
        """Fill a rectangle."""
        self.parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" class="{kind}"/>'
        )

    def bar(self, low: float, middle: float, high: float, y: float, kind: str) -> None:
        """Draw an interval as a line with a dot."""
        self.line([(low, y), (high, y)], f"l{kind}")
        self.dot(middle, y, kind)

    @property
    def svg(self) -> str:
        """The whole file."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" role="img"'
        ground = f'<rect width="{WIDTH}" height="{self.height}" rx="6" fill="#fff"/>'
        parts = [f"{head}>", f"<title>{escape(self.title)}</title>", f"<style>{STYLE}</style>", ground, *self.parts, "</svg>", ""]
        return "\n".join(parts)


def log_axis(low: float, high: float, left: float, right: float, value: float) -> float:
    """Return the position of a value on a logarithmic axis."""
    return left + (right - left) * math.log(value / low) / math.log(high / low)


def verdicts() -> str:
    """Draw intervals beside a promise of 2–4×, with the verdicts that the harness gives them."""
    drawing = Drawing(250, "Intervals beside a promise of two to four times as fast, and the verdict on each")
    claim = times(2, 4)

    def at(value: float) -> float:
        return log_axis(0.8, 8, 190, 620, value)

    drawing.band(at(2), at(4), 20, 215)
    for tick in (1, 2, 4, 8):
        drawing.line([(at(tick), 20), (at(tick), 215)])
        drawing.text(at(tick), 233, f"{tick}×", "m")
    drawing.text(at(math.sqrt(8)), 15, "promised", "m q")
    intervals = [(4.6, 5.2, 6.0), (2.3, 2.8, 3.4), (1.3, 1.5, 1.7), (0.9, 1.25, 1.7), (0.95, 0.99, 1.03), (1.5, 2.4, 3.8)]
    for number, (low, value, high) in enumerate(intervals):
        y = 38 + 33 * number
        drawing.text(16, y + 5, weigh(claim, Estimate(value, low, high)))
        drawing.bar(at(low), at(value), at(high), y, "b")
    return drawing.svg


def _speeds(draw: random.Random, moments: int) -> list[float]:
    """Return how much longer everything takes at each moment: a machine that slows down, with neighbours that come and go."""
    neighbour = [1.15 if BUSY[0] < moment / moments < BUSY[1] else 1.0 for moment in range(moments)]
    return [(1 + 0.25 * moment / moments) * busy * math.exp(draw.gauss(0, 0.02)) for moment, busy in enumerate(neighbour)]


def pairs() -> str:
    """Draw two runs one after the other, and the same code in pairs, on a machine that slows down."""
    draw = random.Random(SEED)  # noqa: S311 - a simulation that is the same each time
    gain, moments = 1.10, 80
    speeds = _speeds(draw, moments)
    drawing = Drawing(270, "A change that is ten percent faster, timed in separate runs and in pairs on a machine that slows down")

    def at(moment: float, time: float, left: int) -> tuple[float, float]:
        return left + 270 * moment / moments, 225 - (time - 8) * 23

    separate = {"a": range(moments // 2), "b": range(moments // 2, moments)}
    found: dict[str, list[float]] = {"a": [], "b": []}
    for side, chosen in separate.items():
        for moment in chosen:
            time = 10 * speeds[moment] / (gain if side == "b" else 1) * math.exp(draw.gauss(0, 0.02))
            found[side].append(time)
            drawing.dot(*at(moment, time, 40), side, 3)
    ratios: list[tuple[float, float]] = []
    for moment in range(0, moments, 2):
        base, arm = (10 * speeds[moment] * math.exp(draw.gauss(0, 0.02)) / factor for factor in (1, gain))
        ratios.append((base, arm))
        drawing.dot(*at(moment, base, 350), "a", 3)
        drawing.dot(*at(moment + 1, arm, 350), "b", 3)
    apart = median(found["a"]) / median(found["b"])
    paired = median(base / arm for base, arm in ratios)
    for left, head, text in (
        (40, "one run after the other", f"measured {apart:.2f}×"),
        (350, "in pairs", f"measured {paired:.2f}×"),
    ):
        drawing.text(left, 20, head)
        drawing.text(left, 262, f"{text}, the truth is {gain:.2f}×", "q")
        drawing.line([(left, 30), (left, 240), (left + 275, 240)])
    drawing.text(16, 130, "ms", "q m")
    drawing.text(600, 20, "time →", "q e")
    drawing.dot(230, 16, "a")
    drawing.text(238, 20, "baseline", "q")
    drawing.dot(450, 16, "b")
    drawing.text(458, 20, "the change", "q")
    return drawing.svg


def processes(run: Run) -> str:
    """Draw the ratios of the fresh processes of one group of a run, and their interval."""
    ratio, where = _ratio(run)
    interval = mean_interval([math.log(value) for value in ratio.processes]).through(math.exp)
    drawing = Drawing(160, "The ratio in each fresh process, and the confidence interval over them")
    ends = [value for value in (*ratio.processes, interval.low, interval.high) if value is not None]
    low, high = min(ends), max(ends)
    margin = (high / low) ** 0.25

    def at(value: float) -> float:
        return log_axis(low / margin, high * margin, 40, 600, value)

    drawing.text(16, 22, where)
    for value in ratio.processes:
        drawing.dot(at(value), 60, "c", 5)
    drawing.text(16, 46, f"each of {len(ratio.processes)} fresh processes", "q")
    if interval.low is not None and interval.high is not None:
        drawing.bar(at(interval.low), at(interval.value), at(interval.high), 105, "b")
        drawing.text(16, 92, f"over all: {interval.value:.3g}× [{interval.low:.3g}, {interval.high:.3g}]", "q")
    drawing.line([(40, 130), (600, 130)])
    for value in (low, high):
        drawing.text(at(value), 148, f"{value:.3g}×", "m q")
    return drawing.svg


def _ratio(run: Run) -> tuple[Ratio, str]:
    """Return the ratio of the run with the most fresh processes, the first of several, and its place."""
    found = [
        (ratio, f"{result.name}, {ratio.group}: {ratio.arm}")
        for result in run.scenarios
        for ratio in result.ratios
        if ratio.arm != AA_CONTROL
    ]
    return max(found, key=lambda each: len(each[0].processes))


def percentiles() -> str:
    """Draw the interval of p95 by the number of samples."""
    draw = random.Random(SEED)  # noqa: S311 - a simulation that is the same each time
    drawing = Drawing(260, "The confidence interval of the 95th percentile, by the number of samples")
    truth = math.exp(0.6 * 1.6449)

    def at(value: float) -> float:
        return log_axis(1, 6, 210, 600, value)

    drawing.line([(at(truth), 56), (at(truth), 230)])
    drawing.text(at(truth), 250, "the true p95", "m q")
    for number, count in enumerate((40, samples_needed(0.95), 200, 1_000, 5_000, 25_000)):
        y = 38 + 36 * number
        values = sorted(math.exp(draw.gauss(0, 0.6)) for _ in range(count))
        ranks = bounding_ranks(count, 0.95)
        drawing.text(16, y + 5, f"{count:,} operations")
        if ranks is None:
            drawing.text(210, y + 5, "not enough: p95 is not shown", "q")
        else:
            low, high = (values[rank - 1] for rank in ranks)
            drawing.bar(at(low), at(values[math.ceil(0.95 * count) - 1]), at(high), y, "b")
    return drawing.svg


STALL = (1.0, 2.0)
"""From and to when the server sends nothing, in seconds."""
SERVICE_S, EVERY_S, SECONDS = 0.005, 0.02, 3.0


def omission() -> str:
    """Draw the response times of a server that stalls, as an open and a closed model measure them."""
    drawing = Drawing(270, "A server that stalls for a second, measured in the open and in the closed model")
    sides = (("open model: what visitors get", "b", _open(), 40), ("closed model: one user waits", "a", _closed(), 350))
    for head, kind, found, left in sides:
        drawing.band(left + 270 * STALL[0] / SECONDS, left + 270 * STALL[1] / SECONDS, 30, 235, "gone")
        for moment, time in found:
            drawing.dot(left + 270 * moment / SECONDS, 230 - 190 * time, kind, 2)
        drawing.line([(left, 30), (left, 235), (left + 275, 235)])
        drawing.text(left, 20, head)
        values = sorted(time for _, time in found)
        share = sum(value > 2 * SERVICE_S for value in values) / len(values)
        p95 = values[math.ceil(0.95 * len(values)) - 1]
        drawing.text(left, 260, f"p95 {p95 * 1000:,.0f} ms; {share:.0%} of the times show the stall", "q")
    drawing.text(195, 48, "stall", "q m")
    drawing.text(505, 48, "stall", "q m")
    drawing.text(16, 45, "1 s", "q m")
    drawing.text(16, 233, "0", "q m")
    return drawing.svg


def _open() -> list[tuple[float, float]]:
    """Return (start, response time) of arrivals at a constant rate."""
    return [(moment, _answered(moment) - moment) for moment in _arrivals()]


def _arrivals() -> Iterator[float]:
    for number in range(round(SECONDS / EVERY_S)):
        yield number * EVERY_S


def _closed() -> list[tuple[float, float]]:
    """Return (start, response time) of one user that sends the next request after the last answer, at most at that rate."""
    found, moment = [], 0.0
    while moment < SECONDS:
        end = _answered(moment)
        found.append((moment, end - moment))
        moment = max(moment + EVERY_S, end)
    return found


def _answered(start: float) -> float:
    """Return when a request that starts now is answered."""
    return (STALL[1] if STALL[0] <= start < STALL[1] else start) + SERVICE_S


def figures(run: Run) -> dict[str, str]:
    """Return every figure by its file name."""
    return {
        "verdicts.svg": verdicts(),
        "pairs.svg": pairs(),
        "processes.svg": processes(run),
        "percentiles.svg": percentiles(),
        "omission.svg": omission(),
    }
