"""The controller's own metrics: right, bounded, and never a reason to fail."""

import re

import pytest
from prometheus_client import CollectorRegistry

from controller.core.verdict import VerdictKind
from controller.runtime.telemetry import MOST_VALUES, Telemetry


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry.create("1.2.3")


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"rollguard_{name}", labels)


def test_each_event_is_counted_where_it_belongs(telemetry: Telemetry) -> None:
    """Every method moves its own metric."""
    telemetry.verdict(VerdictKind.BREACHED)
    telemetry.rollback("Pushed")
    telemetry.query("default", 0.02)
    telemetry.query("default", 5.0, "TimedOut")
    telemetry.looked(0.7)
    telemetry.alert_delivery("on-call", "Delivered")
    telemetry.detected(45.0, 120.0)
    telemetry.pushed(0.2)
    telemetry.restored(90.0)
    telemetry.watch(leader=lambda: 1.0)
    registry = telemetry.registry
    assert value(registry, "verdicts_total", verdict="Breached") == 1
    assert value(registry, "rollbacks_total", result="Pushed") == 1
    assert value(registry, "query_duration_seconds_count", source="default") == 2
    assert value(registry, "query_failures_total", source="default", reason="TimedOut") == 1
    assert value(registry, "look_lateness_seconds_bucket", le="0.5") == 0
    assert value(registry, "look_lateness_seconds_bucket", le="1.0") == 1
    assert value(registry, "alert_deliveries_total", sink="on-call", outcome="Delivered") == 1
    assert value(registry, "detection_delay_seconds_sum") == 45
    assert value(registry, "bad_requests_before_rollback_total") == 120
    assert value(registry, "verdict_to_push_seconds_bucket", le="0.2") == 1
    assert value(registry, "time_to_restore_seconds_bucket", le="60.0") == 0
    assert value(registry, "time_to_restore_seconds_bucket", le="120.0") == 1
    assert value(registry, "leader") == 1


def test_labels_are_bounded(telemetry: Telemetry) -> None:
    """However many names come, Prometheus sees a hundred and ``other``."""
    for number in range(MOST_VALUES + 50):
        telemetry.query(f"source-{number}", 0.1, f"reason-{number}")
        telemetry.alert_delivery(f"sink-{number}", "Delivered")
    samples = [sample for family in telemetry.registry.collect() for sample in family.samples]
    for label in ("source", "reason", "sink"):
        assert len({sample.labels[label] for sample in samples if label in sample.labels}) == MOST_VALUES + 1
    assert value(telemetry.registry, "query_duration_seconds_count", source="other") == 50


def test_watched_gauges_are_read_when_asked(telemetry: Telemetry) -> None:
    """Now, not as they were; and one that fails shows as NaN beside the others."""
    depth = [3.0]

    def fails() -> float:
        raise OSError("locked")

    telemetry.watch(workqueue_depth=lambda: depth[0], outbox_pending=fails)
    assert value(telemetry.registry, "workqueue_depth") == 3
    depth[0] = 5
    assert value(telemetry.registry, "workqueue_depth") == 5
    pending = value(telemetry.registry, "outbox_pending")
    assert pending is not None
    assert pending != pending  # noqa: PLR0124  NaN is the only number that differs from itself
    assert value(telemetry.registry, "analyses_active") == 0


def test_two_controllers_in_one_process_share_nothing(telemetry: Telemetry) -> None:
    """Each has a registry of its own."""
    telemetry.verdict("Healthy")
    assert value(Telemetry.create("1").registry, "verdicts_total", verdict="Healthy") is None


def test_the_build_is_told(telemetry: Telemetry) -> None:
    """Which version runs on which Python."""
    (family,) = [each for each in telemetry.registry.collect() if each.name == "rollguard_build_info"]
    assert family.samples[0].labels["version"] == "1.2.3"
    assert re.fullmatch(r"3\.\d+\.\d+.*", family.samples[0].labels["python"])


def test_a_negative_count_is_no_crash(telemetry: Telemetry) -> None:
    """Counters cannot go back; a nonsensical number is dropped."""
    telemetry.detected(1.0, -5.0)
    assert value(telemetry.registry, "bad_requests_before_rollback_total") == 0
