"""From outcomes to figures: rates with Wilson's intervals, medians, multiples of the information bound, tuned peers.

A peer is tuned once for all families: among the settings that roll back at most as often as Rollguard over the fine
families, the one that decides soonest over the bad ones (a deployment that it misses counts as decided at the
deadline). Loosely tuned, it may be wrong as often as Rollguard declares, and services with little traffic do not count.
The same deployments serve for tuning and for scoring, which favours the peers.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.detection.outcomes import BY_NAME, ORACLE, PEERS, ROLLGUARD, Outcome
from benchmarks.detection.peers.rules import Peer
from benchmarks.detection.runs import Family, Floats, Kind

TUNED, LOOSELY = "tuned", "tuned loosely"
BUSY, LOOSE = 1.0, 0.001
"""Loosely: to one false rollback in 1000, and over the families with as many requests a second alone."""
CURVES = ("step-5%-10", "step-2%-10", "late-5%")
"""Families whose delay is plotted against the false-rollback rate."""
Figures = dict[str, Any]
"""Numbers by name, as JSON knows them; None where a median is infinite."""


def wilson(count: float, runs: int, deviations: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if runs == 0:
        return 0.0, 1.0
    share, square = count / runs, deviations**2
    middle = (share + square / (2 * runs)) / (1 + square / runs)
    half = deviations * np.sqrt(share * (1 - share) / runs + square / (4 * runs**2)) / (1 + square / runs)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


@dataclass(frozen=True)
class Rule:
    """A rule at one setting."""

    label: str
    name: str
    setting: int = 0


def false_rates(outcomes: Sequence[Outcome], rule: str, wanted: Callable[[Family], bool]) -> Floats:
    """Each setting's rate of rollbacks, averaged over the fine families that are wanted; shape (settings,)."""
    fine = [each for each in _of_all_rules(outcomes, Kind.FINE) if wanted(BY_NAME[each.family])]
    if not fine:
        return np.zeros(1)
    rates = [each.fired[rule] / each.runs for each in fine]
    return np.asarray(np.mean(rates, axis=0))


def _of_all_rules(outcomes: Sequence[Outcome], kind: Kind) -> list[Outcome]:
    """Families of a kind that every rule judges."""
    families = ((each, BY_NAME[each.family]) for each in outcomes)
    return [each for each, family in families if family.kind is kind and not family.alone]


def slowness(outcomes: Sequence[Outcome], rule: str, settings: int) -> Floats:
    """Mean part of the time to the deadline that each setting takes over the bad families; shape (settings,)."""
    found = [
        [np.mean(_part(each, rule, setting)) for setting in range(settings)]
        for each in _of_all_rules(outcomes, Kind.BAD)
    ]
    return np.mean(found, axis=0) if found else np.zeros(settings)


def _part(outcome: Outcome, rule: str, setting: int) -> Floats:
    ticks = outcome.decided[rule][setting]
    return np.where(ticks > 0, ticks / BY_NAME[outcome.family].ticks, 1.0)


def tuned(outcomes: Sequence[Outcome], peer: Peer, wanted: Callable[[Family], bool], least: float = 0.0) -> int:
    """The setting that is at least as rarely wrong as Rollguard, and soonest; else the one most rarely wrong.

    Args:
        outcomes: of all families.
        peer: whose settings.
        wanted: the fine families that count.
        least: a rate that is allowed even where Rollguard is more rarely wrong.
    """
    rates, slow = false_rates(outcomes, peer.name, wanted), slowness(outcomes, peer.name, len(peer.settings))
    allowed = max(float(false_rates(outcomes, ROLLGUARD, wanted)[0]), float(rates.min()), least)
    return int(np.argmin(np.where(rates <= allowed + 1e-12, slow, np.inf)))


def rules(outcomes: Sequence[Outcome]) -> list[Rule]:
    """Rollguard, the oracle, and every peer as documented and as tuned."""
    found = [Rule(ROLLGUARD, ROLLGUARD), Rule(ORACLE, ORACLE)]
    for peer in PEERS:
        for called, setting in peer.documented.items():
            found.append(Rule(f"{peer.name}, {called}", peer.name, peer.settings.index(setting)))
        found.append(Rule(f"{peer.name}, {TUNED}", peer.name, tuned(outcomes, peer, lambda _: True)))
        loosely = tuned(outcomes, peer, lambda family: family.rps >= BUSY, LOOSE)
        found.append(Rule(f"{peer.name}, {LOOSELY}", peer.name, loosely))
    return found


def summary(outcomes: Sequence[Outcome], seed: int, covered: Iterable[tuple[str, int, int]] = ()) -> Figures:
    """All figures of the report; ``covered`` as by ``coverage``."""
    chosen = rules(outcomes)
    settings = {peer.name: peer.settings for peer in PEERS}
    return {
        "seed": seed,
        "families": {each.family: _family(each, chosen) for each in outcomes},
        "false": {
            rule.label: {
                "all": float(false_rates(outcomes, rule.name, lambda _: True)[rule.setting]),
                "busy": float(false_rates(outcomes, rule.name, lambda family: family.rps >= BUSY)[rule.setting]),
            }
            for rule in chosen
            if _of_all_rules(outcomes, Kind.FINE)
        },
        "settings": {
            rule.label: _setting(settings[rule.name][rule.setting]) for rule in chosen if rule.name in settings
        },
        "coverage": {
            name: {"reached": reached, "paths": paths, "interval": wilson(reached, paths)}
            for name, reached, paths in covered
        },
        "curves": {name: _curve(outcomes, name) for name in (ROLLGUARD, *settings)},
    }


def _setting(setting: Any) -> list[float]:
    return [setting.threshold, setting.count]


def _family(outcome: Outcome, chosen: Sequence[Rule]) -> Figures:
    bounds = outcome.bounds
    return {
        "runs": outcome.runs,
        "verdicts": dict(outcome.verdicts),
        "reasons": dict(sorted(outcome.reasons.items())),
        "p0": float(np.median(outcome.worst)),
        "dispersed": outcome.dispersed,
        "nats": float(np.mean(outcome.nats)) if outcome.nats else None,
        "level": float(np.mean(outcome.levels)),
        "bound": float(np.mean(bounds)) if bounds and len(bounds) == len(outcome.nats) else None,
        "rules": {rule.label: _scored(outcome, rule) for rule in chosen if rule.name in outcome.fired},
    }


def _scored(outcome: Outcome, rule: Rule) -> Figures:
    fired = int(outcome.fired[rule.name][rule.setting])
    figures: Figures = {"fired": fired, "interval": wilson(fired, outcome.runs)}
    if rule.name in outcome.decided:
        delays, served = outcome.delays(rule.name, rule.setting), outcome.bad_served(rule.name, rule.setting)
        figures |= {
            "median": _finite(np.median(delays)),
            "ninety": _finite(np.quantile(delays, 0.9, method="higher")),
        }
        figures |= {"served": float(np.median(served)), "served_mean": float(np.mean(served))}
    return figures


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _curve(outcomes: Sequence[Outcome], rule: str) -> list[list[float | None]]:
    """For every setting: the rate of false rollbacks, and the median delays in the families that are plotted."""
    rates = false_rates(outcomes, rule, lambda _: True)
    by_family = {each.family: each for each in outcomes}
    if any(name not in by_family for name in CURVES):
        return []
    return [
        [float(rate), *(_finite(np.median(by_family[name].delays(rule, setting))) for name in CURVES)]
        for setting, rate in enumerate(rates)
    ]
