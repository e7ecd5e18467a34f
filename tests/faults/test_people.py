"""A pipeline that reports and people at the command line, against a running controller: no embedded reconciler."""

import json
from pathlib import Path

from controller.core.state import Obstacle, Standing
from tests.faults.parts import Pipeline, idle, open_alerts, rollguard, waits_for
from tests.loop.site import Site, until


def test_a_pipeline_reports_and_people_use_the_command_line(site: Site, tmp_path: Path) -> None:
    """Reported by hook and by command; paused, resumed, restored, released, and rolled back by hand."""
    pipeline = Pipeline(site, b"the pipeline's own key")
    site.extra = pipeline.settings(tmp_path / "deployed-hook")
    site.run()
    first = site.remote.head()
    pipeline.deploy(first)
    pipeline.report(first)
    until(lambda: site.rollout().good, "adoption")

    rollguard(site, "pause", "checkout", "--until-resumed", "--reason", "a drill")
    bad = site.commit("two", 0.3)
    pipeline.report(bad, "Started")
    pipeline.deploy(bad)
    pipeline.report(bad, "Healthy")
    until(lambda: waits_for(site, Obstacle.PAUSED), "held breach")
    assert site.remote.head() == bad
    assert "RollguardBreached" in open_alerts(site)
    rollguard(site, "resume", "checkout")
    until(site.restores, "restore")

    restore = site.remote.head()
    pipeline.deploy(restore)
    rollguard(site, "report-deployed", "checkout", "--revision", restore)
    until(lambda: idle(site), "recovery")
    assert open_alerts(site) == set()
    assert site.rollout().good.standing is Standing.VERIFIED  # type: ignore[union-attr]

    listed = json.loads(rollguard(site, "quarantine", "list", "--output", "json"))
    (known,) = listed["applications"][0]["known_bad"]
    assert known["revision"] == bad
    rollguard(site, "quarantine", "release", "checkout", known["version"][:8])
    until(lambda: not site.rollout().known_bad, "release")

    third = site.commit("three")
    pipeline.deploy(third)
    pipeline.report(third)
    until(lambda: site.rollout().analysis is not None, "analysis")
    rollguard(site, "rollback", "checkout", "--reason", "it looks wrong")
    until(lambda: len(site.restores()) == 2, "rollback by hand")
    assert site.remote.files()["apps/checkout/app.yaml"] == site.remote.read(first, "apps/checkout/app.yaml")
