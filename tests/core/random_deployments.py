"""Deployments of every size and quality, drawn with a seed: for tests that many judged at once are judged as one by one."""

from dataclasses import replace

import numpy as np

from controller.core.evidence import ObjectiveReference, ObjectiveTicks
from controller.core.observation import MissingReason
from tests.core.deployments import INTERVAL, START, before, reason

TICKS = 140
MISSING = np.array([0.0, reason(MissingReason.NO_TRAFFIC), reason(MissingReason.TIMED_OUT)])


def random_cases(seed: int, cases: int = 60) -> tuple[ObjectiveTicks, list[ObjectiveReference]]:
    """Deployments of every size and quality, with gaps, with and without a past, clustered or not."""
    draw = np.random.default_rng(seed)
    shape = (cases, TICKS)
    share = draw.choice([0.0, 0.001, 0.008, 0.01, 0.02, 0.05, 0.3, 1.0], (cases, 1))
    onset, over = draw.integers(0, TICKS, (2, cases, 1))
    bad_now = (np.arange(TICKS) >= onset) & ((np.arange(TICKS) < over) | (draw.random((cases, 1)) < 0.6))
    total = draw.poisson(draw.choice([0.3, 15.0, 150.0], (cases, 1)), shape)
    bad = draw.binomial(total, np.where(bad_now, share, 0.001)).astype(float)
    missing = draw.choice(MISSING, shape, p=(0.9, 0.05, 0.05))
    missing[draw.random(cases) < 0.1] = MISSING[2]
    missing[draw.random(cases) < 0.1, -1] = reason(MissingReason.SELECTOR_LOST)
    gone = missing > 0
    at = START + INTERVAL * np.arange(1, TICKS + 1)
    ticks = ObjectiveTicks("availability", at, np.where(gone, np.nan, bad), np.where(gone, np.nan, total), missing)
    return ticks, [past(draw) for _ in range(cases)]


def past(draw: np.random.Generator) -> ObjectiveReference:
    """What an objective was before: unknown, clean, or as bad as one likes."""
    dispersed = bool(draw.random() < 0.3)
    return before(
        float(draw.choice([0.0, 0.001, 0.02, 0.2])),
        float(draw.choice([0.0, 3600.0, 36_000.0])),
        window_quantile=draw.choice([None, 0.004, 0.03]),
        dispersion=4.0 if dispersed else 1.0,
        dispersed=dispersed,
    )


def beside(ticks: ObjectiveTicks, seed: int) -> tuple[ObjectiveTicks, ObjectiveTicks]:
    """New pods that take over while the deployment goes on, and a control that sometimes fails as well."""
    draw = np.random.default_rng(seed)
    part = np.minimum(np.arange(TICKS) / draw.choice([8, 30, 400], (ticks.bad.shape[0], 1)), 1.0)
    known = np.nan_to_num(ticks.total).astype(int), np.nan_to_num(ticks.bad).astype(int)
    total, bad = (draw.binomial(each, part).astype(float) for each in known)
    missing = np.where(total > 0, 0.0, MISSING[1])
    new = replace(ticks, objective="availability:new", bad=np.minimum(bad, total), total=total, missing=missing)
    requests = draw.poisson(draw.choice([5.0, 700.0], (ticks.bad.shape[0], 1)), ticks.bad.shape)
    share = draw.choice([0.0, 0.001, 0.05], (ticks.bad.shape[0], 1))
    failed = draw.binomial(requests, share).astype(float)
    control = replace(
        ticks, objective="control:rest", bad=failed, total=requests * 1.0, missing=np.zeros_like(failed)
    )
    return new, control
