"""A metrics source that says nothing that can be trusted: neither a pass nor a breach, and people are told."""

import time

import pytest

from controller.app import SystemClock
from controller.core.state import Standing
from tests.faults.parts import deployed, open_alerts
from tests.loop.site import Site, until
from tests.servers.receiver import free_port


class SetClock(SystemClock):
    """The machine's clock, as somebody has set it."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead

    def now(self) -> float:
        return time.time() + self.ahead


@pytest.mark.parametrize("fault", ["down", "an hour ahead"])
def test_a_blind_analysis_is_told_and_changes_nothing(site: Site, fault: str) -> None:
    """Nothing can be measured from before the sync to the deadline: Inconclusive, RollguardAnalysisBlind, Git untouched."""
    site.declare("checkout", analysis={"window": "6s"})
    clock = SetClock(3600.0 if fault == "an hour ahead" else 0.0)
    if fault == "down":
        url = f"http://127.0.0.1:{free_port()}"
        site.extra = {"metricsSources": {"default": {"prometheus": {"url": url}}}}
    site.start(clock)
    bad = site.commit("two", 0.3)
    until(lambda: "RollguardAnalysisBlind" in open_alerts(site), "alert")
    assert site.remote.head() == bad
    assert site.rollout().good.standing is Standing.ADOPTED  # type: ignore[union-attr]
    assert site.rollout().good.revision != bad  # type: ignore[union-attr]


def test_a_clock_that_is_set_in_the_middle_of_an_analysis_hides_no_breach(site: Site) -> None:
    """An hour ahead when the bad version is deployed: windows keep their length, and the breach is found and restored."""
    clock = SetClock()
    site.start(clock)
    site.commit("two", 0.3)
    until(lambda: deployed(site, "two"), "deployment")
    clock.ahead = 3600.0
    until(site.restores, "restore")
    clock.ahead = -3600.0
    until(lambda: deployed(site, "one"), "redeployment")
    assert len(site.restores()) == 1
