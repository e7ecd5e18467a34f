"""A pipeline that reports and people at the command line, against a running controller: no embedded reconciler."""

import json
import socket
from pathlib import Path

from controller.core.state import Obstacle, Standing
from tests.faults.parts import Pipeline, idle, open_alerts, rollguard, waits_for
from tests.loop.process import controller
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


def test_a_port_that_is_taken_is_one_sentence(site: Site) -> None:
    """The address is somebody else's: the controller says so and ends with 3; nothing of it is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        site.extra = {"server": {"listen": address}}
        process = controller(site)
        assert process.wait(30) == 3
    said = (site.folder / "controller.log").read_text()
    assert f"rollguard: cannot listen on {address}" in said
    assert "Traceback" not in said
