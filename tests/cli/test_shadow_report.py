"""``rollguard backtest --shadow-report``: what the controller's store says of policies in Shadow mode."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO

import pytest
import time_machine
from rich.console import Console
from rich.text import Text

from controller.adapters.store import SqliteStore
from controller.cli import shadow_report
from controller.core.policy import BreachAction, Mode
from controller.core.state import dump_rollout
from controller.core.verdict import VerdictKind
from controller.ports.store import Change
from tests.cli.conftest import Run
from tests.cli.scenario import CART, START, TICKS, Scenario, bad_analysis, healthy, record_of


@pytest.fixture(autouse=True)
def later() -> Iterator[None]:
    """It is an hour after the deployment."""
    with time_machine.travel(START + 3600, tick=False):
        yield


def _shadow(scenario: Scenario, *, mode: Mode = Mode.SHADOW, action: BreachAction = BreachAction.ROLLBACK) -> None:
    """The second application has a deployment that breaks its SLO, and one before it that was found good."""
    bad = bad_analysis()
    on_breach = bad.policy.on_breach.model_copy(update={"action": action})
    bad = replace(bad, policy=bad.policy.model_copy(update={"mode": mode, "on_breach": on_breach}))
    bad = replace(bad, id="b2b2b2b-00000002", verdict_at=bad.judgement.decided_at if bad.judgement else None)
    good = replace(bad, id="a1a1a1a-00000002", verdict=VerdictKind.HEALTHY, ended_at=START)
    rollout = replace(healthy(), analysis=bad)
    older = replace(record_of(replace(rollout, analysis=good)), started_at=START - 7200)
    store = SqliteStore(scenario.database, create=False)
    version = next(each.version for each in store.rollouts() if each.application == CART)
    store.commit(Change(CART, version, dump_rollout(rollout), (older, record_of(rollout))))
    store.close()


def _saved() -> float:
    """What the ticks after the decision have more than as before: 15 of 150 are bad, 0.15 were."""
    judgement = bad_analysis().judgement
    assert judgement is not None
    assert judgement.decided_at is not None
    return (TICKS - (judgement.decided_at - START) / 15) * (15 - 0.15)


def test_what_shadow_mode_decided_is_told(run: Run, scenario: Scenario) -> None:
    """Each deployment that was judged in Shadow mode has its verdict, when, and what a restore would have saved."""
    _shadow(scenario)
    result = run("backtest", "--shadow-report", "--since", "7d", "--output", "json")
    assert result.exit_code == 1, result.output
    found = json.loads(result.stdout)
    assert [(each["id"], each["verdict"], each["rolled_back"]) for each in found["analyses"]] == [
        ("a1a1a1a-00000002", "Healthy", False),
        ("b2b2b2b-00000002", "Breached", True),
    ]
    assert found["analyses"][1]["bad_saved"] == pytest.approx(_saved())
    assert found["totals"] == {
        "deployments": 2,
        "analyses": 2,
        "verdicts": {"Healthy": 1, "Breached": 1},
        "rolled_back": 1,
        "bad_saved": pytest.approx(_saved()),
    }


def test_what_was_enforced_is_no_shadow(run: Run, scenario: Scenario) -> None:
    """Deployments whose policy could act are left out; nothing found is a sentence."""
    result = run("backtest", "--shadow-report", "--since", "7d")
    assert (result.exit_code, result.stdout) == (0, "no deployment was judged in Shadow mode in the last 7d\n")


def test_policies_that_only_tell_would_not_have_rolled_back(run: Run, scenario: Scenario) -> None:
    """A breach under onBreach.action Alert is told, and counts as no rollback."""
    _shadow(scenario, action=BreachAction.ALERT)
    result = run("backtest", "--shadow-report", "--since", "7d")
    assert "2 deployments in Shadow mode: 1 Breached, 1 Healthy\n0 would have been rolled back" in result.stdout
    assert result.exit_code == 1


def test_settings_may_hold_all_policies_in_shadow(run: Run, scenario: Scenario) -> None:
    """With limits.maximumMode Shadow every policy's deployments are told, where nothing was done about them."""
    _shadow(scenario, mode=Mode.ENFORCE)
    scenario.settings.write_text(scenario.settings.read_text() + "limits: {maximumMode: Shadow}\n")
    result = run("backtest", "--shadow-report", "--since", "7d", "--application", "cart")
    assert result.exit_code == 1
    assert "2 deployments in Shadow mode" in result.stdout


def test_text_fits_80_columns(run: Run, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the table is no wider than it."""
    _shadow(scenario)
    screen = Console(file=StringIO(), force_terminal=True, width=80, highlight=False, markup=False)
    monkeypatch.setattr(shadow_report, "console", lambda: screen)
    run("backtest", "--shadow-report")
    lines = [Text.from_ansi(each).plain for each in screen.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert max(map(len, lines[:-1])) <= 80
    assert any("1 would have been rolled back" in each for each in lines)


def test_shadow_report_takes_no_policy(run: Run) -> None:
    """Nothing is judged again, so a policy to judge by is a mistake."""
    result = run("backtest", "--shadow-report", "--policy", "x.yaml")
    assert result.exit_code == 2
    assert "leave --policy out" in result.stderr
