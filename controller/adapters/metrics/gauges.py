"""A gauge in a step of its history: the mean of what it showed at several moments of the step.

Invariant: a moment without a value that can be trusted is left out and never taken for zero; a step without any is NaN.
"""

import numpy as np

from controller.adapters.metrics.planning import Plan, Query
from controller.core.evidence import Floats
from controller.core.promql import uses_window

LONGEST_APART = 60.0
"""Seconds between the moments at which a gauge is looked at, at most."""


def moments_in(planned: Plan, step: float) -> int:
    """How many evenly spaced moments of a step, its end among them, are looked at; 1 for whatever is counted.

    So is a query over ``$window``, which speaks of the whole step by itself. The moments lie at whole milliseconds, as a
    server's do; where so few parts of a step do not, its end alone is looked at.
    """
    if not isinstance(planned.whole, Query) or planned.whole.window is None or uses_window(planned.whole.text):
        return 1
    length = round(step * 1000)
    least = -(-length // round(LONGEST_APART * 1000))
    return next((parts for parts in range(least, 2 * least + 1) if length % parts == 0), 1)


def means(values: Floats, moments: int) -> Floats:
    """The means of values, shape (steps · moments, columns), over the moments of each step, without NaN."""
    if moments == 1:
        return values
    parts = values.reshape(-1, moments, values.shape[1])
    known = np.isfinite(parts)
    count = known.sum(axis=1)
    total = np.where(known, parts, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
