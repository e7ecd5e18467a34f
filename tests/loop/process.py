"""A controller in a process of its own, which dies with the tests and says where it hangs."""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.loop.site import Site

ROOT = Path(__file__).parents[2]


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


def ended(site: Site, process: "subprocess.Popen[bytes]") -> int:
    """Ask a controller to stop; its exit code. One that does not stop shows where its threads are."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        process.wait(10)
        raise AssertionError((site.folder / "controller.log").read_text()[-8000:]) from None
