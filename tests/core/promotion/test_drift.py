"""Drift, decided: what counts, between whom, and what is not known."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import yaml

from controller.core.application import ApplicationKey, Revision
from controller.core.promotion.drift import (
    Difference,
    Live,
    LiveDrift,
    PlaceState,
    drift_of,
    files_to_compare,
    neighbours,
)
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Place, Progress
from tests.core.promotion.world import PIPELINE, pipeline, version

WAVES = """
    - name: production
      targets:
        - {name: eu, application: {name: eu}, write: {updates: [{file: eu.yaml, path: image.tag}]}}
        - {name: us, application: {name: us}, write: {updates: [{file: us.yaml, path: image.tag}]}, after: [eu]}
"""
HEAD = Revision("a" * 40)
RUNS = Live(HEAD, 0.0, same=True)
KNOWN = Progress(ApplicationKey("shop", "checkout"), known=tuple(version(number) for number in (3, 2, 1)))


def waves() -> PromotionPipeline:
    """Three stages, the last of two targets."""
    return PromotionPipeline.model_validate(
        yaml.safe_load(PIPELINE[: PIPELINE.index("    - name: production")] + WAVES)
    )


def states(declared: PromotionPipeline, **tags: str | None) -> Mapping[Place, PlaceState]:
    """Places that hold these tags; a name with ``_`` is stage and target."""
    found = {}
    for name, tag in tags.items():
        stage, _, target = name.partition("_")
        place = Place(stage, target)
        found[place] = PlaceState(place, ApplicationKey("shop", name), head=HEAD, values=(tag,), live=RUNS)
    assert declared
    return found


def test_neighbours_are_compared_and_waves_with_their_first() -> None:
    """Each target with the first of the stage before, and with the first of its own stage."""
    assert [f"{one} {two}" for one, two in neighbours(waves())] == [
        "dev staging",
        "staging production/eu",
        "staging production/us",
        "production/eu production/us",
    ]


def test_equal_places_have_no_drift() -> None:
    """The same version everywhere, live as in Git."""
    report = drift_of(pipeline(), KNOWN, states(pipeline(), dev="v1.3.0", staging="v1.3.0", production="v1.3.0"), {})
    assert not report.drifted
    assert not report.troubled
    assert set(report.versions.values()) == {"1.3.0"}


def test_versions_that_have_not_come_through_are_named() -> None:
    """Which fields differ, what the later one has not got, and who is ahead where it went the other way round."""
    report = drift_of(pipeline(), KNOWN, states(pipeline(), dev="v1.3.0", staging="v1.1.0", production="v1.2.0"), {})
    one, two = report.pairs
    assert one.differences == (Difference("image.tag", "v1.3.0", "v1.1.0"),)
    assert (one.missing, one.ahead) == (("1.3.0", "1.2.0"), ())
    assert (two.missing, two.ahead) == ((), ("1.2.0",))
    assert report.drifted


def test_a_version_that_no_trigger_found_is_shown_as_it_is_written() -> None:
    """It differs, and which versions lie between is not guessed."""
    report = drift_of(pipeline(), KNOWN, states(pipeline(), dev="v1.3.0", staging="hotfix", production="hotfix"), {})
    assert report.versions[Place("staging")] == "hotfix"
    assert [(each.differences != (), each.missing) for each in report.pairs] == [(True, ()), (False, ())]


def test_a_field_that_is_gone_differs() -> None:
    """A field that one place has and the other has not is a difference."""
    report = drift_of(pipeline(), KNOWN, states(pipeline(), dev="v1.3.0", staging=None, production=None), {})
    assert [bool(each.differences) for each in report.pairs] == [True, False]


def test_what_cannot_be_read_is_neither_equal_nor_different() -> None:
    """Its pairs say why, the report is not complete, and nothing is counted."""
    read = dict(states(pipeline(), dev="v1.3.0", staging="v1.3.0", production="v1.3.0"))
    read[Place("staging")] = replace(read[Place("staging")], values=(), trouble="Git is down")
    report = drift_of(pipeline(), KNOWN, read, {})
    assert [each.trouble for each in report.pairs] == ["staging: Git is down"] * 2
    assert report.troubled
    assert not report.drifted


@pytest.mark.parametrize(
    ("live", "drift", "counts"),
    [
        (Live(), LiveDrift.UNKNOWN, False),
        (Live(HEAD, 0.0, same=None), LiveDrift.UNKNOWN, False),
        (RUNS, LiveDrift.SAME, False),
        (Live(HEAD, 0.0, same=False), LiveDrift.BEHIND, True),
        (Live(HEAD, 0.0, same=True, objects=("Deployment shop/checkout",)), LiveDrift.CHANGED, True),
        (Live(HEAD, 0.0, same=False, changed_at=5.0), LiveDrift.CHANGED, True),
    ],
)
def test_what_is_live_counts_only_where_it_is_known_to_differ(live: Live, drift: LiveDrift, *, counts: bool) -> None:
    """Not heard of is not drift; changes beside Git are told before waiting."""
    assert live.drift is drift
    read = dict(states(pipeline(), dev="v1.3.0", staging="v1.3.0", production="v1.3.0"))
    read[Place("dev")] = replace(read[Place("dev")], live=live)
    assert drift_of(pipeline(), KNOWN, read, {}).drifted is counts


def test_files_are_compared_by_the_fields_that_they_share() -> None:
    """Each pair of files once."""
    dev, staging = Place("dev"), Place("staging")
    assert files_to_compare(pipeline(), dev, staging) == (("envs/dev/values.yaml", "envs/staging/values.yaml"),)
