"""Draws the scoreboard's plots as SVG, with nothing but text.

Invariant: the same figures give the same bytes, so that a plot changes only when a figure does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import log10

COLOURS = ("#c0392b", "#2471a3", "#229954", "#b9770e", "#7d3c98", "#5d6d7e")
INK, PALE = "#1b2631", "#d5d8dc"


@dataclass
class Canvas:
    """An SVG picture that grows by what is drawn on it."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = INK, width: float = 1.0, dash: str = ""
    ) -> None:
        """A line through points."""
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'
        )

    def dot(self, x: float, y: float, colour: str, *, hollow: bool = False, radius: float = 4.0) -> None:
        """A disc, or a ring."""
        fill = "#ffffff" if hollow else colour
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'
        )

    def diamond(self, x: float, y: float, colour: str, size: float = 7.0) -> None:
        """A square on its tip."""
        corners = f"{x:.1f},{y - size:.1f} {x + size:.1f},{y:.1f} {x:.1f},{y + size:.1f} {x - size:.1f},{y:.1f}"
        self.parts.append(f'<polygon points="{corners}" fill="{colour}"/>')

    def text(self, x: float, y: float, said: str, anchor: str = "start", *, size: float = 11.0) -> None:
        """Some words."""
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}"'
        self.parts.append(f'<text {place} fill="{INK}">{escape(said)}</text>')

    def svg(self, title: str) -> str:
        """The picture."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" font-family="sans-serif" role="img">'
        )
        back = f'<title>{escape(title)}</title>\n<rect width="100%" height="100%" fill="#ffffff"/>'
        return "\n".join([head, back, *self.parts, "</svg>", ""])


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis between two places of the canvas."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies; kept inside."""
        inside = min(max(value, self.low), self.high)
        part = (log10(inside) - log10(self.low)) / (log10(self.high) - log10(self.low))
        return self.start + part * (self.end - self.start)


@dataclass(frozen=True)
class Series:
    """One rule in one panel."""

    name: str
    colour: str
    points: tuple[tuple[float, float], ...]
    """What its settings reach: false-rollback rate and delay, best ones only."""
    documented: tuple[float, float] | None
    tuned: tuple[float, float] | None


@dataclass(frozen=True)
class Panel:
    """Delay against false rollbacks in one family."""

    title: str
    series: tuple[Series, ...]
    ours: tuple[float, float] | None


NONE_SEEN = 2e-6
_RATES = (
    (NONE_SEEN, "none"),
    (1e-5, "10⁻⁵"),
    (1e-4, "10⁻⁴"),
    (1e-3, "10⁻³"),
    (1e-2, "1 %"),
    (0.1, "10 %"),
    (1.0, "all"),
)
_DELAYS = (30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)


def delay_plot(panels: Sequence[Panel]) -> str:
    """Median delay against the rate of false rollbacks, one panel a family."""
    each, canvas = 330.0, Canvas(60 + 330.0 * len(panels), 400)
    for number, panel in enumerate(panels):
        left = 55 + each * number
        _panel(canvas, panel, LogAxis(NONE_SEEN, 1.0, left, left + each - 50), LogAxis(25, 1800, 300, 40))
    place = 55.0
    canvas.diamond(place, 372, INK)
    canvas.text(place + 12, 376, "Rollguard")
    for number, series in enumerate(panels[0].series if panels else ()):
        across = place + 110 + 150 * number
        canvas.dot(across, 372, series.colour)
        canvas.text(across + 9, 376, series.name)
    canvas.text(
        place,
        394,
        "ring: as documented; disc: tuned to Rollguard's rate; line: the best that its settings reach",
        size=10,
    )
    return canvas.svg("Median delay against the rate of false rollbacks")


def _panel(canvas: Canvas, panel: Panel, rates: LogAxis, delays: LogAxis) -> None:
    for value in _DELAYS:
        canvas.line([(rates.start, delays.at(value)), (rates.end, delays.at(value))], PALE)
        canvas.text(rates.start - 6, delays.at(value) + 4, f"{value:.0f} s", "end", size=10)
    for value, said in _RATES:
        canvas.line([(rates.at(value), delays.start), (rates.at(value), delays.end)], PALE)
        canvas.text(rates.at(value), delays.start + 16, said, "middle", size=10)
    canvas.text((rates.start + rates.end) / 2, 24, panel.title, "middle", size=13)
    middle, below = (rates.start + rates.end) / 2, delays.start + 34
    canvas.text(middle, below, "false rollbacks over the fine families", "middle", size=10)
    for series in panel.series:
        canvas.line([(rates.at(rate), delays.at(delay)) for rate, delay in series.points], series.colour, 1.5)
        for point, hollow in ((series.documented, True), (series.tuned, False)):
            if point is not None:
                canvas.dot(rates.at(point[0]), delays.at(point[1]), series.colour, hollow=hollow)
    if panel.ours is not None:
        canvas.diamond(rates.at(panel.ours[0]), delays.at(panel.ours[1]), INK)


@dataclass(frozen=True)
class Row:
    """How many times the information bound each rule serves in one family."""

    title: str
    ours: float
    oracle: float
    others: tuple[tuple[str, float], ...]
    """Colour and multiple."""


_TIMES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)


def served_plot(rows: Sequence[Row], names: Sequence[tuple[str, str]]) -> str:
    """Bad requests served as a multiple of the information bound; ``names``: colour and name of the others."""
    canvas = Canvas(1000, 90 + 22.0 * len(rows))
    axis, bottom = LogAxis(0.3, 20_000, 270, 970), 45 + 22.0 * len(rows)
    for value in _TIMES:
        canvas.line([(axis.at(value), 30), (axis.at(value), bottom)], INK if value == 1 else PALE)
        canvas.text(axis.at(value), 22, f"{value:g}×", "middle", size=10)
    for number, row in enumerate(rows):
        height = 48 + 22.0 * number
        canvas.text(260, height + 4, row.title, "end")
        canvas.line([(270, height), (970, height)], PALE, 0.5)
        for colour, times in row.others:
            canvas.dot(axis.at(times), height, colour, radius=3.5)
        canvas.line([(axis.at(row.oracle), height - 7), (axis.at(row.oracle), height + 7)], INK, 2)
        canvas.diamond(axis.at(row.ours), height, INK, 5.5)
    canvas.diamond(30, bottom + 25, INK, 5.5)
    canvas.text(42, bottom + 29, "Rollguard")
    canvas.line([(122, bottom + 18), (122, bottom + 32)], INK, 2)
    canvas.text(130, bottom + 29, "oracle")
    for number, (colour, name) in enumerate(names):
        canvas.dot(200 + 135 * number, bottom + 25, colour, radius=3.5)
        canvas.text(209 + 135 * number, bottom + 29, name)
    return canvas.svg("Bad requests served until the verdict, as a multiple of the information bound")
