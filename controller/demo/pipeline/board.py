"""The moving block of a pipeline: of each stage what it runs, whom it serves and how, and how the evidence stands.

Invariant: pure: from what is known to what is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from controller.core.promotion.progress import Passage, Phase
from controller.demo.gauge import bar, columns
from controller.demo.load import Tally
from controller.demo.watching import Live, LiveAnalysis

NEWEST_SECONDS = 5
_STYLES = {Phase.PASSED: "green", Phase.STOPPED: "red", Phase.PROPOSED: "magenta", Phase.JUDGING: "cyan"}


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one stage."""

    stage: str
    version: str
    """What it runs; empty: not known yet."""
    passage: Passage | None
    live: Live | None
    tally: Tally


def board(rows: Sequence[Row], waiting: str, width: int) -> RenderableType:
    """The block; ``waiting`` says what the story waits for."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for least in (10, 6, 28):
        grid.add_column(no_wrap=True, min_width=least)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for row in rows:
        grid.add_row(Text(row.stage, style="bold"), row.version or "–", _customers(row.tally), _state(row))
    parts = Group(grid, Text(waiting, style="dim italic", no_wrap=True, overflow="ellipsis"))
    return Panel(parts, title=Text("checkout"), title_align="left", padding=(0, 1), width=width)


def _customers(tally: Tally) -> Text:
    newest, seconds = tally.newest(NEWEST_SECONDS), tally.by_second()
    style = "red" if newest.share > 0.03 else "green"  # noqa: PLR2004  as bad as availability may be
    share = f"{100 * newest.share:4.1f} %"
    return Text.assemble(
        f"{newest.all / NEWEST_SECONDS:3.0f}/s bad ", (share, style), " ", (columns(seconds[-10:]), style)
    )


def _state(row: Row) -> Text:
    analysis = row.live.analysis if row.live is not None else None
    if analysis is not None and analysis.evidence is not None and analysis.threshold is not None:
        return _evidence(analysis, analysis.evidence, analysis.threshold)
    passage = row.passage
    if passage is None:
        return Text("as it was", style="dim")
    style = _STYLES.get(passage.phase, "dim")
    return Text.assemble((f"{passage.version.name} {passage.phase.value}", style), (f": {passage.sentence}", "dim"))


def _evidence(analysis: LiveAnalysis, evidence: float, threshold: float) -> Text:
    style = "green" if analysis.recovery else "bold red" if analysis.reached else "yellow"
    filled, rest = bar(evidence, threshold)
    what = "recovered?" if analysis.recovery else "breached?"
    early = "  passed early" if analysis.passed_early_at is not None and not analysis.recovery else ""
    return Text.assemble(f"{what} ln E {evidence:4.1f} ", (filled, style), (rest, "dim"), (early, "green"))
