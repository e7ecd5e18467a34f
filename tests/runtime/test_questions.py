"""Questions: made from the frozen policy, with the application's own names."""

from dataclasses import replace

from controller.core.events import PolicyChanged
from controller.ports.metrics import Question
from controller.runtime.questions import MOST_REMEMBERED, Questions
from tests.runtime.parts import CART, CHECKOUT, Bench, application, spec


def watched(bench: Bench, key: object = CHECKOUT) -> tuple[object, object]:
    rollout = bench.rollout(key)  # type: ignore[arg-type]
    assert rollout.analysis is not None
    return rollout, rollout.analysis


def test_names_are_filled_in_for_each_application() -> None:
    """One policy's template asks about each application's own series."""
    bench = Bench([application(CHECKOUT), application(CART)]).guard()
    questions = Questions("in-cluster")
    asked = []
    for key in (CHECKOUT, CART):
        bench.deploy("two", key)
        question = questions.of_tick(*watched(bench, key), "availability")  # type: ignore[arg-type]
        asked.append((question.key, question.indicator.ratio.errors.metric))  # type: ignore[union-attr]
    assert asked == [
        ("shop/checkout/availability", 'r{app="checkout",code="500"}'),
        ("shop/cart/availability", 'r{app="cart",code="500"}'),
    ]


def test_an_edit_changes_no_open_analysis() -> None:
    """While a chain is judged its ticks are asked by the policy that was in force before it."""
    bench = Bench().guard()
    bench.deploy("two")
    questions = Questions("")
    before = questions.of_tick(*watched(bench), "availability")  # type: ignore[arg-type]
    ratio = {"errors": {"metric": 'other{code="500"}'}, "total": {"metric": "other"}}
    edited = spec(objectives=[{"name": "availability", "target": "90", "indicator": {"ratio": ratio}}])
    bench.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", edited))
    assert questions.of_tick(*watched(bench), "availability") == before  # type: ignore[arg-type]
    before_it = questions.of_history(bench.rollout(), edited, "availability")
    assert before_it.indicator.ratio.total.metric == "other"  # type: ignore[union-attr]


def test_pods_and_expected_errors_are_those_of_the_evidence() -> None:
    """Where pods can be told apart the question carries the label and the warm-up; errors are expected after enough."""
    bench = Bench().guard()
    bench.metrics.baseline_share = 0.05
    bench.deploy("two")
    rollout, analysis = watched(bench)
    told_apart = replace(analysis, reference=replace(analysis.reference, pod_label="pod"))  # type: ignore[attr-defined,type-var]
    question = Questions("").of_tick(rollout, told_apart, "availability")  # type: ignore[arg-type]
    assert (question.pod_label, question.warm_up, question.errors_expected) == ("pod", 60.0, False)
    bench.pass_time(120)
    assert Questions("").of_tick(*watched(bench), "availability").errors_expected  # type: ignore[arg-type]


CONTROL = {
    "name": "availability",
    "indicator": {
        "ratio": {
            "errors": {"metric": 'r{app!="{{application}}",code="500"}'},
            "total": {"metric": 'r{app!="{{application}}"}'},
        }
    },
}
"""A control with the objective's name."""


def test_new_pods_are_asked_for_since_the_chain_began() -> None:
    """Its first sync's start counts, whatever was deployed on top; an old version's errors are not due in the new pods."""
    bench = Bench().guard()
    bench.metrics.baseline_share, bench.metrics.pod_label = 0.05, "pod"
    bench.deploy("two")
    bench.pass_time(120)
    bench.deploy("three")
    bench.pass_time(120)
    rollout, analysis = watched(bench)
    assert len(analysis.syncs) == 2  # type: ignore[attr-defined]
    whole, new = (
        Questions("").of_tick(rollout, analysis, name)  # type: ignore[arg-type]
        for name in ("availability", "availability:new")
    )
    assert whole.errors_expected
    assert (whole.new_since, new.new_since) == (None, analysis.syncs[0].started_at)  # type: ignore[attr-defined]
    assert new == replace(whole, key="shop/checkout/availability:new", new_since=new.new_since, errors_expected=False)


def test_a_control_is_counted_whole() -> None:
    """Templates are filled in as in objectives; neither warm-up nor label of pods nor due errors are those of a control."""
    bench = Bench().guard(spec(controls=[CONTROL]))
    bench.metrics.baseline_share, bench.metrics.pod_label = 0.05, "pod"
    bench.deploy("two")
    bench.pass_time(120)
    rollout, analysis = watched(bench)
    questions = Questions("")
    assert questions.of_tick(rollout, analysis, "availability").errors_expected  # type: ignore[arg-type]
    control = questions.of_tick(rollout, analysis, "control:availability")  # type: ignore[arg-type]
    assert control == Question("shop/checkout/control:availability", control.indicator)
    assert control.indicator.ratio.errors.metric == 'r{app!="checkout",code="500"}'  # type: ignore[union-attr]
    assert control == questions.of_history(rollout, analysis.policy, "control:availability")  # type: ignore[arg-type,attr-defined]


def test_what_is_remembered_is_bounded() -> None:
    """Applications come and go: the memory of rendered questions does not grow without end."""
    bench = Bench().guard()
    indicator = spec().objectives[0].indicator
    questions = Questions("")
    for number in range(MOST_REMEMBERED + 10):
        questions._rendered[f"shop/app-{number}", "objective", "availability", ""] = (indicator, indicator)
    questions.of_history(bench.rollout(), spec(), "availability")
    assert len(questions._rendered) <= MOST_REMEMBERED
