"""Gathers what a pipeline's next move is decided on, from Git, the forge and the guard.

Invariant: of each place Git is read before the guard is asked. What cannot be read is said in the place's ``trouble``; the
other places go on.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.core.application import Application, ApplicationKey, Revision
from controller.core.forge import PullRequestState
from controller.core.forge_writing import ForgeCommits
from controller.core.git import canonical_url
from controller.core.promotion.edits import FileField, fields_of
from controller.core.promotion.facts import Facts, Found, Member, PlaceFacts, PullFacts, Values
from controller.core.promotion.move import Move, places_of
from controller.core.promotion.pipeline import PromotionPipeline, Stage, StageMode, StageTarget
from controller.core.promotion.progress import Passage, Phase, Place, Progress
from controller.core.promotion.scope import outside_of
from controller.core.promotion.standing import AppStanding, Judged, standing_of
from controller.core.promotion.wording import pull_branch
from controller.core.state import Rollout
from controller.ports.forge import Forge, ForgeError
from controller.ports.manifests import ManifestError, Manifests
from controller.ports.repository import Repository, RepositoryError, RevisionUnknown
from controller.runtime.committing import FindCommitting, makes_none
from controller.runtime.promotion_sources import Authors


@dataclass(frozen=True, slots=True)
class PromotionPorts:
    """What promotions speak to."""

    repositories: Mapping[str, Repository]
    """By URL."""
    forge: Callable[[str], Forge | None]
    """By the repository's URL; None: the settings name none."""
    manifests: Manifests
    rollout: Callable[[ApplicationKey], Rollout | None]
    """What the guard knows of an application; None: nothing."""
    paused: Callable[[ApplicationKey], bool]
    may_promote: Callable[[ApplicationKey, Application], str]
    """Why a pipeline may not touch an application; empty: it may."""
    committing: FindCommitting = makes_none
    """By the repository's URL; None: its forge makes no commits."""

    def forge_commits(self, url: str) -> ForgeCommits:
        """Whether the forge makes a repository's commits."""
        found = self.committing(url)
        if found is None:
            return ForgeCommits.NEVER
        return ForgeCommits.ALWAYS if found.always else ForgeCommits.DEMANDED


class Gathering:
    """Reads facts; remembers the fields of a revision, which never change."""

    def __init__(self, ports: PromotionPorts) -> None:
        self._ports = ports
        self._authors = Authors(ports.repositories, ports.forge)
        self._fields: dict[tuple[str, Revision, tuple[FileField, ...]], Values] = {}

    def facts(self, pipeline: PromotionPipeline, progress: Progress, found: Found | None, now: float) -> Facts:
        """All facts of a pipeline."""
        bare = Move(pipeline, progress, Facts(), now)
        heads: dict[tuple[str, str], Revision] = {}
        places = {place: self._place(bare, place, heads) for place in places_of(pipeline)}
        return Facts(found=found, places=places, members=self._members(bare, places.values()))

    def _place(self, move: Move, place: Place, heads: dict[tuple[str, str], Revision]) -> PlaceFacts:
        stage, target = move.stage(place), move.target(place)
        keys = move.applications(place)
        rollouts = [rollout for key in keys if (rollout := self._ports.rollout(key)) is not None]
        trouble = self._trouble(move, place, rollouts)
        if trouble:
            return PlaceFacts(place, trouble=trouble, members=tuple(map(self._member, keys)))
        application = rollouts[0].application
        url = target.write.repository or application.source.repository
        branch = target.write.branch or application.source.branch
        facts = PlaceFacts(
            place,
            repository=url,
            branch=branch,
            has_forge=self._ports.forge(url) is not None,
            forge_commits=self._ports.forge_commits(url),
        )
        try:
            return self._read(move, stage, target, facts, heads)
        except (RepositoryError, ForgeError, ManifestError) as error:
            return replace(facts, trouble=str(error), members=tuple(map(self._member, keys)))

    def _trouble(self, move: Move, place: Place, rollouts: Sequence[Rollout]) -> str:
        """Why nothing can be written for a place's applications; empty: it can."""
        found = [each.application for each in rollouts]
        missing = [str(key) for key in move.applications(place) if all(each.key != key for each in found)]
        if missing:
            return f"there is no application {' or '.join(missing)}"
        refused = (self._ports.may_promote(move.pipeline.key, each) for each in found)
        return next(filter(None, refused), "") or _outside(move.target(place), move.stage(place), found)

    def _read(
        self, move: Move, stage: Stage, target: StageTarget, facts: PlaceFacts, heads: dict[tuple[str, str], Revision]
    ) -> PlaceFacts:
        place, repository = facts.place, self._ports.repositories[facts.repository]
        where = (canonical_url(facts.repository), facts.branch)
        head = heads.get(where) or heads.setdefault(where, repository.fetch(facts.branch))
        fields = fields_of(stage, target)
        values = self._values(facts.repository, head, fields)
        passage = move.progress.passage(place)
        facts = self._proposal(move, passage, replace(facts, head=head, values=values))
        if _just_merged(passage, facts):
            head = heads[where] = repository.fetch(facts.branch)
            facts = replace(facts, head=head, values=self._values(facts.repository, head, fields))
        # only now: a restore that took the version out of the branch is then known to the guard
        members = map(self._member, move.applications(place))
        told = tuple(replace(each, live_values=self._live(facts, fields, each.standing)) for each in members)
        return self._with_authors(move, stage, passage, replace(facts, members=told))

    def _member(self, key: ApplicationKey) -> Member:
        rollout = self._ports.rollout(key)
        if rollout is None:
            return Member(AppStanding(key, Judged.UNKNOWN))
        return Member(standing_of(rollout, paused=self._ports.paused(key)))

    def _values(self, url: str, revision: Revision, fields: tuple[FileField, ...]) -> Values:
        known = (canonical_url(url), revision, fields)
        if known not in self._fields:
            if len(self._fields) > 10_000:  # noqa: PLR2004  heads that are long gone
                self._fields.clear()
            self._fields[known] = self._read_fields(url, revision, fields)
        return self._fields[known]

    def _read_fields(self, url: str, revision: Revision, fields: Sequence[FileField]) -> Values:
        files = self._ports.repositories[url].files(revision, tuple(dict.fromkeys(each.file for each in fields)))
        values: list[str | None] = []
        for each in fields:
            body = files.get(each.file)
            try:
                values.append(
                    self._ports.manifests.read(each.file, body, each.field).text if body is not None else None
                )
            except ManifestError:
                values.append(None)  # writing says what is wrong with it
        return tuple(values)

    def _live(self, facts: PlaceFacts, fields: tuple[FileField, ...], standing: AppStanding) -> Values | None:
        if standing.live is None:
            return None
        try:
            return self._values(facts.repository, standing.live, fields)
        except RevisionUnknown:
            return None

    def _proposal(self, move: Move, passage: Passage | None, facts: PlaceFacts) -> PlaceFacts:
        """With the pull request and its branch, where there is one or will be."""
        if passage is None or not passage.open or not _goes_by_pull_request(move, passage):
            return facts
        try:
            branch_head = self._ports.repositories[facts.repository].fetch(pull_branch(move, passage))
        except RevisionUnknown:
            branch_head = None
        facts = replace(facts, branch_head=branch_head)
        forge = self._ports.forge(facts.repository)
        if forge is None or passage.pull_number is None:
            return facts
        pull = _pull(forge, passage.pull_number, queued=passage.queued is not None)
        return replace(facts, pull=replace(pull, conflicts=self._conflicts(passage, facts, pull)))

    def _conflicts(self, passage: Passage, facts: PlaceFacts, pull: PullFacts) -> bool:
        """Whether Git could not merge it any more: forges say so late, or not at all."""
        ours = pull.request.open and pull.request.head == passage.pull_head
        if not ours or facts.head is None:
            return False
        return bool(self._ports.repositories[facts.repository].conflicts(pull.request.head, facts.head))

    def _with_authors(self, move: Move, stage: Stage, passage: Passage | None, facts: PlaceFacts) -> PlaceFacts:
        rules = stage.approvals
        if rules is None or not rules.not_author or passage is None or passage.phase not in _ASKED:
            return facts
        authors, unknown = self._authors.of(move, passage)
        return replace(facts, authors=authors, authors_unknown=unknown)

    def _members(self, move: Move, places: Iterable[PlaceFacts]) -> Mapping[str, frozenset[str]]:
        """For each team that approvals name: those of the reviewers who are in it."""
        members: dict[str, set[str]] = {}
        for facts in places:
            rules, pull = move.stage(facts.place).approvals, facts.pull
            forge = self._ports.forge(facts.repository) if facts.repository else None
            if rules is None or pull is None or forge is None:
                continue
            users = {each.user.casefold() for each in pull.reviews if each.user}
            for team in rules.from_:
                members.setdefault(team, set()).update(user for user in users if _is_member(forge, user, team))
        return {team: frozenset(users) for team, users in members.items()}


def _is_member(forge: Forge, user: str, team: str) -> bool:
    try:
        return user != team.casefold() and forge.is_member(user, team)
    except ForgeError:
        return False  # it is a user's name, or a team that the token may not see: nobody counts by it


_ASKED = (Phase.WAITING, Phase.WRITING, Phase.PROPOSED)


def _just_merged(passage: Passage | None, facts: PlaceFacts) -> bool:
    """Somebody, or the forge's queue, may have merged it after the branch was read."""
    proposed = passage is not None and passage.phase is Phase.PROPOSED
    return proposed and facts.pull is not None and facts.pull.request.state is PullRequestState.MERGED


def _goes_by_pull_request(move: Move, passage: Passage) -> bool:
    by_mode = move.stage(passage.place).mode is StageMode.PULL_REQUEST and not passage.step
    return by_mode or passage.by_pull_request or passage.pull_number is not None


def _pull(forge: Forge, number: int, *, queued: bool) -> PullFacts:
    queued = queued and forge.is_queued(number)  # before its state: what is merged meanwhile was not thrown out
    request = forge.pull_request(number)
    if not request.open:
        return PullFacts(request)
    return PullFacts(request, forge.reviews(number), forge.checks(request.head), queued=queued)


def _outside(target: StageTarget, stage: Stage, applications: Sequence[Application]) -> str:
    files: Iterable[str] = [*(each.file for each in target.write.updates), *(each.file for each in stage.steps)]
    return outside_of(target.write.repository, target.write.branch, files, applications)
