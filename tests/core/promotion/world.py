"""A small world for promotions: branches with fields, a forge, and guards that say what they are told to say."""

from dataclasses import dataclass, field, replace

import yaml

from controller.core.application import Revision
from controller.core.forge import Check, CheckState, Participants, PullRequest, PullRequestState, Review, ReviewState
from controller.core.forge_writing import CommitStatus, ForgeCommits, MergeBlock, MergeOutcome, MergeResult
from controller.core.git import BuiltCommit, PushOutcome, PushResult
from controller.core.promotion.advance import look, take
from controller.core.promotion.edits import fields_of
from controller.core.promotion.facts import Facts, Found, Member, PlaceFacts, PullFacts
from controller.core.promotion.gates import OWN_CHECK
from controller.core.promotion.intents import (
    ClosePull,
    CommitByForge,
    CommitPushed,
    LeaveQueue,
    MergePull,
    OpenPull,
    Prepare,
    Prepared,
    PromotionEvent,
    PromotionIntent,
    PullClosed,
    PullMerged,
    PullOpened,
    PushCommit,
    QueueLeft,
    SetStatus,
    StatusSet,
)
from controller.core.promotion.move import Move, places_of
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Passage, Place, Progress, dump_progress, load_progress
from controller.core.promotion.standing import AppStanding, Judged
from controller.core.promotion.version import Version

REPOSITORY = "https://git.example.com/shop/manifests.git"
START = 1_800_000_000.0  # a Friday, 08:00 UTC

PIPELINE = """
apiVersion: rollguard.dev/v1alpha1
kind: PromotionPipeline
metadata: {name: checkout, namespace: shop}
spec:
  trigger: {image: {repository: registry.example.com/shop/checkout, tagPattern: '^v(?P<version>.+)$'}}
  stages:
    - name: dev
      application: {name: checkout-dev}
      write: {updates: [{file: envs/dev/values.yaml, path: image.tag}]}
    - name: staging
      application: {name: checkout-staging}
      write: {updates: [{file: envs/staging/values.yaml, path: image.tag}]}
      mode: PullRequest
      mergeWhen: {checks: Ignored}
    - name: production
      application: {name: checkout}
      write: {updates: [{file: envs/production/values.yaml, path: image.tag}]}
      mode: PullRequest
      approvals: {minimum: 1, from: [alice, bob], notAuthor: true}
      soak: 1h
"""


GROUPED = """
apiVersion: rollguard.dev/v1alpha1
kind: PromotionPipeline
metadata: {name: shop, namespace: shop}
spec:
  trigger:
    image:
      repository: registry.example.com/shop/checkout
      togetherWith: [registry.example.com/shop/cart]
      tagPattern: '^v(?P<version>.+)$'
  stages:
    - name: dev
      application: {name: checkout-dev}
      togetherWith: [{name: cart-dev}]
      write:
        updates:
          - {file: envs/dev/checkout.yaml, path: image.tag}
          - {file: envs/dev/cart.yaml, path: image.tag}
    - name: production
      application: {name: checkout}
      write: {updates: [{file: envs/production/checkout.yaml, path: image.tag}]}
"""
"""Two services that are promoted as one into dev."""


def pipeline(text: str = PIPELINE) -> PromotionPipeline:
    """A pipeline from YAML."""
    return PromotionPipeline.model_validate(yaml.safe_load(text))


def version(number: int) -> Version:
    """The n-th version."""
    return Version(
        f"1.{number}.0",
        tag=f"v1.{number}.0",
        digest=f"sha256:{number:064x}",
        image="registry.example.com/shop/checkout",
    )


@dataclass
class Branch:
    """A branch: its head, and what each file's fields hold."""

    head: Revision
    fields: dict[tuple[str, str], str] = field(default_factory=dict)


class World:
    """Branches, pull requests, and what guards say."""

    def __init__(self, declared: PromotionPipeline | None = None, at_first: int = 1) -> None:
        self.pipeline = declared or pipeline()
        self.progress = Progress(self.pipeline.key)
        self.now = START
        self.versions: tuple[Version, ...] = (version(at_first),)
        self.commits = 0
        self.branches = {"main": Branch(self._revision())}
        self.trees: dict[str, dict[tuple[str, str], str]] = {}
        self.pulls: dict[int, PullRequest] = {}
        self.reviews: dict[int, list[Review]] = {}
        self.said: list[str] = []
        self.alerts: list[str] = []
        self.pushed: list[str] = []
        self.conflicting: set[int] = set()
        """Pull requests that Git cannot merge into the branch any more."""
        self.refuses: set[str] = set()
        self.statuses: list[tuple[Revision, CommitStatus]] = []
        """What was said of heads, or was to be said."""
        self.no_status = ""
        """Why the forge takes no statuses."""
        self.checks: tuple[Check, ...] = ()
        """Of every pull request, beside our own."""
        self.queues = False
        """Merging puts a pull request into a queue."""
        self.queue: set[int] = set()
        self.unsigned: set[str] = set()
        """Branches that take signed commits alone."""
        self.forge_commits = ForgeCommits.NEVER
        self.authors = Participants(frozenset({"carol"}))
        self.live: dict[Place, tuple[Revision, dict[tuple[str, str], str]]] = {}
        self.judged: dict[Place, Judged] = {}
        self.bad: dict[Place, tuple[Revision, ...]] = {}
        self.companions: dict[str, Judged] = {}
        """What the guard says of an application by its name, where that is not what it says of its whole place."""
        for place in places_of(self.pipeline):
            for each in self.fields(place):
                self.branches["main"].fields.setdefault(each, "v1.0.0" if "weight" not in each[1] else "0")
        self.deploy()
        self.judge(Judged.HEALTHY)

    def _revision(self) -> Revision:
        self.commits += 1
        return Revision(f"{self.commits:040x}")

    def fields(self, place: Place) -> list[tuple[str, str]]:
        """Names of the fields of a place."""
        stage = next(each for each in self.pipeline.spec.stages if each.name == place.stage)
        target = next(each for each in stage.places if each.name == place.target)
        return [(each.file, str(each.field)) for each in fields_of(stage, target)]

    def deploy(self, *places: Place) -> None:
        """The deployer brings what the branch holds to life."""
        main = self.branches["main"]
        for place in places or places_of(self.pipeline):
            mine = {name: main.fields[name] for name in self.fields(place)}
            if place not in self.live or self.live[place][1] != mine:
                self.live[place] = (main.head, mine)
                self.judged[place] = Judged.ANALYSING

    def judge(self, judged: Judged, *places: Place) -> None:
        """The guards say this of what is live."""
        for place in places or places_of(self.pipeline):
            self.judged[place] = judged
            if judged is Judged.BREACHED:
                self.bad[place] = (*self.bad.get(place, ()), self.live[place][0])

    def holds(self, place: str) -> str:
        """The first field of a place, in the branch."""
        return self.branches["main"].fields[self.fields(_place(place))[0]]

    def passage(self, place: str) -> Passage:
        """What is on its way there."""
        found = self.progress.passage(_place(place))
        assert found is not None, f"nothing is on its way to {place}"
        return found

    def facts(self) -> Facts:
        """All facts, now."""
        return Facts(
            found=Found(self.versions),
            places={place: self._place_facts(place) for place in places_of(self.pipeline)},
            members={"shop-leads": frozenset({"alice", "bob"})},
        )

    def _place_facts(self, place: Place) -> PlaceFacts:
        main, passage = self.branches["main"], self.progress.passage(place)
        revision, alive = self.live[place]
        target = next(
            each
            for stage in self.pipeline.spec.stages
            if stage.name == place.stage
            for each in stage.places
            if each.name == place.target
        )
        names = self.fields(place)
        members = []
        for key in (each.key("shop") for each in target.applications):
            judged = self.companions.get(key.name, self.judged[place])
            said = "availability 93 % against 99.5 %" if judged is Judged.BREACHED else ""
            live = None if judged is Judged.UNKNOWN else revision
            standing = AppStanding(key, judged, live, self.now, said, self.bad.get(place, ()))
            members.append(Member(standing, tuple(alive[each] for each in names) if live is not None else None))
        number = passage.pull_number if passage is not None else None
        pull = self._pull_facts(number) if number is not None else None
        name = next(
            (each for each in self.branches if each.endswith("-".join(filter(None, (place.stage, place.target))))),
            None,
        )
        return PlaceFacts(
            place,
            repository=REPOSITORY,
            branch="main",
            head=main.head,
            values=tuple(main.fields[each] for each in names),
            members=tuple(members),
            pull=pull,
            branch_head=self.branches[name].head if name is not None else None,
            has_forge=True,
            forge_commits=self.forge_commits,
            authors=self.authors,
            authors_unknown="",
        )

    def _pull_facts(self, number: int) -> PullFacts:
        conflicts = number in self.conflicting
        pull, reviews = self.pulls[number], tuple(self.reviews.get(number, ()))
        checks, queued = self._checks(pull.head), number in self.queue
        return PullFacts(pull, reviews, checks, conflicts=conflicts, queued=queued)

    def _checks(self, head: Revision) -> tuple[Check, ...]:
        own = [CheckState.PENDING for revision, _ in self.statuses if revision == head and not self.no_status]
        return (*self.checks, *(Check(OWN_CHECK, each) for each in own[-1:]))

    def run(self, most: int = 20) -> list[PromotionIntent]:
        """Look and act until nothing is left to do; returns what was done, but for what statuses say."""
        done: list[PromotionIntent] = []
        for _ in range(most):
            facts = self.facts()
            move = self._taken(look(self.pipeline, self.progress, facts, self.now))
            if not move.intents:
                return done
            for intent in move.intents:
                if not isinstance(intent, SetStatus):
                    done.append(intent)
                self._taken(take(self.pipeline, self.progress, facts, self.perform(intent), self.now))
        raise AssertionError(f"it does not come to rest: {done[-3:]}")

    def _taken(self, move: Move) -> Move:
        self.progress = load_progress(dump_progress(move.progress))
        assert self.progress == move.progress, "it is not read back equal"
        self.said.extend(move.said)
        self.alerts.extend(f"{each.name.value}{' over' if each.ended_at else ''}" for each in move.alerts)
        return move

    def perform(self, intent: PromotionIntent) -> PromotionEvent:  # noqa: PLR0911  one line an intent
        """Do what is asked."""
        match intent:
            case Prepare():
                return self._prepare(intent)
            case PushCommit():
                return CommitPushed(intent.place, intent.commit.revision, intent.branch, self._push(intent))
            case CommitByForge():
                return self._commit_by_forge(intent)
            case OpenPull():
                return self._open(intent)
            case MergePull():
                return PullMerged(intent.place, intent.number, self._merge(intent))
            case LeaveQueue():
                self.queue.discard(intent.number)
                return QueueLeft(intent.place, intent.number)
            case SetStatus():
                self.statuses.append((intent.revision, intent.status))
                return StatusSet(intent.place, intent.revision, intent.status, self.no_status, refused=True)
            case ClosePull():
                self.pulls[intent.number] = replace(self.pulls[intent.number], state=PullRequestState.CLOSED)
                return PullClosed(intent.place, intent.number)

    def _prepare(self, intent: Prepare) -> Prepared:
        base = self.trees.get(intent.base, self.branches["main"].fields)
        after = dict(base)
        for each in intent.edits:
            after[each.file, each.name] = each.text
        if after == base:
            return Prepared(intent.place, intent.base, intent.step, None)
        revision = self._revision()
        self.trees[revision] = after
        return Prepared(intent.place, intent.base, intent.step, BuiltCommit(revision, intent.base, "tree", "data"))

    def _push(self, intent: PushCommit) -> PushOutcome:
        branch = self.branches.get(intent.branch)
        assert any(intent.commit in each.commits for each in self.progress.passages), "pushed, and not written down"
        assert intent.replaces or intent.expected == intent.commit.parent, "such a push would drop commits"
        if (branch.head if branch is not None else None) != intent.expected:
            return PushOutcome(PushResult.STALE)
        if intent.branch in self.refuses:
            return PushOutcome(PushResult.PROTECTED)
        if intent.branch in self.unsigned:
            return PushOutcome(PushResult.SIGNATURE)
        self.trees.setdefault(intent.branch, {})
        self.branches[intent.branch] = Branch(intent.commit.revision, dict(self.trees[intent.commit.revision]))
        self.pushed.append(intent.branch)
        return PushOutcome(PushResult.PUSHED)

    def _commit_by_forge(self, intent: CommitByForge) -> CommitPushed:
        """Under an id of its own, and only on the head that was read."""
        branch = self.branches[intent.branch]
        assert any(intent.commit in each.commits for each in self.progress.passages), "made, and not written down"
        if branch.head != intent.expected:
            return CommitPushed(intent.place, intent.commit.revision, intent.branch, PushOutcome(PushResult.STALE))
        if intent.branch in self.refuses:
            refused = PushOutcome(PushResult.PROTECTED)
            return CommitPushed(intent.place, intent.commit.revision, intent.branch, refused)
        revision = self._revision()
        self.branches[intent.branch] = Branch(revision, dict(self.trees[intent.commit.revision]))
        self.pushed.append(intent.branch)
        return CommitPushed(intent.place, revision, intent.branch, PushOutcome(PushResult.PUSHED))

    def _open(self, intent: OpenPull) -> PullOpened:
        number = next(
            (n for n, each in self.pulls.items() if each.head_branch == intent.branch and each.open),
            len(self.pulls) + 1,
        )
        self.conflicting.discard(number)
        self.pulls[number] = PullRequest(
            number,
            PullRequestState.OPEN,
            intent.title,
            intent.body,
            intent.branch,
            intent.commit.revision,
            intent.base,
        )
        return PullOpened(intent.place, number, f"https://git.example.com/pulls/{number}", intent.commit.revision)

    def _merge(self, intent: MergePull) -> MergeOutcome:
        pull = self.pulls[intent.number]
        if pull.head != intent.head:
            return MergeOutcome(MergeResult.STALE)
        if "merge" in self.refuses:
            return MergeOutcome(MergeResult.BLOCKED, block=MergeBlock.REVIEWS)
        if self.queues:
            self.queue.add(intent.number)
            return MergeOutcome(MergeResult.QUEUED)
        self.merge(intent.number)
        return MergeOutcome(MergeResult.MERGED)

    def merge(self, number: int) -> None:
        """Merge a pull request: its fields come into the branch."""
        pull = self.pulls[number]
        self.queue.discard(number)
        main, mine = self.branches["main"], self.branches[pull.head_branch]
        place = next(
            each for each in places_of(self.pipeline) if pull.head_branch.endswith(str(each).replace("/", "-"))
        )
        fields = main.fields | {name: mine.fields[name] for name in self.fields(place)}
        self.branches["main"] = Branch(self._revision(), fields)
        self.pulls[number] = replace(pull, state=PullRequestState.MERGED)

    def commit(self, **fields: str) -> None:
        """A person changes the first field of a place."""
        main = self.branches["main"]
        changed = {self.fields(_place(name))[0]: value for name, value in fields.items()}
        self.branches["main"] = Branch(self._revision(), main.fields | changed)

    def approve(self, number: int, user: str) -> None:
        """Somebody approves a pull request as it is."""
        review = Review(user, ReviewState.APPROVED, self.pulls[number].head, at=self.now)
        self.reviews.setdefault(number, []).append(review)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds


def _place(text: str) -> Place:
    stage, _, target = text.replace("__", "/").partition("/")
    return Place(stage, target)


def place(text: str) -> Place:
    """``stage`` or ``stage/target``."""
    return _place(text)
