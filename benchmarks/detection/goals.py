"""What ought to be reached, beside what was measured.

Invariant: a line is met by its figures alone; where a family cannot be judged rightly, its note says why, and it counts
as missed all the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.detection.outcomes import BY_NAME, ORACLE, ROLLGUARD
from benchmarks.detection.runs import Family, Kind
from benchmarks.detection.score import LOOSELY, TUNED, Figures

MOST_FALSE = {Kind.FINE: 0.001, Kind.UNSTABLE: 0.002, Kind.ATTRIBUTION: 0.001, Kind.WORSE: 0.001, Kind.HOLD: 0.001}
DUE = {Kind.ATTRIBUTION: "Hold", Kind.WORSE: "Healthy"}
"""The verdict that a family of this kind ought to get, where it does not say another."""
ENOUGH_NATS, RECALL, POINTS = 35.0, 0.999, 0.15
TIMES_BOUND = 1.5


@dataclass(frozen=True)
class Line:
    """One goal for one family."""

    family: Family
    what: str
    goal: str
    measured: str
    met: bool | None
    """None: it looks so, but there were too few runs to tell."""


def goals(figures: Figures) -> list[Line]:
    """Every goal of every family that was run, in their order."""
    found: list[Line] = []
    for name, scored in figures["families"].items():
        family = BY_NAME[name]
        if family.kind is Kind.BAD:
            found += [*_recall(family, scored), *_soon(family, scored), *_served(family, scored)]
            found += _others(family, scored)
        elif family.kind is Kind.UNTOLD:
            found += _never_silent(family, scored)
        else:
            found += [*_rarely_false(family, scored), *_said(family, scored)]
    return found


def _rarely_false(family: Family, scored: Figures) -> Iterable[Line]:
    ours, runs, most = scored["rules"][ROLLGUARD], scored["runs"], MOST_FALSE[family.kind]
    least, upper = ours["interval"]
    measured = f"{ours['fired']} of {runs} ({number(1000 * least)}–{number(1000 * upper)} per 1000)"
    open_yet = ours["fired"] <= most * runs and upper > most
    met = None if open_yet else upper <= most
    yield Line(family, "false rollbacks", f"at most {1000 * most:g} per 1000", measured, met)


def _said(family: Family, scored: Figures) -> Iterable[Line]:
    verdicts, runs = scored["verdicts"], scored["runs"]
    due = family.due or DUE.get(family.kind)
    if family.kind is Kind.HOLD:
        yield from _never_silent(family, scored)
    elif due is not None:
        goal = f"{due} in at least {1000 * RECALL:g} of 1000"
        yield Line(family, "verdict", goal, said(scored), verdicts[due] >= RECALL * runs)


def _never_silent(family: Family, scored: Figures) -> Iterable[Line]:
    silent = scored["verdicts"]["Healthy"] + scored["verdicts"]["Inconclusive"]
    goal = "Hold: never silent" if family.kind is Kind.HOLD else "rolled back or Hold: never silent"
    yield Line(family, "verdict", goal, said(scored), silent == 0)


def said(scored: Figures, but: str = "") -> str:
    """Rollguard's verdicts (``but`` one) with their reasons: ``Hold 4990 (SharedWithControls), Healthy 10 (noted 3)``."""
    return ", ".join(
        f"{kind} {count}" + _why(kind, count, scored)
        for kind, count in scored["verdicts"].items()
        if count and kind not in ("noted", but)
    )


def _why(kind: str, count: int, scored: Figures) -> str:
    if kind == "Healthy":
        noted = scored["verdicts"]["noted"]
        return f" (noted {noted})" if noted else ""
    if kind == "Breached":
        return ""
    named = ((each.partition(" "), times) for each, times in scored["reasons"].items())
    reasons = [(reason, times) for (of, _, reason), times in named if of == kind]
    return " (" + ", ".join(reason if times == count else f"{reason} {times}" for reason, times in reasons) + ")"


def _recall(family: Family, scored: Figures) -> Iterable[Line]:
    ours, runs, nats = scored["rules"][ROLLGUARD], scored["runs"], scored["nats"]
    share = ours["fired"] / runs
    if nats is None:
        goal = f"at least {1000 * RECALL:g} of 1000"
        yield Line(family, "recall", goal, f"{1000 * share:.4g} of 1000", share >= RECALL)
        return
    best = scored["rules"][ORACLE]["fired"] / runs
    enough = nats >= ENOUGH_NATS
    goal = f"at least {1000 * RECALL:g} of 1000" if enough else f"at least {1000 * max(best - POINTS, 0):.0f} of 1000"
    why = f"{nats:.0f} nats" + ("" if enough else f", oracle {1000 * best:.0f}")
    yield Line(
        family, f"recall ({why})", goal, f"{1000 * share:.4g} of 1000", share >= (RECALL if enough else best - POINTS)
    )


def _soon(family: Family, scored: Figures) -> Iterable[Line]:
    if family.median_goal is not None:
        median = scored["rules"][ROLLGUARD]["median"]
        goal = f"at most {family.median_goal:.0f} s"
        yield Line(family, "median delay", goal, seconds(median), median is not None and median <= family.median_goal)


def _served(family: Family, scored: Figures) -> Iterable[Line]:
    bound, served = scored["bound"], scored["rules"][ROLLGUARD]["served"]
    if bound is not None:
        most = TIMES_BOUND * bound + one_tick(family, scored)
        what, measured = "median bad requests served", f"{number(served)} ({number(served / bound)} times the bound)"
        yield Line(family, what, f"at most {number(most)}", measured, served <= most + 1e-9)


def one_tick(family: Family, scored: Figures) -> float:
    """Bad requests of one tick once the fault is there."""
    return float(scored["level"]) * family.rps * family.interval


def _others(family: Family, scored: Figures) -> Iterable[Line]:
    ours = scored["rules"][ROLLGUARD]
    if ours["median"] is None or family.alone:
        return
    sooner = [
        f"{label}: {seconds(other['median'])}"
        for label, other in scored["rules"].items()
        if label.endswith((TUNED, LOOSELY))
        and other["median"] is not None
        and other["fired"] >= ours["fired"]
        and other["median"] < ours["median"] - family.interval - 1e-6
    ]
    measured = f"{seconds(ours['median'])}; sooner: {'; '.join(sooner)}" if sooner else seconds(ours["median"])
    yield Line(family, "against tuned peers", "never slower by more than a tick", measured, not sooner)


def number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.3g}"


def seconds(value: float | None) -> str:
    """A delay as it is printed."""
    return "–" if value is None else f"{value:.0f} s"
