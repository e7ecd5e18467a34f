"""From Git to what runs: restores that land, are overtaken, taken out again, merged, or answered late."""

import pytest

from controller.core.events import RollbackRequested
from controller.core.git import PushResult
from controller.core.recovery import RecoveryKind
from controller.core.rollback import Stage, Way
from controller.core.state import Phase
from controller.core.verdict import VerdictKind
from tests.core.rollout.model import Model, content, policy


def restored(spec: object = None) -> Model:
    """A bad version was restored in Git; it is not deployed yet."""
    model = Model(faulty={"two": 0.3}).guard(spec or policy())  # type: ignore[arg-type]
    model.commit("two")
    model.sync_head()
    model.pass_until(model.restores)
    return model


def offered(**changes: object) -> Model:
    """A bad version's restore waits on a branch of ours."""
    model = Model(faulty={"two": 0.3}).guard(policy(onBreach={"action": "PullRequest"}, **changes))
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.others)
    return model


def well(model: Model) -> None:
    """Everything ends, and nothing is left open."""
    model.pass_until(lambda: model.phase is Phase.IDLE, most=4 * 3600)
    assert model.open_alerts() == set()
    assert model.rollout.rollback is None


def test_what_comes_on_top_of_the_restore_is_judged_on_its_own() -> None:
    """The restore is first deployed together with a newer version: if that is bad, it goes back to the restore."""
    model = restored()
    restore = model.branch[-1].revision
    model.faulty["three"] = 0.3
    model.commit("three")
    model.sync_head()
    analysis = model.rollout.analysis
    assert analysis is not None
    assert (analysis.kind.value, len(analysis.syncs)) == ("Deployment", 1)
    assert analysis.before is not None
    assert (analysis.before.revision, analysis.before.content) == (restore, content("one"))
    model.pass_until(lambda: len(model.restores()) == 2)
    assert model.branch[-1].holds == "one"
    assert model.alerts().count("RollguardRolledBack") == 2
    assert {each.content for each in model.rollout.known_bad} == {content("two"), content("three")}
    model.sync_head()
    well(model)


def test_a_good_version_on_top_of_the_restore_is_verified() -> None:
    """The fix comes with the restore: judged as a deployment, and good in the end."""
    model = restored()
    model.commit("three")
    model.sync_head()
    well(model)
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("three")


@pytest.mark.parametrize("squashed", [True, False])
def test_an_offer_that_is_merged_is_judged_as_recovery(squashed: bool) -> None:
    """By a merge or a squash: known by its content; told as restored until the service recovers."""
    model = offered()
    model.merge_offer(squashed=squashed)
    model.sync_head()
    assert model.open_alerts() == {"RollguardRolledBack"}
    assert model.rollout.knows_bad(content("two")) is not None
    well(model)
    assert model.records[-1].analysis.recovery is RecoveryKind.RECOVERED
    assert model.rollout.restores == ()


def test_an_offer_that_is_merged_with_more_is_a_deployment() -> None:
    """The merge brings another change as well: judged as such, and undone up to the restore if it is bad."""
    model = offered()
    model.faulty["three"] = 0.3
    merged = model.merge_offer()
    model.commit("three")
    model.sync_head()
    analysis = model.rollout.analysis
    assert analysis is not None
    assert analysis.kind.value == "Deployment"
    assert analysis.before is not None
    assert analysis.before.revision == merged
    assert "RollguardPullRequestOpened" not in model.open_alerts()


def test_a_fix_instead_of_the_offer_is_judged_and_the_offer_withdrawn() -> None:
    """While the offer waits a fix is deployed: when it is shown to mend, the offer is withdrawn and the fix verified."""
    model = offered()
    model.commit("fixed")
    model.sync_head()
    assert "RollguardPullRequestOpened" not in model.open_alerts()
    well(model)
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("fixed")
    assert len(model.pushes) == 1


def test_another_bad_version_while_the_offer_waits_is_offered_to_be_undone_too() -> None:
    """The offer is made anew for what is live now, and people get the new branch."""
    model = offered()
    model.faulty["three"] = 0.3
    model.commit("three")
    model.sync_head()
    model.pass_until(lambda: len(model.others) == 2)
    told = [each for each in model.rollout.alerts if each.name.value == "RollguardPullRequestOpened"]
    assert list(model.others)[-1] in told[0].summary


def test_a_restore_that_somebody_takes_out_again_is_not_repeated() -> None:
    """One rollback per chain: forced away before it was deployed, it is told, and not pushed a second time."""
    model = restored()
    model.force(2)
    model.pass_time(1200)
    assert len(model.pushes) == 1
    assert "RollguardNotRevertible" in model.open_alerts()
    assert not {"RollguardRolledBack", "RollguardSyncBlocked"} & model.open_alerts()
    assert model.alerts().count("RollguardNotRevertible") == 1
    model.faulty.clear()
    well(model)


def test_a_person_may_repeat_a_restore_that_was_taken_out() -> None:
    """What Rollguard does not repeat by itself, a person may ask for."""
    model = restored()
    model.force(2)
    model.take(RollbackRequested(None, "bob", "again"))
    assert len(model.pushes) == 2
    assert model.branch[-1].holds == "one"


def test_what_is_undone_and_committed_again_over_the_restore_is_a_new_deployment() -> None:
    """Before the restore was deployed, somebody brings the bad version back: a person's re-land is judged anew."""
    model = restored()
    model.commit("two")
    model.sync_head()
    analysis = model.rollout.analysis
    assert analysis is not None
    assert len(analysis.syncs) == 1
    assert model.rollout.rollback is None
    model.pass_until(lambda: len(model.restores()) == 2)
    assert model.rollout.analysis is not None
    assert len({each.decision for each in model.sent}) == 2


def test_what_is_committed_again_over_somebody_elses_restore_is_a_new_deployment() -> None:
    """Another controller restored first; then the bad version comes back over that: judged anew, not fought over."""
    model = Model(faulty={"two": 0.3}).guard()
    model.commit("two")
    model.sync_head()
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    theirs = model.commit("one")
    model.git = "up"
    model.pass_until(lambda: model.phase is Phase.RESTORED)
    model.commit("two")
    model.sync_head()
    analysis = model.rollout.analysis
    assert analysis is not None
    assert analysis.before is not None
    assert (len(analysis.syncs), analysis.before.revision) == (1, theirs)
    assert model.pushes == []


def test_a_restore_that_is_deployed_before_the_answer_is_told() -> None:
    """The reconciler is faster than the reply to our push: restored once, told once, recovered."""
    model = Model(faulty={"two": 0.3}).guard()
    model.commit("two")
    model.sync_head()

    def faster() -> None:
        from controller.core.events import Identified, SyncReported

        head = model.branch[-1]
        model.runs = head.revision
        model.take(SyncReported(head.revision, "Healthy", model.now), perform=False)
        model.take(Identified(head.revision, content(head.holds)), perform=False)

    model.meanwhile = faster
    model.pass_until(lambda: model.phase in (Phase.LANDED, Phase.RECOVERING))
    assert model.alerts() == ["RollguardRolledBack"]
    assert len(model.restores()) == 1
    well(model)


def test_a_recovery_while_the_push_is_in_doubt_is_no_silent_restore() -> None:
    """The reply was lost and the service recovers: the branch is looked at before the decision is dropped."""
    model = Model(faulty={"two": 0.3}).guard()
    model.commit("two")
    model.sync_head()
    model.git = "reply lost"
    model.pass_until(model.restores)
    model.rollout = _in_doubt(model)
    model.git = "down"
    model.faulty.clear()
    model.pass_time(900)
    assert model.rollout.rollback is not None
    assert model.rollout.rollback.withdrawing
    model.git = "up"
    model.pass_time(90)
    assert "RollguardRolledBack" in model.open_alerts()
    model.sync_head()
    well(model)


def _in_doubt(model: Model) -> object:
    """As after a lost reply, before the branch was looked at."""
    from dataclasses import replace

    rollback = model.rollout.rollback
    assert rollback is not None
    doubt = replace(
        rollback,
        stage=Stage.INSPECT,
        revision=None,
        done_at=None,
        branch="",
        refreshed_at=None,
        next_at=model.now + 5,
    )
    return replace(model.rollout, rollback=doubt, alerts=(), restores=(), own_restores=())


def test_a_decision_is_dropped_after_a_look_where_nothing_had_arrived() -> None:
    """Nothing of it is in the branch: withdrawn, and what is live is watched anew."""
    model = Model(faulty={"two": 0.3}).guard()
    model.commit("two")
    model.sync_head()
    model.git = "read only"
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.built)
    model.faulty.clear()
    model.pass_time(900)
    assert model.pushes == []
    assert model.phase is Phase.ANALYSING
    well(model)
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("two")


def test_a_version_that_breaks_again_after_it_recovered_is_restored() -> None:
    """It flaps: after its restore was withdrawn it is watched anew, and the next breach is acted on."""
    model = Model(faulty={"two": 0.3}).guard()
    model.commit("two")
    model.sync_head()
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.faulty["two"] = 0.0
    model.pass_until(lambda: model.rollout.rollback is None)
    model.git = "up"
    model.pass_time(300)
    assert model.pushes == []
    model.faulty["two"] = 0.3
    model.pass_until(model.restores, most=300)


def test_a_second_restore_after_an_interrupted_recovery_is_pushed_and_told() -> None:
    """Before the recovery is judged the next version comes, and is bad too: back to the restore, by push, told again."""
    model = restored()
    model.sync_head()
    model.faulty["three"] = 0.3
    model.commit("three")
    model.sync_head()
    assert model.rollout.good is not None
    assert model.rollout.good.revision == model.restores()[0].revision
    model.pass_until(lambda: len(model.restores()) == 2)
    assert model.alerts().count("RollguardRolledBack") == 2
    model.sync_head()
    well(model)


def test_a_restore_that_does_not_land_is_looked_for_once_more() -> None:
    """After ten minutes: told, and the branch looked at; it is still there, so the wait goes on without more looks."""
    model = restored()
    looks = model.inspections
    model.pass_time(3600)
    assert model.inspections == looks + 1
    assert {"RollguardSyncBlocked", "RollguardRolledBack"} <= model.open_alerts()
    assert model.phase is Phase.RESTORED
    assert len(model.rollout.restores) == 1
    model.sync_head()
    well(model)


def test_a_look_that_fails_leaves_a_restore_where_it_is() -> None:
    """Git is away when the branch is looked at once more: no alert about Git, the deployment is waited for."""
    model = restored()
    model.git = "down"
    model.pass_time(900)
    assert model.phase is Phase.RESTORED
    assert "RollguardRollbackFailed" not in model.alerts()


def test_a_late_sync_from_before_the_restore_joins_the_chain() -> None:
    """A deployment that was under way arrives after the restore was pushed: that one is still waited for, once."""
    model = Model(faulty={"two": 0.3, "three": 0.3}).guard()
    two = model.commit("two")
    model.sync_head()
    model.pass_time(30)
    model.commit("three")
    model.sync_head()
    model.pass_until(model.restores)
    model.deployed(two)
    assert model.rollout.analysis is not None
    assert len(model.rollout.analysis.syncs) == 3
    assert model.phase is Phase.RESTORED
    model.pass_time(120)
    assert len(model.restores()) == 1
    assert len(model.rollout.restores) == 1
    model.sync_head()
    well(model)


def test_a_recovery_that_never_becomes_healthy_ends_inconclusive() -> None:
    """The restore's own deployment hangs: told as Unhealthy, Inconclusive at its deadline, over when it is healthy."""
    model = restored()
    restore = model.branch[-1].revision
    model.deploying(restore)
    assert model.phase is Phase.RESTORED
    model.pass_time(3600)
    assert model.records[-1].analysis.recovery is RecoveryKind.INCONCLUSIVE
    assert model.phase is Phase.CLOSED
    assert "RollguardUnhealthy" in model.open_alerts()
    model.healthy(restore)
    well(model)


def test_a_recovery_that_cannot_be_measured_ends_too() -> None:
    """The metrics go before the chain's past was measured, and a person restores: the end comes by time."""
    model = Model().guard()
    model.metrics = "down"
    model.commit("two")
    model.sync_head()
    model.take(RollbackRequested(None, "ann", "a feeling"))
    model.sync_head()
    model.pass_time(2000)
    assert model.records[-1].analysis.recovery is RecoveryKind.INCONCLUSIVE
    assert model.rollout.rollback is None
    model.metrics = "up"
    well(model)


def gone_back(head: str) -> Model:
    """Somebody deploys a version from before the last good one, and it breaks."""
    model = Model().guard()
    zero = model.branch[0].revision
    model.commit("later")
    model.sync_head()
    model.pass_until(lambda: model.phase is Phase.IDLE)
    if head != "later":
        model.commit(head)
    model.faulty["one"] = 0.3
    model.deployed(zero)
    return model


def test_going_back_by_hand_over_a_bad_branch_is_a_recovery() -> None:
    """The branch holds something that nobody judged: nothing is pushed, people are warned of it, and the breach is told."""
    model = gone_back("three")
    model.pass_until(lambda: "RollguardRollbackIneffective" in model.open_alerts())
    assert model.pushes == []
    assert "RollguardSyncBlocked" in model.open_alerts()
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("later")


def test_going_back_by_hand_over_a_good_branch_waits_for_the_branch() -> None:
    """The branch holds the last good version already: nothing is pushed, its deployment is waited for."""
    model = gone_back("later")
    model.pass_until(lambda: model.phase is Phase.RESTORED)
    assert model.pushes == []
    model.sync_head()
    well(model)
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("later")


def test_a_person_restores_the_branch_after_going_back_by_hand() -> None:
    """What runs went back, Git still holds the bad version: `rollguard rollback` undoes it there, as the alert says."""
    model = Model(faulty={"two": 0.3}).guard()
    model.commit("two")
    model.sync_head()
    model.pass_time(60)
    model.deployed(model.branch[0].revision)
    assert "RollguardSyncBlocked" in model.open_alerts()
    model.take(RollbackRequested(None, "ann", "as the alert says"))
    assert model.branch[-1].holds == "one"
    assert "RollguardSyncBlocked" not in model.open_alerts()
    well(model)


def test_going_back_by_hand_while_the_restore_is_in_git_keeps_the_restore_as_the_target() -> None:
    """The cluster goes back to the old commit, the branch holds the restore: the next one is undone to the restore."""
    model = restored()
    restore = model.branch[-1].revision
    model.deployed(model.branch[0].revision)
    assert model.rollout.good is not None
    assert model.rollout.good.revision == restore
    assert "RollguardSyncBlocked" not in model.open_alerts()
    model.faulty["three"] = 0.3
    model.commit("three")
    model.sync_head()
    model.pass_until(lambda: len(model.restores()) == 2)
    assert model.branch[-1].holds == "one"


def test_a_branch_that_is_mended_by_hand_ends_the_warning() -> None:
    """After going back in the cluster somebody reverts on the branch: the same content at a newer revision."""
    model = Model().guard()
    model.commit("two")
    model.sync_head()
    model.deployed(model.branch[0].revision)
    assert "RollguardSyncBlocked" in model.open_alerts()
    model.commit("one")
    model.sync_head()
    assert "RollguardSyncBlocked" not in model.open_alerts()


def test_a_person_who_asks_for_what_is_there_already_changes_nothing() -> None:
    """The last good version is deployed, and the branch holds it: no commit, no alert."""
    model = Model().guard()
    model.take(RollbackRequested(None, "ann", ""))
    assert (model.pushes, model.alerts(), model.rollout.rollback) == ([], [], None)


def test_a_person_who_asks_for_a_newer_version_is_told_why_not() -> None:
    """A rollback only goes back: said, and not left open for ever."""
    model = Model().guard()
    newer = model.commit("two")
    model.commit("three")
    model.take(RollbackRequested(newer, "ann", ""))
    assert model.pushes == []
    assert "RollguardNotRevertible" in model.open_alerts()
    model.pass_time(3700, 60)
    assert model.open_alerts() == set()


def test_a_persons_request_outlives_the_verdict() -> None:
    """Git is away when a person asks, and the deadline passes: the request is not forgotten with the chain."""
    model = Model().guard()
    model.commit("two")
    model.sync_head()
    model.git = "down"
    model.take(RollbackRequested(None, "ann", "looks wrong"))
    model.pass_until(lambda: any(each.analysis.verdict is VerdictKind.HEALTHY for each in model.records))
    model.git = "up"
    model.pass_time(120)
    assert [each.holds for each in model.restores()] == ["one"]


def test_a_persons_old_offer_does_not_stand_in_the_way_of_a_verdict() -> None:
    """A person's offer waits since noon; at night the service breaks: restored all the same."""
    model = Model().guard()
    model.commit("two")
    model.sync_head()
    model.refuses = PushResult.PROTECTED
    model.take(RollbackRequested(None, "ann", "for tomorrow"))
    assert model.rollout.rollback is not None
    assert model.rollout.rollback.way is Way.PULL_REQUEST
    model.refuses = None
    model.faulty["two"] = 0.3
    model.pass_until(model.restores, most=600)


def test_the_bad_pods_that_still_serve_while_the_restore_rolls_out_are_no_fault_of_it() -> None:
    """A slow rollout of the restore: nothing is said of it before it is Healthy, and then by what came since."""
    model = restored()
    head = model.branch[-1].revision
    model.bad_share = 0.3
    model.deploying(head)
    model.pass_time(300)
    assert "RollguardRollbackIneffective" not in model.alerts()
    model.bad_share = 0.0
    model.healthy(head)
    model.pass_until(lambda: model.records[-1].analysis.recovery is RecoveryKind.RECOVERED)
    assert "RollguardRollbackIneffective" not in model.alerts()
    well(model)


def test_a_restore_that_is_rolled_out_and_does_not_help_is_told() -> None:
    """Healthy, and the breach goes on: that is Ineffective."""
    model = restored()
    head = model.branch[-1].revision
    model.bad_share = 0.3
    model.deploying(head)
    model.pass_time(120)
    model.healthy(head)
    model.pass_until(lambda: "RollguardRollbackIneffective" in model.alerts())
