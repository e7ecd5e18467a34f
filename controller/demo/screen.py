"""The terminal: lines of the story, and below them, where it is a terminal, a block that is drawn anew as things move.

Invariant: text from outside is never read as markup and holds no control characters; without a terminal each line stands
alone, without colours or cursor movements; on ``close`` the terminal is as it was before.
"""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from controller.demo.narrator import Line, Mark

PLAIN_WIDTH = 160
WIDEST = 118
INDENT = 19
"""Where a line's text begins: after the time and the mark."""
REFRESHES = 5

_STYLES = {
    Mark.SETUP: ("·", "dim"),
    Mark.COMMIT: ("●", "bold"),
    Mark.PUSHED: ("●", "bold"),
    Mark.PULL: ("○", "magenta"),
    Mark.CHECKS: ("·", "dim"),
    Mark.APPROVED: ("✓", "bold green"),
    Mark.MERGED: ("●", "magenta"),
    Mark.STOPPED: ("✘", "bold red"),
    Mark.SYNC: ("○", "cyan"),
    Mark.DEPLOYED: ("●", "cyan"),
    Mark.EVIDENCE: ("·", "dim"),
    Mark.PASSED: ("✓", "green"),
    Mark.GOOD: ("✔", "bold green"),
    Mark.BAD: ("✘", "bold red"),
    Mark.REVERT: ("↩", "bold magenta"),
    Mark.RESTORED: ("●", "bold cyan"),
    Mark.RECOVERED: ("✔", "bold green"),
    Mark.ALERT: ("✉", "yellow"),
    Mark.NOTE: ("!", "yellow"),
}


class _Console(Console):
    """A console whose reader may go away: that is an error like any other, so that everything is ended in order."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console_for(stream: TextIO | None = None, *, colour: bool = True) -> Console:
    """A console on standard output; NO_COLOR and TERM are honoured."""
    out = stream or sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="replace")
    made = _Console(file=out, highlight=False, markup=False, emoji=False, no_color=None if colour else True)
    if not made.is_terminal:
        made.width = PLAIN_WIDTH
    elif made.width > WIDEST:
        made.width = WIDEST
    return made


class Screen:
    """Where the story is told; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.moves = console.is_terminal and not console.is_dumb_terminal
        """Whether a block can be drawn anew; otherwise lines are all there is."""
        self._live: Live | None = None

    @property
    def block_width(self) -> int:
        """Columns of the moving block: the terminal must find room behind it for ``^C``, or the lines shift."""
        return max(self.console.width - 4, 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.still()

    def line(self, line: Line) -> None:
        """One line of the story."""
        glyph, style = _STYLES[line.mark]
        at = f"{line.at:6.1f} s"
        if not self.moves:
            self._print(Text(f"{at}  {line.mark.value:<9}  {clean(line.text)}"))
            return
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=8, style="dim")
        grid.add_column(width=1, style=style)
        grid.add_column(width=9, style=style)
        grid.add_column(ratio=1)
        text_style = style if line.mark in (Mark.BAD, Mark.RECOVERED, Mark.REVERT) else ""
        grid.add_row(at, glyph, line.mark.value, Text(clean(line.text), style=text_style.replace("bold ", "")))
        self._print(grid)

    def changes(self, lines: Sequence[str]) -> None:
        """Lines of a diff, beneath a line of the story."""
        for line in lines:
            style = "green" if line.startswith("+") else "red"
            self._print(Text(" " * INDENT + "  " + f"{line[0]}  {clean(line[1:])}", style=style))

    def heading(self, text: str) -> None:
        """A chapter of the story."""
        self._print(Text())
        self._print(Text(text, style="bold"))

    def say(self, text: str) -> None:
        """Text outside the story, as it is."""
        self.console.print(Text(text), soft_wrap=True)

    def paragraph(self, text: str) -> None:
        """Sentences outside the story, broken where the line ends."""
        self.console.print(Text(text), width=min(self.console.width, WIDEST))

    def file(self, title: str, text: str, language: str) -> None:
        """A file, as it is."""
        if not self.moves:
            self._print(Text(f"\n--- {clean(title)}"))
            self._print(Text(text.rstrip("\n")))
            self._print(Text("---"))
            return
        self._print(Rule(Text(clean(title), style="bold"), align="left", style="dim"))
        self._print(
            Syntax(text.rstrip("\n"), language, theme="ansi_dark", background_color="default", word_wrap=True)
        )
        self._print(Rule(style="dim"))

    def figures(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """The closing summary: name, figure, meaning."""
        if not self.moves:
            for name, figure, meaning in rows:
                self._print(Text(f"  {name:<18} {figure:>10}  {meaning}"))
            return
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="bold")
        grid.add_column(justify="right", style="bold cyan")
        grid.add_column(ratio=1)
        for row in rows:
            grid.add_row(*map(Text, row))
        self._print(grid)

    def show(self, block: RenderableType) -> None:
        """Draw the moving block anew; nothing where nothing can move."""
        if not self.moves:
            return
        if self._live is None:
            self._live = Live(
                console=self.console, refresh_per_second=REFRESHES, transient=True, redirect_stdout=False,
                redirect_stderr=False, vertical_overflow="crop",
            )  # fmt: skip
            self._live.start()
        self._live.update(block)

    def still(self) -> None:
        """Take the moving block away, and give the cursor back."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _print(self, what: RenderableType) -> None:
        self.console.print(what, soft_wrap=not self.moves)


def clean(text: str) -> str:
    """Text in one line, without control characters."""
    return "".join(each if each.isprintable() else " " for each in text).strip()
