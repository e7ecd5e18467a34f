"""Chains: a new sync never hides a bad one, and what is restored is what was live before the first unjudged sync."""

from controller.core.events import PolicyChanged
from controller.core.intents import Identify, pending
from controller.core.state import Stage
from controller.core.verdict import VerdictKind
from tests.core.rollout.model import Model, content, policy


def test_a_third_commit_over_a_bad_second_is_restored_to_the_first() -> None:
    """Three minutes after a bad commit another follows: both are undone."""
    model = Model(rate=1.0).guard()
    model.commit("two")
    model.bad_share = 0.06
    model.sync_head()
    model.pass_time(60)
    model.commit("three")
    model.sync_head()
    assert len(model.rollout.analysis.syncs) == 2  # type: ignore[union-attr]
    model.pass_until(model.restores, most=1800)
    assert model.branch[-1].holds == "one"


def test_a_new_sync_keeps_evidence_and_baseline() -> None:
    """The chain's ticks and reference stay when another sync joins."""
    model = Model().guard()
    model.commit("two")
    model.sync_head()
    model.pass_time(300)
    before = model.rollout.analysis
    assert before is not None
    model.commit("three")
    model.sync_head()
    after = model.rollout.analysis
    assert after is not None
    assert after.reference == before.reference
    assert after.ticks[0].at.size >= before.ticks[0].at.size
    assert after.id == before.id
    assert after.deadline is not None
    assert before.deadline is not None
    assert after.deadline > before.deadline


def test_a_fix_forward_waits_for_its_own_sync() -> None:
    """A commit that changes a suspect's file after the verdict is given its chance: nothing is pushed over it."""
    model = Model().guard()
    model.commit("two")
    model.bad_share = 0.3
    model.sync_head()
    model.commit("two-fixed")
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.pass_time(60)
    assert model.pushes == []
    model.bad_share = 0.0
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.pushes == []


def test_a_fix_that_does_not_mend_is_undone_with_the_rest() -> None:
    """When the supposed fix is deployed and the breach goes on, the whole chain goes."""
    model = Model().guard()
    model.commit("two")
    model.bad_share = 0.3
    model.sync_head()
    model.commit("two-fixed")
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.sync_head()
    model.pass_until(model.restores, most=600)
    assert model.branch[-1].holds == "one"


def test_a_fix_that_is_never_deployed_is_waited_for_only_so_long() -> None:
    """After supersedeWait the conflict with the newer commit becomes a pull request."""
    model = Model().guard()
    model.commit("two")
    model.bad_share = 0.3
    model.sync_head()
    model.commit("two-fixed")
    model.pass_until(lambda: model.others, most=900)
    assert model.restores() == []


def test_a_revert_by_hand_is_judged_as_recovery() -> None:
    """A person's own revert, synced before the verdict, ends the chain as a recovery; nothing is pushed."""
    model = Model().guard()
    model.commit("two")
    model.bad_share = 0.05
    model.sync_head()
    model.pass_time(30)
    model.commit("one")
    model.bad_share = 0.0
    model.sync_head()
    assert model.rollout.analysis is not None
    assert model.rollout.analysis.kind.value == "Recovery"
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.pushes == []


def test_going_back_in_the_cluster_warns_that_git_holds_the_bad_version() -> None:
    """The deployed revision went back to an ancestor: judged as recovery, and people are told about the branch."""
    model = Model().guard()
    first = model.branch[0].revision
    model.commit("two")
    model.sync_head()
    model.pass_time(60)
    model.deployed(first)
    assert "RollguardSyncBlocked" in model.open_alerts()
    assert model.rollout.analysis is not None
    assert model.rollout.analysis.kind.value == "Recovery"


def test_an_inconclusive_revision_is_presumed_good_after_an_hour() -> None:
    """Too little traffic to judge: the target moves only after the revision has been live for an hour."""
    model = Model(rate=0.01, baseline=(0.0, 36.0)).guard()
    model.commit("two")
    model.sync_head()
    model.pass_time(1900)
    assert model.records[-1].analysis.verdict is VerdictKind.INCONCLUSIVE
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("one")
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.rollout.good.content == content("two")
    assert model.rollout.good.standing.value == "Presumed"


def test_a_busy_chain_is_cut_after_four_windows() -> None:
    """A sync every ten minutes: after four windows what is a window old is judged, the rest begins anew."""
    model = Model().guard()
    for number in range(14):
        model.commit(f"version {number}")
        model.sync_head()
        model.pass_time(600)
    assert model.rollout.good is not None
    assert model.rollout.good.content != content("one")
    assert model.pushes == []


def test_an_edit_of_the_policy_does_not_touch_what_is_judged() -> None:
    """The policy in force before the sync is frozen into the analysis."""
    model = Model().guard()
    model.commit("two")
    model.bad_share = 0.3
    model.sync_head()
    model.take(PolicyChanged("checkout", policy(mode="Shadow")))
    model.pass_until(model.restores)


def test_known_bad_content_by_a_bots_hand_is_told() -> None:
    """A bot brings back what was rolled back: told; by default judged anew."""
    model = Model().guard()
    model.commit("two")
    model.bad_share = 0.3
    model.sync_head()
    model.pass_until(model.restores)
    model.bad_share = 0.0
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    model.commit("two", author="image-updater[bot] <bot@example.com>")
    model.sync_head()
    assert "RollguardQuarantined" in model.open_alerts()
    assert len(model.pushes) == 1


def test_known_bad_content_is_restored_at_once_but_only_once() -> None:
    """Quarantine RestoreOnce: the second return freezes and pages instead of a loop."""
    model = Model().guard(policy(quarantine="RestoreOnce"))
    model.commit("two")
    model.bad_share = 0.3
    model.sync_head()
    model.pass_until(model.restores)
    model.bad_share = 0.0
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    bot = "image-updater[bot] <bot@example.com>"
    model.commit("two", author=bot)
    model.sync_head()
    assert len(model.restores()) == 2
    model.sync_head()
    for _ in range(5):
        model.commit("two", author=bot)
        model.sync_head()
        model.pass_time(15)
    assert len(model.restores()) == 2
    assert model.rollout.frozen


def test_a_persons_reland_gets_a_fresh_analysis() -> None:
    """Known-bad content by a person's hand is judged, not refused."""
    model = Model().guard(policy(quarantine="RestoreOnce"))
    model.commit("two")
    model.bad_share = 0.3
    model.sync_head()
    model.pass_until(model.restores)
    model.bad_share = 0.0
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    model.commit("two")
    model.sync_head()
    assert model.rollout.analysis is not None
    assert model.rollout.rollback is None or model.rollout.rollback.stage is not Stage.DONE
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.rollout.known_bad == ()


def test_reports_are_taken_in_the_order_in_which_they_came() -> None:
    """Two versions are reported before either is identified: the first is identified first, so it is what is adopted."""
    model = Model()
    model.take(PolicyChanged("checkout", policy()))
    model.git = "down"
    model.deployed(model.branch[0].revision)
    model.deployed(model.commit("two"))
    asked = [each.revision for each in pending(model.rollout, model.now) if isinstance(each, Identify)]
    assert asked == [model.branch[0].revision]
    model.git = "up"
    model.perform()
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("one")
    assert model.rollout.analysis is not None
