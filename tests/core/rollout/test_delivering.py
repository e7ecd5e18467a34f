"""A restore that is in Git and not deployed, live drift, and applications that no commit can bring back."""

from dataclasses import replace
from typing import Literal

import pytest

from controller.core.alerts import AlertName
from controller.core.analysis import AnalysisKind
from controller.core.application import NO_BRANCH, Application, Content, GitSource, Revision
from controller.core.delivering import ASK_AGAIN, END_AGAIN, STUCK_AFTER
from controller.core.delivery import Delivery, Operation
from controller.core.events import DeliveryObserved, PathsFound, PolicyChanged, RollbackRequested, SyncReported
from controller.core.git import Rendered
from controller.core.intents import AskForSync, EndOperation
from controller.core.policy import Mode
from controller.core.rollout import advance
from controller.core.source_paths import revisions_of
from controller.core.state import Rollout, dump_rollout, load_rollout
from controller.core.verdict import VerdictKind
from tests.core.rollout.model import APPLICATION, Model, policy


def restored(spec: object = None, **world: object) -> Model:
    """A bad version was restored in Git; it is not deployed yet."""
    model = Model(faulty={"two": 0.3}, **world).guard(spec or policy())  # type: ignore[arg-type]
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.landing)
    return model


def stuck(model: Model, **changes: object) -> Delivery:
    """The sync of the bad version does not end."""
    assert model.rollout.live is not None
    return Delivery(
        operation=replace(Operation(model.rollout.live.revision, model.now - 60, by_hand="End it."), **changes)
    )


def test_a_sync_of_the_bad_version_is_ended_and_git_looked_at_again() -> None:
    """What deploys the bad version still, some seconds after Git holds the restore, is ended; then a refresh is asked."""
    model = restored()
    bad = model.rollout.live
    model.take(DeliveryObserved(stuck(model)))
    assert model.asked == []
    refreshes = model.refreshes
    model.pass_time(STUCK_AFTER)
    assert bad is not None
    assert model.asked == [EndOperation(bad.revision)]
    assert model.refreshes == refreshes + 1
    model.take(DeliveryObserved(Delivery()))
    model.sync_head()
    assert AlertName.SYNC_BLOCKED not in {each.name for each in model.rollout.alerts}


def test_a_retry_of_the_bad_version_is_ended_at_once() -> None:
    """A failed sync that is tried again is pinned to the bad revision: nothing is waited for."""
    model = restored()
    model.take(DeliveryObserved(stuck(model, retrying=True)))
    assert [type(each) for each in model.asked] == [EndOperation]


def test_it_is_asked_again_after_a_while_and_not_before() -> None:
    """A deployer that does not end its sync, or has written over the end of it, is asked again soon."""
    model = restored(obeys=False)
    model.take(DeliveryObserved(stuck(model, retrying=True)))
    model.pass_time(END_AGAIN - 1, 3)
    assert len(model.asked) == 1
    model.pass_time(3, 3)
    assert len(model.asked) == 2


def test_a_deployer_that_cannot_end_its_sync_is_not_asked_to() -> None:
    """Flux ends no wait for health when it is asked: people are told how they can, and it is asked for nothing."""
    model = restored()
    by_hand = "Restart the kustomize-controller."
    model.take(DeliveryObserved(stuck(model, endable=False, by_hand=by_hand, message="waiting for health")))
    model.pass_time(STUCK_AFTER + 3 * ASK_AGAIN, 5)
    assert model.asked == []
    told = model.rollout.open_alert(AlertName.SYNC_BLOCKED)
    assert told is not None
    assert told.description == f"waiting for health. {by_hand}"
    model.sync_head()
    assert model.rollout.open_alert(AlertName.SYNC_BLOCKED) is None


def test_what_a_deployer_leaves_by_itself_is_not_told() -> None:
    """A failure that is tried again, and left for what is newer: nobody need do anything."""
    model = restored()
    model.take(DeliveryObserved(stuck(model, endable=False, retrying=True, by_hand="")))
    model.pass_time(ASK_AGAIN, 5)
    assert model.asked == []
    assert model.rollout.open_alert(AlertName.SYNC_BLOCKED) is None


def test_what_blocks_a_restore_is_told_with_what_helps() -> None:
    """The deployer's own remedy, where it names one."""
    model = restored()
    model.take(DeliveryObserved(Delivery(blocked="it waits", remedy="Restart it.")))
    told = model.rollout.open_alert(AlertName.SYNC_BLOCKED)
    assert told is not None
    assert told.description == "Restart it."


@pytest.mark.parametrize("case", ["confirmation", "policy", "restore itself", "somebody else's"])
def test_what_is_never_ended(case: str) -> None:
    """A sync that waits for a person, one that the policy leaves alone, the restore's own, and one that undoes nothing."""
    model = restored(policy(landing={"stuckSync": "Alert"}) if case == "policy" else None)
    assert model.rollout.rollback is not None
    changes: dict[str, object] = {"retrying": True}
    if case == "confirmation":
        changes["held_by_person"] = True
    if case == "restore itself":
        changes["revision"] = model.rollout.rollback.restored_by
    if case == "somebody else's":
        changes["revision"] = Revision("c" * 40)
    model.take(DeliveryObserved(stuck(model, **changes)))
    model.pass_time(300)
    assert model.asked == []
    told = model.rollout.open_alert(AlertName.SYNC_BLOCKED)
    assert (told is not None) == (case in ("confirmation", "policy"))


def test_with_auto_sync_off_people_are_told_at_once() -> None:
    """Nobody syncs by itself, and the policy does not allow us to: told, with what to do."""
    model = restored()
    model.take(DeliveryObserved(Delivery(automated=False)))
    told = model.rollout.open_alert(AlertName.SYNC_BLOCKED)
    assert told is not None
    assert "auto-sync is off" in told.summary
    assert "syncWhenManual" in told.description
    assert model.asked == []
    model.take(DeliveryObserved(Delivery()))
    model.sync_head()
    assert model.rollout.open_alert(AlertName.SYNC_BLOCKED) is None


def test_with_auto_sync_off_a_sync_is_asked_for_where_the_policy_allows_it() -> None:
    """``syncWhenManual``: the restore's revision is asked for once, and again only after a while."""
    model = restored(policy(landing={"syncWhenManual": True}))
    model.take(DeliveryObserved(Delivery(automated=False)))
    assert model.rollout.rollback is not None
    restore = model.rollout.rollback.restored_by
    assert [type(each) for each in model.asked] == [AskForSync]
    assert model.asked[0].revision == restore
    model.pass_time(ASK_AGAIN / 2, 5)
    assert len(model.asked) == 1
    assert model.rollout.open_alert(AlertName.SYNC_BLOCKED) is None
    model.sync_head()
    model.pass_time(ASK_AGAIN * 2, 5)
    assert len(model.asked) == 1


def test_a_deny_window_is_told() -> None:
    """What the deployer says of why it does not sync now is in the alert."""
    model = restored()
    model.take(DeliveryObserved(Delivery(blocked="a deny window is open until 18:00")))
    told = model.rollout.open_alert(AlertName.SYNC_BLOCKED)
    assert told is not None
    assert "deny window" in told.summary


DRIFT = Delivery(drift=("Deployment shop/checkout",), drifted_at=1.0)


def test_drift_is_told_and_over_when_it_is() -> None:
    """A live change without a commit: one alert that names it, ended when what runs is what Git says."""
    model = Model().guard()
    model.take(DeliveryObserved(DRIFT))
    model.take(DeliveryObserved(replace(DRIFT, drift=(*DRIFT.drift, "Service shop/checkout"))))
    told = [each for each in model.told if each.name is AlertName.DRIFT]
    assert len(told) == 1
    assert "Deployment shop/checkout" in told[0].description
    assert model.asked == []
    model.take(DeliveryObserved(Delivery()))
    assert model.rollout.open_alert(AlertName.DRIFT) is None


def test_drift_is_synced_back_where_the_policy_says_so() -> None:
    """``onDrift: Sync`` asks for one sync to what is live in Git; in shadow mode nothing is asked."""
    model = Model().guard(policy(onDrift="Sync"))
    model.take(DeliveryObserved(DRIFT))
    assert [type(each) for each in model.asked] == [AskForSync]
    assert model.rollout.live is not None
    assert model.asked[0].revision == model.rollout.live.revision
    model.pass_time(ASK_AGAIN * 3, 5)
    assert len(model.asked) == 1, "once for each drift"
    model.take(DeliveryObserved(Delivery()))
    model.take(DeliveryObserved(replace(DRIFT, drifted_at=model.now)))
    assert len(model.asked) == 2
    shadowed = Model(limits=replace(model.limits, maximum_mode=Mode.SHADOW)).guard(policy(onDrift="Sync"))
    shadowed.take(DeliveryObserved(DRIFT))
    assert shadowed.asked == []
    assert shadowed.rollout.open_alert(AlertName.DRIFT) is not None


def test_drift_is_ignored_where_the_policy_says_so() -> None:
    """``onDrift: Ignore`` tells nobody."""
    model = Model().guard(policy(onDrift="Ignore"))
    model.take(DeliveryObserved(DRIFT))
    assert model.told == []


def test_what_no_commit_can_bring_back_is_told_with_the_manual_step() -> None:
    """A pinned source: neither a breach nor a person's command restores anything; both are told what to do by hand."""
    fixed = replace(
        APPLICATION, not_revertible="it is pinned to v1.2.3: set targetRevision back in apps/checkout.yaml"
    )
    model = Model(faulty={"two": 0.3}, rollout=Rollout(fixed)).guard()
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.rollout.open_alert(AlertName.NOT_REVERTIBLE))
    told = model.rollout.open_alert(AlertName.NOT_REVERTIBLE)
    assert told is not None
    assert "targetRevision" in told.description
    assert model.pushes == []
    model.take(RollbackRequested(None, "Ann", "it burns"))
    assert model.pushes == []
    assert model.rollout.rollback is None


def test_what_a_program_has_rendered_is_told_and_not_restored() -> None:
    """A commit to rendered manifests lasts until the next rendering: neither a breach nor a person's command makes one."""
    model = Model(faulty={"two": 0.3}).guard()
    model.commit("two")
    model.sync_head()
    model.rollout = replace(model.rollout, rendered=Rendered("https://git.example.com/dry", "abc123"))
    model.pass_until(lambda: model.rollout.open_alert(AlertName.NOT_REVERTIBLE))
    told = model.rollout.open_alert(AlertName.NOT_REVERTIBLE)
    assert told is not None
    assert "rendered from https://git.example.com/dry at abc123" in told.description
    model.take(RollbackRequested(None, "Ann", "it burns"))
    assert model.pushes == []
    assert load_rollout(dump_rollout(model.rollout)).rendered == model.rollout.rendered


CHART = Application(
    APPLICATION.key,
    GitSource("https://charts.example.com", NO_BRANCH, ()),
    not_revertible="It deploys a chart: set targetRevision in the Application.",
)


def chart(model: Model, version: str, phase: Literal["Started", "Healthy"] = "Healthy") -> None:
    """A version of a chart is deployed, as its deployer tells it."""
    content = Content((("sources", version),))
    model.take(SyncReported(Revision(version), phase, model.now, content))


def test_a_chart_of_a_registry_is_judged_without_git() -> None:
    """Its deployer tells what it deploys: Breached, told with the last good version, judged again after the way back."""
    model = Model(rollout=Rollout(CHART), git="down")
    model.take(PolicyChanged("checkout", policy()))
    chart(model, "1.2.3@aaaaaaa")
    assert model.rollout.good is not None
    assert model.rollout.good.revision == "1.2.3@aaaaaaa"
    model.pass_time(3600, 3600)
    chart(model, "1.2.4@bbbbbbb", "Started")
    chart(model, "1.2.4@bbbbbbb")
    model.bad_share = 0.3
    model.pass_until(lambda: model.rollout.open_alert(AlertName.NOT_REVERTIBLE))
    analysis, told = model.rollout.analysis, model.rollout.open_alert(AlertName.NOT_REVERTIBLE)
    assert analysis is not None
    assert analysis.verdict is VerdictKind.BREACHED
    assert analysis.id.startswith("1.2.4-b-")
    assert told is not None
    assert "1.2.4@bbbbbb cannot be undone by a commit" in told.summary
    assert told.description.startswith(CHART.not_revertible)
    assert "1.2.3@aaaaaaa was deployed, and good" in told.description
    model.pass_time(60)
    model.bad_share = 0.0
    chart(model, "1.2.3@aaaaaaa", "Started")
    chart(model, "1.2.3@aaaaaaa")
    assert model.rollout.analysis is not None
    assert model.rollout.analysis.kind is AnalysisKind.RECOVERY
    model.pass_until(lambda: model.rollout.open_alert(AlertName.NOT_REVERTIBLE) is None)
    assert model.pushes == []
    assert model.inspections == 0


def test_other_paths_change_every_content_at_once() -> None:
    """An application whose files read one more path: all that is known is told of both, and nothing counts as deployed."""
    model = Model().guard()
    paths = ("apps/checkout", "base")
    wanted = revisions_of(model.rollout)
    contents = tuple((each, Content((("apps/checkout", "a" * 40), ("base", "b" * 40)))) for each in wanted)
    step = advance(model.rollout, PathsFound(paths, contents), model.now)
    after = step.rollout
    assert after.application.source.paths == paths
    assert after.live is not None
    assert after.good is not None
    assert after.live.content == after.good.content == contents[0][1]
    assert after.analysis is None


def test_paths_of_revisions_that_are_gone_drop_them() -> None:
    """What the repository does not have any more cannot be gone back to."""
    model = Model().guard()
    gone = revisions_of(model.rollout)
    step = advance(model.rollout, PathsFound(("apps/checkout", "base"), (), gone), model.now)
    assert (step.rollout.live, step.rollout.good) == (None, None)


def test_paths_found_for_what_is_known_no_more_are_passed_over() -> None:
    """An answer that does not tell of every revision that is known now changes nothing."""
    model = Model().guard()
    step = advance(model.rollout, PathsFound(("apps/checkout", "base"), ()), model.now)
    assert step.rollout == model.rollout


def test_states_of_before_are_read() -> None:
    """A state that was written before deliveries were known is read with nothing told."""
    model = Model().guard()
    assert load_rollout(model.stored).delivery == Delivery()
