"""Deployments that never become healthy, and content that a bot brings back: decisions without a breach."""

import pytest

from controller.core.events import Limits, Released, World
from controller.core.policy import Mode
from controller.core.rollback import Origin, Stage
from controller.core.state import Phase
from tests.core.rollout.model import BOT, Model, content, policy

ROLLS_BACK = {"action": "Rollback", "deadline": "5m"}
OFFERS = {"action": "PullRequest", "deadline": "5m"}


def hanging(model: Model) -> Model:
    """A deployment has begun, and does not end."""
    model.deploying(model.commit("two"))
    return model


def well(model: Model) -> None:
    """Everything ends, and nothing is left open."""
    model.pass_until(lambda: model.phase is Phase.IDLE, most=4 * 3600)
    assert model.open_alerts() == set()


def test_what_fails_is_restored_at_once() -> None:
    """A reported failure needs no deadline."""
    model = hanging(Model().guard(policy(onUnhealthy=ROLLS_BACK)))
    model.failed(model.branch[-1].revision)
    assert [each.holds for each in model.restores()] == ["one"]
    assert model.rollout.knows_bad(content("two")) is not None
    model.sync_head()
    well(model)


@pytest.mark.parametrize("by", ["policy", "administrator"])
def test_in_shadow_nothing_unhealthy_is_undone(by: str) -> None:
    """Told, not changed, whoever holds it in Shadow mode."""
    mode = "Shadow" if by == "policy" else "Enforce"
    model = Model().guard(policy(onUnhealthy=ROLLS_BACK, mode=mode))
    if by == "administrator":
        model.limits = Limits(maximum_mode=Mode.SHADOW)
    hanging(model).pass_time(3600)
    assert model.pushes == []
    assert "RollguardUnhealthy" in model.open_alerts()


def test_what_became_healthy_before_the_push_is_left_alone() -> None:
    """Git was away at the deadline; when it is back the deployment is Healthy."""
    model = hanging(Model().guard(policy(onUnhealthy=ROLLS_BACK)))
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.healthy(model.branch[-1].revision)
    model.git = "up"
    well(model)
    assert model.pushes == []
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("two")


def test_an_offer_is_withdrawn_when_it_is_healthy_after_all() -> None:
    """The branch of ours is not needed any more."""
    model = hanging(Model().guard(policy(onUnhealthy=OFFERS)))
    model.pass_until(lambda: model.others)
    model.healthy(model.branch[-1].revision)
    assert model.open_alerts() == set()
    well(model)


def test_a_restore_of_what_is_unhealthy_does_not_wait_for_a_fresh_breach() -> None:
    """The SLO was broken for a moment long ago; the deployment hangs still: pushed, and no busy loop."""
    model = Model().guard(policy(onUnhealthy={"action": "Rollback", "deadline": "20m"}))
    model.bad_share = 0.02
    hanging(model).pass_time(75)
    model.bad_share = 0.0
    model.pass_until(model.restores, most=1300)
    assert model.sent[0].origin is Origin.UNHEALTHY


def test_unhealthy_and_breaching_goes_on_when_it_becomes_healthy() -> None:
    """Decided since it hung; then it is Healthy, and breaks its SLO: still undone, now for that."""
    model = Model().guard(policy(onUnhealthy=ROLLS_BACK))
    hanging(model).git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.faulty["two"] = 0.3
    model.pass_until(lambda: model.rollout.analysis.verdict == "Breached", most=900)  # type: ignore[union-attr]
    model.healthy(model.branch[-1].revision)
    model.git = "up"
    model.pass_until(model.restores, most=180)
    assert model.sent[0].origin is Origin.VERDICT


def test_a_newer_deployment_ends_the_decision_about_a_hanging_one() -> None:
    """What hung is replaced: the newer one gets its own time to become healthy."""
    model = hanging(Model().guard(policy(onUnhealthy=ROLLS_BACK)))
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.commit("three")
    model.deploying(model.branch[-1].revision)
    model.git = "up"
    model.pass_time(240)
    assert model.pushes == []
    model.pass_until(model.restores, most=120)
    assert model.branch[-1].holds == "one"


def test_a_breach_while_unhealthy_is_kept() -> None:
    """Breached is final: that the deployment hangs as well changes nothing."""
    model = Model().guard(policy(onBreach={"action": "Alert"}, onUnhealthy=ROLLS_BACK))
    model.faulty["two"] = 0.3
    hanging(model).pass_until(model.restores)
    assert model.rollout.analysis is not None
    assert model.rollout.analysis.verdict == "Breached"


def brought_back(**changes: object) -> Model:
    """A bad version was restored and recovered; then a bot commits it again."""
    model = Model(faulty={"two": 0.3}).guard(policy(quarantine="RestoreOnce", **changes))
    model.commit("two")
    model.sync_head()
    if changes.get("onBreach"):
        model.pass_until(lambda: model.others)
        model.merge_offer()
    model.pass_until(lambda: model.branch[-1].holds == "one")
    model.sync_head()
    well(model)
    model.commit("two", author=BOT)
    return model


def test_known_bad_content_is_undone_before_it_breaks_anything() -> None:
    """At once, without waiting for errors."""
    model = brought_back()
    model.faulty.clear()
    model.sync_head()
    assert model.sent[-1].origin is Origin.QUARANTINE
    assert model.branch[-1].holds == "one"


def test_in_shadow_known_bad_content_is_only_told() -> None:
    """The administrator's Shadow mode holds this too, and the one restore is not used up by it."""
    model = brought_back()
    model.limits = Limits(maximum_mode=Mode.SHADOW)
    model.world = World(limits=model.limits)
    pushed = len(model.pushes)
    model.sync_head()
    model.pass_time(600)
    assert len(model.pushes) == pushed
    assert "RollguardQuarantined" in model.open_alerts()
    assert not model.rollout.known_bad[0].restored_again


def test_known_bad_content_is_offered_where_the_owner_wants_offers() -> None:
    """OnBreach: PullRequest holds for the quarantine as well."""
    model = brought_back(onBreach={"action": "PullRequest"})
    offers = len(model.others)
    model.sync_head()
    assert len(model.others) == offers + 1
    assert model.restores()[-1].revision in {each.revision for each in model.others.values()}


def test_released_content_is_not_undone_any_more() -> None:
    """A person releases it while Git is away: withdrawn, and judged like any other."""
    model = brought_back()
    model.faulty.clear()
    pushed = len(model.pushes)
    model.git = "read only"
    model.sync_head()
    assert model.rollout.rollback is not None
    assert model.rollout.rollback.origin is Origin.QUARANTINE
    model.take(Released("all", "ann"))
    model.git = "up"
    well(model)
    assert len(model.pushes) == pushed
    assert model.rollout.good is not None
    assert model.rollout.good.content == content("two")


def test_a_bot_that_insists_is_told_as_frozen_until_released() -> None:
    """The second return freezes, is told anew, and stays told whatever is deployed, until a person acts."""
    model = brought_back()
    model.sync_head()
    model.sync_head()
    model.commit("two", author=BOT)
    model.sync_head()
    assert model.rollout.frozen
    told = [each.summary for each in model.rollout.alerts if each.name.value == "RollguardQuarantined"]
    assert "frozen" in told[0]
    model.faulty.clear()
    model.commit("three")
    model.sync_head()
    assert "RollguardQuarantined" in model.open_alerts()
    model.take(Released("all", "ann"))
    well(model)


def test_a_decision_under_way_is_not_replaced_by_the_quarantine() -> None:
    """Known-bad content joins a chain that is being undone: the same decision goes on, with all that was built for it."""
    model = Model(faulty={"two": 0.3, "three": 0.3}).guard(policy(quarantine="RestoreOnce"))
    model.commit("two")
    model.sync_head()
    model.pass_until(model.restores)
    model.sync_head()
    well(model)
    model.commit("three")
    model.sync_head()
    model.git = "read only"
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.built)
    assert model.rollout.rollback is not None
    before = model.rollout.rollback
    model.commit("two", author=BOT)
    model.sync_head()
    assert model.rollout.rollback is not None
    assert model.rollout.rollback.origin is Origin.VERDICT
    assert model.rollout.rollback.decision_id == before.decision_id
    assert set(before.built) <= set(model.rollout.rollback.built)
    assert model.rollout.rollback.stage is not Stage.DONE
