"""How often evidence reaches 1/α by chance alone: many paths of 120 looks, each exactly at its null hypothesis.

Nothing but the legs is looked at here, without limits that were estimated and without side conditions, so this measures
what Ville's inequality promises: at most α.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from benchmarks.detection.runs import BASE, Floats
from controller.core.past import ticks_in_block
from controller.core.statistics.controls import control_increments
from controller.core.statistics.events import event_process
from controller.core.statistics.grids import INVERSE_WEIGHTS
from controller.core.statistics.mixture import Process
from controller.core.statistics.shares import in_blocks, share_process
from controller.core.statistics.starts import start_prior

ALPHA, LOOKS, PATHS, TOGETHER = 0.001, 120, 20_000, 500
SECONDS, REQUESTS, CONTROL_REQUESTS = 15.0, 150.0, 750.0
LIMIT, WORSENING = 0.01, 1.5
CLUSTER = 15.0
BLOCK = ticks_in_block(SECONDS)
NUMBERS = np.arange(1.0, LOOKS + 1)
PRIOR = start_prior(NUMBERS, LOOKS)
Generator = np.random.Generator


@dataclass(frozen=True)
class Leg:
    """A leg and traffic that is exactly at its limit."""

    name: str
    title: str
    paths: Callable[[Generator, int], Process]
    """The evidence of so many paths."""


def _counts(draw: Generator, paths: int, requests: float, share: Floats | float) -> tuple[Floats, Floats]:
    shape = (paths, LOOKS)
    bad = draw.poisson(np.broadcast_to(requests * np.asarray(share), shape)).astype(float)
    good = draw.poisson(np.broadcast_to(requests * (1 - np.asarray(share)), shape))
    return bad, bad + good


def _requests(requests: float) -> Callable[[Generator, int], Process]:
    def paths(draw: Generator, size: int) -> Process:
        return share_process(*_counts(draw, size, requests, LIMIT), np.full(size, LIMIT), PRIOR)

    return paths


def _clusters(draw: Generator, size: int) -> Process:
    """Whole groups of requests fail together: the bad share of a tick has the limit for its mean."""
    total = draw.poisson(REQUESTS, (size, LOOKS))
    together = np.minimum((1.0 + draw.geometric(1 / CLUSTER, (size, LOOKS))) / REQUESTS, 1.0)
    mean = (1 + CLUSTER * (1 - (1 - 1 / CLUSTER) ** (REQUESTS - 1))) / REQUESTS  # of the smaller of the two
    hit = draw.random((size, LOOKS)) < LIMIT / mean
    bad = draw.binomial(total, hit * together).astype(float)
    return share_process(bad, total.astype(float), np.full(size, LIMIT), PRIOR, dispersed=True)


def _blocks(draw: Generator, size: int) -> Process:
    """Bursts that last exactly a block: seven in eight of them have no errors."""
    bursts = np.repeat(draw.random((size, LOOKS // BLOCK)) < 1 / BLOCK, BLOCK, axis=-1)
    counts = (in_blocks(each, NUMBERS, BLOCK) for each in _counts(draw, size, REQUESTS, bursts * LIMIT * BLOCK))
    return share_process(*counts, np.full(size, LIMIT), PRIOR, dispersed=True)


def _shared_outage(draw: Generator, size: int) -> Process:
    """Ten minutes of 5 % at the controls, of which the service has all that the null hypothesis allows."""
    begun = draw.integers(0, LOOKS - 40, (size, 1))
    at = np.arange(LOOKS)
    beside = np.where((at >= begun) & (at < begun + 40), 0.05, BASE)
    allowed = WORSENING * BASE
    own = _counts(draw, size, REQUESTS, allowed + WORSENING * beside)
    others = _counts(draw, size, CONTROL_REQUESTS, beside)
    found = control_increments(*own, *others, allowed=np.full(size, allowed), worsening=WORSENING)
    return Process.of(found, INVERSE_WEIGHTS, PRIOR)


def _events(draw: Generator, size: int) -> Process:
    rate = 60 / 3600
    count = draw.poisson(rate * SECONDS, (size, LOOKS)).astype(float)
    return event_process(count, np.full((size, LOOKS), SECONDS), np.full(size, rate), PRIOR)


LEGS = (
    Leg("requests-10", "requests, 10 rps, 1 % bad against 1 %", _requests(REQUESTS)),
    Leg("requests-1", "requests, 1 rps, the same", _requests(REQUESTS / 10)),
    Leg("requests-100", "requests, 100 rps, the same", _requests(REQUESTS * 10)),
    Leg("ticks", "ticks that are bet on, clusters of 15, 10 rps, 1 % against 1 %", _clusters),
    Leg("blocks", "blocks that are bet on, bursts of 2 min, 10 rps, 1 % against 1 %", _blocks),
    Leg("controls", "controls, 10 beside 50 rps, both in an outage of 5 %, the service at A + ρ·pc", _shared_outage),
    Leg("events", "rare events, 60 an hour against 60", _events),
)


def covered(name: str, paths: int, seed: int) -> tuple[int, int]:
    """Of so many paths, how many ever reached 1/α."""
    leg = next(each for each in LEGS if each.name == name)
    reached = 0
    for portion, begun in enumerate(range(0, paths, TOGETHER)):
        draw = np.random.default_rng([seed, crc32(name.encode()), portion])
        size = min(TOGETHER, paths - begun)
        reached += int(np.sum(np.any(leg.paths(draw, size).path() >= -np.log(ALPHA), axis=-1)))
    return reached, paths


def coverage(paths: int, seed: int, jobs: int = 1) -> Iterable[tuple[str, int, int]]:
    """Every leg's name, paths that reached 1/α, and all paths."""
    names = [each.name for each in LEGS]
    if jobs == 1:
        yield from ((name, *covered(name, paths, seed)) for name in names)
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(covered, name, paths, seed) for name in names]
        yield from ((name, *each.result()) for name, each in zip(names, waiting, strict=True))
