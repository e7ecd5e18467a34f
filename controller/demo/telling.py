"""What every story does: it tells what happens until something has happened.

Invariant: every wait has an end: what was waited for, a signal, a process that died, or too long; the last three end the
demo with a sentence.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from controller.demo.gauge import plain_evidence
from controller.demo.ground import Ground
from controller.demo.load import Served
from controller.demo.narrator import Line, Mark
from controller.demo.processes import DemoError, tail
from controller.demo.screen import Screen
from controller.demo.watching import LiveAnalysis

LOOK_SECONDS = 0.2
PLAIN_SECONDS, PLAIN_CALM_SECONDS = 1.0, 6.0
"""Seconds between two lines of evidence where nothing moves: while it rises, and while it does not."""
PATIENCE = 90.0


class Telling(ABC):
    """Tells on a screen what happens on some ground."""

    def __init__(self, ground: Ground, screen: Screen) -> None:
        self._ground = ground
        self._screen = screen
        self._begin = time.time()
        self._plain_at = 0.0

    @abstractmethod
    def _look(self, waiting: str) -> None:
        """Tell what is new; ``waiting`` says what the story waits for."""

    def stay(self) -> None:
        """Go on telling what happens until a signal comes."""
        while True:
            self._look("everything is running; Ctrl-C ends it")
            self._ground.interruption.wait(LOOK_SECONDS)

    def _watch(self, waiting: str, happened: Callable[[], object], patience: float = PATIENCE) -> None:
        """Tell what happens until something has happened."""
        end = time.monotonic() + patience
        while True:
            self._look(f"waiting {waiting}")
            if happened():
                return
            if time.monotonic() > end:
                log = self._ground.folder / "controller.log"
                raise DemoError(f"waited too long {waiting}. The end of the controller's log:\n{tail(log)}")
            self._ground.interruption.wait(LOOK_SECONDS)

    def _pass_time(self, waiting: str, seconds: float) -> None:
        """Tell what happens for so many seconds."""
        begun = time.monotonic()

        def over() -> bool:
            return time.monotonic() - begun >= seconds

        self._watch(waiting, over)

    def _line(self, mark: Mark, text: str) -> None:
        self._screen.line(Line(time.time() - self._begin, mark, text))

    def _tell_evidence(self, analysis: LiveAnalysis | None, served: Served, where: str = "") -> None:
        """One line of evidence now and then, where nothing moves; ``served`` by the version that is judged."""
        now = time.time()
        if analysis is None or analysis.healthy_at is None or analysis.reached:
            return  # nothing is weighed, or the verdict says all
        rises = (analysis.evidence or 0.0) > 0
        if now < self._plain_at + (PLAIN_SECONDS if rises else PLAIN_CALM_SECONDS):
            return
        self._plain_at = now
        question = "well again:" if analysis.recovery else "against it:"
        said = plain_evidence(analysis, None if analysis.recovery else served)
        self._line(Mark.EVIDENCE, f"{where}{question} {said}")
