"""When the objectives of a policy together reached a threshold: Breached is a fact of the past.

Invariant: what is said of a look depends on ticks up to it, so that later ones do not change it.
"""

from collections.abc import Callable, Sequence
from math import exp, inf, log

import numpy as np

from controller.core.evidence import Floats
from controller.core.history import ROUNDING
from controller.core.policy import PolicySpec
from controller.core.statistics.grids import log_sum
from controller.core.traffic import TRAFFIC_SHARE
from controller.core.weighed import Weighed


def log_mean(terms: Sequence[float], objectives: int) -> float:
    """The weighed sum Σ E_i/m of evidence (ln); −∞ without terms."""
    top = max(terms, default=-inf)
    return top if top == -inf else top + log(sum(exp(each - top) for each in terms)) - log(objectives)


def guilty(weighed: Weighed) -> Floats:
    """An objective's term towards Breached at every look."""
    return weighed.guilt_path


def breaching(weighed: Weighed) -> Floats:
    """An objective's term towards "the breach goes on" at every look."""
    return weighed.breaching_path


def first_passage(
    panel: Sequence[Weighed], threshold: float, term: Callable[[Weighed], Floats]
) -> tuple[float, Weighed] | None:
    """When the weighed sum of the terms first reached the threshold, and the objective with the largest; or None.

    It is a fact of the past: later ticks do not change it.
    """
    if max((each.bound for each in panel), default=-inf) < threshold:
        return None
    times = np.unique(np.concatenate([each.looks.at for each in panel]))
    rows = np.stack([_at_times(each.looks.at, term(each), times) for each in panel])
    reached = np.flatnonzero(log_sum(rows, axis=0) - log(len(panel)) >= threshold)
    if not reached.size:
        return None
    first = int(reached[0])
    return float(times[first]), panel[int(np.argmax(rows[:, first]))]


def traffic_lost(policy: PolicySpec, panel: Sequence[Weighed], threshold: float) -> tuple[float, Weighed] | None:
    """When the first of the objectives lost its traffic, beside controls that kept theirs; None where that only alerts."""
    if policy.analysis.on_traffic_loss != "Rollback":
        return None
    found = [
        (float(each.looks.at[np.argmax(lost)]), each)
        for each in panel
        if (traffic := each.traffic_lost) is not None and traffic.controlled
        if (lost := traffic.lost(threshold + log(TRAFFIC_SHARE * len(panel)))).any()
    ]
    return min(found, key=lambda each: each[0], default=None)


def _at_times(at: Floats, values: Floats, times: Floats) -> Floats:
    """The newest value at each time; −∞ before the first."""
    index = np.searchsorted(at, times + ROUNDING, side="right")
    return np.concatenate(([-inf], values))[index]
