"""Is the newest block like the blocks before it? Conformal test martingales, for gauges.

Invariant: if the blocks are exchangeable the p-values are independent and uniform, and the factor's expectation is
one; nothing is assumed about the gauge's distribution (Vovk, Gammerman, Shafer).
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.grids import floats

_NEAR_ONE = 1e-3
"""|ln p| below which the quotient, 0/0 at p = 1, is replaced by its series."""


def conformal_p(history: ArrayLike, score: ArrayLike, tie: ArrayLike) -> Floats:
    """(#{s_i > s} + U·(1 + #{s_i = s}))/(N+1): how strange a score is among the scores before it.

    Args:
        history: scores before, shape (…, N).
        score: the new score, shape (…).
        tie: U in (0, 1], shape (…); made from the analysis' id, so that a verdict can be repeated.
    """
    before, new = floats(history), floats(score)[..., None]
    above = np.sum(before > new, axis=-1)
    equal = np.sum(before == new, axis=-1)
    return floats((above + floats(tie) * (1 + equal)) / (before.shape[-1] + 1))


def conformal_log_factor(p: ArrayLike) -> Floats:
    """ln((1 − p + p·ln p)/(p·ln² p)), the mixture over all power bets κ·p^(κ−1); −ln 2 at p = 1."""
    share = np.clip(floats(p), 1e-300, 1.0)
    log = np.log(share)
    near = np.abs(log) < _NEAR_ONE
    safe = np.where(near, -1.0, log)
    numerator = np.where(near, 1.0, -np.expm1(safe) + np.exp(safe) * safe)
    exact = np.log(numerator) - safe - 2 * np.log(np.abs(safe))
    return floats(np.where(near, -np.log(2.0) - log / 3, exact))
