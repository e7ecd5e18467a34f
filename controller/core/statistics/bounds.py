"""Upper confidence bounds of what was before, and the smallest effect that an amount of traffic can show.

Invariant: bounds err to the safe side. Without data the bound of a share is 1 and that of a rate is infinite, so that
a service without history can never be shown to be worse than it was.
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.grids import SMALLEST_SHARE, floats
from controller.core.statistics.inversion import smallest_at

PLUG_IN_PART = 0.05
"""The part of the false-rollback rate that pays for the baselines' upper bounds."""
_LADDER = np.linspace(0.0, 1.0, 513)


def _times_log(weight: Floats, ratio: Floats) -> Floats:
    """weight·ln(ratio), and 0 where the weight is 0."""
    some = weight > 0
    return np.where(some, weight * np.log(np.where(some, ratio, 1.0)), 0.0)


def kl_bernoulli(p: ArrayLike, q: ArrayLike) -> Floats:
    """KL(p‖q) of two Bernoulli shares, in nats; infinite where q makes p impossible."""
    first, second = np.broadcast_arrays(floats(p), floats(q))
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 has no weight
        bad, good = first / np.maximum(second, 0.0), (1 - first) / (1 - second)
    return _times_log(first, bad) + _times_log(1 - first, good)


def kl_poisson(rate: ArrayLike, other: ArrayLike) -> Floats:
    """KL between Poisson counts with these expectations, in nats."""
    first, second = np.broadcast_arrays(floats(rate), floats(other))
    return floats(_times_log(first, first / np.where(first > 0, second, 1.0)) + second - first)


def kl_ucb(bad: ArrayLike, total: ArrayLike, delta: float) -> Floats:
    """sup{p : N·KL(E/N ‖ p) ≤ ln(1/δ)}: upper bound of a bad share, at error δ (Chernoff; Garivier, Cappé 2011)."""
    bads, totals = np.broadcast_arrays(floats(bad), floats(total))
    observed = np.divide(bads, totals, out=np.zeros_like(totals), where=totals > 0)

    def divergence(share: Floats) -> Floats:
        return totals[..., None] * kl_bernoulli(observed[..., None], np.minimum(share, 1 - 1e-16))

    return smallest_at(divergence, observed, np.ones_like(totals), -np.log(delta))


def poisson_ucb(count: ArrayLike, seconds: ArrayLike, delta: float) -> Floats:
    """Upper bound of a rate per second from a count, at error δ, by the same (Chernoff) inversion."""
    counts, spans = np.broadcast_arrays(floats(count), floats(seconds))
    needed = -np.log(delta)
    # The solution lies below this, since KL(x, y) ≥ (y−x)²/(2y).
    highest = counts + 2 * needed + np.sqrt(2 * needed * counts)

    def divergence(expected: Floats) -> Floats:
        return kl_poisson(counts[..., None], expected)

    expected = smallest_at(divergence, counts, highest, needed)
    return floats(np.divide(expected, spans, out=np.full_like(spans, np.inf), where=spans > 0))


def detectable_share(total: ArrayLike, p0: ArrayLike, alpha: float, least_bad: float = 0.0) -> Floats:
    """The smallest bad share that ``total`` events can be expected to show against p0 at α; NaN where none can.

    Inverts n ≈ ln(1/α)/KL(q‖p0) for q, to about 1 per cent, and asks for ``least_bad`` bad events.
    """
    totals, limits = np.broadcast_arrays(floats(total), np.clip(floats(p0), SMALLEST_SHARE, 1 - 1e-12))
    some = np.maximum(totals, 1e-12)
    needed = -np.log(alpha) / some
    shares = limits[..., None] ** (1 - _LADDER)  # from p0 to 1, in equal ratios
    shown = kl_bernoulli(shares, limits[..., None]) >= needed[..., None]
    rung = np.argmax(shown, axis=-1)
    found = np.maximum(np.take_along_axis(shares, rung[..., None], axis=-1)[..., 0], least_bad / some)
    return np.where(shown[..., -1] & (found <= 1), found, np.nan)
