"""The process is killed, with SIGKILL, at every boundary between two intents: at most one revert, none lost."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loop.site import Site, until

ROOT = Path(__file__).parents[2]
BOUNDARIES = ("commit", "inspect", "build", "push-before", "push-after", "refresh")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def controller(site: Site, kill_at: str = "") -> "subprocess.Popen[bytes]":
    """Start a controller of its own process; with ``kill_at`` it kills itself at that boundary."""
    program = (
        [sys.executable, "-m", "tests.loop.killed_controller"]
        if kill_at
        else [sys.executable, "-m", "controller", "run"]
    )
    with (site.folder / "controller.log").open("ab") as log:
        return subprocess.Popen(
            [*program, "--settings", str(site.settings()), "--policies", str(site.policies)],
            cwd=ROOT,
            env={**os.environ, "ROLLGUARD_KILL_AT": kill_at, "PYTHONFAULTHANDLER": "1"},
            stderr=log,
            stdout=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  the test's own threads hold no lock that it needs
        )


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_at_a_boundary_and_started_again(make_site: Callable[..., Site], boundary: str) -> None:
    """Killed there, started again: one revert in the branch, deployed again."""
    site = make_site()
    first = controller(site, boundary)
    try:
        until(site.shops["checkout"].deployed.exists, "first deployment")
        site.commit("two", 0.3)
        until(lambda: first.poll() is not None, "the kill", log=site.folder / "controller.log")
        assert first.returncode == -signal.SIGKILL
    finally:
        first.kill()
        first.wait()
    second = controller(site)
    try:
        until(site.restores, "restore")
        until(lambda: "version: one\n" in site.shops["checkout"].deployed.read_text(), "redeployment")
        assert ended(site, second) == 0
    finally:
        second.kill()
        second.wait()
    assert len(site.restores()) == 1


def ended(site: Site, process: "subprocess.Popen[bytes]") -> int:
    """Ask a controller to stop; its exit code. One that does not stop shows where its threads are."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        process.wait(10)
        raise AssertionError((site.folder / "controller.log").read_text()[-8000:]) from None
