"""Argo Rollouts: an analysis fails when more than ``failureLimit`` measurements have failed (by default none may).

The documentation's example measures the success rate over five minutes every five minutes, with a limit of three. A
result that is NaN does not meet the success condition, so the measurement has failed; an empty result is an error, and
more than ``consecutiveErrorLimit`` (4) errors in a row fail the analysis too. The first measurement comes after
``initialDelay``.
"""

from typing import ClassVar

from benchmarks.detection.peers.rules import Setting, all_settings, by_threshold, checks, seen
from benchmarks.detection.runs import Family, Runs, Ticks

FIVE_MINUTES = 300.0


class ArgoRollouts:
    """Counts failed measurements. None of the families has five minutes without an answer, so there are no errors."""

    name = "Argo Rollouts"
    settings = all_settings()
    documented: ClassVar = {"5m, failureLimit 0": Setting(1.0, 1), "5m, failureLimit 3": Setting(1.0, 4)}

    def decide(self, family: Family, runs: Runs) -> Ticks:
        """When the limit is exceeded."""
        ticks = checks(family, FIVE_MINUTES)
        return by_threshold(seen(family, runs).share(ticks, FIVE_MINUTES), family.limit, ticks, nan_is_a_miss=True)
