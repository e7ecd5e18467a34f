"""Alerts: each is raised when it is due, once, and none stays open when what it tells of is over."""

import pytest

from controller.core.application import Application, ApplicationKey, GitSource
from controller.core.events import (
    ApplicationChanged,
    Limits,
    PathProven,
    PauseFacts,
    PolicyChanged,
    RecentDecision,
    Released,
    World,
)
from controller.core.git import RollbackPath
from controller.core.policy import Mode
from controller.core.rollback import Obstacle
from controller.core.state import Phase
from controller.core.verdict import VerdictKind
from tests.core.rollout.model import KEY, SOURCE, Model, policy, revision

RATIO = {"errors": {"metric": 'r{code="500"}'}, "total": {"metric": "r"}}
TWO_OBJECTIVES = [
    {"name": "availability", "target": "90", "indicator": {"ratio": RATIO}},
    {"name": "slow", "target": "99", "action": "Alert", "indicator": {"ratio": RATIO}},
]


def broken(spec: object = None, **more: object) -> Model:
    """A bad version is live."""
    model = Model(faulty={"two": 0.3}, **more).guard(spec or policy())  # type: ignore[arg-type]
    model.commit("two")
    model.sync_head()
    return model


def well(model: Model, most: float = 4 * 3600.0) -> None:
    """Everything ends, and nothing is left open."""
    model.pass_until(lambda: model.phase is Phase.IDLE, most=most)
    assert model.open_alerts() == set()


def restored_and_recovered(model: Model) -> None:
    """The restore is deployed, and judged."""
    model.pass_until(model.restores)
    model.sync_head()
    well(model)


def used_up() -> Model:
    """The day's budget of one is used up, and the next version is bad as well."""
    model = broken(policy(onBreach={"maxRollbacksPerDay": 1}))
    restored_and_recovered(model)
    model.faulty["three"] = 0.3
    model.commit("three")
    model.sync_head()
    model.pass_until(lambda: "RollguardBudgetUsedUp" in model.open_alerts())
    return model


def test_a_budget_that_is_used_up_is_over_when_the_service_recovers() -> None:
    """The breach is over without a restore: so is the alert about the budget."""
    model = used_up()
    model.faulty.clear()
    well(model)
    assert len(model.restores()) == 1


def test_a_budget_that_is_used_up_frees_after_a_day() -> None:
    """A day after the rollback that used it up the next one goes through, and the alert is over."""
    model = used_up()
    model.pass_until(lambda: len(model.restores()) == 2, most=86400, step=300)
    assert "RollguardBudgetUsedUp" not in model.open_alerts()


def test_a_person_who_releases_everything_begins_the_budget_anew() -> None:
    """`rollguard quarantine release APP all` lifts the freeze that the alert tells of."""
    model = used_up()
    model.take(Released("all", "ann"))
    model.pass_time(15)
    assert len(model.restores()) == 2


def test_the_hours_budget_counts_rollbacks_of_all_applications() -> None:
    """Ten rollbacks in an hour, of however many applications, hold the next one."""
    model = broken()
    made = tuple(
        RecentDecision(ApplicationKey("shop", "cart"), (revision(f"{number}"),), model.now - 1800, model.now - 1800)
        for number in range(10)
    )
    model.world = World(decisions=made)
    model.pass_until(lambda: "RollguardBudgetUsedUp" in model.open_alerts(), most=300)
    assert model.pushes == []
    model.pass_until(model.restores, most=1900)
    assert "RollguardBudgetUsedUp" not in model.open_alerts()


def test_the_breaker_holds_until_a_person_acts_or_the_service_recovers() -> None:
    """That the other decisions grow old shows nothing: what was held stays held."""
    model = broken()
    made = tuple(RecentDecision(ApplicationKey("shop", name), (revision(name),), model.now, None) for name in "ab")
    model.world = World(decisions=made)
    model.pass_until(lambda: "RollguardBreaker" in model.open_alerts())
    model.world = World()
    model.pass_time(4 * 3600, 60)
    assert model.pushes == []
    assert "RollguardBreaker" in model.open_alerts()
    model.faulty.clear()
    well(model)


def test_an_objective_that_only_alerts_is_over_when_it_is() -> None:
    """Raised when it breaches, ended when it does not any more, while the deployment is still judged."""
    model = Model().guard(policy(objectives=TWO_OBJECTIVES))
    model.commit("two")
    model.bad_share = 0.05
    model.sync_head()
    model.pass_until(lambda: "RollguardObjectiveBreached" in model.open_alerts())
    assert model.rollout.rollback is None
    model.bad_share = 0.0
    model.pass_until(lambda: "RollguardObjectiveBreached" not in model.open_alerts(), most=3600)
    assert model.pushes == []


def test_an_objective_that_still_breaches_after_the_verdict_stays_told() -> None:
    """Healthy by what may roll back; what only alerts goes on, and is watched until it is over."""
    model = Model().guard(policy(objectives=TWO_OBJECTIVES))
    model.commit("two")
    model.bad_share = 0.05
    model.sync_head()
    model.pass_until(lambda: model.phase is Phase.CLOSED)
    assert model.records[-1].analysis.verdict is VerdictKind.HEALTHY
    assert model.open_alerts() == {"RollguardObjectiveBreached"}
    model.bad_share = 0.0
    well(model, most=8 * 3600)


def test_a_hold_that_goes_on_is_watched_to_its_end() -> None:
    """Longer than a chain may be open: closed unjudged, still told, and over when the service is well."""
    model = Model(bad_share=0.05, baseline=(1800.0, 36000.0)).guard()
    model.commit("two")
    model.sync_head()
    model.pass_time(3 * 3600, 60)
    assert (model.phase, model.open_alerts()) == (Phase.CLOSED, {"RollguardHold"})
    assert model.rollout.good is not None
    assert model.rollout.good.revision == model.branch[0].revision
    model.bad_share = 0.0
    model.pass_until(lambda: model.open_alerts() == set(), most=1800)
    well(model)
    assert model.rollout.good is not None
    assert model.rollout.good.standing.value == "Presumed"


def test_a_deployment_while_a_hold_is_watched_begins_a_chain_of_its_own() -> None:
    """The closed chain does not grow any more; its bad times are cut out of the next baseline."""
    model = Model(bad_share=0.05, baseline=(1800.0, 36000.0)).guard()
    began = model.now
    model.commit("two")
    model.sync_head()
    model.pass_time(3 * 3600, 60)
    model.commit("three")
    model.sync_head()
    assert model.rollout.analysis is not None
    assert len(model.rollout.analysis.syncs) == 1
    assert any(start <= began and end >= model.now for start, end in model.rollout.excluded)
    assert model.alerts().count("RollguardHold") == 1


def test_a_hold_that_comes_back_is_told_again() -> None:
    """It kept its SLO for a while and breaks it again before it was presumed good."""
    model = Model(bad_share=0.05, baseline=(1800.0, 36000.0)).guard()
    model.commit("two")
    model.sync_head()
    model.pass_time(1900)
    model.bad_share = 0.0
    model.pass_until(lambda: model.open_alerts() == set(), most=1800)
    model.bad_share = 0.05
    model.pass_until(lambda: model.open_alerts() == {"RollguardHold"}, most=1800)
    assert model.rollout.analysis is not None
    assert model.rollout.analysis.settled_from is None


def test_blind_is_over_when_it_can_be_judged() -> None:
    """The series come back after the deadline: the alert ends."""
    model = Model().guard()
    model.metrics = "empty"
    model.commit("two")
    model.sync_head()
    model.pass_until(lambda: "RollguardAnalysisBlind" in model.open_alerts())
    model.metrics = "up"
    well(model)


def test_a_shadow_breach_is_over_when_the_service_recovers() -> None:
    """Told and not acted on; after a chain's time it is closed and still told, and over when it is over."""
    model = broken(policy(mode="Shadow"))
    model.pass_time(3 * 3600, 60)
    assert (model.phase, model.open_alerts()) == (Phase.CLOSED, {"RollguardBreached"})
    model.faulty.clear()
    well(model)
    assert model.pushes == []


def test_a_refusal_is_over_when_something_else_is_deployed() -> None:
    """NotRevertible about one deployment says nothing about the next."""
    model = broken()
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.gone.clear()
    model.branch = model.branch[1:]
    model.git = "up"
    model.pass_until(lambda: "RollguardNotRevertible" in model.open_alerts())
    model.commit("three")
    model.sync_head()
    model.pass_time(15)
    told = [each.ended_at for each in model.told if each.name.value == "RollguardNotRevertible"]
    assert told[1] is not None


def test_a_restore_that_waits_for_long_is_told() -> None:
    """The metrics go after the verdict: nothing is pushed, and after five minutes people know."""
    model = broken()
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.metrics = "down"
    model.pass_time(240)
    model.git = "up"
    model.pass_time(420)
    assert model.pushes == []
    assert "RollguardBreached" in model.open_alerts()
    model.metrics = "up"
    model.pass_until(model.restores)
    assert "RollguardBreached" not in model.open_alerts()


def test_a_breach_whose_restore_was_withdrawn_is_not_silent() -> None:
    """The branch was moved by force, what runs goes on breaking: told, though there is nothing to restore."""
    model = broken()
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.force(1)
    model.commit("other")
    model.git = "up"
    model.pass_until(lambda: "RollguardBreached" in model.open_alerts(), most=900)
    assert model.pushes == []


def test_pushing_alone_may_fail_and_is_told() -> None:
    """The server lets itself be read and not be written: retried more and more slowly, told once, over when through."""
    model = broken()
    model.git = "read only"
    model.pass_time(1800)
    assert model.alerts().count("RollguardRollbackFailed") == 1
    assert model.inspections < 60
    model.git = "up"
    model.pass_until(model.restores, most=120)
    assert "RollguardRollbackFailed" not in model.open_alerts()


def test_refused_credentials_are_told_once_and_end() -> None:
    """However often they are refused; over when Git lets Rollguard in."""
    model = broken()
    model.git = "denied"
    model.pass_time(1800)
    assert model.alerts().count("RollguardNoCredentials") == 1
    model.git = "up"
    model.pass_until(model.restores, most=120)
    assert "RollguardNoCredentials" not in model.open_alerts()


def test_replies_that_are_never_clear_are_told() -> None:
    """Every push is answered by silence, and nothing arrives: looked for each time, and told."""
    model = broken()
    model.git = "silent"
    model.pass_time(1800)
    assert model.alerts().count("RollguardRollbackFailed") == 1
    assert model.inspections < 60
    model.git = "up"
    model.pass_until(model.restores, most=120)
    assert "RollguardRollbackFailed" not in model.open_alerts()


def test_a_broken_policy_is_told_anew_when_it_is_broken_otherwise() -> None:
    """The alert says what is wrong now."""
    model = Model().guard()
    for error in ("no such field", "no such field", "another"):
        model.take(PolicyChanged("checkout", None, error))
    assert model.alerts() == ["RollguardPolicyInvalid"] * 2
    model.take(PolicyChanged("checkout", policy()))
    assert model.open_alerts() == set()


@pytest.mark.parametrize(
    ("found", "breach", "unhealthy", "told"),
    [
        (RollbackPath.PUSH, "Rollback", "Alert", False),
        (RollbackPath.PULL_REQUEST, "Rollback", "Alert", True),
        (RollbackPath.PULL_REQUEST, "PullRequest", "Alert", False),
        (RollbackPath.PULL_REQUEST, "PullRequest", "Rollback", True),
        (RollbackPath.NONE, "PullRequest", "Alert", True),
        (RollbackPath.NONE, "Alert", "PullRequest", True),
        (RollbackPath.NONE, "Alert", "Alert", False),
    ],
)
def test_a_way_that_is_lost_is_told_where_it_is_needed(
    found: RollbackPath, breach: str, unhealthy: str, told: bool
) -> None:
    """By what the policy would do; a policy that only alerts needs no way."""
    model = Model().guard(policy(onBreach={"action": breach}, onUnhealthy={"action": unhealthy}))
    model.take(PathProven(found, "denied"))
    assert ("RollguardRollbackPathLost" in model.open_alerts()) is told


def test_a_repository_that_may_not_be_read_is_told_once_where_no_way_is_needed() -> None:
    """A policy that only alerts needs no way, but it needs to read; one alert for one cause, over when it may be read."""
    model = Model().guard(policy(onBreach={"action": "Alert"}, onUnhealthy={"action": "Alert"}))
    for words in ("denied", "denied, request 2"):
        model.take(PathProven(RollbackPath.NONE, words, readable=False))
    assert model.alerts() == ["RollguardNoCredentials"]
    assert "denied" in model.rollout.alerts[0].description
    model.take(PathProven(RollbackPath.PUSH))
    assert model.open_alerts() == set()
    model = Model().guard()
    model.take(PathProven(RollbackPath.NONE, "denied", readable=False))
    assert model.alerts() == ["RollguardRollbackPathLost"]


def test_what_nobody_guards_is_told_nothing_of_its_credentials() -> None:
    """Without a policy there is nobody to tell."""
    model = Model()
    model.take(PathProven(RollbackPath.NONE, "denied", readable=False))
    assert model.alerts() == []


def test_a_lost_way_is_over_when_nothing_needs_it() -> None:
    """The owner sets the policy to what is possible, or takes it away."""
    model = Model().guard()
    model.take(PathProven(RollbackPath.PULL_REQUEST))
    model.take(PolicyChanged("checkout", policy(onBreach={"action": "PullRequest"})))
    assert model.open_alerts() == set()
    model.take(PolicyChanged("checkout", policy()))
    assert model.open_alerts() == {"RollguardRollbackPathLost"}
    model.take(PolicyChanged("", None))
    assert model.open_alerts() == set()


def test_a_changed_source_ends_what_was_told_of_the_old_one() -> None:
    """Another repository: what is open of the old one is over, the record is kept, the budget too."""
    model = broken()
    model.pass_until(model.restores)
    other = Application(KEY, GitSource("https://git.example.com/shop/other.git", "main", SOURCE.paths))
    model.take(ApplicationChanged(other))
    assert model.open_alerts() == set()
    assert model.phase is Phase.IDLE
    assert model.records[-1].analysis.ended_at == model.now
    assert len(model.rollout.restores) == 1
    assert model.rollout.policy is not None


def test_shadow_by_the_administrator_holds_what_is_under_way() -> None:
    """The settings say Shadow after the verdict: nothing is pushed, and people know why."""
    model = broken()
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.limits = Limits(maximum_mode=Mode.SHADOW)
    model.world = World(limits=model.limits)
    model.git = "up"
    model.restart()
    model.pass_time(600)
    assert model.pushes == []
    assert "RollguardBreached" in model.open_alerts()


def test_what_waits_looks_again_and_not_all_the_time() -> None:
    """Paused, superseded, stale, held: looked at a few times a minute at most, however often the loop turns."""
    for world in (World(pause=PauseFacts(None, "drill", "ann")), World()):
        model = broken()
        model.git = "down"
        model.pass_until(lambda model=model: model.rollout.rollback is not None)
        model.world = world
        if world.pause is None:
            model.metrics = "down"
            model.pass_time(300)
        model.git = "up"
        model.pass_time(120)
        before = model.inspections
        model.pass_time(60, 1)
        assert 1 <= model.inspections - before <= 12
        assert model.rollout.rollback is not None
        assert model.rollout.rollback.obstacle in (Obstacle.PAUSED, Obstacle.STALE_VERDICT)


def test_a_wait_is_said_once() -> None:
    """The log has one line for a wait, not one for each look."""
    model = broken()
    model.world = World(pause=PauseFacts(model.now + 7200, "drill", "ann"))
    model.pass_time(1800)
    assert len([each for each in model.said if each.startswith("waiting: ")]) == 1
