"""Time without steps: whatever somebody does to the machine's clock, windows and deadlines keep their length."""

import time

import pytest
from structlog.testing import capture_logs

from controller.runtime.steady_clock import STEP_SECONDS, SteadyClock, seconds_since_boot
from tests.fakes.manual_clock import ManualClock


@pytest.mark.parametrize("step", [3600.0, -3600.0, 86400.0, STEP_SECONDS * 2])
def test_a_clock_that_is_set_changes_no_length_of_time(step: float) -> None:
    """Set ahead or back: between any two readings the time that has passed is the time that was waited."""
    machine = ManualClock()
    clock, begun = SteadyClock(machine), machine.now()
    machine.advance(100)
    assert clock.now() == begun + 100
    machine.set_wall(machine.now() + step)
    assert clock.now() == begun + 100
    machine.advance(50)
    assert clock.now() == begun + 150


def test_set_there_and_back_it_is_as_if_nothing_had_been() -> None:
    """Two steps that cancel leave nothing to take over."""
    machine = ManualClock()
    clock = SteadyClock(machine)
    for step in (3600.0, -3600.0):
        machine.set_wall(machine.now() + step)
        clock.now()
    with capture_logs() as logs:
        clock.settle()
    assert logs == []
    assert clock.now() == machine.now()


def test_the_new_time_is_taken_over_when_nothing_is_under_way() -> None:
    """``settle`` brings the machine's time, and says so; a step is said once."""
    machine = ManualClock()
    clock = SteadyClock(machine)
    machine.set_wall(machine.now() + 3600)
    with capture_logs() as logs:
        clock.now()
        clock.now()
        clock.settle()
        clock.settle()
    assert clock.now() == machine.now()
    assert [line["by_seconds"] for line in logs] == [3600.0, 3600.0]


def test_a_clock_that_is_slewed_is_followed() -> None:
    """Time servers turn a clock by small amounts: those count at once."""
    machine = ManualClock()
    clock = SteadyClock(machine)
    for _ in range(100):
        machine.advance(10)
        machine.set_wall(machine.now() + 0.005)
        clock.now()
    assert clock.now() == machine.now()


def test_a_machine_that_slept_has_the_time_that_it_is() -> None:
    """Seconds of sleep are no step: they count as time, although the monotonic clock stood still."""
    machine, boot = ManualClock(), ManualClock()
    clock = SteadyClock(machine, boot.monotonic)
    boot.advance(7200)
    machine.set_wall(machine.now() + 7200)
    assert clock.now() == machine.now()
    assert clock.monotonic() == machine.monotonic()


def test_seconds_since_boot_never_go_back() -> None:
    """It runs as the monotonic clock does."""
    first, before = seconds_since_boot(), time.monotonic()
    second, after = seconds_since_boot(), time.monotonic()
    assert 0 <= second - first <= after - before + 1
