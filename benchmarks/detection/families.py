"""Every family of deployments that the scoreboard knows."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import erf, log, sqrt

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.detection.families_alone import families_alone
from benchmarks.detection.runs import BASE, Family, Floats, Kind, Runs
from benchmarks.detection.services import (
    Draw,
    Generator,
    Shape,
    between,
    bursts,
    by_time,
    clustered,
    constant,
    daily_job,
    drifting,
    fold,
    random_walk,
    restarting,
    rolled_out,
    season,
    service,
    traffic_stops,
    whole_ticks,
    with_controls,
    with_gaps,
)
from controller.core.verdict import VerdictKind

OUTAGE, OUTAGE_SECONDS = 0.05, 600.0
RARE = "so rare that the day before may show none, or too few to be known for bursts"
NEW_CLUSTERS = "two clusters in neighbouring ticks, with no fall between them, look like a fault that has begun"
FEW = "five bad requests are asked for (minimumBadEvents)"
LITTLE = "so little evidence that the mixture's price tells: 7 nats in all"
ONE_TICK = "one tick of less than 50 nats could be a cluster of errors: a second one is asked for"
TWO_FAULTS = "what the other deployment does must be told from it; neither the bound nor the others' rules do that"
OVER = "the outage is over by the deadline, and over the whole window a few are just short of a breach"
SEEN_FINE = f"old pods that are nearly gone can look fine by chance. Healthy: {OVER}"
UNTOLD = "where pods are not told apart, the second sync has a warm-up too: a minute that is not looked at"
SPREAD = 0.5
"""Standard deviation of the logarithm of a request's latency."""


def _per_cent(share: float) -> str:
    return f"{100 * share:g} %"


def outage(share: float) -> Shape:
    """Ten minutes of errors that begin at a random time of the first quarter of an hour."""

    def shape(family: Family, draw: Generator, runs: int) -> ArrayLike:
        begun = draw.uniform(0, 900, (runs, 1))
        return np.where((family.ends > begun) & (family.ends <= begun + OUTAGE_SECONDS), share, BASE)

    return shape


def hits_all(shape: Shape, added: float = 0.0) -> Callable[[Family, Generator, int], tuple[ArrayLike, ArrayLike]]:
    """Old and new pods suffer alike; the new ones may fail so much more."""

    def shares(family: Family, draw: Generator, runs: int) -> tuple[ArrayLike, ArrayLike]:
        share = np.asarray(shape(family, draw, runs))
        return share, share + added

    return shares


def outage_hits_all(family: Family, draw: Generator, runs: int) -> tuple[ArrayLike, ArrayLike]:
    """An outage that old and new pods suffer alike: it begins in the first two minutes of the rollout."""
    begun = draw.uniform(0, 120, (runs, 1))
    share = np.where((family.ends > begun) & (family.ends <= begun + OUTAGE_SECONDS), OUTAGE, BASE)
    return share, share


def leak(until: float) -> Shape:
    """A share that rises evenly over the window."""
    return by_time(lambda family: BASE + (until - BASE) * family.middles / family.deadline)


def flapping(share: float, each: float) -> Shape:
    """Bad, fine, bad, fine, each so many seconds."""
    return by_time(lambda family: np.where(np.floor(family.middles / each) % 2 == 0, share, BASE))


def rollout(share: float) -> Shape:
    """The new version takes over evenly until the deployment is healthy."""
    return by_time(lambda family: BASE + (share - BASE) * np.minimum(family.middles / family.healthy_at, 1.0))


def slower(times: float) -> float:
    """Share beyond the threshold's bucket once every request takes so many times as long; it was ``BASE`` before."""
    low, high = 0.0, 10.0
    for _ in range(80):  # the threshold in standard deviations: a bisection
        middle = (low + high) / 2
        low, high = (middle, high) if _tail(middle) > BASE else (low, middle)
    return _tail(low - log(times) / SPREAD)


def _tail(deviations: float) -> float:
    return (1 - erf(deviations / sqrt(2))) / 2


def breached_before(share: float, seconds: float) -> Draw:
    """A breach that began so long before the start, and goes on."""
    inner = service(constant(share))

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        found = inner(family, draw, runs)
        ticks = round(seconds / family.interval)
        bad, total = found.past.ticks.bad, found.past.ticks.total
        bad[:, -ticks:] = draw.binomial(total[:, -ticks:].astype(int), share)
        newer = fold(found.past.ticks, family.interval)
        found.past.day.bad[:, -newer.bad.shape[1] :] = newer.bad
        return found

    return drawn


def same(share: Floats, base: float) -> Floats:
    """The controls fail as the service does, and as they always did."""
    return share - BASE + base


def multiplied(share: Floats, base: float) -> Floats:
    """The controls' own share grows as many times as the service's."""
    return share / BASE * base


def clean(rps: float) -> Family:
    return Family(f"clean-{rps:g}", f"clean, {rps:g} rps", Kind.FINE, service(constant(BASE)), rps=rps)


def step(share: float, rps: float, goal: float | None = None, target: str = "99", base: float = BASE) -> Family:
    slo = "" if target == "99" else f", SLO {target} %"
    name = f"step-{100 * share:g}%-{rps:g}" + ("" if target == "99" else f"-slo{target}")
    title = f"{_per_cent(share)} bad, {rps:g} rps{slo}"
    draw, note = service(constant(share), base), FEW if share == 1 and rps < 1 else ""
    return Family(name, title, Kind.BAD, draw, rps=rps, median_goal=goal, target=target, note=note)


def _fine() -> Iterable[Family]:
    yield from (clean(rps) for rps in (100.0, 10.0, 1.0, 0.1, 0.02))
    yield Family("steady-0.9%", "steady at 0.9 %", Kind.FINE, service(constant(0.009), 0.009))
    yield Family("steady-0.9%-1", "steady at 0.9 %, 1 rps", Kind.FINE, service(constant(0.009), 0.009), rps=1)
    yield Family("clusters", "0.5 % in clusters of 15", Kind.FINE, clustered(0.005, 15))
    yield Family("whole-ticks", "one tick of 300 fails altogether", Kind.FINE, whole_ticks(1 / 300))
    yield Family("gaps", "one tick of ten not answered", Kind.FINE, with_gaps(service(constant(BASE)), 0.1))
    yield Family("warm-up-spike", "30 % bad for 45 s", Kind.FINE, service(between(0.3, 0, 45)))
    yield Family("restarts", "0.9 %, pods restart and are replaced", Kind.FINE, restarting(0.009, 5, 0.03))


def _unstable() -> Iterable[Family]:
    kind = Kind.UNSTABLE
    yield Family("random-walk", "share walks between 0.02 and 2 %", kind, drifting(random_walk(0.3, 2e-4, 0.02)))
    often = drifting(bursts(2.0, 6.0, 0.05))
    yield Family("bursts", "two bursts an hour, 90 s of 5 %", kind, often)
    yield Family("season", "daily wave from 0.05 to 0.9 %", kind, drifting(season(5e-4, 0.009, 0.15)))
    job = drifting(daily_job(0.05, 1200, 120))
    yield Family("daily-job", "5 % for 20 min, as at the same time yesterday", kind, job)
    rare = drifting(bursts(1 / 6, 6.0, 0.05))
    yield Family("rare-bursts", "one burst in six hours, 90 s of 5 %", kind, rare, note=RARE)


def _attribution() -> Iterable[Family]:
    yield from _outages()
    kind = Kind.ATTRIBUTION
    for minutes in (120, 30, 10, 3, 1):
        draw = breached_before(OUTAGE, 60.0 * minutes)
        yield Family(f"breached-{minutes}min", f"5 % bad since {minutes} min before", kind, draw)
    gone = traffic_stops(with_controls(service(constant(BASE))), 60.0, controls_too=True)
    yield Family(
        "traffic-gone", "traffic stops, of the controls too", kind, gone, controls=1, due=VerdictKind.INCONCLUSIVE
    )


def _outages() -> Iterable[Family]:
    kind, hurt = Kind.ATTRIBUTION, service(outage(OUTAGE))
    for name, title, base, fate in (
        ("outage", "outage, 5 % for 10 min", BASE, same),
        ("outage-noisy-controls", "the same, controls at 1 % before", 0.01, same),
        ("outage-clean-controls", "the same, controls never failed before", 0.0, same),
        ("outage-multiplied", "the same, controls from 0.2 to 10 %", 0.002, multiplied),
    ):
        yield Family(name, title, kind, with_controls(hurt, base, fate), controls=1, note=OVER)
    one = with_controls(with_controls(hurt, BASE, same))
    yield Family("outage-one-of-two", "the same, and one of two controls", kind, one, controls=2, note=OVER)
    told = rolled_out(outage_hits_all, 180)
    title = "the same, no controls but old pods, 3 min"
    yield Family("outage-old-pods", title, kind, told, healthy_at=180, note=SEEN_FINE)

    other, title = between(OUTAGE, 300), "5 % from 5 min on, by another deployment"
    yield Family(
        "another-controls", f"{title}; controls", kind, with_controls(service(other), BASE, same), controls=1
    )
    told = rolled_out(hits_all(other), 600)
    yield Family("another-old-pods", f"{title}; old pods, 10 min", kind, told, healthy_at=600)
    yield Family("another-untold", f"{title}; nothing to compare with", Kind.UNTOLD, service(other))
    yield Family("outage-untold", "outage, 5 % for 10 min; nothing to compare with", Kind.UNTOLD, hurt)


def service_then(before: Draw, after: Draw) -> Draw:
    """One service until the start, another one from then on."""

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        first = before(family, draw, runs)
        return replace(after(family, draw, runs), past=first.past)

    return drawn


def _worse() -> Iterable[Family]:
    yield Family("step-0.5%", "0.5 % bad", Kind.WORSE, service(constant(0.005)))
    title = f"1.3 times as slow: {_per_cent(round(slower(1.3), 4))}"
    yield Family("latency-1.3", title, Kind.WORSE, service(constant(slower(1.3))))

    draw = service_then(service(constant(BASE)), clustered(0.005, 15))
    title = "0.5 % in clusters of 15, in none before"
    yield Family("clusters-later", title, Kind.WORSE, draw, note=NEW_CLUSTERS)


def _steps() -> Iterable[Family]:
    yield step(0.02, 100)
    yield step(0.02, 10, 300)
    yield step(0.05, 10, 90)
    yield step(0.2, 10, 90)
    yield step(1.0, 10, 75)
    yield replace(step(0.02, 1), note=LITTLE)
    yield step(0.05, 1)
    yield step(0.2, 1, 90)
    yield step(1.0, 1, 75)
    yield step(0.2, 0.1)
    yield step(1.0, 0.1)
    yield step(1.0, 0.02)
    yield step(0.005, 10, target="99.9", base=1e-4)
    yield step(0.005, 100, target="99.9", base=1e-4)


def _bad() -> Iterable[Family]:
    bad, five = Kind.BAD, 0.05
    yield from _steps()
    yield Family("never-failed", "5 % bad, nothing failed before", bad, service(constant(five), 0.0), median_goal=90)
    yield Family("leak", "from 0.1 to 10 % over the window", bad, service(leak(0.1)))
    late = service(between(five, 600))
    yield Family("late-5%", "5 % bad from 10 min on", bad, late, onset=600, median_goal=45)
    late = service(between(0.02, 600))
    yield Family("late-2%", "2 % bad from 10 min on", bad, late, onset=600)
    yield Family("flapping", "10 % bad, every other 2 min", bad, service(flapping(0.1, 120)), note=ONE_TICK)
    for times in (2, 5):
        share = slower(times)
        yield Family(
            f"latency-{times}", f"{times} times as slow: {_per_cent(round(share, 3))}", bad, service(constant(share))
        )
    pods = constant((4 * BASE + 0.25) / 5)
    yield Family("one-pod", "1 of 5 pods 25 % bad", bad, service(pods))
    slow = service(constant(five))
    yield Family("scrape-60s", "5 % bad, 60 s scrapes", bad, slow, interval=60, note=ONE_TICK)
    yield from _rollouts(five)
    yield from _several_deployments(five)
    beside = with_controls(service(constant(five)))
    yield Family("controls-5%", "5 % bad, controls fine", bad, beside, controls=1)
    both = with_controls(service(constant(0.22)), BASE, lambda share, _: share - 0.2)
    yield Family("outage-and-bad", "20 % bad in an outage of 2 %", bad, both, controls=1)


def _rollouts(share: float) -> Iterable[Family]:
    for minutes in (3, 10):
        taken = 60.0 * minutes
        title = f"5 % bad, rolled out over {minutes} min"
        for name, called, draw in (
            ("rollout", title, service(rollout(share))),
            ("told-rollout", f"{title}, pods told apart", rolled_out(always(share), taken)),
        ):
            yield Family(
                f"{name}-{minutes}min", called, Kind.BAD, draw, healthy_at=taken, delay_from=taken, median_goal=90
            )
    draw = rolled_out(lambda family, _draw, _runs: (BASE, np.where(family.ends > 600, share, BASE)), 180)
    title = "5 % bad from 10 min on, pods told apart"
    yield Family("told-late-5%", title, Kind.BAD, draw, healthy_at=180, onset=600, median_goal=45)


def always(share: float) -> Callable[[Family, Generator, int], tuple[ArrayLike, ArrayLike]]:
    """Old pods are fine, new ones fail with this share."""
    return lambda _family, _draw, _runs: (BASE, share)


def _several_deployments(share: float) -> Iterable[Family]:
    """Of the same service, and of another one; what the other does is added to all that could be compared with."""
    bad, other = Kind.BAD, 0.02
    twice = {"starts": (0.0, 75.0), "delay_from": 75.0, "median_goal": 90.0}
    title = "5 % bad, another sync at 75 s"
    draw = service(constant(share))
    yield Family("second-sync", title, bad, draw, healthy_at=75.0, note=UNTOLD, **twice)  # type: ignore[arg-type]
    draw = rolled_out(always(share), 180)
    title = "5 % bad, rolled out over 3 min, another sync at 75 s, pods told apart"
    twice["delay_from"] = 180.0
    yield Family("told-second-sync", title, bad, draw, healthy_at=180.0, **twice)  # type: ignore[arg-type]

    title = "5 % bad, and 2 % more by another deployment at 1 min"
    guilty = by_time(lambda family: np.where(family.ends > 60, other, 0.0) + share)
    beside = with_controls(service(guilty), BASE, lambda found, _: found - share + BASE)
    yield Family("overlapping", f"{title}; controls", bad, beside, controls=1, note=TWO_FAULTS)
    title = "20 % bad, and 2 % more by another deployment at 1 min; rolled out over 10 min, pods told apart"
    draw = rolled_out(hits_all(between(other, 60), 0.2), 600)
    yield Family("told-overlapping", title, bad, draw, healthy_at=600, delay_from=0, note=TWO_FAULTS)


def _hold() -> Iterable[Family]:
    kind = Kind.HOLD
    shared = with_controls(service(constant(0.05)), BASE, same)
    yield Family("breaks-controls", "5 % bad, and so are its controls", kind, shared, controls=1)
    gone = traffic_stops(with_controls(service(constant(BASE))), 60.0, controls_too=False)
    yield Family("traffic-lost", "traffic stops, the controls' goes on", kind, gone, controls=1)
    alone = traffic_stops(service(constant(BASE)), 60.0, controls_too=False)
    yield Family("traffic-lost-alone", "traffic stops, no controls", kind, alone)


PARTS = (_fine, _unstable, _attribution, _worse, _bad, _hold, families_alone)
FAMILIES = tuple(family for part in PARTS for family in part())
