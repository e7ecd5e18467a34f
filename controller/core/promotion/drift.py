"""Drift: in what neighbouring environments of a pipeline differ, and what runs that is not what Git says.

Invariant: pure. What could not be read is said as trouble and never counts as "the same"; what is not known is no
difference either. A pipeline has drifted where declared fields differ between neighbours, or Git and what is live differ;
other fields are shown to whoever asks, and are meant to differ.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.core.application import ApplicationKey, Revision
from controller.core.git import CommitFacts
from controller.core.promotion.edits import FileField, fields_of, names_version
from controller.core.promotion.facts import Values
from controller.core.promotion.fields import FieldChange
from controller.core.promotion.pipeline import PromotionPipeline, Stage, StageTarget
from controller.core.promotion.progress import Place, Progress
from controller.core.promotion.updates import ImageEntry
from controller.core.promotion.version import Version


class LiveDrift(StrEnum):
    """How what runs stands to what Git says."""

    SAME = "Same"
    BEHIND = "Behind"
    """Git has something that is not deployed (yet)."""
    CHANGED = "Changed"
    """Live objects were changed beside Git."""
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Live:
    """What the guard was told of what runs."""

    revision: Revision | None = None
    since: float | None = None
    """When it began to be deployed, Unix seconds."""
    same: bool | None = None
    """Whether it has what the branch's head has, in the application's own paths; None: that cannot be told."""
    waits_for: str = ""
    """Why what is in Git is not deployed, as the deployer says."""
    objects: tuple[str, ...] = ()
    """Live objects that differ from the deployed revision."""
    changed_at: float | None = None

    @property
    def drift(self) -> LiveDrift:
        """How it stands; live changes are told first, since waiting does not end them."""
        if self.objects or self.changed_at is not None:
            return LiveDrift.CHANGED
        if self.revision is None or self.same is None:
            return LiveDrift.UNKNOWN
        return LiveDrift.SAME if self.same else LiveDrift.BEHIND


@dataclass(frozen=True, slots=True)
class PlaceState:
    """One place, as Git and the guard have it."""

    place: Place
    application: ApplicationKey
    repository: str = ""
    branch: str = ""
    head: Revision | None = None
    values: Values = ()
    """Of the declared fields, in the order of ``fields_of``."""
    since: float | None = None
    """When the commit was made from which on the fields hold this, Unix seconds; None: longer than was looked back."""
    live: Live = Live()
    trouble: str = ""
    """Why Git could not be read."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A declared field that is not the same in two places; None: it is not there."""

    field: str
    earlier: str | None
    later: str | None


@dataclass(frozen=True, slots=True)
class FileDifferences:
    """The fields in which two files differ."""

    earlier: str
    later: str
    changes: tuple[FieldChange, ...] = ()
    trouble: str = ""
    """Why they could not be compared."""


@dataclass(frozen=True, slots=True)
class SourceCommits:
    """What one version's source has that another's has not."""

    commits: tuple[CommitFacts, ...] = ()
    """Oldest first."""
    unknown: str = ""
    """Why they cannot be told; empty: they are."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two neighbours, compared."""

    earlier: Place
    later: Place
    differences: tuple[Difference, ...] = ()
    """Of declared fields that both have."""
    missing: tuple[str, ...] = ()
    """Versions that the later one has not got yet, up to the earlier one's, newest first."""
    ahead: tuple[str, ...] = ()
    """Versions that the earlier one has not got, up to the later one's, newest first."""
    source: SourceCommits | None = None
    """What came into the source in between; None: both have the same version."""
    files: tuple[FileDifferences, ...] = ()
    """Of all fields, where that was asked for."""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A pipeline's environments, compared."""

    pipeline: ApplicationKey
    places: tuple[PlaceState, ...]
    versions: Mapping[Place, str]
    """What is in each place, as people call it; empty: it is not known."""
    pairs: tuple[Pair, ...]

    @property
    def drifted(self) -> bool:
        """Whether anything differs that should not for long."""
        live = any(each.live.drift in (LiveDrift.BEHIND, LiveDrift.CHANGED) for each in self.places)
        return live or any(each.differences for each in self.pairs)

    @property
    def troubled(self) -> bool:
        """Whether something could not be read, so that there may be more."""
        return any(each.trouble for each in self.places) or any(
            compared.trouble for pair in self.pairs for compared in pair.files
        )


def neighbours(pipeline: PromotionPipeline) -> tuple[tuple[Place, Place], ...]:
    """What is compared: each target with the first of the stage before, and a stage's targets with its first."""
    return tuple(_neighbours(pipeline.spec.stages))


def _neighbours(stages: tuple[Stage, ...]) -> Iterator[tuple[Place, Place]]:
    before: Place | None = None
    for stage in stages:
        places = [Place(stage.name, target.name) for target in stage.places]
        if before is not None:
            yield from ((before, each) for each in places)
        yield from ((places[0], each) for each in places[1:])
        before = places[0]


def version_in(pipeline: PromotionPipeline, progress: Progress, state: PlaceState) -> Version | None:
    """The known version that a place's fields name; None: none that is known."""
    stage, target = target_of(pipeline, state.place)
    passage = progress.passage(state.place)
    known = (*progress.known, *((passage.version,) if passage is not None else ()))
    return next((each for each in known if names_version(stage, target, each, state.values)), None)


def target_of(pipeline: PromotionPipeline, place: Place) -> tuple[Stage, StageTarget]:
    """A place's stage and target."""
    stage = next(each for each in pipeline.spec.stages if each.name == place.stage)
    return stage, next(each for each in stage.places if each.name == place.target)


def named_fields(pipeline: PromotionPipeline, place: Place) -> tuple[tuple[str, FileField], ...]:
    """A place's declared fields with the names by which two places' fields are matched."""
    stage, target = target_of(pipeline, place)
    return tuple((_name(each), each) for each in fields_of(stage, target))


def _name(each: FileField) -> str:
    return f"images: {each.field.image}" if isinstance(each.field, ImageEntry) else str(each.field)


def files_to_compare(pipeline: PromotionPipeline, earlier: Place, later: Place) -> tuple[tuple[str, str], ...]:
    """Files of two places that hold the same declared field, each pair once."""
    theirs = {name: field.file for name, field in named_fields(pipeline, later)}
    mine = named_fields(pipeline, earlier)
    return tuple(dict.fromkeys((field.file, theirs[name]) for name, field in mine if name in theirs))


@dataclass(frozen=True, slots=True)
class Compared:
    """What is known of two neighbours beside their states."""

    source: SourceCommits | None = None
    files: tuple[FileDifferences, ...] = ()


def drift_of(
    pipeline: PromotionPipeline,
    progress: Progress,
    states: Mapping[Place, PlaceState],
    compared: Mapping[tuple[Place, Place], Compared],
) -> DriftReport:
    """Compare a pipeline's places; ``states`` has each of them."""
    versions = {place: version_in(pipeline, progress, state) for place, state in states.items()}
    names = {place: _called(pipeline, state, versions[place]) for place, state in states.items()}
    pairs = tuple(
        _pair(
            pipeline, progress, (states[one], states[two]), (versions[one], versions[two]), compared.get((one, two))
        )
        for one, two in neighbours(pipeline)
    )
    return DriftReport(pipeline.key, tuple(states.values()), names, pairs)


def _called(pipeline: PromotionPipeline, state: PlaceState, version: Version | None) -> str:
    if version is not None:
        return version.name
    _, target = target_of(pipeline, state.place)
    told = (value for value in state.values[: len(target.write.updates)] if value)
    return ", ".join(dict.fromkeys(told))


def _pair(
    pipeline: PromotionPipeline,
    progress: Progress,
    states: tuple[PlaceState, PlaceState],
    versions: tuple[Version | None, Version | None],
    compared: Compared | None,
) -> Pair:
    earlier, later = states
    trouble = next((f"{each.place}: {each.trouble}" for each in states if each.trouble), "")
    if trouble:
        return Pair(earlier.place, later.place, trouble=trouble)
    mine, theirs = (
        dict(zip((name for name, _ in named_fields(pipeline, each.place)), each.values, strict=True))
        for each in states
    )
    differences = tuple(
        Difference(name, value, theirs[name])
        for name, value in mine.items()
        if name in theirs and value != theirs[name]
    )
    compared = compared or Compared()
    return Pair(
        earlier.place,
        later.place,
        differences,
        missing=_between(progress, versions[0], versions[1]),
        ahead=_between(progress, versions[1], versions[0]),
        source=compared.source,
        files=compared.files,
    )


def _between(progress: Progress, newer: Version | None, older: Version | None) -> tuple[str, ...]:
    """Names of known versions from ``newer`` down to ``older``, that one left out; none where it is not newer."""
    if newer is None or older is None:
        return ()
    first, end = progress.rank(newer.identity), progress.rank(older.identity)
    return tuple(each.name for each in progress.known[first:end])
