"""Bets on the ranks of new values among the values before: conformal test martingales that lose nothing to a p-value.

If all values are exchangeable, the next one falls between two neighbours of the N before with chance 1/(N+1), and into
a gap that holds n of m new ones already with chance (1 + n)/(N + 1 + m) (Pólya's urn). A bet spreads its stake over the
gaps as κ·p^(κ−1) does over p = rank/(N+1): a gap below g larger values gets ((g+1)^κ − g^κ)/(N+1)^κ. Stake through
chance has expectation one, so products over values and mixtures over κ and starts are test martingales (Vovk,
Gammerman, Shafer). The randomised p-value of ``conformal`` is averaged out: a value beyond 288 others multiplies the
evidence by about 120, where ln f gives 14 at U = ½; and a second one is not held against the first, whichever is larger.

Invariant: nothing is assumed about the distribution. Ties are broken by numbers made from a seed, so that a verdict can
be repeated; a missing value multiplies the evidence by one.
"""

from hashlib import shake_256

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.grids import floats


def _constant(values: ArrayLike) -> Floats:
    array = floats(values)
    array.flags.writeable = False
    return array


POWERS = _constant(np.geomspace(0.02, 0.9, 16))
"""κ, from stakes almost all on the outermost gap to almost even ones: shape (16,)."""
POWER_WEIGHTS = _constant(np.full(16, -np.log(16.0)))
"""ln of equal weights."""


def tie_breakers(seed: str, count: int) -> Floats:
    """So many numbers in [0, 1), always the same for a seed, shape (count,); more of them begin with the fewer."""
    drawn = np.frombuffer(shake_256(seed.encode()).digest(8 * count), dtype="<u8")
    return floats((drawn >> np.uint64(11)) * 2.0**-53)


def gaps(before: Floats, new: Floats, ties: Floats, tie: float) -> Floats:
    """How many of the values before are larger than the new one, shape (…); NaN where it is missing.

    Args:
        before: values before, NaN where one is missing, shape (…, N).
        new: the new value, shape (…).
        ties: which of equal values counts as larger, shape (N,).
        tie: the same of the new value.
    """
    value = new[..., None]
    larger = (before > value) | ((before == value) & (ties > tie))
    return np.where(np.isfinite(new), np.sum(larger, axis=-1), np.nan)


def rank_increments(gap: ArrayLike, size: ArrayLike) -> Floats:
    """The bets' log factors, shape (…, powers, values): 0 where a value is missing.

    Args:
        gap: how many of the values before are larger than each new one, NaN where it is missing, shape (…, values).
        size: N, how many are before it, same shape.
    """
    values, sizes = floats(gap), floats(size)
    known = np.isfinite(values)
    larger = np.where(known, values, 0.0)[..., None, :]
    powers = POWERS[:, None]
    inner = (larger / (larger + 1)) ** powers
    stake = powers * np.log((larger + 1) / (sizes[..., None, :] + 1)) + np.log1p(-inner)
    return np.where(known[..., None, :], stake - _log_chance(values, sizes)[..., None, :], 0.0)


def _log_chance(gap: Floats, size: Floats) -> Floats:
    """ln((1 + n)/(N + 1 + m)) of each new value, given the new ones before it; shape (…, values)."""
    earlier = np.tri(gap.shape[-1], k=-1, dtype=np.bool_)
    beside = np.sum((gap[..., None, :] == gap[..., :, None]) & earlier, axis=-1)
    drawn = np.cumsum(np.isfinite(gap), axis=-1) - np.isfinite(gap)
    return floats(np.log1p(beside) - np.log(size + 1 + drawn))
