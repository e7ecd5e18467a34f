"""Says on a terminal how far long work is.

Invariant: it is written to standard error only, only where that is a terminal, and taken away before anything else is.
"""

import sys
import time

import typer

from controller.cli.output import clean

PATIENCE, REFRESHED = 1.0, 0.2
"""Seconds until progress is shown at all, and between two showings."""
_ERASED = "\r\x1b[2K"
_WIDEST = 100


class Progress:
    """One line on standard error that is written over."""

    def __init__(self) -> None:
        self._wanted = sys.stderr.isatty()
        self._next = time.monotonic() + PATIENCE
        self._shown = False

    def show(self, said: str) -> None:
        """Say how far it is, now and then."""
        if self._wanted and time.monotonic() >= self._next:
            typer.echo(f"{_ERASED}{clean(said)[:_WIDEST]} …", nl=False, err=True)
            self._next = time.monotonic() + REFRESHED
            self._shown = True

    def clear(self) -> None:
        """Take it away: something else is to be written."""
        if self._shown:
            typer.echo(_ERASED, nl=False, err=True)
            self._shown = False
