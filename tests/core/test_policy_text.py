"""What service owners are told: the field in YAML names, the problem, the remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.core.policy import SLOPolicy
from controller.core.policy_text import explain_errors, path_text
from tests.core.policy_documents import FIRST, INDICATOR, RATIO, Path, messages, minimal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            (*INDICATOR, "ratio", "error"),
            {},
            "spec.objectives[0].indicator.ratio.error: no such field; did you mean errors?",
        ),
        ((*FIRST, "targets"), "1", "spec.objectives[0].targets: no such field; did you mean target?"),
        (("spec", "window"), "30m", "spec.window: no such field; it belongs at spec.analysis.window"),
        (("spec", "analysis", "warmup"), "1m", "spec.analysis.warmup: no such field; did you mean warmUp?"),
        (("spec", "onBreach", "action"), "rollback", "write 'Rollback', 'PullRequest' or 'Alert'"),
        (("spec", "objectives"), {}, "spec.objectives: must be a list"),
        (("spec", "alerts"), "on-call", 'spec.alerts: must be a list; write ["on-call"]'),
        (("spec",), "x", "spec: must be a mapping of fields; write spec: {application: …, metrics: …}"),
        ((*INDICATOR, "ratio", "total"), "x_total", "must be a mapping of fields; write total: {metric: …}"),
        (("spec", "landing", "syncWhenManual"), "maybe", "spec.landing.syncWhenManual: must be true or false"),
        (("kind",), "Deployment", "kind: \"Deployment\" is not allowed; write 'SLOPolicy'"),
    ],
)
def test_message_names_field_problem_and_remedy(path: Path, value: object, said: str) -> None:
    """One line says where, what and what instead."""
    assert any(said in each for each in messages(path, value)), messages(path, value)


def test_misspelt_field_is_one_mistake() -> None:
    """A misspelt field is not also reported as missing under its right name."""
    ratio = {"error": RATIO["errors"], "total": RATIO["total"]}
    assert messages((*INDICATOR, "ratio"), ratio) == [
        "spec.objectives[0].indicator.ratio.error: no such field; did you mean errors?"
    ]


def test_unknown_field_far_from_all_others_lists_what_there_is() -> None:
    """Where nothing is near, the fields that there are help more than a guess."""
    (said,) = messages((*FIRST, "xyzzy"), 1)
    assert said.endswith("there are name, target, action, indicator")


def test_several_mistakes_are_told_at_once() -> None:
    """An owner mends everything in one go."""
    document = minimal()
    document["spec"]["mode"] = "shadow"
    document["spec"]["objectives"][0]["target"] = 0.99
    with pytest.raises(ValidationError) as caught:
        SLOPolicy.model_validate(document)
    assert [each.path for each in explain_errors(caught.value)] == ["spec.objectives[0].target", "spec.mode"]


def test_what_is_quoted_is_short_and_printable() -> None:
    """A hostile value cannot flood or forge a log, an alert or a terminal."""
    (said,) = messages((*FIRST, "target"), "\x1b[31m" + "A" * 10_000 + "\n")
    assert said.isprintable()
    assert len(said) < 300
    assert path_text(("spec", "a\nb", 0)) == "spec.a�b[0]"


@given(st.sampled_from(["spec", "metadata", "status", "kind", "extra"]), JSON)
def test_any_value_anywhere_is_explained(field: str, value: object) -> None:
    """Whatever a policy holds, it is valid or gets messages; nothing else is raised."""
    for each in messages((field,), value):
        assert each


@given(JSON)
def test_any_objective_is_explained(value: object) -> None:
    """The same inside the list of objectives."""
    for each in messages(("spec", "objectives"), [value]):
        assert each.startswith("spec.objectives")
