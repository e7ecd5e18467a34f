"""Reports of deployments: late, early, twice, of another revision with the same content, from a wrong clock."""

import pytest

from controller.core.events import SyncReported
from controller.core.rollback import Stage
from controller.core.state import Phase
from controller.core.verdict import VerdictKind
from tests.core.rollout.model import START, Model, content, policy


def test_a_report_that_comes_twice_changes_nothing() -> None:
    """Every report may come again at any time; the state is the same after it."""
    model = Model().guard()
    two = model.commit("two")
    begun = model.now
    model.sync_head()
    model.pass_time(120)
    before = model.stored
    for phase in ("Started", "Healthy", "Started"):
        model.take(SyncReported(two, phase, begun))  # type: ignore[arg-type]
    assert model.stored == before


def test_an_older_report_that_comes_late_is_passed_over() -> None:
    """A report from before the newest deployment does not bring the older one back."""
    model = Model().guard()
    two, began = model.commit("two"), model.now
    model.pass_time(60)
    three = model.commit("three")
    model.deployed(three)
    model.take(SyncReported(two, "Started", began))
    assert model.rollout.live is not None
    assert model.rollout.live.revision == three
    assert model.rollout.analysis is not None
    assert [each.revision for each in model.rollout.analysis.syncs] == [three]


def test_the_same_revision_again_is_the_same_deployment() -> None:
    """A pipeline deploys the newest revision once more: the watch goes on, and nothing begins anew."""
    model = Model().guard()
    two = model.commit("two")
    model.sync_head()
    model.pass_time(300)
    before = model.rollout.analysis
    model.take(SyncReported(two, "Started", model.now))
    assert model.rollout.analysis == before


def test_an_older_revision_of_the_chain_deployed_again_joins_it() -> None:
    """Two, three, and two again: three syncs, and the target stays what was live before all of them."""
    model = Model().guard()
    two = model.commit("two")
    model.sync_head()
    model.pass_time(60)
    model.commit("three")
    model.sync_head()
    model.pass_time(60)
    model.deployed(two)
    analysis = model.rollout.analysis
    assert analysis is not None
    assert [each.content for each in analysis.syncs] == [content("two"), content("three"), content("two")]
    assert analysis.before is not None
    assert analysis.before.content == content("one")


def test_healthy_at_another_revision_of_the_same_content_counts() -> None:
    """In a shared repository the head moves on during a deployment: its Healthy comes under another revision."""
    model = Model().guard()
    model.deploying(model.commit("two"))
    model.pass_time(120)
    elsewhere = model.commit("two")
    model.healthy(elsewhere)
    assert model.rollout.analysis is not None
    assert model.rollout.analysis.newest.healthy_at == model.now
    model.pass_time(1200)
    assert "RollguardUnhealthy" not in model.alerts()


def test_a_clock_ahead_does_not_make_later_reports_late() -> None:
    """A report from the future counts as of now, so the next one is no older."""
    model = Model().guard()
    model.take(SyncReported(model.commit("two"), "Healthy", model.now + 86400))
    assert model.rollout.analysis is not None
    assert model.rollout.analysis.started_at == model.now
    model.pass_time(60)
    three = model.commit("three")
    model.take(SyncReported(three, "Healthy", model.now))
    assert model.rollout.analysis.newest.revision == three


def test_a_report_from_long_ago_asks_for_no_years_of_metrics() -> None:
    """A pipeline's clock stands in 1970: the deployment counts as a day old."""
    model = Model()
    model.now = START - 30 * 86400
    model.guard()
    model.now = START
    model.take(SyncReported(model.commit("two"), "Healthy", 0.0))
    assert model.rollout.analysis is not None
    assert model.rollout.analysis.started_at == model.now - 86400


def test_what_failed_and_became_healthy_after_all_is_judged() -> None:
    """Failed, told; then Healthy: the alert is over, and the window runs from there."""
    model = Model().guard()
    two = model.commit("two")
    model.deploying(two)
    model.failed(two)
    assert model.open_alerts() == {"RollguardUnhealthy"}
    model.pass_time(120)
    model.healthy(two)
    assert model.open_alerts() == set()
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.records[-1].analysis.verdict is VerdictKind.HEALTHY


def test_a_late_healthy_of_an_older_sync_is_no_health_of_the_newest() -> None:
    """Two becomes healthy after three has failed: three is still told as Unhealthy."""
    model = Model().guard()
    two = model.commit("two")
    model.deploying(two)
    model.pass_time(60)
    three = model.commit("three")
    model.deploying(three)
    model.failed(three)
    model.healthy(two)
    assert model.open_alerts() == {"RollguardUnhealthy"}
    assert model.rollout.analysis is not None
    assert model.rollout.analysis.unhealthy_at is not None


def test_what_becomes_healthy_after_its_verdict_is_judged_after_all() -> None:
    """Healthy comes an hour late, when Unhealthy was said already: watched on, judged from there, and verified."""
    model = Model().guard()
    two = model.commit("two")
    model.deploying(two)
    model.pass_time(3600)
    assert (model.phase, model.open_alerts()) == (Phase.CLOSED, {"RollguardUnhealthy"})
    model.healthy(two)
    assert (model.phase, model.open_alerts()) == (Phase.ANALYSING, set())
    model.pass_until(lambda: model.phase is Phase.IDLE)
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("two")


def test_what_never_became_healthy_is_not_presumed_good() -> None:
    """However long it runs with a good SLO: a restore still goes back to what was healthy."""
    model = Model().guard(policy(onUnhealthy={"action": "PullRequest"}))
    model.deploying(model.commit("two"))
    model.pass_time(4 * 3600, 60)
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("one")
    assert "RollguardUnhealthy" in model.alerts()


def test_the_first_revision_that_fails_is_told_until_another_is_healthy() -> None:
    """Nothing is adopted before something is healthy."""
    model = Model()
    model.failed(model.branch[0].revision)
    assert model.rollout.good is None
    assert model.open_alerts() == {"RollguardUnhealthy"}
    model.deployed(model.commit("two"))
    assert model.open_alerts() == set()
    assert model.rollout.good is not None


def test_an_equal_revision_moves_the_target_along() -> None:
    """What changes elsewhere moves the revision: the target follows it, so that old commits are no suspects."""
    model = Model().guard()
    newer = model.commit("one")
    model.sync_head()
    assert model.rollout.good is not None
    assert model.rollout.good.revision == newer
    model.deployed(model.branch[0].revision)
    assert model.rollout.good.revision == newer


@pytest.mark.parametrize("phase", ["Started", "Failed"])
def test_without_a_policy_nothing_unhealthy_is_adopted(phase: str) -> None:
    """Unguarded, what is only begun or has failed does not become the target."""
    model = Model()
    model.deployed(model.branch[0].revision)
    model.take(SyncReported(model.commit("two"), phase, model.now))  # type: ignore[arg-type]
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("one")
    model.healthy(model.branch[-1].revision)
    assert model.rollout.good.content == content("two")


def test_a_policy_that_goes_during_a_recovery_leaves_nothing_behind() -> None:
    """The next deployment is not guarded; it is adopted once it is healthy, and nothing stays open."""
    from controller.core.events import PolicyChanged

    model = Model(bad_share=0.3).guard()
    model.commit("two")
    model.sync_head()
    model.pass_until(model.restores)
    model.sync_head()
    model.take(PolicyChanged("", None))
    three = model.commit("three")
    model.deploying(three)
    model.pass_time(60)
    model.healthy(three)
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("three")
    assert (model.phase, model.open_alerts()) == (Phase.IDLE, set())
    assert model.rollout.rollback is None or model.rollout.rollback.stage is Stage.DONE
