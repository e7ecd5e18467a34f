"""Flagger: a metric check every interval, and a rollback once ``threshold`` checks have failed.

The success rate is taken over a minute and compared with a range (the guide's ``thresholdRange: {min: 99}``, here the
SLO). Failed checks are counted and never forgotten; no values and failing queries are failed checks. The guide's
example has an interval of one minute and a threshold of five.
"""

from typing import ClassVar

from benchmarks.detection.peers.rules import Setting, all_settings, by_threshold, checks, seen
from benchmarks.detection.runs import Family, Runs, Ticks

MINUTE = 60.0


class Flagger:
    """Counts failed checks."""

    name = "Flagger"
    settings = all_settings()
    documented: ClassVar = {"1m, threshold 5": Setting(1.0, 5)}

    def decide(self, family: Family, runs: Runs) -> Ticks:
        """When the threshold is reached."""
        ticks = checks(family, MINUTE)
        return by_threshold(seen(family, runs).share(ticks, MINUTE), family.limit, ticks, nan_is_a_miss=True)
