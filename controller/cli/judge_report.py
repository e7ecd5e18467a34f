"""What ``rollguard judge`` writes: a JSON line or a sentence for each trace, as soon as it is judged.

Invariant: nothing of a trace reaches a terminal unclean, and standard output holds verdicts only.
"""

import json
from collections import Counter

import typer

from controller.cli.output import Format, clean, lasted
from controller.core.traces import TraceVerdict
from controller.core.verdict import VerdictKind


class Report:
    """Writes verdicts, and counts them."""

    def __init__(self, output: Format) -> None:
        self._output = output
        self._counts: Counter[VerdictKind] = Counter()

    @property
    def judged(self) -> int:
        """How many traces have been judged."""
        return self._counts.total()

    @property
    def breached(self) -> bool:
        """Whether any was Breached."""
        return self._counts[VerdictKind.BREACHED] > 0

    def add(self, verdict: TraceVerdict) -> None:
        """Write one verdict."""
        self._counts[verdict.verdict] += 1
        typer.echo(as_json(verdict) if self._output is Format.JSON else as_text(verdict))

    def close(self) -> None:
        """Write what it all comes to, for people."""
        if self._output is Format.TEXT:
            listed = ", ".join(f"{self._counts[kind]} {kind}" for kind in VerdictKind if self._counts[kind])
            typer.echo(f"{self.judged} trace{'' if self.judged == 1 else 's'}: {listed}")


def as_json(verdict: TraceVerdict) -> str:
    """One line; ``null`` where there is no number. Seconds count from the start of the sync, evidence is ln E."""
    line = {
        "trace": verdict.trace,
        "verdict": verdict.verdict,
        "rollback": verdict.rollback,
        "decided_at": _short(verdict.decided_at),
        "passed_at": _short(verdict.passed_at),
        "objective": verdict.objective,
        "reason": verdict.reason,
        "sentence": verdict.sentence,
        "bad_served": _short(verdict.bad_served),
        "looks": verdict.looks,
        "evidence": {"slo": verdict.slo, "baseline": verdict.baseline, "controls": verdict.controls},
    }
    return json.dumps(line, allow_nan=False)


def _short(value: float | None) -> float | None:
    """A whole number without its point."""
    return int(value) if value is not None and value.is_integer() else value


def as_text(verdict: TraceVerdict) -> str:
    """One line for people."""
    decided = "undecided" if verdict.decided_at is None else f"after {lasted(verdict.decided_at)}"
    rollback = ", rolled back" if verdict.rollback else ""
    passed = "" if verdict.passed_at is None else f", passed early after {lasted(verdict.passed_at)}"
    return clean(f"{verdict.trace}: {verdict.verdict} {decided}{rollback}{passed}: {verdict.sentence}")
