"""What a promotion is decided on, gathered from Git and a forge in memory."""

from dataclasses import dataclass, field, replace

import pytest

from controller.adapters.manifests import ManifestText
from controller.core.application import Application, GitSource, Revision
from controller.core.forge import PullRequest, PullRequestState
from controller.core.promotion.facts import PlaceFacts
from controller.core.promotion.progress import Passage, Phase, Place, Progress
from controller.core.state import Rollout
from controller.runtime.promotion_facts import Gathering, PromotionPorts
from tests.core.promotion.world import REPOSITORY, pipeline, version
from tests.fakes.forge import InMemoryForge
from tests.fakes.forge_state import BOT, Protection
from tests.fakes.repository import InMemoryRemote, InMemoryRepository

STAGING = Place("staging")
FILE = "envs/staging/values.yaml"
BRANCH = "rollguard/promote-shop-checkout-staging"


class MergedMeanwhile(InMemoryForge):
    """A forge whose queue merges a pull request just before it is asked about."""

    meanwhile = staticmethod(lambda: None)

    def pull_request(self, number: int) -> PullRequest:
        self.meanwhile()
        return super().pull_request(number)


@dataclass
class Desk:
    """A version that is proposed for staging."""

    remote: InMemoryRemote = field(default_factory=InMemoryRemote)

    def __post_init__(self) -> None:
        files = {f"envs/{stage}/values.yaml": "image: {tag: v1.0.0}\n" for stage in ("dev", "staging", "production")}
        self.base = Revision(self.remote.commit(files, "Begin"))
        self.head = Revision(
            self.remote.commit({FILE: "image: {tag: v1.1.0}\n"}, "Promote", branch=BRANCH, parents=[self.base])
        )
        self.forge = MergedMeanwhile()
        state = self.forge.state
        state.commit("main", {"a": "1"}, by="ann")
        state.commit(BRANCH, {"a": "2"}, by=BOT)
        self.pull = state.open(BRANCH, "main", "Promote", "", BOT)
        self.pull.head = self.head
        state.protection["main"] = Protection(queue=True)
        self.pull.queued = True
        ports = PromotionPorts(
            repositories={REPOSITORY: InMemoryRepository(self.remote)},
            forge=lambda _url: self.forge,
            manifests=ManifestText(),
            rollout=lambda key: Rollout(Application(key, GitSource(REPOSITORY, "main", ("envs",)))),
            paused=lambda _key: False,
            may_promote=lambda _key, _application: "",
        )
        self.gathering = Gathering(ports)
        passage = Passage(
            STAGING,
            version(1),
            0.0,
            Phase.PROPOSED,
            by_pull_request=True,
            pull_number=self.pull.number,
            pull_head=self.head,
            queued=self.head,
        )
        self.passage = passage

    def facts(self, **changes: object) -> PlaceFacts:
        """The facts of staging."""
        declared = pipeline()
        progress = Progress(declared.key).with_passage(replace(self.passage, **changes))  # type: ignore[arg-type]
        found = self.gathering.facts(declared, progress, None, 1.0).at(STAGING)
        assert not found.trouble
        return found


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_we_put_into_the_queue_is_asked_about(desk: Desk) -> None:
    """Whether it is there still; of one that was never put there nobody is asked."""
    for queued in (True, False):
        desk.pull.queued = queued
        found = desk.facts().pull
        assert found is not None
        assert found.queued is queued
    desk.pull.queued = True
    unasked = desk.facts(queued=None).pull
    assert unasked is not None
    assert not unasked.queued


def test_what_is_merged_while_it_is_looked_at_is_seen_in_the_branch(desk: Desk) -> None:
    """The branch was read before the queue merged it: it is read again, and nobody takes it for one that was taken out."""

    def merge() -> None:
        if desk.pull.state == "open":
            desk.remote.merge(desk.head, {FILE: "image: {tag: v1.1.0}\n"})
            desk.pull.state = "merged"

    desk.forge.meanwhile = merge  # type: ignore[assignment]
    found = desk.facts()
    assert found.pull is not None
    assert found.pull.request.state is PullRequestState.MERGED
    assert (found.head, found.values) == (desk.remote.head(), ("v1.1.0",))
