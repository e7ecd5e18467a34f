"""Draws what services count: steady, drifting, in bursts, in clusters, with gaps, restarts and controls.

Requests come as a Poisson process and fail independently with the share of their tick, except where a function says
otherwise; so bad and good requests are drawn as two independent Poisson counts, which is the same and cheaper.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.detection.runs import BASE, DAY, DAY_STEP, SIX_HOURS, Control, Counts, Family, Floats, Past, Runs

Generator = np.random.Generator
Shape = Callable[[Family, Generator, int], ArrayLike]
"""The bad share after the start, shape (ticks,) or (runs, ticks)."""
Draw = Callable[[Family, Generator, int], Runs]


def counts(draw: Generator, runs: int, requests: ArrayLike, share: ArrayLike, steps: int) -> Counts:
    """Counts of so many expected requests a step, of which ``share`` are bad; both broadcast to (runs, steps)."""
    shape = (runs, steps)
    requested, shares = np.broadcast_to(requests, shape), np.broadcast_to(share, shape)
    bad = draw.poisson(requested * shares).astype(float)
    return Counts(bad, bad + draw.poisson(requested * (1 - shares)))


def fold(ticks: Counts, interval: float) -> Counts:
    """Ticks summed to steps of five minutes; a step with a tick that was not counted is not counted."""
    each = round(DAY_STEP / interval)
    shape = (ticks.bad.shape[0], -1, each)
    return Counts(ticks.bad.reshape(shape).sum(axis=-1), ticks.total.reshape(shape).sum(axis=-1))


def past_of(family: Family, day: Counts) -> Past:
    """The past from a day of ticks."""
    fine = round(SIX_HOURS / family.interval)
    return Past(Counts(day.bad[:, -fine:], day.total[:, -fine:]), fold(day, family.interval))


def steady_past(family: Family, draw: Generator, runs: int, share: float = BASE, rps: float | None = None) -> Past:
    """The past of a service that never changed: older steps are drawn as wholes, which is the same."""
    rate = family.rps if rps is None else rps
    fine = counts(draw, runs, rate * family.interval, share, round(SIX_HOURS / family.interval))
    older = counts(draw, runs, rate * DAY_STEP, share, round((DAY - SIX_HOURS) / DAY_STEP))
    newer = fold(fine, family.interval)
    day = Counts(np.hstack((older.bad, newer.bad)), np.hstack((older.total, newer.total)))
    return Past(fine, day)


def by_time(share: Callable[[Family], ArrayLike]) -> Shape:
    """The same course of the share in every run."""

    def shape(family: Family, _draw: Generator, _runs: int) -> ArrayLike:
        return share(family)

    return shape


def constant(share: float) -> Shape:
    """Always the same share."""
    return by_time(lambda _: share)


def between(share: float, begun: float, over: float = np.inf, base: float = BASE) -> Shape:
    """A share between two times, in seconds after the start."""
    return by_time(lambda family: np.where((family.ends > begun) & (family.ends <= over), share, base))


def service(after: Shape, base: float = BASE) -> Draw:
    """A service that was steady before, and whose share after the start is given."""

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        share = np.broadcast_to(np.asarray(after(family, draw, runs), dtype=float), (runs, family.ticks))
        found = counts(draw, runs, family.rps * family.interval, share, family.ticks)
        return Runs(steady_past(family, draw, runs, base), found, share)

    return drawn


def rolled_out(
    shares: Callable[[Family, Generator, int], tuple[ArrayLike, ArrayLike]], seconds: float, begun: float = 0.0
) -> Draw:
    """New pods take over evenly within so many seconds, and are told apart from the old ones.

    ``shares`` gives the bad share of the old pods and of the new ones; the first new pod comes at ``begun``.
    """

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        old, new = shares(family, draw, runs)
        part = np.clip((family.middles - begun) / seconds, 0.0, 1.0)
        requests = family.rps * family.interval
        before = counts(draw, runs, requests * (1 - part), old, family.ticks)
        after = counts(draw, runs, requests * part, new, family.ticks)
        whole = Counts(before.bad + after.bad, before.total + after.total)
        share = np.broadcast_to(np.asarray(old) * (1 - part) + np.asarray(new) * part, whole.bad.shape)
        return Runs(steady_past(family, draw, runs), whole, share, new=after)

    return drawn


def drifting(rates: Callable[[Family, Generator, int], tuple[Floats, Floats]]) -> Draw:
    """A service whose share and traffic change by themselves: (share, requests a second) from the day before on."""

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        share, rps = rates(family, draw, runs)
        steps = round(DAY / family.interval)
        whole = counts(draw, runs, rps * family.interval, share, steps + family.ticks)
        before = Counts(whole.bad[:, :steps], whole.total[:, :steps])
        after = Counts(whole.bad[:, steps:], whole.total[:, steps:])
        return Runs(past_of(family, before), after, np.broadcast_to(share[:, steps:], after.bad.shape))

    return drawn


def random_walk(hourly: float, low: float, high: float) -> Callable[[Family, Generator, int], tuple[Floats, Floats]]:
    """The logarithm of the share walks at random between two bounds that throw it back; ``hourly``: its spread."""

    def rates(family: Family, draw: Generator, runs: int) -> tuple[Floats, Floats]:
        steps = family.middles_before.size + family.ticks
        width = np.log(high / low)
        step = hourly * np.sqrt(family.interval / 3600)
        walk = draw.uniform(0, width, (runs, 1)) + np.cumsum(draw.normal(0, step, (runs, steps)), axis=1)
        folded = np.mod(walk, 2 * width)
        return low * np.exp(np.minimum(folded, 2 * width - folded)), np.full((runs, steps), family.rps)

    return rates


def bursts(
    hourly: float, mean_ticks: float, share: float
) -> Callable[[Family, Generator, int], tuple[Floats, Floats]]:
    """So many bursts an hour, each over several ticks (geometric)."""

    def rates(family: Family, draw: Generator, runs: int) -> tuple[Floats, Floats]:
        steps = family.middles_before.size + family.ticks
        begun = draw.random((runs, steps)) < hourly * family.interval / 3600
        length = np.where(begun, draw.geometric(1 / mean_ticks, (runs, steps)), 0)
        until = np.maximum.accumulate(np.where(begun, np.arange(steps) + length, 0), axis=1)
        shares = np.where(np.arange(steps) < until, share, BASE)
        return shares, np.full((runs, steps), family.rps)

    return rates


def season(low: float, high: float, spread: float) -> Callable[[Family, Generator, int], tuple[Floats, Floats]]:
    """A daily wave of the share (geometric) and of the traffic; the wave's height changes from day to day."""

    def rates(family: Family, draw: Generator, runs: int) -> tuple[Floats, Floats]:
        at = np.concatenate((family.middles_before, family.middles))
        phase = 0.5 + 0.5 * np.cos(2 * np.pi * (at / DAY + draw.random((runs, 1))))
        first, then = draw.normal(0, spread, (2, runs, 1))
        height = np.exp(first + (then - first) * (at / DAY + 1))
        return low * (high / low) ** phase * height, family.rps * (0.5 + phase)

    return rates


def daily_job(
    share: float, seconds: float, spread: float
) -> Callable[[Family, Generator, int], tuple[Floats, Floats]]:
    """A job that makes requests fail every day for so long, and begins within ``spread`` seconds of the same time."""

    def rates(family: Family, draw: Generator, runs: int) -> tuple[Floats, Floats]:
        at = np.concatenate((family.middles_before, family.middles))
        planned = draw.uniform(spread, 900, (runs, 1))
        shares = np.full((runs, at.size), BASE)
        for day in (-DAY, 0.0):
            begun = planned + day + draw.uniform(-spread, spread, (runs, 1))
            shares[(at > begun) & (at <= begun + seconds)] = share
        return shares, np.full((runs, at.size), family.rps)

    return rates


def clustered(share: float, size: float) -> Draw:
    """Errors in clusters inside a tick: whole groups of requests fail together (geometric sizes)."""

    def bad(draw: Generator, total: NDArray[np.int64], requests: float) -> NDArray[np.int64]:
        clusters = draw.poisson(requests * share / size, total.shape)
        more = draw.negative_binomial(np.maximum(clusters, 1), 1 / size)  # a sum of geometric sizes
        return np.where(clusters > 0, clusters + more, 0)

    return _together(bad, share)


def whole_ticks(chance: float) -> Draw:
    """Now and then all requests of a tick fail; otherwise none does."""

    def bad(draw: Generator, total: NDArray[np.int64], _requests: float) -> NDArray[np.int64]:
        return np.where(draw.random(total.shape) < chance, total, 0)

    return _together(bad, chance)


def _together(fail: Callable[[Generator, NDArray[np.int64], float], NDArray[np.int64]], share: float) -> Draw:
    """A service whose requests fail together, before the start as after it."""

    def some(family: Family, draw: Generator, runs: int, steps: int) -> Counts:
        requests = family.rps * family.interval
        total = draw.poisson(requests, (runs, steps))
        bad = np.minimum(fail(draw, total, requests), total)
        return Counts(bad.astype(float), total.astype(float))

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        before = some(family, draw, runs, round(DAY / family.interval))
        after = some(family, draw, runs, family.ticks)
        return Runs(past_of(family, before), after, np.full(after.bad.shape, share))

    return drawn


def with_gaps(inner: Draw, chance: float) -> Draw:
    """Ticks that are not answered, each with this chance; their events come with the next one that is."""

    def caught_up(found: Counts, gaps: NDArray[np.bool_]) -> Counts:
        last = np.maximum.accumulate(np.where(gaps, -1, np.arange(gaps.shape[1])), axis=1)
        before = np.concatenate((np.full((gaps.shape[0], 1), -1), last[:, :-1]), axis=1)

        def deltas(values: Floats) -> Floats:
            running = np.concatenate((np.zeros((gaps.shape[0], 1)), np.cumsum(values, axis=1)), axis=1)
            grown = running[:, 1:] - np.take_along_axis(running, before + 1, axis=1)
            return np.where(gaps, np.nan, grown)

        return Counts(deltas(found.bad), deltas(found.total))

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        found = inner(family, draw, runs)
        gaps = draw.random(found.after.bad.shape) < chance
        fine = found.past.ticks
        past = Past(caught_up(fine, draw.random(fine.bad.shape) < chance), found.past.day)
        return replace(found, past=past, after=caught_up(found.after, gaps), gaps=gaps)

    return drawn


def restarting(share: float, pods: int, chance: float) -> Draw:
    """Raw counters of pods that restart or are replaced, read by the rule of grown, reset and born series.

    What a pod counts between its last scrape and its end is lost to everybody; what it counts afterwards, from zero, is
    not. A restarted counter that already is above its old value cannot be told from one that grew.
    """

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        shape = (runs, family.ticks * pods)
        parts = [
            counts(draw, shape[0], family.rps * family.interval * part / pods, share, shape[1]) for part in (0.5, 0.5)
        ]
        early, late = ([each.reshape(runs, -1, pods) for each in (part.bad, part.total)] for part in parts)
        again = draw.random((runs, family.ticks, pods)) < chance
        replaced = again & (draw.random(again.shape) < 0.5)
        bad, total = (_read(*values, again, replaced) for values in zip(early, late, strict=True))
        past = steady_past(family, draw, runs, share)
        return Runs(past, Counts(np.minimum(bad, total), total), np.full(bad.shape, share))

    return drawn


def _read(early: Floats, late: Floats, again: NDArray[np.bool_], replaced: NDArray[np.bool_]) -> Floats:
    """Ticks from counters: shape (runs, ticks, pods) in, (runs, ticks) out."""
    value = np.full(early[:, 0].shape, 1000.0)
    found = np.zeros(early.shape[:2])
    for tick in range(early.shape[1]):
        now = np.where(again[:, tick], late[:, tick], value + early[:, tick] + late[:, tick])
        fresh = replaced[:, tick] | (now < value)
        found[:, tick] = np.where(fresh, now, now - value).sum(axis=-1)
        value = now
    return found


def traffic_stops(inner: Draw, when: float, *, controls_too: bool) -> Draw:
    """The requests stop for good; those of the controls too, or not."""

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        found = inner(family, draw, runs)
        going = family.ends <= when
        stopped = Counts(found.after.bad * going, found.after.total * going)
        controls = found.controls
        if controls_too:
            ended = (Counts(each.after.bad * going, each.after.total * going) for each in controls)
            controls = tuple(Control(each.past, after) for each, after in zip(controls, ended, strict=True))
        return replace(found, after=stopped, controls=controls)

    return drawn


CONTROL_RPS = 50.0


def with_controls(inner: Draw, base: float = BASE, fate: Callable[[Floats, float], Floats] | None = None) -> Draw:
    """Adds a control at 50 requests a second; ``fate`` makes its share from the service's own and its base."""

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        found = inner(family, draw, runs)
        share = np.full(found.share.shape, base) if fate is None else fate(found.share, base)
        after = counts(draw, runs, CONTROL_RPS * family.interval, np.minimum(share, 1.0), family.ticks)
        return found.with_control(Control(steady_past(family, draw, runs, base, CONTROL_RPS), after))

    return drawn
