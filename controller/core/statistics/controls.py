"""Did the service get worse than traffic that shares its fate? An additive difference in differences.

H0: p1 ≤ A + ρ·pc, with A = ρ·UCB(p1 before). Given that an event is bad, it is the service's with odds of at most
n1·ρ/nc under pc alone; what A allows is taken off by a Poisson term.

Invariant: a tick without control traffic says nothing (factor 1), so a lost control cannot make a deployment guilty.
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.grids import LOG_RATIOS, RATIOS, floats


def control_increments(
    bad: ArrayLike,
    total: ArrayLike,
    control_bad: ArrayLike,
    control_total: ArrayLike,
    *,
    allowed: ArrayLike,
    worsening: float,
) -> Floats:
    """b1·ln(θ/θ0) + bc·ln((1−θ)/(1−θ0)) − A·n1·(θ/θ0 − 1), shape (…, 24, ticks).

    Args:
        bad: the service's bad events in each tick, shape (…, ticks).
        total: the service's events.
        control_bad: the control's bad events.
        control_total: the control's events.
        allowed: A, the bad share that the service may have of its own, shape (…).
        worsening: ρ.
    """
    b1, n1, bc, nc = (floats(each)[..., None, :] for each in (bad, total, control_bad, control_total))
    seen = (nc > 0) & (n1 > 0)
    odds = np.where(seen, n1 * worsening / np.where(seen, nc, 1.0), 1.0)
    psi = RATIOS[:, None]
    other = np.log1p(odds) - np.log1p(psi * odds)  # ln((1−θ)/(1−θ0)); ln(θ/θ0) is ln ψ more
    own = floats(allowed)[..., None, None] * n1 * (psi * np.exp(other) - 1)
    return np.where(seen, (b1 + bc) * other + b1 * LOG_RATIOS[:, None] - own, 0.0)
