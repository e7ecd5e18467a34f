"""The heartbeat: a call that is late or fails takes no other call with it."""

import logging
import threading

import pytest

from controller.runtime.scheduler import Heartbeat

DEADLINE = 20.0


def test_calls_come_again_and_again_until_the_stop() -> None:
    """Several calls a second, none after ``stop`` has returned."""
    beats, enough = [], threading.Event()

    def beat() -> None:
        beats.append(1)
        if len(beats) >= 3:
            enough.set()

    heartbeat = Heartbeat()
    heartbeat.every(0.05, "beat", beat)
    heartbeat.start()
    assert enough.wait(DEADLINE)
    heartbeat.stop()
    count = len(beats)
    assert not threading.Event().wait(0.2)
    assert len(beats) == count


def test_a_call_that_hangs_is_not_doubled_and_delays_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """While one call hangs it is not made again, and the other goes on."""
    caplog.set_level(logging.CRITICAL)
    begun, free, others, enough = [], threading.Event(), [], threading.Event()

    def hang() -> None:
        begun.append(1)
        assert free.wait(DEADLINE)

    def other() -> None:
        others.append(1)
        if len(others) >= 5:
            enough.set()

    heartbeat = Heartbeat()
    heartbeat.every(0.05, "hang", hang)
    heartbeat.every(0.05, "other", other)
    heartbeat.start()
    assert enough.wait(DEADLINE)
    assert begun == [1]
    free.set()
    heartbeat.stop()


def test_a_call_that_fails_is_made_again(caplog: pytest.LogCaptureFixture) -> None:
    """A fault in one beat is logged, and the next beat comes."""
    caplog.set_level(logging.CRITICAL)
    beats, again = [], threading.Event()

    def beat() -> None:
        beats.append(1)
        if len(beats) == 1:
            raise ValueError("a fault of ours")
        again.set()

    heartbeat = Heartbeat()
    heartbeat.every(0.05, "beat", beat)
    heartbeat.start()
    assert again.wait(DEADLINE)
    heartbeat.stop()
