"""What is counted of each step, and that a source is timed without being changed."""

import pytest

from controller.core.observation import Failed, MissingReason
from controller.core.step import Step
from controller.ports.gitops import SyncPhase
from controller.ports.metrics import MetricsUnavailable, Question
from controller.runtime.reporting import TimedSource, count_step
from controller.runtime.telemetry import Telemetry
from tests.fakes.manual_clock import ManualClock
from tests.runtime.parts import Bench, ScriptedMetrics, spec


def counted(bench: Bench) -> Telemetry:
    """Telemetry that is told of each step of a bench."""
    telemetry = Telemetry.create("1.2.3")
    bench.reconciler._watch = lambda step, before: count_step(telemetry, step, before)
    return telemetry


def value(telemetry: Telemetry, name: str, **labels: str) -> float:
    return telemetry.registry.get_sample_value(f"rollguard_{name}", labels) or 0.0


def test_a_rollback_is_counted_from_deployment_to_recovery() -> None:
    """One verdict, its delay and its bad requests, one push, one landing and one recovery: each counted once."""
    bench = Bench().guard()
    telemetry = counted(bench)
    begun = bench.clock.now()
    bench.breach()
    found = bench.clock.now()
    bench.pass_until(bench.restores)
    bench.metrics.share = 0.0
    bench.report(bench.remote.head(), SyncPhase.STARTED, only=False)
    bench.pass_time(20)
    assert value(telemetry, "time_to_restore_seconds_count") == 0
    bench.report(bench.remote.head(), SyncPhase.HEALTHY, only=False)
    landed = bench.clock.now()
    bench.pass_until(lambda: bench.rollout().analysis is None)
    assert value(telemetry, "verdicts_total", verdict="Breached") == 1
    assert value(telemetry, "detection_delay_seconds_sum") == pytest.approx(found - begun, abs=5)
    assert value(telemetry, "bad_requests_before_rollback_total") > 5
    assert value(telemetry, "verdict_to_push_seconds_count") == 1
    assert value(telemetry, "rollbacks_total", result="Pushed") == 1
    assert value(telemetry, "rollbacks_total", result="Recovered") == 1
    assert value(telemetry, "time_to_restore_seconds_count") == 1
    assert value(telemetry, "time_to_restore_seconds_sum") == landed - begun


def test_a_restore_that_is_reported_once_is_counted_too() -> None:
    """A pipeline's only report is start and end in one: the landing is counted all the same."""
    bench = Bench().guard()
    telemetry = counted(bench)
    bench.breach()
    bench.pass_until(bench.restores)
    bench.metrics.share = 0.0
    bench.report(bench.remote.head())
    bench.pass_time(60)
    assert value(telemetry, "time_to_restore_seconds_count") == 1


def test_an_offer_that_is_withdrawn_and_a_verdict_of_healthy_are_counted() -> None:
    """By their results: what recovered by itself is judged anew, as a good deployment is; neither restores anything."""
    bench = Bench().guard(spec(onBreach={"action": "PullRequest"}))
    telemetry = counted(bench)
    bench.breach()
    bench.pass_until(lambda: len(bench.remote.branches) == 2)
    bench.metrics.share = 0.0
    bench.pass_until(lambda: bench.rollout().analysis is None)
    bench.deploy("three")
    bench.pass_until(lambda: bench.rollout().analysis is None)
    assert value(telemetry, "rollbacks_total", result="PullRequest") == 1
    assert value(telemetry, "verdicts_total", verdict="Breached") == 1
    assert value(telemetry, "verdicts_total", verdict="Healthy") == 2
    assert value(telemetry, "time_to_restore_seconds_count") == 0


def test_telemetry_that_fails_takes_nothing_back() -> None:
    """A fault in counting comes after the step is persisted: the next beat goes on from there."""
    bench = Bench().guard()

    def fail(_step: Step, _before: object) -> None:
        raise ZeroDivisionError

    revision = bench.commit("two")
    bench.reconciler._watch = fail
    bench.report(revision)
    bench.reconciler._watch = None
    bench.pass_time(10)
    assert bench.rollout().analysis is not None


def test_queries_are_timed_and_failures_counted_by_their_reason() -> None:
    """What the source says is passed on as it is; time and failures show in the metrics."""
    clock, telemetry = ManualClock(), Telemetry.create("1")
    inner = ScriptedMetrics(clock, takes=2.0)
    source = TimedSource("default", inner, telemetry, clock)
    question = Question("a", spec().objectives[0].indicator)
    assert source.observe([question], clock.now(), 15.0).keys() == {"a"}
    inner.says = lambda _question, _at: Failed(MissingReason.TIMED_OUT, "")
    assert source.observe([question], clock.now(), 15.0) == {"a": Failed(MissingReason.TIMED_OUT, "")}
    inner.fail_with = MetricsUnavailable(MissingReason.SERVER_ERROR, "503")
    with pytest.raises(MetricsUnavailable):
        source.history(question, 0.0, 60.0, 15.0)
    inner.fail_with = None
    assert source.history(question, 0.0, 60.0, 15.0).total.size == 4
    assert source.describe(question, 0.0).series == 1
    assert source.server_time() == clock.now()
    assert value(telemetry, "query_duration_seconds_count", source="default") == 4
    assert value(telemetry, "query_duration_seconds_sum", source="default") == 4.0
    for reason in ("TimedOut", "ServerError"):
        assert value(telemetry, "query_failures_total", source="default", reason=reason) == 1
