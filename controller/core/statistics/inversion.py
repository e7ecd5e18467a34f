"""Finds where a rising function reaches a value, for whole batches at once.

Invariant: the answer errs to the far side by at most (high − low)/64^rounds, so a bound is never too small.
"""

from collections.abc import Callable

import numpy as np

from controller.core.evidence import Floats

_POINTS = 64
_STEPS = np.arange(1, _POINTS + 1) / _POINTS


def smallest_at(
    rising: Callable[[Floats], Floats], low: Floats, high: Floats, target: float | Floats, rounds: int = 8
) -> Floats:
    """The smallest x in [low, high] with rising(x) ≥ target; ``high`` where there is none.

    Args:
        rising: takes points of shape (…, 64) and returns values of that shape, rising along the last axis.
        low: shape (…).
        high: shape (…).
        target: broadcasts against (…).
        rounds: each narrows the interval to a 64th.
    """
    goal = np.asarray(target, dtype=np.float64)[..., None]
    for _ in range(rounds):
        points = low[..., None] + (high - low)[..., None] * _STEPS
        reached = rising(points) >= goal
        first = np.where(reached.any(axis=-1), reached.argmax(axis=-1), _POINTS - 1)
        high = np.take_along_axis(points, first[..., None], axis=-1)[..., 0]
        before = np.take_along_axis(points, np.maximum(first - 1, 0)[..., None], axis=-1)[..., 0]
        low = np.where(first > 0, before, low)
    return high
