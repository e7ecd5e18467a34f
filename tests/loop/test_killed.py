"""The process is killed, with SIGKILL, at every boundary between two intents: at most one revert, none lost."""

import signal
from collections.abc import Callable

import pytest

from tests.loop.process import controller, ended
from tests.loop.site import Site, until

BOUNDARIES = ("commit", "inspect", "build", "push-before", "push-after", "refresh")


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
