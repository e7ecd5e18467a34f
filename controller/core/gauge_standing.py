"""What is said of a gauge objective at a look: its standing, and its numbers in words.

Invariant: Breached needs the limit's leg and the baseline's at the same look, and is a fact of the past from then on.
Hold needs a limit that is passed; what is not known is Inconclusive.
"""

from math import isnan

import numpy as np

from controller.core.gauges import GaugePath
from controller.core.indicators import Gauge
from controller.core.verdict import GaugeLevels, Reason, VerdictKind


def first_breach(path: GaugePath, threshold: float) -> float | None:
    """The first look at which the evidence that goes with a breach reaches the threshold (ln), Unix seconds; or None.

    Args:
        path: of one gauge.
        threshold: ln(1/(.95·α)), for one objective alone.
    """
    reached = np.flatnonzero(path.guilty >= threshold)
    return float(path.at[reached[0]]) if reached.size else None


def standing(
    gauge: Gauge, path: GaugePath, threshold: float, *, due: bool, kept: bool, answered: bool, acting: bool = True
) -> tuple[VerdictKind | None, Reason]:
    """The verdict on one gauge alone, and its reason; None before the deadline where there is none yet.

    Args:
        gauge: what is declared.
        path: its looks so far.
        threshold: ln(1/(.95·α)).
        due: the deadline's verdict is to be given.
        kept: ``kept_path`` at the newest look.
        answered: at least half of the newest sync's looks were answered.
        acting: the objective may roll back; one that only alerts is Breached without a week of history too.
    """
    if first_breach(path, threshold) is not None:
        breached = path.may_roll_back or not acting
        return VerdictKind.BREACHED if breached else _at(
            VerdictKind.HOLD, due=due
        ), Reason.WORSE_THAN_SLO_AND_BASELINE
    if gauge.regression is None and slo_rejected(path, due=due):
        return _at(VerdictKind.HOLD, due=due), Reason.BREACHED_BEFORE
    if not due:
        return None, Reason.GATHERING if path.at.size else Reason.WARMING_UP
    if not answered:
        return VerdictKind.INCONCLUSIVE, Reason.NO_DATA
    if not kept:
        return VerdictKind.INCONCLUSIVE, Reason.TOO_LITTLE_EVIDENCE
    worse = float(path.log_e[-1]) >= threshold
    return VerdictKind.HEALTHY, Reason.WORSE_WITHIN_SLO if worse else Reason.WITHIN_SLO


def slo_rejected(path: GaugePath, *, due: bool) -> bool:
    """Whether the limit is passed by the newest look for two blocks in a row; at the deadline, for one."""
    if not path.at.size:
        return False
    return bool(path.lasting[-1]) or (due and bool(path.beyond[-1]))


def _at(kind: VerdictKind, *, due: bool) -> VerdictKind | None:
    return kind if due else None


def limit_text(gauge: Gauge) -> str:
    """What is allowed: ``at most 0.9``, ``between 0.1 and 0.9``, ``at most 20 % less than before``."""
    if gauge.regression is not None:
        word = {"Up": "more", "Down": "less", "Either": "more or less"}[gauge.regression.direction]
        return f"at most {gauge.regression.tolerance:.10g} % {word} than before"
    if gauge.max is None:
        return f"at least {gauge.min:.10g}"
    return f"at most {gauge.max:.10g}" if gauge.min is None else f"between {gauge.min:.10g} and {gauge.max:.10g}"


def gauge_facts(name: str, gauge: Gauge, path: GaugePath, at: float) -> str:
    """What was measured by a moment: ``memory 0.953 against at most 0.9 (100 % of the last 5m beyond; before 0.421)``."""
    seen = int(np.searchsorted(path.at, at + 1e-6, side="right")) - 1
    if seen < 0 or np.isnan(path.newest[seen]):
        return f"{name}: no block of five minutes is known yet; {limit_text(gauge)}"
    expected = path.expected[seen]
    before = "before: not known" if np.isnan(expected) else f"before {expected:.4g}"
    measured = f"{name} {path.newest[seen]:.4g} against {limit_text(gauge)}"
    if gauge.regression is not None:
        return f"{measured} ({_change(float(path.share[seen]))}{before})"
    share = path.share[seen]
    beyond = "too few of the last 5m measured" if np.isnan(share) else f"{100 * share:.3g} % of the last 5m beyond"
    return f"{measured} ({beyond}; {before})"


def gauge_levels(path: GaugePath, at: float) -> GaugeLevels:
    """The same numbers by a moment."""
    seen = int(np.searchsorted(path.at, at + 1e-6, side="right")) - 1
    if seen < 0:
        return GaugeLevels()
    measured, before = (float(each[seen]) for each in (path.newest, path.expected))
    return GaugeLevels(None if isnan(measured) else measured, None if isnan(before) else before)


def _change(part: float) -> str:
    """``34 % less; ``, or nothing where it cannot be said in per cent."""
    if not np.isfinite(part):
        return ""
    return f"{abs(100 * part):.3g} % {'more' if part > 0 else 'less'}; "
