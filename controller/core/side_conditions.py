"""What must hold beside the evidence for a breach to count: the newest ticks show it, and more than one did.

Invariant: what is said of a look depends on ticks up to it. Arrays may have leading batch axes; the last is looks.
"""

import numpy as np

from controller.core.evidence import Floats
from controller.core.history import ROUNDING
from controller.core.looks import Flags, Looks
from controller.core.policy import PolicySpec
from controller.core.statistics.grids import from_zero
from controller.core.statistics.persistence import not_one_tick
from controller.core.statistics.recent import newest_share

NEWEST_SECONDS, NEWEST_EVENTS = 120.0, 30.0


def side_conditions(
    policy: PolicySpec, looks: Looks, limit: float, bad: Floats, *, events: bool = False
) -> tuple[Flags, Flags]:
    """At every look: whether the newest ticks are above the SLO's limit, and whether enough bad events were seen.

    Args:
        policy: the policy in force before the chain.
        looks: at the whole service.
        limit: the SLO's.
        bad: bad events of what is judged, which must be enough, and of the whole service not one tick's.
        events: rare events are counted.
    """
    amount, least = (looks.seconds, 0.0) if events else (looks.total, NEWEST_EVENTS)
    newest = newest_share(looks.at, looks.tick, looks.bad, amount, seconds=NEWEST_SECONDS - ROUNDING, least=least)
    fewest = policy.analysis.minimum_bad_events
    enough = np.cumsum(bad, axis=-1) >= fewest
    if not events:
        enough &= not_one_tick(
            looks.bad, looks.total, np.float64(limit), fewest, looks.prior.expected(looks.total > 0)
        )
    return newest > limit, enough


def fresh_sums(looks: Looks, dispersion: float | Floats, *, events: bool = False) -> tuple[Floats, Floats]:
    """Running sums of the newest sync alone, each cluster counted as one: bad and all events (seconds, for events).

    The dispersion broadcasts against them; their shape is (…, looks + 1), from 0.
    """
    amount = looks.seconds if events else looks.total
    bad, all_of_it = (from_zero(np.where(looks.fresh, each, 0.0)) / dispersion for each in (looks.bad, amount))
    return bad, all_of_it
