"""The time before: what is asked of it, what is cut out, and what the reference makes of the answers."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.evidence import History, HistoryRequest, ObjectiveReference
from controller.core.history import Steps, Windows
from controller.core.past import tick_of
from controller.core.policy import PolicySpec
from controller.core.reference import build_reference, further_history, plan_history
from tests.core.deployments import gauge, policy, ratio, restarts

UNTIL = 1_700_006_400.0
"""A multiple of the interval, of five minutes and of half an hour."""
HOUR, DAY, WEEK = 3600.0, 86400.0, 7 * 86400.0
Service = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]  # type: ignore[type-arg]


def steady(rate: float, share: float, *, since: float = -np.inf, seed: int = 1) -> Service:
    """Answers with so many requests a second at such a bad share, and with nothing before ``since``."""
    draw = np.random.default_rng(seed)

    def answer(ends: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        total = draw.poisson(rate * step, ends.size).astype(float)
        bad = draw.binomial(total.astype(int), share).astype(float)
        unknown = ends - step < since - 1e-6
        bad[unknown] = total[unknown] = np.nan
        return bad, total

    return answer


def answered(requests: tuple[HistoryRequest, ...], service: Service, prefix: str = "") -> tuple[History, ...]:
    """The service's answers."""
    found = []
    for each in requests:
        count = round((each.end - each.start) / each.step)
        ends = each.start + each.step * np.arange(1, count + 1)
        request = HistoryRequest(prefix + each.objective, each.start, each.end, each.step)
        found.append(History(request, *service(ends, each.step)))
    return tuple(found)


def made(
    rules: PolicySpec, service: Service, *, interval: float = 15.0, excluded: tuple[tuple[float, float], ...] = ()
) -> ObjectiveReference:
    """The first objective's reference, after all that was asked has been answered."""
    asked = plan_history(rules, until=UNTIL, interval=interval, excluded=excluded)
    histories = answered(asked, service)
    more = further_history(rules, histories, until=UNTIL, interval=interval, excluded=excluded)
    histories += answered(more, service)
    assert further_history(rules, histories, until=UNTIL, interval=interval, excluded=excluded) == ()
    return build_reference(rules, histories, until=UNTIL, interval=interval, excluded=excluded).objectives[0]


def test_plan() -> None:
    """Six hours tick by tick and a day in steps of five minutes, of counts and controls; a week of a gauge's blocks."""
    found = plan_history(policy(ratio(), gauge(), controls=["rest"]), until=UNTIL, interval=15.0)
    assert found == (
        HistoryRequest("memory", UNTIL - WEEK, UNTIL, 300.0),
        HistoryRequest("availability", UNTIL - 6 * HOUR, UNTIL, 15.0),
        HistoryRequest("availability", UNTIL - DAY, UNTIL, 300.0),
        HistoryRequest("control:rest", UNTIL - 6 * HOUR, UNTIL, 15.0),
        HistoryRequest("control:rest", UNTIL - DAY, UNTIL, 300.0),
    )


def test_plan_for_some_objectives() -> None:
    """Only the objectives that are named are planned for."""
    rules = policy(ratio(), ratio("latency"))
    assert {each.objective for each in plan_history(rules, rules.objectives[1:], until=UNTIL, interval=15.0)} == {
        "latency"
    }


@given(st.floats(0, 1e5), st.integers(1, 600), st.lists(st.tuples(st.floats(0, 9e4), st.floats(1, 1e4)), max_size=4))
def test_requests_are_aligned(offset: float, interval: int, cuts: list[tuple[float, float]]) -> None:
    """Whatever the sync's second and the interval: steps are multiples of it, ends are aligned, nothing is after it."""
    until = UNTIL + offset
    excluded = tuple((until - begun, until - begun + length) for begun, length in cuts)
    for each in plan_history(policy(), until=until, interval=float(interval), excluded=excluded):
        assert each.step % interval == 0
        assert each.end % interval == 0
        assert each.start < each.end <= until
        assert each.end > until - DAY - 2 * each.step
        steps = (each.end - each.start) / each.step
        assert steps == round(steps) <= 3600


def test_excluded_ends_are_not_asked_for() -> None:
    """What would be cut off at either end is not asked for; nothing left, nothing asked."""
    fine, _ = plan_history(
        policy(), until=UNTIL, interval=15.0, excluded=[(UNTIL - 600, UNTIL + 5), (0, UNTIL - 5 * HOUR)]
    )
    assert (fine.start, fine.end) == (UNTIL - 5 * HOUR, UNTIL - 600)
    assert plan_history(policy(), until=UNTIL, interval=15.0, excluded=[(0, UNTIL)]) == ()


def test_own_expressions_have_longer_ticks() -> None:
    """An owner's expression counts over four intervals: its steps and its reference say so."""
    query = {"query": "sum(increase(x[$window]))"}
    rules = policy({"name": "own", "target": "99", "indicator": {"ratio": {"errors": query, "total": query}}})
    assert tick_of(rules.objectives[0], 15.0) == 60.0
    assert plan_history(rules, until=UNTIL, interval=15.0)[0].step == 60.0
    assert made(rules, steady(10, 0.001)).tick == 60.0
    assert made(policy(), steady(10, 0.001)).tick == 0.0


def test_busy_service_needs_no_more_than_its_baseline() -> None:
    """At ten requests a second an hour is enough; the windows of the day give their 99th percentile."""
    found = made(policy(), steady(10, 0.001))
    assert found.total == pytest.approx(36_000, rel=0.02)
    assert found.span == HOUR
    assert found.window_quantile == pytest.approx(0.0025, abs=0.0006)
    assert not found.dispersed


def test_slow_service_is_extended() -> None:
    """Where an hour holds too few requests the baseline grows to six hours, a day, a week."""
    spans = [made(policy(), steady(rate, 0.0)).span for rate in (2, 0.2, 0.05, 0.006)]
    assert spans == [HOUR, 6 * HOUR, DAY, WEEK]


def test_a_week_is_asked_only_where_it_helps() -> None:
    """A busy service needs no week, nor does one that is an hour old; a slow old one does."""

    def asked(service: Service) -> tuple[HistoryRequest, ...]:
        histories = answered(plan_history(policy(), until=UNTIL, interval=15.0), service)
        return further_history(policy(), histories, until=UNTIL, interval=15.0)

    assert asked(steady(10, 0.001)) == ()
    assert asked(steady(0.02, 0.0, since=UNTIL - HOUR)) == ()
    assert asked(steady(0.02, 0.0)) == (HistoryRequest("availability", UNTIL - WEEK, UNTIL, 1800.0),)


def test_few_windows_are_left_out() -> None:
    """Below twenty windows there is no percentile; a week may still have them."""
    assert made(policy(), steady(10, 0.01, since=UNTIL - HOUR)).window_quantile is None
    slow = made(policy(), steady(0.1, 0.01))
    assert slow.window_quantile == pytest.approx(0.02, abs=0.008)


def test_excluded_windows_are_cut_out() -> None:
    """A breach an hour ago that was judged is not in the baseline; one that was not is."""

    def outage(ends: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        bad, total = steady(10, 0.001)(ends, step)
        during = (ends > UNTIL - 2700) & (ends - step < UNTIL - 900)
        return np.where(during, np.floor(total / 2), bad), total

    with_it = made(policy(), outage)
    without = made(policy(), outage, excluded=((UNTIL - 2700, UNTIL - 900),))
    assert with_it.bad / with_it.total > 0.2
    assert without.bad / without.total < 0.005
    assert without.total == pytest.approx(18_000, rel=0.05)
    assert not with_it.dispersed  # it became worse once, and that is no cluster
    assert not without.dispersed
    assert with_it.window_quantile is not None
    assert without.window_quantile is not None
    assert with_it.window_quantile > 0.4
    assert without.window_quantile < 0.01


def test_clusters_are_found_tick_by_tick() -> None:
    """Errors in clusters within ticks make the service dispersed."""

    def clustered(ends: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        bad = 20.0 * np.random.default_rng(5).poisson(step / 300, ends.size)
        return bad, np.full(ends.size, 10 * step)

    found = made(policy(), clustered)
    assert found.dispersed
    assert found.dispersion == pytest.approx(20, rel=0.3)


def test_a_minute_of_history() -> None:
    """A demonstration: ticks of a second, a baseline of 30 s, and a service that is a minute old."""
    rules = policy(baseline="30s", window="60s", warmUp="5s", interval="1s")
    found = made(rules, steady(50, 0.0, since=UNTIL - 60), interval=1.0)
    assert found.total == pytest.approx(60 * 50, rel=0.1)
    assert found.span == 60
    assert found.window_quantile is None
    enough = made(rules, steady(200, 0.0, since=UNTIL - 60), interval=1.0)
    assert enough.span == 30


def test_syncs_between_ticks() -> None:
    """A sync in the middle of a tick: the baseline ends with the tick before."""
    until = UNTIL + 7.3
    histories = answered(plan_history(policy(), until=until, interval=15.0), steady(10, 0.001))
    assert {each.request.end for each in histories} == {UNTIL}
    assert build_reference(policy(), histories, until=until, interval=15.0).objectives[0].span == HOUR


def test_no_history_at_all() -> None:
    """Nothing answered, or answers without data: a reference of nothing, and nothing more to ask."""
    unknown = steady(10, 0.001, since=np.inf)
    found = made(policy(), unknown)
    assert (found.bad, found.total, found.span, found.window_quantile, found.dispersed) == (0, 0, 0, None, False)
    assert build_reference(policy(), (), until=UNTIL, interval=15.0).objectives[0] == found
    assert further_history(policy(), (), until=UNTIL, interval=15.0) == ()


def test_untrustworthy_steps_do_not_count() -> None:
    """Steps that contradict themselves, and steps after the sync, are left out."""
    request = HistoryRequest("availability", UNTIL - 60, UNTIL + 15, 15.0)
    history = History(request, np.array([1.0, 9, -1, 2, 50]), np.array([10.0, 5, 10, 20, 50]))
    found = build_reference(policy(), (history,), until=UNTIL, interval=15.0).objectives[0]
    assert (found.bad, found.total, found.span) == (3, 30, 30)


def test_answers_under_the_question_s_key() -> None:
    """Answers may carry the whole key of the question; the pod label and the interval are passed on."""
    asked = plan_history(policy(), until=UNTIL, interval=15.0)
    histories = answered(asked, steady(10, 0.001), prefix="shop/checkout/")
    found = build_reference(policy(), histories, until=UNTIL, interval=15.0, pod_label="pod")
    assert found.objectives[0].total > 0
    assert (found.until, found.interval, found.pod_label) == (UNTIL, 15.0, "pod")


def test_events() -> None:
    """Rare events: the count and the seconds watched, extended until the limit would show thirty."""

    def restarting(ends: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        return np.where(ends % 7200 == 0, 1.0, 0.0), np.full(ends.size, np.nan)

    found = made(policy(restarts(per_hour=2)), restarting)
    assert (found.total, found.span, found.window_quantile, found.dispersed) == (0, DAY, None, False)
    assert found.bad == 12
    assert made(policy(restarts(per_hour=0.5)), restarting).span == WEEK


def test_windows() -> None:
    """Windows are disjoint, newest first, and each long enough for five minutes and ten bad events at the limit."""
    bad, total = np.array([1.0, 2, 3, 4, 5]), np.array([400.0, 600, 600, 1000, 1])

    def windows(step: float) -> Windows:
        return Windows.of(Steps(0.0, 5 * step, step, step * np.arange(1.0, 6.0), bad, total), 0.01)

    long, short = windows(300.0), windows(100.0)
    assert long.share.tolist() == [9 / 1001, 5 / 1200]
    assert (long.begin.tolist(), long.end.tolist()) == ([900.0, 300.0], [1500.0, 900.0])
    assert short.share.tolist() == [12 / 1601]
