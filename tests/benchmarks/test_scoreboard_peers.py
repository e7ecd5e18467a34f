"""The others' rules on deployments made by hand: when they give up, and when they do not."""

from itertools import combinations
from math import erf, sqrt
from typing import Any

import numpy as np
import pytest

from benchmarks.detection.families import FAMILIES
from benchmarks.detection.oracle import known
from benchmarks.detection.peers.argo_rollouts import ArgoRollouts
from benchmarks.detection.peers.burn_rate import BurnRate
from benchmarks.detection.peers.flagger import Flagger
from benchmarks.detection.peers.kayenta import Kayenta
from benchmarks.detection.peers.pipecd import PipeCDPrevious, PipeCDThreshold
from benchmarks.detection.peers.ranks import shift
from benchmarks.detection.peers.rules import Peer, Setting
from benchmarks.detection.runs import Counts, Past, Runs

FAMILY = next(each for each in FAMILIES if each.name == "clean-10")
BEFORE = 1440


def deployment(*parts: tuple[float, int], before: int = 0, total: int = 100) -> Runs:
    """One deployment: so many bad of 100 requests until so many seconds after the start; ``before``: bad ones before."""
    bad = np.zeros(FAMILY.ticks)
    begun = 0
    for until, count in parts:
        bad[begun : round(until / 15)] = count
        begun = round(until / 15)
    ticks = Counts(np.full((1, BEFORE), float(before)), np.full((1, BEFORE), 100.0))
    after = Counts(bad[None], np.full((1, FAMILY.ticks), float(total)))
    return Runs(Past(ticks, ticks), after, bad[None] / max(total, 1))


def gives_up(peer: Peer, runs: Runs, setting: Setting | None = None) -> float:
    """Seconds until the rule rolls back as documented; infinite if it does not."""
    wanted = setting or next(iter(peer.documented.values()))
    tick = int(peer.decide(FAMILY, runs)[peer.settings.index(wanted), 0])
    return 15.0 * tick if tick else np.inf


def test_every_documented_setting_is_tried() -> None:
    """Settings are distinct, and those of the documentation are among them."""
    for peer in (Flagger(), ArgoRollouts(), Kayenta(), PipeCDThreshold(), PipeCDPrevious(), BurnRate()):
        assert len(set(peer.settings)) == len(peer.settings)
        assert set(peer.documented.values()) <= set(peer.settings)
        assert peer.decide(FAMILY, deployment()).shape == (len(peer.settings), 1)


def test_flagger_counts_and_never_forgets() -> None:
    """Five failed checks of a minute each, in a row or not; silence is a failed check."""
    assert gives_up(Flagger(), deployment((1800, 5))) == 300
    every_other = [(60.0 * minute, 5 * (minute % 2)) for minute in range(1, 31)]
    assert gives_up(Flagger(), deployment(*every_other)) == 540
    assert gives_up(Flagger(), deployment(total=0)) == 300
    assert gives_up(Flagger(), deployment((240, 5))) == np.inf
    assert gives_up(Flagger(), deployment((1800, 1))) == np.inf


def test_argo_rollouts_measures_over_five_minutes() -> None:
    """The first measurement looks back before the deployment; a limit of three fails at the fourth."""
    bad = deployment((1800, 10))
    assert gives_up(ArgoRollouts(), bad) == 60
    assert gives_up(ArgoRollouts(), bad, Setting(1.0, 4)) == 960
    assert gives_up(ArgoRollouts(), deployment((1800, 3))) == 360
    assert gives_up(ArgoRollouts(), deployment((1800, 1))) == np.inf


def test_pipecd_looks_at_every_point() -> None:
    """One point out of range within the interval is enough, though the newest is fine."""
    assert gives_up(PipeCDThreshold(), deployment((120, 10))) == 360
    assert gives_up(PipeCDThreshold(), deployment()) == np.inf
    assert gives_up(PipeCDPrevious(), deployment((1800, 10))) == 360
    assert gives_up(PipeCDPrevious(), deployment()) == np.inf
    assert gives_up(PipeCDPrevious(), deployment((1800, 5), before=5)) == np.inf


def test_kayenta_compares_with_the_time_before() -> None:
    """Wholly apart is High at the first judgement; the same as before never is."""
    assert gives_up(Kayenta(), deployment((1800, 5), before=1)) == 360
    assert gives_up(Kayenta(), deployment((1800, 5), before=5)) == np.inf
    assert gives_up(Kayenta(), deployment((1800, 5), before=4), Setting(2.0, 1)) == np.inf


def test_burn_rates_need_both_windows() -> None:
    """14.4 % over an hour takes a while at 100 % bad; a breach long over does not fire."""
    assert gives_up(BurnRate(), deployment((1800, 100))) == 525
    assert gives_up(BurnRate(), deployment((450, 100))) == np.inf
    assert gives_up(BurnRate(), deployment((1800, 20), before=20)) == 60


def exact(first: list[float], second: list[float]) -> tuple[float, float]:
    """Hodges and Lehmann's estimate, and the p-value of ranks by counting every choice."""
    differences = [a - b for a in first for b in second]
    pooled = first + second
    observed = sum(a > b for a in first for b in second)
    ways = list(combinations(range(len(pooled)), len(first)))

    def above(chosen: tuple[int, ...]) -> int:
        rest = [pooled[i] for i in range(len(pooled)) if i not in chosen]
        return sum(pooled[i] > b for i in chosen for b in rest)

    return float(np.median(differences)), sum(above(way) >= observed for way in ways) / len(ways)


@pytest.mark.parametrize("seed", range(5))
def test_ranks_are_as_counted(seed: int) -> None:
    """The estimate is exact, and the normal approximation is near the p-value by counting."""
    draw: Any = np.random.default_rng(seed)
    first, second = draw.random(7).tolist(), (draw.random(6) * 0.8).tolist()
    found = shift(np.array([first]), np.array([second]), 1.645)
    estimate, p = exact(first, second)
    assert found.estimate[0] == pytest.approx(estimate)
    tail = 0.5 * (1 - erf(float(found.z[0]) / sqrt(2)))
    assert tail == pytest.approx(p, abs=0.03)
    assert found.lowest[0] <= estimate


def test_missing_points_are_no_points() -> None:
    """A NaN changes nothing, and no points at all show nothing."""
    full = shift(np.array([[3.0, 4.0, 5.0, 6.0]]), np.array([[1.0, 1.0, 2.0]]), 1.0)
    gap = shift(np.array([[3.0, np.nan, 4.0, 5.0, 6.0]]), np.array([[1.0, 1.0, np.nan, 2.0]]), 1.0)
    for name in ("estimate", "lowest", "z"):
        assert getattr(full, name)[0] == pytest.approx(getattr(gap, name)[0])
    nothing = shift(np.full((1, 3), np.nan), np.array([[1.0, 2.0]]), 1.0)
    assert nothing.z[0] == 0
    assert not nothing.lowest[0] > 0


def test_the_oracle_sums_what_it_is_told() -> None:
    """It decides once b·ln(q/p0) + g·ln((1−q)/(1−p0)) reaches ln 1000, after the warm-up; fine ticks tell it nothing."""
    bad = deployment((1800, 10))
    each = 10 * np.log(0.1 / 0.01) + 90 * np.log(0.9 / 0.99)
    found = known(FAMILY, bad, np.array([0.01]))
    assert found.decided[0] == 4 + np.ceil(np.log(1000) / each)
    assert known(FAMILY, deployment(), np.array([0.01])).decided[0] == 0
    assert found.bound is not None
    kl = 0.1 * np.log(10) + 0.9 * np.log(0.9 / 0.99)
    assert found.bound == pytest.approx(0.1 * np.log(1000) / kl)
    assert found.nats == pytest.approx(116 * 150 * kl)
