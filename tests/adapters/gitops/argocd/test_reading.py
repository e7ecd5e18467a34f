"""Reading Applications that are broken, hostile or merely moving."""

import copy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.adapters.gitops.argocd.application import Compared
from controller.adapters.gitops.argocd.progress import progress
from controller.adapters.gitops.argocd.reading import NotAnApplicationError, seen_application
from controller.adapters.gitops.argocd.sources import application_of
from controller.adapters.gitops.argocd.sync_windows import project_of
from tests.adapters.gitops.argocd.objects import NOON, A, application, at, deployed, entry, running

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_ANYTHING = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def test_an_object_without_a_name_is_none() -> None:
    """Said of that one object."""
    for document in ({}, {"metadata": {}}, {"metadata": {"name": 3, "namespace": "argocd"}}, {"metadata": []}):
        with pytest.raises(NotAnApplicationError):
            seen_application(document)


def _spoilt(document: dict[str, Any], path: list[int], value: Any) -> None:
    """Put a value at a place of the object, found by its indexes."""
    node: Any = document
    for position, index in enumerate(path):
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = keys[index % len(keys)]
        if position == len(path) - 1 or not isinstance(node[key], dict | list):
            node[key] = value
            return
        node = node[key]


@settings(deadline=None)
@example(paths=[[2, 2]], value=None)
@given(st.lists(st.lists(st.integers(0, 20), min_size=2, max_size=6), max_size=4), _ANYTHING)
def test_whatever_is_in_it_is_borne(paths: list[list[int]], value: Any) -> None:
    """Values of any kind at any place make one Application odd, and break nothing."""
    document = copy.deepcopy(deployed(operation={"sync": {"revision": A}}))
    for path in paths:
        _spoilt(document, path, copy.deepcopy(value))
    try:
        seen = seen_application(document)
    except NotAnApplicationError:
        return
    result = progress(
        None, seen, application_of(seen).source, project_of({"metadata": {"name": "default"}}), NOON + 60
    )
    assert all(len(report.revision) == 40 for report in result.reports)


@pytest.mark.parametrize(
    "windows", [None, 3, [None], [{"kind": 1, "schedule": [], "duration": {}}], [{"kind": "deny"}]]
)
def test_a_project_may_hold_anything(windows: Any) -> None:
    """As an Application may."""
    made = project_of({"metadata": {"name": "shop"}, "spec": {"syncWindows": windows}})
    assert made is not None
    made.forbids(seen_application(application()), NOON, by_hand=False)


def test_a_comparison_that_finds_nothing_changes_nothing() -> None:
    """Argo CD writes every few minutes that it has looked: the same is kept, so that nothing is done."""
    assert seen_application(running()) == seen_application(
        running(reconciledAt=at(500.0), metadata={"resourceVersion": "77", "generation": 9})
    )


def test_times_are_read_as_they_are_written() -> None:
    """With fractions and zones; whatever else is no time."""
    written = {
        "2027-01-15T08:00:00Z": NOON,
        "2027-01-15T09:00:00.5+01:00": NOON + 0.5,
        "2027-01-15T08:00:00": NOON,
        "yesterday": None,
        "": None,
    }
    for text, seconds in written.items():
        history = [entry(1, A, 0.0) | {"deployedAt": text}]
        assert seen_application(running(history=history)).history[0].deployed_at == seconds


@pytest.mark.parametrize(
    ("reconciled", "compared"),
    [(None, Compared.BEFORE), (0.0, Compared.BEFORE), (1.0, Compared.SAME_SECOND), (2.0, Compared.AFTER)],
)
def test_when_it_was_compared_is_kept_against_the_operations_end(
    reconciled: float | None, compared: Compared
) -> None:
    """The end of ``deployed`` is a second after the start."""
    when = at(reconciled) if reconciled is not None else None
    assert seen_application(deployed(reconciledAt=when)).compared is compared


def test_what_is_kept_is_bounded() -> None:
    """However much an Application holds."""
    many = [entry(number, A, 0.0) for number in range(500)]
    resources = [{"kind": "X", "name": str(number), "status": "OutOfSync"} for number in range(500)]
    seen = seen_application(running(history=many, resources=resources))
    assert len(seen.history) == 5
    assert seen.history[-1].id == 499
    assert len(seen.out_of_sync) == 50
