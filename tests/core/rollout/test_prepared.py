"""What is prepared for a look is used for exactly the evidence that it was made from, and changes nothing but the cost."""

from dataclasses import replace

import pytest

from controller.core.events import Event, Observed
from controller.core.observation import Measured, Tick
from controller.core.panels import Panel
from controller.core.prepared import Prepared, prepare, with_ticks
from controller.core.rollout import advance
from controller.core.state import Analysis, dump_rollout
from controller.core.step import Step
from controller.core.verdict import VerdictKind
from tests.core.rollout.model import Model


def watched(seconds: float = 300.0) -> tuple[Model, Analysis, tuple[Tick, ...]]:
    """A deployment that is watched for a while, its analysis, and its next tick, which is all bad."""
    model = Model().guard()
    model.commit("two")
    model.sync_head()
    model.pass_time(seconds)
    analysis = model.rollout.analysis
    assert analysis is not None
    at = float(analysis.ticks[0].at[-1]) + 15.0
    return model, analysis, (Tick(at, analysis.ticks[0].objective, Measured(150, 150)),)


def advanced(model: Model, analysis: Analysis, event: Event) -> Step:
    """The step from this analysis on."""
    return advance(replace(model.rollout, analysis=analysis), event, model.now + 15)


def never(*_: object) -> Panel:
    """Nothing is weighed again."""
    raise AssertionError("weighed again")


@pytest.mark.parametrize("happens", ["nothing", "breach", "outage"])
def test_a_prepared_look_finds_what_a_look_alone_finds(happens: str) -> None:
    """Through a deployment's whole story each state is the same with and without: verdict, restore, recovery."""
    model = Model(faulty={"two": 0.3} if happens == "breach" else {}).guard()
    compared, take = 0, model.take

    def compare(event: Event, **more: bool) -> None:
        nonlocal compared
        if isinstance(event, Observed):
            compared += event.prepared is not None
            plain = Observed(event.analysis_id, event.ticks)
            one, other = (advance(model.rollout, each, model.now) for each in (event, plain))
            assert dump_rollout(one.rollout) == dump_rollout(other.rollout)
            assert (one.alerts, one.said) == (other.alerts, other.said)
        take(event, **more)

    model.take = compare  # type: ignore[method-assign, assignment]
    model.commit("two")
    model.sync_head()
    model.pass_time(300)
    model.metrics = "down" if happens == "outage" else "up"
    model.pass_time(600)
    model.metrics = "up"
    model.sync_head()
    model.pass_time(1800)
    assert compared >= 3
    assert bool(model.restores()) is (happens == "breach")


def test_what_fits_is_weighed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look takes the panel that was prepared: it weighs nothing itself."""
    model, analysis, ticks = watched()
    ready = prepare([(analysis, ticks)], model.now + 15)
    monkeypatch.setattr(Panel, "of", never)
    step = advanced(model, analysis, Observed(analysis.id, ticks, *ready))
    assert step.analysis is not None
    assert step.analysis.judgement is not None
    assert step.analysis.judgement.at == ticks[0].at


def test_what_does_not_fit_is_looked_at_alone() -> None:
    """A tick that came meanwhile, a later Healthy, another sync, another reference: what is prepared counts for nothing."""
    model, analysis, ticks = watched()
    (ready,) = prepare([(analysis, ticks)], model.now + 15)
    assert ready is not None
    (wrong,) = prepare([(analysis, (replace(ticks[0], observation=Measured(0, 150)),))], model.now + 15)
    assert wrong is not None
    newest, reference = analysis.newest, analysis.reference
    assert reference is not None
    others = {
        "ticks": replace(analysis, ticks=tuple(replace(each) for each in analysis.ticks)),
        "healthy": replace(analysis, syncs=(replace(newest, healthy_at=newest.started_at + 200.0),)),
        "syncs": replace(analysis, syncs=(newest, replace(newest, started_at=newest.started_at + 60.0))),
        "reference": replace(analysis, reference=replace(reference)),
    }
    for name, other in others.items():
        alone = advanced(model, other, Observed(analysis.id, ticks))
        found = advanced(model, other, Observed(analysis.id, ticks, ready))
        assert dump_rollout(found.rollout) == dump_rollout(alone.rollout), name
        evidence = replace(other, ticks=ready.evidence.ticks).evidence
        assert evidence is not None
        assert ready.ticks(other) is None or ready.panel_of(other.policy, evidence) is None, name
    same = replace(analysis, ticks=wrong.evidence.ticks).evidence
    assert same is not None
    assert wrong.panel_of(analysis.policy, same) is wrong.panel
    assert wrong.panel_of(analysis.policy.model_copy(), same) is None
    assert ready.panel_of(analysis.policy, same) is None


def test_what_is_not_looked_at_anew_is_not_prepared() -> None:
    """An answer that says what is known, a restore's recovery, a breach that is decided, an analysis without a past."""
    model, analysis, ticks = watched()
    column = analysis.ticks[0]
    again = Tick(float(column.at[-1]), column.objective, Measured(float(column.bad[-1]), float(column.total[-1])))
    decided = replace(analysis, verdict=VerdictKind.BREACHED)
    cases = [(analysis, (again,)), (analysis, ()), (decided, ticks), (replace(analysis, reference=None), ticks)]
    assert prepare(cases, model.now) == [None] * 4
    assert with_ticks(analysis.ticks, (again,), model.now) is analysis.ticks
    mixed = prepare([cases[0], (analysis, ticks), cases[2]], model.now + 15)
    assert [isinstance(each, Prepared) for each in mixed] == [False, True, False]
