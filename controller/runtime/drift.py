"""Reads what drift is told from: the files of a pipeline's places in Git, and what the guard knows of what is live.

Invariant: nothing is changed. What cannot be read of one place is said as its trouble; the other places go on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from controller.core.application import Application, ApplicationKey, Revision
from controller.core.promotion.drift import (
    Compared,
    DriftReport,
    FileDifferences,
    Live,
    PlaceState,
    SourceCommits,
    drift_of,
    files_to_compare,
    named_fields,
    neighbours,
    target_of,
    version_in,
)
from controller.core.promotion.edits import FileField
from controller.core.promotion.facts import Values
from controller.core.promotion.move import places_of
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Place, Progress
from controller.core.promotion.version import Version
from controller.core.state import Rollout
from controller.ports.manifests import FieldMissing, ManifestError, Manifests, ManifestUnreadable
from controller.ports.repository import Repository, RepositoryError

MOST_LOOKED_BACK = 50
"""Commits of a place's files that are read to find since when it is as it is."""
_EVERYTHING = ("",)


@dataclass(frozen=True, slots=True)
class DriftSources:
    """What drift is read from."""

    repositories: Mapping[str, Repository]
    """By URL."""
    manifests: Manifests
    application: Callable[[ApplicationKey], Application | None]
    """Where an application is deployed from; None: nobody has declared or seen it."""
    rollout: Callable[[ApplicationKey], Rollout | None]
    """What the guard knows of it; None: nothing."""


def read_drift(
    pipeline: PromotionPipeline, progress: Progress, sources: DriftSources, *, every_field: bool = False
) -> DriftReport:
    """Compare a pipeline's places; ``every_field``: all fields of their files too, beside the declared ones."""
    reading = _Reading(pipeline, progress, sources)
    states = {place: reading.state(place) for place in places_of(pipeline)}
    compared = {
        (one, two): reading.compared(states[one], states[two], every_field=every_field)
        for one, two in neighbours(pipeline)
    }
    return drift_of(pipeline, progress, states, compared)


@dataclass(frozen=True, slots=True)
class _Reading:
    pipeline: PromotionPipeline
    progress: Progress
    sources: DriftSources

    def state(self, place: Place) -> PlaceState:
        """One place, now."""
        _, target = target_of(self.pipeline, place)
        key = target.application.key(self.pipeline.key.namespace)
        application = self.sources.application(key)
        if application is None:
            return PlaceState(place, key, trouble=f"there is no application {key}")
        url = target.write.repository or application.source.repository
        branch = target.write.branch or application.source.branch
        state = PlaceState(place, key, url, branch)
        try:
            return self._read(state)
        except (RepositoryError, ManifestError) as error:
            return replace(state, trouble=str(error))

    def _read(self, state: PlaceState) -> PlaceState:
        repository = self.sources.repositories[state.repository]
        head = repository.fetch(state.branch)
        fields = tuple(field for _, field in named_fields(self.pipeline, state.place))
        values = self._values(repository, head, fields)
        since = self._since(repository, state.branch, fields, values)
        application, live = self._most_drifted(state, head)
        return replace(state, application=application, head=head, values=values, since=since, live=live)

    def _most_drifted(self, state: PlaceState, head: Revision) -> tuple[ApplicationKey, Live]:
        """Of the applications that are promoted together, the first that is not as Git says."""
        _, target = target_of(self.pipeline, state.place)
        keys = [each.key(self.pipeline.key.namespace) for each in target.applications]
        found = [(key, self._live(key, head)) for key in keys]
        return next((each for each in found if not each[1].same or each[1].objects), found[0])

    def _values(self, repository: Repository, revision: Revision, fields: tuple[FileField, ...]) -> Values:
        """What the fields hold; None: a field is not there. Raises ManifestError where a file cannot be read."""
        files = repository.files(revision, _files(fields))
        return tuple(self._value(each, files.get(each.file)) for each in fields)

    def _value(self, wanted: FileField, body: bytes | None) -> str | None:
        if body is None:
            raise ManifestUnreadable(f"{wanted.file}: is not in the repository")
        try:
            return self.sources.manifests.read(wanted.file, body, wanted.field).text
        except FieldMissing:
            return None

    def _since(
        self, repository: Repository, branch: str, fields: tuple[FileField, ...], values: Values
    ) -> float | None:
        """When the oldest commit was made from which on the fields hold these values."""
        commits = repository.branch_commits(branch, None, _files(fields))
        since: float | None = None
        for each in reversed(commits[-MOST_LOOKED_BACK:]):
            try:
                same = self._values(repository, each.revision, fields) == values
            except ManifestError:
                same = False
            if not same:
                return since
            since = each.at
        return since if len(commits) <= MOST_LOOKED_BACK else None

    def _live(self, key: ApplicationKey, head: Revision) -> Live:
        rollout = self.sources.rollout(key)
        if rollout is None or rollout.live is None:
            return Live()
        live, delivery, source = rollout.live, rollout.delivery, rollout.application.source
        content = self.sources.repositories[source.repository].content(head, source.paths)
        return Live(
            revision=live.revision,
            since=live.since,
            same=content == live.content,
            waits_for=_waits_for(rollout),
            objects=delivery.drift,
            changed_at=delivery.drifted_at,
        )

    def compared(self, earlier: PlaceState, later: PlaceState, *, every_field: bool) -> Compared:
        """Two neighbours' sources, and files."""
        if earlier.trouble or later.trouble:
            return Compared()
        files = self._files(earlier, later) if every_field else ()
        return Compared(self._source(earlier, later), files)

    def _source(self, earlier: PlaceState, later: PlaceState) -> SourceCommits | None:
        one, two = (version_in(self.pipeline, self.progress, each) for each in (earlier, later))
        if one is None or two is None:
            return SourceCommits(unknown="not both versions are among those that the trigger found")
        if one.identity == two.identity:
            return None
        newer, older = sorted((one, two), key=lambda each: self.progress.rank(each.identity))
        return self._commits(newer, older)

    def _commits(self, new: Version, old: Version) -> SourceCommits:
        bare = next((each for each in (new, old) if not each.revision), None)
        if bare is not None or not new.source:
            return SourceCommits(unknown=f"the source commit of {(bare or new).name} is not known")
        try:
            source = self.sources.repositories[new.source]
            return SourceCommits(source.commits_between(Revision(old.revision), Revision(new.revision), _EVERYTHING))
        except (RepositoryError, ValueError) as error:  # ValueError: the image's label is no repository's URL
            return SourceCommits(unknown=str(error)[:300])

    def _files(self, earlier: PlaceState, later: PlaceState) -> tuple[FileDifferences, ...]:
        pairs = files_to_compare(self.pipeline, earlier.place, later.place)
        return tuple(self._file(earlier, later, mine, theirs) for mine, theirs in pairs)

    def _file(self, earlier: PlaceState, later: PlaceState, mine: str, theirs: str) -> FileDifferences:
        try:
            before, after = self._body(earlier, mine), self._body(later, theirs)
            changes = self.sources.manifests.changes(theirs, before, after)
        except (RepositoryError, ManifestError) as error:
            return FileDifferences(mine, theirs, trouble=str(error))
        return FileDifferences(mine, theirs, changes)

    def _body(self, state: PlaceState, file: str) -> bytes:
        if state.head is None:
            return b""
        return self.sources.repositories[state.repository].files(state.head, (file,)).get(file) or b""


def _files(fields: tuple[FileField, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.file for each in fields))


def _waits_for(rollout: Rollout) -> str:
    """Why what Git has is not deployed, as far as the deployer tells."""
    delivery = rollout.delivery
    if delivery.blocked:
        return delivery.blocked
    if not delivery.automated:
        return "it is deployed by hand"
    if delivery.operation is not None:
        return delivery.operation.message or "a sync is under way"
    return ""
