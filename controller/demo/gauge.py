"""The moving block: who is served and how, what each objective shows so far, and how the evidence rises.

Invariant: pure: from what is known to what is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from controller.demo.load import Served, Tally
from controller.demo.watching import Live, LiveAnalysis, LiveObjective

BAR = 36
THRESHOLD_AT = 30
"""Where on the bar the threshold is."""
NEWEST_SECONDS = 5
_LEVELS = "▁▂▃▄▅▆▇█"
_FULL_BAR_SHARE = 0.1
"""The bad share at which the little columns are full."""


@dataclass(slots=True)
class Gauges:
    """Draws the block; remembers how the evidence of the analysis in hand rose."""

    tally: Tally
    _analysis: str = ""
    _path: list[float] = field(default_factory=list)

    def block(self, live: Live, version: str, waiting: str, now: float, width: int) -> RenderableType:
        """The block. ``version`` is what is judged, ``waiting`` says what the story waits for, ``now`` is Unix seconds."""
        analysis = live.analysis
        self._remember(analysis)
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", min_width=12, no_wrap=True)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_row("customers", self._customers())
        for objective in analysis.objectives if analysis is not None else ():
            grid.add_row(objective.name, _objective(objective))
        if analysis is not None and analysis.evidence is not None and analysis.threshold is not None:
            grid.add_row("evidence", self._evidence(analysis, analysis.evidence, analysis.threshold))
        title = _title(analysis, version, now)
        rows = Group(grid, Text(waiting, style="dim italic", no_wrap=True, overflow="ellipsis"))
        return Panel(rows, title=title, title_align="left", padding=(0, 1), width=width)

    def _remember(self, analysis: LiveAnalysis | None) -> None:
        name = analysis.id if analysis is not None else ""
        if name != self._analysis:
            self._analysis, self._path = name, []
        if analysis is not None and analysis.evidence is not None and self._path[-1:] != [analysis.evidence]:
            self._path.append(analysis.evidence)

    def _customers(self) -> Text:
        newest, seconds = self.tally.newest(NEWEST_SECONDS), self.tally.by_second()
        style = "red" if newest.share > 0.02 else "green"  # noqa: PLR2004  as bad as latency may be
        return Text.assemble(
            f"{newest.all / NEWEST_SECONDS:.0f}/s, {self.tally.served().all:,} served; bad now ",
            (f"{100 * newest.share:.1f} %", style),
            "  ",
            (columns(seconds), style),
        )

    def _evidence(self, analysis: LiveAnalysis, evidence: float, threshold: float) -> Text:
        style = "green" if analysis.recovery else "bold red" if analysis.reached else "yellow"
        filled, rest = bar(evidence, threshold)
        return Text.assemble(
            (filled, style),
            (rest, "dim"),
            f"  ln E {evidence:.1f} of {threshold:.1f}  ",
            (levels(self._path[-24:], threshold), style),
        )


def _title(analysis: LiveAnalysis | None, version: str, now: float) -> Text:
    if analysis is None:
        return Text(f"{version}: nothing is being judged" if version else "starting")
    what = "has it recovered?" if analysis.recovery else "does it break its SLO, and is it worse than before?"
    return Text(f"{version} · {now - analysis.started_at:.0f} s · {what}")


def _objective(objective: LiveObjective) -> Text:
    good = objective.good
    if good is None:
        return Text("warming up", style="dim")
    style = "green" if good >= objective.target else "red"
    counts = f"  {objective.bad:,.0f} of {objective.total:,.0f} bad"
    return Text.assemble((f"{good:.1f} %", style), f" against {objective.target:g} %", (counts, "dim"))


def bar(value: float, threshold: float) -> tuple[str, str]:
    """A bar in two parts, filled and rest, together ``BAR`` wide, with a mark at the threshold."""
    share = value / threshold if threshold > 0 else 0.0
    filled = max(0, min(BAR, round(share * THRESHOLD_AT)))
    cells = ["━" if place < filled else "─" for place in range(BAR)]
    cells[THRESHOLD_AT] = "┃"
    text = "".join(cells)
    return text[:filled], text[filled:]


def plain_bar(value: float, threshold: float, width: int = 20) -> str:
    """A bar of plain characters for lines that do not move; full at the threshold."""
    share = value / threshold if threshold > 0 else 0.0
    filled = max(0, min(width, int(share * width)))
    return f"[{'#' * filled}{'.' * (width - filled)}]"


def levels(values: Sequence[float], top: float) -> str:
    """Values as little columns, full at ``top``."""
    last = len(_LEVELS) - 1
    return "".join(_LEVELS[max(0, min(last, round(value / top * last)))] for value in values) if top > 0 else ""


def columns(seconds: Sequence[Served]) -> str:
    """The bad share of each second as little columns."""
    return levels([each.share for each in seconds], _FULL_BAR_SHARE)


def plain_evidence(analysis: LiveAnalysis, served: Served | None) -> str:
    """The block in one line, for where nothing moves; ``served`` is what the judged version has served, if it matters."""
    said = f"; {served.bad:,} of {served.all:,} badly served" if served is not None else ""
    objectives = ", ".join(
        f"{each.name} {each.good:.1f} % against {each.target:g} %"
        for each in analysis.objectives
        if each.good is not None
    )
    if not objectives or analysis.evidence is None or analysis.threshold is None:
        return f"warming up{said}"
    strength = f"ln E {analysis.evidence:4.1f} of {analysis.threshold:.1f}"
    return f"{plain_bar(analysis.evidence, analysis.threshold)} {strength}; {objectives}{said}"
