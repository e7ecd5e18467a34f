"""Mann–Whitney's comparison of two samples with missing points, for whole batches.

Invariant: a NaN is no point; with no points on a side nothing differs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.runs import Floats


@dataclass(frozen=True, eq=False)
class Shift:
    """How much larger the first sample is than the second; arrays have shape (runs,)."""

    estimate: Floats
    """Hodges and Lehmann's: the median of all pairwise differences."""
    lowest: Floats
    """Lower end of its confidence interval."""
    z: Floats
    """Deviations by which the first sample ranks higher, with ties and continuity corrected."""


def shift(first: Floats, second: Floats, quantile: float) -> Shift:
    """Compares the points of two samples of shape (runs, points).

    Args:
        first: the newer sample.
        second: what it is compared with.
        quantile: deviations of the normal distribution for one end of the confidence interval.
    """
    differences = (first[:, :, None] - second[:, None, :]).reshape(first.shape[0], -1)
    m, n = np.sum(~np.isnan(first), axis=1), np.sum(~np.isnan(second), axis=1)
    in_order = np.sort(differences, axis=1)  # NaN comes last
    pairs = m * n
    pooled = _spread(m, n, np.hstack((first, second)))
    above = np.sum(differences > 0, axis=1) + 0.5 * np.sum(differences == 0, axis=1) - pairs / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.nan_to_num((above - 0.5 * np.sign(above)) / pooled)
    # Moved apart by the shift, the two samples share no values: only ties inside each remain.
    apart = np.sqrt(np.maximum(pairs * (m + n + 1) / 12 - _ties(m, n, _tied(first) + _tied(second)), 0.0))
    rank = np.clip(np.floor(pairs / 2 - 0.5 - quantile * apart), 0, None).astype(np.intp)
    middle = (_at(in_order, (pairs - 1) // 2) + _at(in_order, pairs // 2)) / 2
    return Shift(middle, _at(in_order, rank), z)


def _at(in_order: Floats, rank: NDArray[np.intp]) -> Floats:
    rows = np.maximum(rank, 0)[:, None]
    return np.asarray(np.take_along_axis(in_order, rows, axis=1)[:, 0])


def _tied(points: Floats) -> Floats:
    """Σ(t³ − t) over groups of equal points."""
    same = np.sum(points[:, :, None] == points[:, None, :], axis=2)
    return np.asarray(np.sum(np.where(same > 0, same.astype(float) ** 2 - 1, 0.0), axis=1))


def _ties(m: NDArray[np.intp], n: NDArray[np.intp], tied: Floats) -> Floats:
    size = m + n
    return np.asarray(m * n * tied / (12 * np.maximum(size * (size - 1), 1)))


def _spread(m: NDArray[np.intp], n: NDArray[np.intp], pooled: Floats) -> Floats:
    """Standard deviation of the statistic under no difference, with ties."""
    return np.asarray(np.sqrt(np.maximum(m * n * (m + n + 1) / 12 - _ties(m, n, _tied(pooled)), 0.0)))
