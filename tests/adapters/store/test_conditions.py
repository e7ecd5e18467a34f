"""How an application and an analysis stand, as conditions of their objects."""

from dataclasses import replace
from typing import Any

import pytest

from controller.adapters.kubernetes import times
from controller.adapters.kubernetes.conditions import Condition, transitions, written
from controller.adapters.store.conditions import of_analysis, of_application
from controller.adapters.store.guarded_object import read
from controller.core.events import PathProven, PolicyChanged
from controller.core.git import PushResult, RollbackPath
from controller.core.state import Record, Rollout
from tests.core.rollout.model import APPLICATION, START, Model, policy

ROLLS_BACK = {"action": "Rollback", "deadline": "5m"}


def stands(rollout: Rollout) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in of_application(rollout)}


def guarded(path: RollbackPath | None = RollbackPath.PUSH, **changes: object) -> Model:
    model = Model().guard(policy(**changes))
    if path is not None:
        model.take(PathProven(path, "no credentials are set"))
    return model


def test_an_application_that_is_guarded() -> None:
    """Ready, a way for a restore, no conflict, and nothing to judge."""
    assert stands(guarded().rollout) == {
        "Ready": ("True", "Guarding"),
        "RollbackPath": ("True", "Push"),
        "Conflict": ("False", "NoConflict"),
        "Analysing": ("False", "Idle"),
    }


@pytest.mark.parametrize(
    ("path", "ready", "way"),
    [
        (RollbackPath.PULL_REQUEST, ("True", "Guarding"), ("True", "PullRequest")),
        (RollbackPath.NONE, ("False", "NoRollbackPath"), ("False", "None")),
        (None, ("True", "Guarding"), ("Unknown", "NotProven")),
    ],
)
def test_the_way_into_git(path: RollbackPath | None, ready: tuple[str, str], way: tuple[str, str]) -> None:
    """A branch that refuses pushes leaves it guarded; credentials that may not write do not, and the reason is told."""
    model = guarded(path)
    found = stands(model.rollout)
    assert (found["Ready"], found["RollbackPath"]) == (ready, way)
    if path is RollbackPath.NONE:
        assert all("no credentials are set" in each.message for each in of_application(model.rollout)[:2])


def test_what_only_alerts_needs_no_way() -> None:
    """A policy that restores nothing is Ready without credentials that may write."""
    model = guarded(RollbackPath.NONE, onBreach={"action": "Alert"})
    assert stands(model.rollout)["Ready"] == ("True", "Guarding")


def test_what_cannot_be_brought_back() -> None:
    """A pinned application is not Ready, and the manual step stands where the owner looks."""
    application = replace(APPLICATION, not_revertible="It is pinned: set targetRevision by hand.")
    ready, way, *_ = of_application(replace(guarded().rollout, application=application))
    assert (ready.status, ready.reason) == (way.status, way.reason) == ("False", "NotRevertible")
    assert ready.message == way.message == "It is pinned: set targetRevision by hand."


@pytest.mark.parametrize(
    ("event", "reason", "conflict"),
    [
        (PolicyChanged("", None), "NotGuarded", "False"),
        (PolicyChanged("shop/a", None, "no such metric"), "PolicyInvalid", "False"),
        (PolicyChanged("", None, "a and b would guard it", conflict=True), "Conflict", "True"),
    ],
)
def test_why_it_is_not_guarded(event: PolicyChanged, reason: str, conflict: str) -> None:
    """Each reason has its word; two policies on it are a condition of their own."""
    model = guarded()
    model.take(event)
    found = stands(model.rollout)
    assert found["Ready"] == ("False", reason)
    assert found["Conflict"][0] == conflict


def test_without_a_good_version_nothing_could_be_restored() -> None:
    """Before the first version is adopted it is not Ready; in Shadow mode it is, and says so."""
    model = Model()
    model.take(PolicyChanged("checkout", policy()))
    assert stands(model.rollout)["Ready"] == ("False", "NoGoodVersion")
    assert stands(guarded(mode="Shadow").rollout)["Ready"] == ("True", "Shadow")


def test_a_deployment_is_being_judged() -> None:
    """Analysing says which one, and in which phase."""
    model = guarded()
    bad = model.commit("two")
    model.sync_head()
    *_, analysing = of_application(model.rollout)
    assert (analysing.status, analysing.reason) == ("True", "Analysing")
    assert bad[:12] in analysing.message


def test_a_time_moves_only_with_the_status() -> None:
    """Another reason or sentence keeps the time; what stands in an object is read back as it was written."""
    first = written([Condition("Ready", "False", "NotGuarded", "no")], {}, "2026-01-01T00:00:00Z")
    second = written(
        [Condition("Ready", "False", "Frozen", "x")], transitions({"conditions": first}), "2026-01-01T00:01:00Z"
    )
    assert second[0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    third = written([Condition("Ready", "True", "Guarding", "")], transitions({"conditions": second}), "now")
    assert third[0]["lastTransitionTime"] == "now"
    for spoilt in (None, "x", [None, 1, {"type": "Ready"}], {"type": "Ready"}):
        assert transitions({"conditions": spoilt}) == {}
    document = {
        "metadata": {"name": "all", "resourceVersion": "1"},
        "spec": {},
        "status": {"conditions": first},
    }
    found = read(document)
    assert found is not None
    assert found.transitions == {"Ready": ("False", "2026-01-01T00:00:00Z")}


def told(record: Record) -> dict[str, tuple[str, str, str]]:
    return {
        each["type"]: (each["status"], each["reason"], each["lastTransitionTime"]) for each in of_analysis(record)
    }


def at(seconds: float) -> str:
    return times.written_to_the_second(seconds)


def of(model: Model, index: int = 0) -> list[Record]:
    """All records of the first analysis, oldest first."""
    name = model.records[index].analysis.id
    return [each for each in model.records if each.analysis.id == name]


def test_a_breach_from_its_beginning_to_its_end() -> None:
    """Undecided, then Breached with a restore, then Complete; each time is that of its own change."""
    model = Model(faulty={"two": 0.3}).guard()
    first = len(model.records)
    model.commit("two")
    began = model.now
    model.sync_head()
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.landing)
    decided = model.now
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None or model.rollout.analysis.over, most=3 * 3600)
    records = of(model, first)
    breached, over = told(records[-2]), told(records[-1])
    assert breached["Complete"][0::2] == ("False", at(began))
    assert breached["Breached"] == ("True", "Breached", at(decided))
    assert breached["Healthy"] == ("False", "Breached", at(decided))
    assert over["Complete"] == ("True", "Breached", at(decided))
    assert over["Breached"] == breached["Breached"]
    assert over["Restored"] == ("True", "Done", at(decided))
    recovery = told(model.records[-1])
    assert recovery["Healthy"][:2] == ("True", "Recovered")
    assert "Restored" not in recovery


def test_a_deployment_that_keeps_its_slo() -> None:
    """Healthy and Complete, not Breached, and nothing of a restore."""
    model = Model().guard()
    first = len(model.records)
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None, most=3 * 3600)
    found = told(of(model, first)[-1])
    assert {kind: each[:2] for kind, each in found.items()} == {
        "Complete": ("True", "Healthy"),
        "Healthy": ("True", "Healthy"),
        "Breached": ("False", "Healthy"),
    }


def test_a_restore_that_waits_for_a_person() -> None:
    """An offered restore is not Restored yet, and the branch is named; the time stays that of the decision."""
    model = Model(faulty={"two": 0.3}, refuses=PushResult.PROTECTED).guard()
    first = len(model.records)
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.offered)
    rollback = model.rollout.rollback
    assert rollback is not None
    (restored,) = [each for each in of_analysis(of(model, first)[-1]) if each["type"] == "Restored"]
    assert (restored["status"], restored["reason"]) == ("False", "AwaitingMerge")
    assert rollback.branch in restored["message"]
    assert restored["lastTransitionTime"] == at(rollback.decided_at)


def test_what_never_became_healthy() -> None:
    """Unhealthy has its own time, which a later verdict does not move; the SLO is not known to be broken."""
    model = Model().guard(policy(onUnhealthy={"action": "Alert", "deadline": "5m"}))
    first = len(model.records)
    model.deploying(model.commit("two"))
    model.pass_until(lambda: model.rollout.analysis is not None and model.rollout.analysis.unhealthy_at is not None)
    since = model.now
    early = told(of(model, first)[-1])
    assert early["Healthy"] == ("False", "Unhealthy", at(since))
    assert early["Breached"][:2] == ("Unknown", "Undecided")
    model.pass_until(lambda: model.rollout.analysis is None or model.rollout.analysis.over, most=3 * 3600)
    late = told(of(model, first)[-1])
    assert late["Healthy"] == ("False", "Unhealthy", at(since))
    assert late["Complete"][:2] == ("True", "Unhealthy")


def test_every_message_is_bounded() -> None:
    """A sentence of somebody else's length stays within the object's bounds."""
    model = guarded()
    model.take(PolicyChanged("shop/a", None, "x\n" * 100_000))
    for each in of_application(model.rollout):
        assert len(each.message) <= 500
        assert "\n" not in each.message
    condition: dict[str, Any] = written([Condition("Ready", "True", "A", "y" * 9000)], {}, at(START))[0]
    assert len(condition["message"]) == 2000
