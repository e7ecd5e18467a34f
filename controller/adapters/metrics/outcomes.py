"""What a tick's tallies make of it: Measured, NoData, Partial or Failed.

Invariant: numbers become ``Measured`` only when all of them are there, finite, complete and consistent. A selector
without series is zero errors only where there was traffic; it is never 100 % bad.
"""

import math

import numpy as np

from controller.adapters.metrics.columns import Column, Flags, Tally
from controller.adapters.metrics.planning import Plan
from controller.core.evidence import Floats
from controller.core.observation import Failed, Measured, MissingReason, NoData, Observation, Partial
from controller.core.policy import IndicatorKind
from controller.core.promql import PromQLError
from controller.ports.metrics import MetricsError, Question

_ROUNDING = 1e-6


def observation(planned: Plan, question: Question, part: Tally | None, whole: Tally) -> Observation:
    """What one tick's tallies say about a question."""
    if planned.kind is IndicatorKind.GAUGE:
        return _trouble(whole.value, 0.0, (whole,), "the query returns nothing") or Measured(whole.value, 0.0)
    if part is None:
        return _trouble(whole.value, 0.0, (whole,)) or _events(whole.value)
    success = planned.kind is not IndicatorKind.RATIO
    bad, total = whole.value - part.value if success else part.value, whole.value
    trouble = _trouble(bad, total, (whole, part))
    if trouble is not None:
        return trouble
    if not part.present and total > 0 and (success or question.errors_expected):
        return _lost(success=success)
    return _ratio(bad, total)


def counts(planned: Plan, question: Question, part: Column | None, whole: Column) -> Floats:
    """Bad and all events of each tick, shape (ticks, 2), as ``observation`` says; NaN where it says no numbers.

    Ticks of which nothing is to be said beside their numbers, by far the most, are worked out at once.
    """
    bad, total, sure = _alone(planned, whole) if part is None else _shares(planned, question, part, whole)
    sure &= whole.present
    found = np.where(sure[:, None], np.stack((bad, total), axis=1), np.nan)
    for index in np.flatnonzero(~sure & ~whole.nothing).tolist():
        tally = None if part is None else part.tally(index)
        found[index] = numbers(observation(planned, question, tally, whole.tally(index)))
    return found


def _alone(planned: Plan, whole: Column) -> tuple[Floats, Floats, Flags]:
    """Values or events of each tick, no total, and in which ticks they surely are."""
    plain = whole.plain
    values, nothing = np.where(plain, whole.values, 0.0), np.zeros_like(whole.values)
    if planned.kind is IndicatorKind.GAUGE:
        return values, nothing, plain
    return _wholes(np.maximum(values, 0.0)), nothing, plain & (values >= -_ROUNDING)


def _shares(planned: Plan, question: Question, part: Column, whole: Column) -> tuple[Floats, Floats, Flags]:
    """Bad and all events of each tick, and in which ticks they surely are."""
    success, plain = planned.kind is not IndicatorKind.RATIO, whole.plain & part.plain
    total, counted = (np.where(plain, each.values, 0.0) for each in (whole, part))
    bad = total - counted if success else counted
    slack = _ROUNDING * np.maximum(1.0, np.abs(total))
    sure = plain & (bad >= -slack) & (bad <= total + slack)
    if success or question.errors_expected:
        sure &= part.present | ~(total > 0)
    traffic = (total > slack) | (_wholes(total) != 0)
    bad = np.where(traffic, _wholes(np.minimum(np.maximum(bad, 0.0), total)), 0.0)
    return bad, np.where(traffic, _wholes(total), 0.0), sure


def numbers(said: Observation) -> tuple[float, float]:
    """Bad and all events that an observation says; NaN where it says none."""
    if isinstance(said, Measured):
        return said.bad, said.total
    empty = isinstance(said, NoData) and said.reason is MissingReason.NO_TRAFFIC
    return (0.0, 0.0) if empty else (math.nan, math.nan)


def failed(error: MetricsError | PromQLError) -> Failed:
    """What a question gets that could not be asked or answered."""
    if isinstance(error, MetricsError):
        return Failed(error.reason, str(error))
    return Failed(MissingReason.REFUSED_QUERY, str(error)[:300])


_NOTHING_FOUND = "the selector of the total finds no series"


def _trouble(
    bad: float, total: float, tallies: tuple[Tally, ...], nothing: str = _NOTHING_FOUND
) -> Observation | None:
    """Why the numbers are none that count, or None where they are; the first tally is the whole's."""
    warning = next((each.warning for each in tallies if each.warning), "")
    unknown = next((each.unknown for each in tallies if each.unknown), "")
    if warning:
        return _partial(bad, total, MissingReason.WARNINGS, warning)
    if not tallies[0].present:
        return NoData(MissingReason.NO_SERIES, nothing)
    if any(each.several for each in tallies):
        return Failed(MissingReason.SEVERAL_SERIES, "the query returns several series: wrap it in sum(…)")
    if not all(math.isfinite(each.value) for each in tallies):
        return Failed(MissingReason.NOT_FINITE, "a number is NaN or infinite")
    if unknown:
        return _partial(bad, total, MissingReason.UNKNOWN_BIRTH, unknown)
    return None


def _partial(bad: float, total: float, reason: MissingReason, message: str) -> Partial:
    bad, total = (each if math.isfinite(each) else 0.0 for each in (bad, total))
    return Partial(bad, total, reason, message[:300])


def _lost(*, success: bool) -> Observation:
    if success:
        return Failed(MissingReason.NO_SERIES, "requests were counted, and the success selector finds no series")
    return NoData(MissingReason.SELECTOR_LOST, "errors were counted before, and their selector finds no series now")


def _ratio(bad: float, total: float) -> Observation:
    slack = _ROUNDING * max(1.0, abs(total))
    if bad < -slack or bad > total + slack:
        return Failed(MissingReason.INCONSISTENT, f"{bad:g} bad of {total:g} events")
    if total <= slack and _whole(total) == 0:
        return NoData(MissingReason.NO_TRAFFIC, "nothing was counted in the tick")
    return Measured(_whole(min(max(bad, 0.0), total)), _whole(total))


def _events(count: float) -> Observation:
    if count < -_ROUNDING:
        return Failed(MissingReason.INCONSISTENT, f"{count:g} events")
    return Measured(_whole(max(count, 0.0)), 0.0)


def _whole(value: float) -> float:
    """The value, freed of the rounding errors of fractions that should add up to a whole number."""
    return float(round(value)) if abs(value - round(value)) < _ROUNDING else value


def _wholes(values: Floats) -> Floats:
    """``_whole`` of each."""
    nearest = np.rint(values)
    return np.where(np.abs(values - nearest) < _ROUNDING, nearest, values)
