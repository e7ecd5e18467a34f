"""The alternatives that the evidence is spread over, chosen once and for all, before any data.

Invariant: every grid is fixed and its weights sum to one, so a mixture over it is an e-process whenever each of its
members is one (the average of fair bets is a fair bet).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from controller.core.evidence import Floats

LARGEST_SHARE = 0.995
"""Alternatives stop here: a share of exactly 1 would make one good event impossible."""
CERTAIN_SHARE = 0.99
"""From here a bad share cannot be worse in any way that matters, and the evidence stays at ln E = 0."""
SMALLEST_SHARE = 1e-9
"""A target of 100 % would otherwise divide by zero."""


def _constant(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    array.flags.writeable = False
    return array


RATIOS = _constant(np.geomspace(1.25, 100.0, 24))
"""How many times worse (or, in the mirror test, better) than the null hypothesis: shape (24,)."""
LOG_RATIOS = _constant(np.log(RATIOS))
INVERSE_WEIGHTS = _constant(np.log((1 / RATIOS) / np.sum(1 / RATIOS)))
"""ln of weights ∝ 1/r: more prior where evidence grows slowly."""
UNIFORM_WEIGHTS = _constant(np.full(RATIOS.size, -np.log(RATIOS.size)))
"""ln of equal weights."""
STAKES = _constant(np.geomspace(0.03, 0.97, 16))
"""Parts of the stake that tick betting puts on "worse": shape (16,)."""
STAKE_WEIGHTS = _constant(np.full(STAKES.size, -np.log(STAKES.size)))


def visible_weights(total: ArrayLike, p0: ArrayLike, nats: float) -> Floats:
    """Ln of weights ∝ 1/r over the alternatives that so much traffic can show, shape (…, 24).

    An alternative q_j is out of sight where total·KL(q_j‖p0) stays below ``nats``: prior mass on it is lost to the others.
    Where none is in sight, or the traffic is not known (NaN), the weights are ∝ 1/r over all. They depend on the time
    before alone, so the mixture stays an e-process.

    Args:
        total: events expected in the window, shape (…).
        p0: bad share of the null hypothesis, same shape.
        nats: evidence that a verdict needs.
    """
    share = np.clip(floats(p0), SMALLEST_SHARE, CERTAIN_SHARE)[..., None]
    other = np.minimum(share * RATIOS, LARGEST_SHARE)
    divergence = other * np.log(other / share) + (1 - other) * (np.log1p(-other) - np.log1p(-share))
    seen = floats(total)[..., None] * divergence >= nats
    seen = np.where(seen.any(axis=-1, keepdims=True), seen, True)
    weights = np.where(seen, 1 / RATIOS, 0.0)
    with np.errstate(divide="ignore"):
        return floats(np.log(weights / weights.sum(axis=-1, keepdims=True)))


def floats(values: ArrayLike) -> Floats:
    """The values as an array of 64-bit floats."""
    return np.asarray(values, dtype=np.float64)


def log_sum(logs: Floats, axis: int = -1, *, overwrite: bool = False) -> Floats:
    """Logarithm of Σ e^x along an axis, without overflow; −∞ where every term is −∞. May use ``logs`` as its scratch."""
    top = np.max(logs, axis=axis, keepdims=True)
    np.copyto(top, 0.0, where=~np.isfinite(top))
    terms = np.subtract(logs, top, out=logs if overwrite else None)
    np.exp(terms, out=terms)
    with np.errstate(divide="ignore"):
        summed: Floats = np.log(np.sum(terms, axis=axis)) + np.squeeze(top, axis=axis)
    return summed


def from_zero(counts: ArrayLike) -> Floats:
    """Running sums along the last axis with a 0 before the first: one element longer."""
    values = floats(counts)
    running = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=running[..., 1:])
    return running


def newest_seen(seen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each place along the last axis the newest one before it that was seen; −1 where there is none."""
    places = np.where(seen, np.arange(seen.shape[-1]), -1)
    newest = np.maximum.accumulate(places, axis=-1)
    return np.concatenate((np.full((*seen.shape[:-1], 1), -1), newest[..., :-1]), axis=-1)
