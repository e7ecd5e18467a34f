"""The whole loop on real Git and a real Prometheus: deployed, found, reverted in Git, deployed again, recovered."""

from controller.core.recovery import RecoveryKind
from controller.core.state import load_record
from tests.loop.site import Site, until


def test_a_bad_commit_is_found_and_reverted_in_git(site: Site) -> None:
    """A bad commit is deployed, found, reverted once, deployed again by the same reconciler, and the service recovers."""
    site.start()
    bad = site.commit("two", 0.3)
    until(lambda: site.rollout().live is not None and site.rollout().live.revision == bad, "deployment")  # type: ignore[union-attr]
    until(site.restores, "restore")
    until(lambda: "version: one" in site.shops["checkout"].deployed.read_text(), "redeployment")
    until(lambda: site.rollout().analysis is None and site.rollout().rollback is None, "recovery")
    assert len(site.restores()) == 1
    assert site.running is not None
    assert site.rollout().alerts == ()
    assert site.rollout().good is not None
