"""Runs every rule on every family and keeps what each decided.

Invariant: a family's draws depend on the seed, its name and the number of the portion alone, so the figures do not
depend on which families are run, in which order, or by how many processes.
"""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.alone import judged_alone
from benchmarks.detection.families import FAMILIES
from benchmarks.detection.oracle import known
from benchmarks.detection.peers.argo_rollouts import ArgoRollouts
from benchmarks.detection.peers.burn_rate import BurnRate
from benchmarks.detection.peers.flagger import Flagger
from benchmarks.detection.peers.kayenta import Kayenta
from benchmarks.detection.peers.pipecd import PipeCDPrevious, PipeCDThreshold
from benchmarks.detection.peers.rules import Peer
from benchmarks.detection.rollguard import judged
from benchmarks.detection.runs import Family, Floats, Kind, Runs, Ticks

PEERS: tuple[Peer, ...] = (Flagger(), ArgoRollouts(), Kayenta(), PipeCDThreshold(), PipeCDPrevious(), BurnRate())
ROLLGUARD, ORACLE = "Rollguard", "oracle"
ALONE_COST = 5
"""A deployment that is judged one by one takes so many times as long."""
PORTION = 250
"""Deployments that are drawn and judged together."""
COUNTED_ONLY = (Kind.FINE, Kind.UNSTABLE)
"""Of these kinds only the numbers of rollbacks are kept."""
BY_NAME = {family.name: family for family in FAMILIES}


@dataclass
class Outcome:
    """What every rule did in one family."""

    family: str
    runs: int = 0
    fired: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Rollbacks by each setting of a rule; shape (settings,)."""
    decided: dict[str, Ticks] = field(default_factory=dict)
    """When; shape (settings, runs)."""
    served: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """Bad requests since the warm-up's end or the onset, after so many ticks; shape (runs, ticks + 1)."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """Rollguard's."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Rollguard's, for other verdicts than Healthy."""
    worst: list[float] = field(default_factory=list)
    dispersed: int = 0
    nats: list[float] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    """The true bad share at the fault's height."""

    def add(self, family: Family, runs: Runs) -> None:
        """Judges some more runs."""
        ours = judged_alone(family, runs) if family.alone else judged(family, runs)
        decided = {ROLLGUARD: ours.decided[None]}
        if not family.alone:
            best = known(family, runs, ours.worst)
            decided |= {ORACLE: best.decided[None]} | {peer.name: peer.decide(family, runs) for peer in PEERS}
            self.nats.append(best.nats)
            self.bounds.extend([] if best.bound is None else [best.bound])
        for name, ticks in decided.items():
            self.fired[name] = self.fired.get(name, 0) + np.sum(ticks > 0, axis=1)
            if family.kind not in COUNTED_ONLY:
                before = self.decided.get(name, np.zeros((ticks.shape[0], 0), dtype=np.int16))
                self.decided[name] = np.hstack((before, ticks))
        if family.kind not in COUNTED_ONLY:
            served = _served(family, runs)
            self.served = np.vstack((self.served.reshape(-1, served.shape[1]), served))
        self.runs += runs.size
        self.verdicts.update(ours.verdicts)
        self.reasons.update(ours.reasons)
        self.worst.append(float(np.median(ours.worst)))
        self.dispersed += ours.dispersed
        self.levels.append(float(np.max(np.median(runs.share, axis=0))))

    def delays(self, rule: str, setting: int = 0) -> Floats:
        """Seconds from the onset to the decision; infinite where there was none."""
        family, ticks = BY_NAME[self.family], self.decided[rule][setting]
        return np.where(ticks > 0, ticks * family.interval - family.zero, np.inf)

    def bad_served(self, rule: str, setting: int = 0) -> Floats:
        """Bad requests served until the decision, or the deadline."""
        ticks = self.decided[rule][setting].astype(np.intp)
        last = np.where(ticks > 0, ticks, self.served.shape[1] - 1)
        return np.take_along_axis(self.served, last[:, None], axis=1)[:, 0]


def _served(family: Family, runs: Runs) -> Floats:
    counted = np.where(family.ends > family.counted_from + 1e-6, np.nan_to_num(runs.after.bad), 0.0)
    return np.hstack((np.zeros((runs.size, 1)), np.cumsum(counted, axis=1)))


def simulate(name: str, runs: int, seed: int) -> Outcome:
    """Draws and judges so many deployments of one family."""
    family, outcome = BY_NAME[name], Outcome(name)
    for portion, begun in enumerate(range(0, runs, PORTION)):
        draw = np.random.default_rng([seed, crc32(name.encode()), portion])
        outcome.add(family, family.draw(family, draw, min(PORTION, runs - begun)))
    return outcome


def simulate_all(wanted: dict[str, int], seed: int, jobs: int = 1) -> Iterable[Outcome]:
    """All of these families, each with its number of runs, in this order."""
    if jobs == 1:
        yield from (simulate(name, runs, seed) for name, runs in wanted.items())
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting = {name: pool.submit(simulate, name, runs, seed) for name, runs in _slowest_first(wanted)}
        yield from (waiting[name].result() for name in wanted)


def _slowest_first(wanted: dict[str, int]) -> list[tuple[str, int]]:
    """So that no process is left with the longest work at the end."""
    return sorted(
        wanted.items(), key=lambda each: each[1] * (ALONE_COST if BY_NAME[each[0]].alone else 1), reverse=True
    )
