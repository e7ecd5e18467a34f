"""What is done for a promotion, on Git in memory with a forge that makes commits itself."""

from dataclasses import dataclass, field

import pytest

from controller.adapters.manifests import ManifestText
from controller.core.application import Revision
from controller.core.forge_writing import CommitStatus, MergeResult, StatusState
from controller.core.git import BuiltCommit, CommitIdentity, PushResult
from controller.core.promotion.edits import FileEdit
from controller.core.promotion.fields import parse_path
from controller.core.promotion.intents import (
    CannotEdit,
    CommitByForge,
    CommitPushed,
    Failed,
    MergePull,
    Prepare,
    Prepared,
    PullMerged,
    SetStatus,
    StatusSet,
)
from controller.core.promotion.progress import Place
from controller.core.promotion.updates import FieldEdit
from controller.ports.forge import ForgeBusy, ForgeDenied, ForgeError, ForgeUnavailable
from controller.runtime.committing import Committing
from controller.runtime.promotion_acts import Acting
from controller.runtime.promotion_facts import PromotionPorts
from tests.fakes.committing_forge import CommittingForge
from tests.fakes.forge_state import BOT, Protection
from tests.fakes.manual_clock import ManualClock
from tests.fakes.repository import InMemoryRemote, InMemoryRepository

URL = "https://git.example.com/shop/manifests.git"
FILE = "envs/dev/values.yaml"
DEV = Place("dev")
MESSAGE = "Promote checkout 1.1.0 to dev\n\nIt comes from v1.1.0.\n\nRollguard-Version: 1.1.0\n"


@dataclass
class Desk:
    """A repository, the forge around it, and what acts on both."""

    remote: InMemoryRemote = field(default_factory=InMemoryRemote)
    leads: bool = True

    def __post_init__(self) -> None:
        self.head = Revision(self.remote.commit({FILE: "image: {tag: v1.0.0}   # ours\n"}, "Begin"))
        self.forge = CommittingForge(self.remote)
        ports = PromotionPorts(
            repositories={URL: InMemoryRepository(self.remote)},
            forge=lambda _url: self.forge,
            manifests=ManifestText(),
            rollout=lambda _key: None,
            paused=lambda _key: False,
            may_promote=lambda _key, _application: "",
            committing=lambda _url: Committing(self.forge),
        )
        self.acting = Acting(ports, CommitIdentity(), ManualClock(), lambda: self.leads)
        self.edits = (FileEdit(FILE, FieldEdit(parse_path("image.tag"), "v1.1.0")),)

    def built(self) -> BuiltCommit:
        """The commit as it is written down."""
        event = self.acting.perform(Prepare(DEV, URL, self.head, self.edits, MESSAGE, 1.0, 0))
        assert isinstance(event, Prepared)
        assert event.commit is not None
        return event.commit

    def intent(self, commit: BuiltCommit) -> CommitByForge:
        """Have the forge make it."""
        return CommitByForge(DEV, URL, commit, "main", commit.parent, self.edits, MESSAGE)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_forge_commits_the_very_files_that_were_written_down(desk: Desk) -> None:
    """Under its own id, on the head that was read, with the whole message; all else in the file is as it was."""
    commit = desk.built()
    event = desk.acting.perform(desk.intent(commit))
    assert isinstance(event, CommitPushed)
    assert (event.outcome.result, event.commit) == (PushResult.PUSHED, desk.remote.head())
    assert event.commit != commit.revision
    assert desk.remote.commits[event.commit].tree == commit.tree
    assert desk.remote.files()[FILE] == b"image: {tag: v1.1.0}   # ours\n"
    (made,) = desk.forge.made
    assert (made.headline, made.expected_head) == ("Promote checkout 1.1.0 to dev", desk.head)
    assert made.body.endswith("Rollguard-Version: 1.1.0")


def test_another_head_gets_no_commit(desk: Desk) -> None:
    """Somebody pushed since the branch was read: the forge compares, and nothing of theirs is lost."""
    commit = desk.built()
    theirs = desk.remote.commit({"other.yaml": "a: b\n"}, "Meanwhile")
    event = desk.acting.perform(desk.intent(commit))
    assert isinstance(event, CommitPushed)
    assert event.outcome.result is PushResult.STALE
    assert (desk.remote.head(), desk.forge.made) == (theirs, [])


def test_other_files_than_were_written_down_are_not_committed(desk: Desk) -> None:
    """The edits would make something else by now: it is built again first."""
    commit = desk.built()
    desk.edits = (FileEdit(FILE, FieldEdit(parse_path("image.tag"), "v6.6.6")),)
    event = desk.acting.perform(desk.intent(commit))
    assert isinstance(event, CommitPushed)
    assert event.outcome.result is PushResult.STALE
    assert desk.forge.made == []


def test_a_lost_reply_is_unclear(desk: Desk) -> None:
    """It may have been made: looking at the branch tells."""
    desk.forge.lost = 1
    event = desk.acting.perform(desk.intent(desk.built()))
    assert isinstance(event, CommitPushed)
    assert event.outcome.result is PushResult.UNCLEAR


def test_who_does_not_lead_has_nothing_committed(desk: Desk) -> None:
    """Nor does a forge that denies it."""
    intent = desk.intent(desk.built())
    desk.leads = False
    assert isinstance(desk.acting.perform(intent), Failed)
    desk.leads, desk.forge.down = True, ForgeDenied("the token may not")
    event = desk.acting.perform(intent)
    assert isinstance(event, Failed)
    assert event.denied
    assert desk.remote.head() == desk.head


def test_where_no_forge_commits_any_more_it_is_said(desk: Desk) -> None:
    """The settings changed since it was written down."""
    intent = desk.intent(desk.built())
    ports = PromotionPorts(
        repositories=desk.acting.ports.repositories,
        forge=lambda _url: None,
        manifests=ManifestText(),
        rollout=lambda _key: None,
        paused=lambda _key: False,
        may_promote=lambda _key, _application: "",
    )
    event = Acting(ports, CommitIdentity(), ManualClock(), lambda: True).perform(intent)
    assert isinstance(event, CannotEdit)


def test_where_commits_must_be_signed_a_pull_request_is_squashed(desk: Desk) -> None:
    """Its own commit and a merge are refused for their signature; the forge signs the commit that a squash makes."""
    state = desk.forge.state
    state.commit("main", {"a": "1"}, by="ann")
    head = state.commit("rollguard/promote-dev", {"a": "2"}, by=BOT)
    pull = state.open("rollguard/promote-dev", "main", "Promote", "", BOT)
    state.protection["main"] = Protection(signatures=True)
    event = desk.acting.perform(MergePull(DEV, URL, pull.number, head, "Promote", "It comes from v1.1.0."))
    assert isinstance(event, PullMerged)
    assert event.outcome.result is MergeResult.MERGED
    assert len(state.commits[state.branches["main"]].parents) == 1


def test_a_status_is_set_on_the_head(desk: Desk) -> None:
    """With its name, its state and what it says."""
    head = desk.forge.state.commit("main", {"a": "1"}, by="ann")
    status = CommitStatus("rollguard/promotion", StatusState.PENDING, "check tests runs")
    event = desk.acting.perform(SetStatus(DEV, URL, head, status))
    assert event == StatusSet(DEV, head, status)
    (said,) = desk.forge.state.last_statuses(head)
    assert (said.context, said.state, said.description) == ("rollguard/promotion", "pending", "check tests runs")


@pytest.mark.parametrize(
    ("error", "refused", "retry_at"),
    [
        (ForgeDenied("the token may not"), True, None),
        (ForgeUnavailable("the forge is away"), False, None),
        (ForgeBusy("too many", 120.0), False, 120.0),
    ],
)
def test_a_status_that_is_not_taken_is_no_failure(
    desk: Desk, error: ForgeError, refused: bool, retry_at: float | None
) -> None:
    """It says why, and whether asking again helps: the promotion goes on."""
    desk.forge.down = error
    status = CommitStatus("rollguard/promotion", StatusState.SUCCESS)
    event = desk.acting.perform(SetStatus(DEV, URL, desk.head, status))
    assert isinstance(event, StatusSet)
    assert (event.trouble, event.refused) == (str(error), refused)
    assert event.retry_at == (desk.acting.clock.now() + retry_at if retry_at is not None else None)
