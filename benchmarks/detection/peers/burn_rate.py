"""Alerts on burn rates with several windows, as the SRE workbook gives them for a page; the first one rolls back.

A burn rate above 14.4 over an hour and over five minutes, or above 6 over six hours and over thirty minutes. Evaluated
every tick; ``count`` evaluations in a row must say so (an alert's ``for``), and the threshold scales both rates.
"""

from typing import ClassVar

import numpy as np

from benchmarks.detection.peers.rules import Flags, Setting, all_settings, checks, first, seen
from benchmarks.detection.runs import Family, Runs, Ticks

WINDOWS = ((14.4, 3600.0, 300.0), (6.0, 21600.0, 1800.0))
FACTORS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0)
IN_A_ROW = (1, 2, 4, 8, 12, 20)


class BurnRate:
    """Multiwindow, multi-burn-rate alerts."""

    name = "Burn-rate alerts"
    settings = all_settings(FACTORS, IN_A_ROW)
    documented: ClassVar = {"14.4 and 6": Setting(1.0, 1)}

    def decide(self, family: Family, runs: Runs) -> Ticks:
        """When the alert has fired for as long as it must."""
        counts, ticks = seen(family, runs), checks(family, family.interval)
        rates = [
            (burn, np.fmin(*(np.nan_to_num(counts.share(ticks, seconds)) for seconds in windows)))
            for burn, *windows in WINDOWS
        ]
        found: list[Ticks] = []
        for factor in FACTORS:
            firing = np.logical_or(*(share > factor * burn * family.limit for burn, share in rates))
            since = _in_a_row(firing)
            found.extend(first(since >= count, ticks) for count in IN_A_ROW)
        return np.stack(found)


def _in_a_row(flags: Flags) -> "np.typing.NDArray[np.intp]":
    """How many true values end with each."""
    place = np.arange(1, flags.shape[1] + 1)
    return place - np.maximum.accumulate(np.where(flags, 0, place), axis=1)
