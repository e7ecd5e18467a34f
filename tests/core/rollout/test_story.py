"""The main path: a bad deployment is found, restored in Git, told, and its recovery judged."""

from controller.core.alerts import AlertName
from controller.core.events import RollbackRequested
from controller.core.recovery import RecoveryKind
from controller.core.state import Phase, Stage, Standing, Way
from controller.core.verdict import VerdictKind
from tests.core.rollout.model import Model, content, policy


def bad_deployment(model: Model, share: float = 0.2) -> None:
    """Somebody deploys a version that breaks."""
    model.commit("two")
    model.bad_share = share
    model.sync_head()


def test_a_bad_deployment_is_restored_once_and_recovers() -> None:
    """The whole story: deployed, Breached, one commit, deployed again, Recovered, alerts resolved."""
    model = Model().guard()
    bad_deployment(model)
    assert model.rollout.phase is Phase.ANALYSING
    seconds = model.pass_until(model.restores)
    assert seconds <= 180
    assert model.branch[-1].holds == "one"
    assert model.rollout.phase is Phase.RESTORED
    assert AlertName.ROLLED_BACK.value in model.open_alerts()
    model.bad_share = 0.0
    model.sync_head()
    assert model.rollout.phase is Phase.LANDED
    model.pass_until(lambda: model.rollout.analysis is None)
    assert [record.analysis.recovery for record in model.records][-1] is RecoveryKind.RECOVERED
    assert model.open_alerts() == set()
    assert len(model.restores()) == 1
    assert model.rollout.phase is Phase.IDLE
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("one")


def test_a_good_deployment_is_verified_and_left_alone() -> None:
    """Healthy at the deadline makes the revision the next target; nothing is pushed and nobody is told."""
    model = Model().guard()
    deployed = model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.records[-1].analysis.verdict is VerdictKind.HEALTHY
    assert model.rollout.good is not None
    assert (model.rollout.good.revision, model.rollout.good.standing) == (deployed, Standing.VERIFIED)
    assert model.pushes == []
    assert model.alerts() == []


def test_an_early_pass_comes_before_the_deadline_and_the_watch_goes_on() -> None:
    """What waits for the pass is released early, while a late breach is still found."""
    model = Model().guard()
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis.passed_early_at is not None)  # type: ignore[union-attr]
    assert model.rollout.phase is Phase.ANALYSING
    model.bad_share = 0.2
    model.pass_until(model.restores)


def test_a_breach_from_before_the_deployment_is_held() -> None:
    """A service that was as bad before is not rolled back: Hold, told once, never pushed."""
    model = Model(bad_share=0.05, baseline=(1800.0, 36000.0)).guard()
    model.commit("two")
    model.sync_head()
    model.pass_time(3600)
    assert AlertName.HOLD.value in model.alerts()
    assert model.alerts().count(AlertName.HOLD.value) == 1
    assert model.pushes == []


def test_no_data_ends_inconclusive_and_is_told() -> None:
    """Without series there is no verdict but Inconclusive, an alert, and no change in Git."""
    model = Model().guard()
    model.metrics = "empty"
    bad_deployment(model)
    model.pass_time(3600)
    assert AlertName.ANALYSIS_BLIND.value in model.alerts()
    assert model.pushes == []
    assert any(record.analysis.verdict is VerdictKind.INCONCLUSIVE for record in model.records)


def test_a_metrics_outage_is_neither_a_pass_nor_a_breach() -> None:
    """With the metrics down from the start of the sync: blind, told, nothing pushed, nothing verified."""
    model = Model().guard()
    model.metrics = "down"
    bad_deployment(model, 1.0)
    model.pass_time(3600)
    assert AlertName.ANALYSIS_BLIND.value in model.alerts()
    assert model.pushes == []
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("one")


def test_ticks_missed_in_an_outage_are_asked_again() -> None:
    """A breach that happened while the metrics were down is found once they are back."""
    model = Model().guard()
    bad_deployment(model, 0.0)
    model.pass_time(60)
    model.metrics = "down"
    model.pass_time(300)
    assert model.pushes == []
    model.metrics, model.bad_share = "up", 0.5
    model.pass_until(model.restores, most=120)


def test_a_breach_that_goes_on_after_the_restore_is_told_and_not_cascaded() -> None:
    """RollbackIneffective: critical, once, and no second restore."""
    model = Model().guard()
    bad_deployment(model)
    model.pass_until(model.restores)
    model.sync_head()
    model.pass_until(lambda: AlertName.ROLLBACK_INEFFECTIVE.value in model.open_alerts())
    assert model.rollout.phase is Phase.CLOSED
    model.pass_time(7200)
    assert len(model.pushes) == 1
    assert model.alerts().count(AlertName.ROLLBACK_INEFFECTIVE.value) == 1


def test_an_ineffective_restore_is_over_when_the_service_is_well_again() -> None:
    """The true cause is mended outside of Git: the critical alert ends by itself, and nothing is left open."""
    model = Model().guard()
    bad_deployment(model)
    model.pass_until(model.restores)
    model.sync_head()
    model.pass_until(lambda: AlertName.ROLLBACK_INEFFECTIVE.value in model.open_alerts())
    model.bad_share = 0.0
    model.pass_until(lambda: model.rollout.phase is Phase.IDLE)
    assert model.open_alerts() == set()
    assert model.rollout.good is not None
    assert model.rollout.good.standing is Standing.VERIFIED


def test_a_first_deployment_has_nothing_to_go_back_to() -> None:
    """The first version that is ever seen is adopted when healthy, not judged, and not restored over."""
    model = Model()
    model.guard()
    assert model.rollout.analysis is None
    assert model.rollout.good is not None
    assert model.rollout.good.standing is Standing.ADOPTED


def test_a_change_elsewhere_is_no_sync() -> None:
    """A revision with the same content opens no analysis."""
    model = Model().guard()
    model.commit("one")
    model.sync_head()
    assert model.rollout.analysis is None


def test_shadow_judges_and_changes_nothing() -> None:
    """In Shadow mode the breach is told and recorded, and Git stays as it is."""
    model = Model().guard(policy(mode="Shadow"))
    bad_deployment(model)
    model.pass_until(lambda: AlertName.BREACHED.value in model.alerts())
    model.pass_time(600)
    assert model.pushes == []


def test_the_administrator_can_hold_everything_in_shadow() -> None:
    """MaximumMode Shadow wins over a policy that enforces."""
    model = Model().guard()
    model.limits = type(model.limits)(maximum_mode="Shadow")  # type: ignore[arg-type]
    bad_deployment(model)
    model.pass_time(600)
    assert model.pushes == []
    assert AlertName.BREACHED.value in model.alerts()


def test_a_pull_request_policy_pushes_a_branch_of_ours_and_waits() -> None:
    """With action PullRequest the branch stays as it is, the restore is offered, and a merge of it is the recovery."""
    model = Model().guard(policy(onBreach={"action": "PullRequest"}))
    bad_deployment(model)
    model.pass_until(lambda: model.others)
    assert model.rollout.phase is Phase.AWAITING_MERGE
    assert model.restores() == []
    assert AlertName.PULL_REQUEST_OPENED.value in model.open_alerts()
    model.bad_share = 0.0
    model.branch.append(next(iter(model.others.values())))
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.open_alerts() == set()


def test_a_service_that_recovers_by_itself_withdraws_the_offer() -> None:
    """A pull request that waits is withdrawn when the breach is over."""
    model = Model().guard(policy(onBreach={"action": "PullRequest"}))
    bad_deployment(model)
    model.pass_until(lambda: model.others)
    model.bad_share = 0.0
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.open_alerts() == set()
    assert model.restores() == []


def test_what_never_becomes_healthy_is_told_at_its_deadline() -> None:
    """Unhealthy by time, with its own action (Alert by default)."""
    model = Model().guard()
    model.deploying(model.commit("two"))
    model.pass_time(890)
    assert AlertName.UNHEALTHY.value not in model.alerts()
    model.pass_time(30)
    assert AlertName.UNHEALTHY.value in model.open_alerts()
    assert model.pushes == []


def test_what_never_becomes_healthy_is_restored_where_the_policy_says_so() -> None:
    """onUnhealthy: Rollback restores without an SLO breach."""
    model = Model().guard(policy(onUnhealthy={"action": "Rollback", "deadline": "5m"}))
    model.deploying(model.commit("two"))
    model.pass_until(model.restores, most=400)
    assert model.branch[-1].holds == "one"


def test_the_slo_is_judged_before_it_is_healthy() -> None:
    """A half-rolled-out version that breaks is restored before it ever reports Healthy."""
    model = Model().guard()
    model.bad_share = 0.3
    model.deploying(model.commit("two"))
    model.pass_until(model.restores, most=300)


def test_a_persons_rollback_goes_ahead_at_once() -> None:
    """A person's rollback needs no breach, and is pushed by the same protocol."""
    model = Model().guard()
    model.commit("two")
    model.sync_head()
    model.take(RollbackRequested(None, "ann", "looks wrong"))
    assert [each.holds for each in model.restores()] == ["one"]
    assert model.rollout.rollback is not None
    assert (model.rollout.rollback.stage, model.rollout.rollback.way) == (Stage.DONE, Way.PUSH)


def test_a_restore_that_does_not_land_is_told() -> None:
    """The restore is in Git, but nothing deploys it: RollguardSyncBlocked after a while."""
    model = Model().guard()
    bad_deployment(model)
    model.pass_until(model.restores)
    model.pass_time(700)
    assert AlertName.SYNC_BLOCKED.value in model.open_alerts()


def test_a_persons_rollback_from_a_verified_version_goes_to_the_one_before() -> None:
    """A version that passed but is bad in a way no SLO shows: the rollback brings back the good version before it."""
    model = Model().guard()
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("two")
    model.take(RollbackRequested(None, "ann", "wrong prices"))
    assert [each.holds for each in model.restores()] == ["one"]
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.open_alerts() == set()
    assert model.rollout.good.content == content("one")


def test_a_persons_rollback_to_what_is_live_changes_nothing_and_alerts_nobody() -> None:
    """Asked for the revision that is live: nothing to do, said in the log."""
    model = Model().guard()
    live = model.branch[-1].revision
    model.take(RollbackRequested(live, "ann", "to be sure"))
    model.pass_time(60)
    assert model.pushes == []
    assert model.open_alerts() == set()
    assert model.rollout.phase is Phase.IDLE
