"""Mixtures of bets over a grid of alternatives and over the tick at which a fault begins.

With l_j the log factor of alternative j in a tick, A_j ← logaddexp(A_j, ln w_k) + l_j, and
E = Σ_j weight_j·e^(A_j) + the prior mass not yet started. Each factor has expectation at most one under the null
hypothesis, so E is an e-process: the chance that it ever reaches 1/α is at most α, however often it is looked at
(Ville 1939; Howard, Ramdas, McAuliffe, Sekhon 2021).

Invariant: increments have shape (…, grid, ticks), results (…, ticks); all in logarithms, so nothing over- or
underflows however much traffic there is.
"""

from dataclasses import dataclass

import numpy as np

from controller.core.evidence import Floats
from controller.core.statistics.grids import from_zero, log_sum
from controller.core.statistics.starts import StartPrior

WIDEST = 600.0
"""Nats by which terms may differ and be added up on one scale: e^−600 is far from underflow."""


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """A batch of e-processes over one window."""

    running: Floats
    """Running sums of the increments, from 0: shape (…, grid, ticks + 1)."""
    log_weights: Floats
    """The logarithm of the alternatives' weights, shape (grid,) or (…, grid)."""
    prior: StartPrior

    @classmethod
    def of(cls, increments: Floats, log_weights: Floats, prior: StartPrior) -> "Process":
        """The processes with these log factors, shape (…, grid, ticks)."""
        return cls(from_zero(increments), log_weights, prior)

    def path(self) -> Floats:
        """Evidence (ln E) after every tick, shape (…, ticks)."""
        started = running_log_sum(self.prior.log_mass - self.running[..., :-1])
        started += self.running[..., 1:]
        started += self.log_weights[..., None]
        return np.logaddexp(log_sum(started, axis=-2, overwrite=True), self.prior.log_rest)

    def last(self) -> Floats:
        """The last element of ``path`` at a fraction of its cost, shape (…); 0 before the first tick."""
        if self.running.shape[-1] == 1:
            return np.zeros(self.running.shape[:-2])
        started = log_sum(self.prior.log_mass - self.running[..., :-1], overwrite=True)
        last: Floats = np.logaddexp(
            log_sum(self.running[..., -1] + started + self.log_weights), self.prior.log_rest[-1]
        )
        return last

    def bound(self, of: int | slice = slice(None)) -> Floats:
        """A bound that ln E never exceeds in the whole window, whatever the prior, shape (…).

        E averages e^(sum of the increments since a start) over alternatives and starts, and 1: it is at most the
        largest of them (Page's CUSUM). It shows for most windows that they never came near a threshold.

        Args:
            of: which members of the batch's first axis.
        """
        running = self.running[of]
        rises = np.minimum.accumulate(running, axis=-1)
        np.subtract(running, rises, out=rises)
        highest: Floats = np.max(rises, axis=(-2, -1), initial=0.0)
        return highest


def running_log_sum(logs: Floats) -> Floats:
    """Logarithms of the running sums of e^x along the last axis; may use ``logs`` as its scratch.

    Rows whose terms lie within ``WIDEST`` of each other are summed on one scale, exact to rounding, at a quarter of the
    cost; the others, those of steep alternatives under much traffic, term by term.
    """
    top = np.max(logs, axis=-1, keepdims=True, initial=-np.inf)
    lowest = np.min(logs, axis=-1, keepdims=True, initial=np.inf)
    narrow = (lowest >= top - WIDEST)[..., 0] & np.isfinite(top[..., 0])
    if narrow.all():
        return _on_one_scale(logs, top)
    if not narrow.any():
        return np.logaddexp.accumulate(logs, axis=-1, out=logs)
    wide = ~narrow
    logs[wide] = np.logaddexp.accumulate(logs[wide], axis=-1)
    logs[narrow] = _on_one_scale(logs[narrow], top[narrow])
    return logs


def _on_one_scale(logs: Floats, top: Floats) -> Floats:
    logs -= top
    np.exp(logs, out=logs)
    np.cumsum(logs, axis=-1, out=logs)
    np.log(logs, out=logs)
    logs += top
    return logs


def log_e(increments: Floats, log_weights: Floats, prior: StartPrior) -> Floats:
    """Evidence (ln E) after every tick, shape (…, ticks)."""
    return Process.of(increments, log_weights, prior).path()


def log_e_at_once(increments: Floats, log_weights: Floats) -> Floats:
    """Evidence (ln E) after every tick when all the mass starts with the first, shape (…, ticks)."""
    return log_sum(np.cumsum(increments, axis=-1) + log_weights[:, None], axis=-2)
