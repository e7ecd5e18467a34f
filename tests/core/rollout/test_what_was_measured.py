"""Lost traffic and gauges: what people are told, when it is over, and how a restore for them reads."""

from typing import Any

import pytest

from controller.core.alerts import AlertName
from controller.core.revert import commit_message
from controller.core.rollback import Rollback, Stage
from controller.core.state import Phase
from controller.core.verdict import Reason, VerdictKind
from tests.core.rollout.model import Model, policy

RATIO = {"errors": {"metric": 'r{code="500"}'}, "total": {"metric": "r"}}
OTHERS = [{"name": "others", "indicator": {"ratio": RATIO}}]
MEMORY = {"name": "gauge-memory", "indicator": {"gauge": {"query": "max(memory)", "max": 0.9}}}
SPEED = {
    "name": "gauge-orders",
    "action": "OnBreach",
    "indicator": {"gauge": {"query": "orders", "regression": {"direction": "Down", "tolerance": "20%"}}},
}


def without_traffic(spec: object = None, part: float = 0.0) -> Model:
    """A version is live that takes the traffic away."""
    model = Model(left={"two": part}, quietest=8.0).guard(spec or policy())  # type: ignore[arg-type]
    model.commit("two")
    model.sync_head()
    return model


def acting() -> Model:
    """The same, with controls that keep their traffic, and a policy that rolls back for it."""
    analysis = {"interval": "15s", "onTrafficLoss": "Rollback"}
    return without_traffic(policy(controls=OTHERS, analysis=analysis))


def decided(model: Model) -> Rollback:
    """The restore that is decided."""
    model.pass_until(lambda: model.rollout.rollback is not None)
    assert model.rollout.rollback is not None
    return model.rollout.rollback


def test_lost_traffic_is_told_as_such_and_long_before_the_deadline() -> None:
    """RollguardTrafficLost after two looks, and no RollguardHold: the SLO is not known to be broken."""
    model = without_traffic()
    took = model.pass_until(lambda: "RollguardTrafficLost" in model.open_alerts())
    assert took < 600
    (alert,) = model.rollout.alerts
    assert alert.summary == f"shop/checkout has lost its traffic since {model.branch[-1].revision[:12]}"
    assert "less than a tenth" in alert.description
    assert "`rollguard rollback shop/checkout`" in alert.description
    model.pass_time(1800)
    analysis = model.rollout.analysis
    assert analysis is not None
    assert (analysis.verdict, analysis.judgement and analysis.judgement.reason) == (
        VerdictKind.HOLD,
        Reason.TRAFFIC_LOST,
    )
    assert model.alerts() == ["RollguardTrafficLost"]


def test_one_look_without_traffic_raises_nothing() -> None:
    """As for Hold, it takes two looks in a row."""
    model = without_traffic()
    model.pass_until(lambda: model.rollout.analysis and model.rollout.analysis.looks_without_traffic == 1)
    assert model.alerts() == []


def test_it_is_over_when_the_traffic_is_back() -> None:
    """The alert ends before the deadline, and the deployment is found good."""
    model = without_traffic()
    model.pass_until(lambda: "RollguardTrafficLost" in model.open_alerts())
    model.left.clear()
    took = model.pass_until(lambda: not model.open_alerts())
    assert took <= 60
    model.pass_until(lambda: model.phase is Phase.IDLE, most=4 * 3600)
    assert model.alerts() == ["RollguardTrafficLost"]
    assert model.rollout.good is not None
    assert model.rollout.good.revision == model.branch[-1].revision


def test_silence_of_the_metrics_source_ends_nothing() -> None:
    """That nothing is measured does not say that the traffic is back."""
    model = without_traffic()
    model.pass_until(lambda: "RollguardTrafficLost" in model.open_alerts())
    model.metrics = "down"
    model.pass_time(900)
    assert "RollguardTrafficLost" in model.open_alerts()


def test_traffic_that_comes_back_after_the_verdict_ends_it_as_well() -> None:
    """Held at the deadline, and watched on until it is over."""
    model = without_traffic()
    model.pass_until(lambda: model.rollout.analysis and model.rollout.analysis.verdict)
    model.left.clear()
    model.pass_until(lambda: not model.open_alerts())
    model.pass_until(lambda: model.phase is Phase.IDLE, most=4 * 3600)


def test_another_deployment_ends_it() -> None:
    """The chain's alerts end with it: what follows is judged anew."""
    model = without_traffic()
    model.pass_until(lambda: "RollguardTrafficLost" in model.open_alerts())
    model.commit("three")
    model.sync_head()
    model.pass_until(lambda: model.phase is Phase.IDLE, most=4 * 3600)
    assert model.open_alerts() == set()


def test_traffic_loss_that_is_to_be_ignored_is_not_told() -> None:
    """A service that nobody asks cannot be judged; that its traffic has gone is nothing to tell."""
    model = without_traffic(policy(analysis={"interval": "15s", "onTrafficLoss": "Ignore"}))
    model.pass_time(3600)
    assert "RollguardTrafficLost" not in model.alerts()
    assert model.pushes == []


def test_without_controls_lost_traffic_never_rolls_back() -> None:
    """Nobody knows what the whole world did meanwhile: an alert, whatever the policy asks for."""
    model = without_traffic(policy(analysis={"interval": "15s", "onTrafficLoss": "Rollback"}))
    model.pass_time(3600)
    assert model.alerts() == ["RollguardTrafficLost"]
    assert model.pushes == []


@pytest.mark.parametrize("hindered", [0.0, 600.0])
def test_beside_controls_it_is_rolled_back_and_reads_well(hindered: float) -> None:
    """The breach is fresh while the traffic stays away, so the push is not refused as stale, however late it comes."""
    model = acting()
    model.git = "down" if hindered else "up"
    rollback = decided(model)
    message = commit_message(model.rollout, rollback)
    if hindered:
        model.pass_time(hindered)
        model.git = "up"
    model.pass_until(model.restores, most=120)
    assert "RollguardTrafficLost" not in model.alerts()
    lines = message.splitlines()
    assert lines[0].endswith(": availability lost its traffic")
    assert "while its controls kept theirs" in message
    assert "availability | 99 %   | traffic lost | 99.9 %" in lines
    told = next(each for each in model.told if each.name is AlertName.ROLLED_BACK)
    assert "traffic" in told.summary + told.description


def test_it_is_not_pushed_once_the_traffic_is_back() -> None:
    """What was decided is stale then, and withdrawn when the service is seen to be well."""
    model = acting()
    model.git = "down"
    decided(model)
    model.left.clear()
    model.pass_time(300)
    model.git = "up"
    model.pass_time(3600)
    assert model.pushes == []
    assert model.open_alerts() == set()


def of_gauge(objective: dict[str, Any], level: float) -> Model:
    """A version is live whose gauge reads this."""
    model = Model(levels={"two": level}).guard(policy(objectives=[objective]))
    model.commit("two")
    model.sync_head()
    return model


@pytest.mark.parametrize(
    ("objective", "level", "subject", "row"),
    [
        (
            MEMORY,
            0.97,
            "gauge-memory 0.97 against at most 0.9",
            "gauge-memory | at most 0.9 | 0.97     | 0.",
        ),
        (
            SPEED,
            0.2,
            "gauge-orders 0.2 against at most 20 % less than before",
            "gauge-orders | at most 20 % less than before | 0.2      | 0.",
        ),
    ],
)
def test_a_gauge_that_breached_is_rolled_back_and_reads_well(
    objective: dict[str, Any], level: float, subject: str, row: str
) -> None:
    """Limit, level and level before stand in the commit; a late push still finds a fresh breach."""
    model = of_gauge(objective, level)
    model.git = "down"
    rollback = decided(model)
    message = commit_message(model.rollout, rollback)
    model.pass_time(900)
    model.git = "up"
    model.pass_until(model.restores, most=120)
    assert message.splitlines()[0].endswith(subject)
    assert row in message


def test_a_gauge_that_is_well_again_is_not_rolled_back_late() -> None:
    """The breach that was decided on is over by the time that Git answers."""
    model = of_gauge(MEMORY, 0.97)
    model.git = "down"
    assert decided(model).stage is Stage.INSPECT
    model.levels.clear()
    model.pass_time(1200)
    model.git = "up"
    model.pass_time(3600)
    assert model.pushes == []
