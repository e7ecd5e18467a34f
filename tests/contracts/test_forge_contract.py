"""One suite for every forge: the fake, GitHub's and GitLab's API as documented, and (tests/cluster) a real Gitea."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from controller.adapters.forge.opening import ForgeAccess, open_forge
from controller.core.application import Revision
from controller.core.forge import CheckState, PullRequest, PullRequestDraft, PullRequestState, ReviewState, approvers
from controller.core.forge_links import ForgeKind
from controller.core.forge_writing import (
    CommitStatus,
    MergeBlock,
    MergeMethod,
    MergeOutcome,
    MergeRequest,
    MergeResult,
    StatusState,
)
from controller.core.git import RollbackPath
from controller.core.markdown import marked
from controller.ports.forge import Forge, ForgeRefused, ForgeUnknown, Refusal
from tests.fakes.forge import InMemoryForge
from tests.fakes.forge_state import BOT, NAME, OWNER, ForgeState, Protection
from tests.fakes.manual_clock import ManualClock
from tests.servers.forge_api import ForgeApi
from tests.servers.github_forge import GithubForgeApi
from tests.servers.gitlab_forge import GitlabForgeApi
from tests.servers.receiver import Receiver

UNKNOWN = Revision("1234567890" * 4)
BRANCH = "rollguard/staging"


class World(Protocol):
    """Everybody else around a repository: ann, bob, cat and dan."""

    forge: Forge

    def commit(self, branch: str, files: dict[str, str | None], *, by: str = "ann", email: str = "") -> Revision:
        """Commit and push, making the branch from main."""
        ...

    def head(self, branch: str) -> Revision: ...

    def review(self, number: int, user: str, state: str) -> None:
        """approved, changes or comment."""
        ...

    def label(self, number: int, name: str) -> None: ...

    def protect(self, branch: str, *, approvals: int = 0, checks: tuple[str, ...] = ()) -> None: ...

    def comment(self, number: int, user: str, body: str) -> None: ...

    def comments(self, number: int) -> list[str]: ...

    def team(self, *members: str) -> str:
        """Make a team; returns its name."""
        ...

    def settle(self, attempt: Callable[[], bool]) -> None:
        """Wait until it is so: a real forge does some things a little later."""
        ...


@dataclass
class StateWorld:
    """The world of what keeps its state in memory."""

    forge: Forge
    state: ForgeState

    def commit(self, branch: str, files: dict[str, str | None], *, by: str = "ann", email: str = "") -> Revision:
        return self.state.commit(branch, files, by=by, email=email)

    def head(self, branch: str) -> Revision:
        return self.state.branches[branch]

    def review(self, number: int, user: str, state: str) -> None:
        self.state.review(number, user, state)

    def label(self, number: int, name: str) -> None:
        self.state.pulls[number].labels.add(name)

    def protect(self, branch: str, *, approvals: int = 0, checks: tuple[str, ...] = ()) -> None:
        self.state.protection[branch] = Protection(approvals=approvals, checks=checks)

    def comment(self, number: int, user: str, body: str) -> None:
        self.state.comment(number, user, body)

    def comments(self, number: int) -> list[str]:
        return [each.body for each in self.state.pulls[number].comments]

    def team(self, *members: str) -> str:
        self.state.teams[f"{OWNER}/leads"] = set(members)
        return f"{OWNER}/leads"

    def settle(self, attempt: Callable[[], bool]) -> None:
        assert attempt()


APIS: dict[str, tuple[ForgeKind, type[ForgeApi]]] = {
    "github": (ForgeKind.GITHUB, GithubForgeApi),
    "gitlab": (ForgeKind.GITLAB, GitlabForgeApi),
}


def forge_at(kind: ForgeKind, receiver: Receiver, folder: Path, token: str) -> Forge:
    """The real adapter, speaking to a server on loopback."""
    file = folder / "token"
    file.write_text(token + "\n")
    url = receiver.url
    access = ForgeAccess(kind, url, f"{url}/{OWNER}/{NAME}.git", token_file=file, seconds=10.0)
    return open_forge(access, ManualClock())


@pytest.fixture(params=["memory", "github", "gitlab"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "memory":
        state = ForgeState()
        made = StateWorld(InMemoryForge(state), state)
        made.commit("main", {"app.yaml": "image: one\n"})
        yield made
        return
    kind, api_of = APIS[request.param]
    api = api_of()
    with Receiver(api) as receiver:
        made = StateWorld(forge_at(kind, receiver, tmp_path, api.token), api.state)
        made.commit("main", {"app.yaml": "image: one\n"})
        yield made


def proposed(world: World, *, labels: frozenset[str] = frozenset(), text: str = "image: two\n") -> PullRequest:
    """A pull request of Rollguard's with one commit."""
    world.commit(BRANCH, {"app.yaml": text}, by=BOT)
    return world.forge.open(PullRequestDraft(BRANCH, "main", "Promote two", "What changes", labels))


def merged(world: World, request: MergeRequest) -> MergeOutcome:
    """The outcome of a merge once the forge has made up its mind."""
    outcomes: list[MergeOutcome] = []

    def decided() -> bool:
        outcomes.append(world.forge.merge(request))
        return outcomes[-1].block is not MergeBlock.NOT_READY

    world.settle(decided)
    return outcomes[-1]


def test_a_pull_request_is_opened_and_read(world: World) -> None:
    """What was asked for is there, at the head that was pushed, by the bot."""
    opened = proposed(world, labels=frozenset({"rollguard", "promotion"}))
    found = world.forge.pull_request(opened.number)
    assert (found.title, found.body, found.base, found.head_branch) == ("Promote two", "What changes", "main", BRANCH)
    assert found.head == world.head(BRANCH)
    assert found.labels == {"rollguard", "promotion"}
    assert (found.state, found.author, found.fork, found.draft) == (PullRequestState.OPEN, BOT, False, False)
    assert found.merged_as is None
    assert found.updated_at > 0
    assert world.forge.find_open(BRANCH, "main") == found


def test_opening_again_brings_up_to_date_and_doubles_nothing(world: World) -> None:
    """The same branch has one pull request, with the words of the newest draft."""
    first = proposed(world)
    world.commit(BRANCH, {"app.yaml": "image: three\n"}, by=BOT)
    world.settle(lambda: world.forge.pull_request(first.number).head == world.head(BRANCH))
    second = world.forge.open(PullRequestDraft(BRANCH, "main", "Promote three", "Other", frozenset({"late"})))
    assert second.number == first.number
    assert (second.title, second.body, second.labels) == ("Promote three", "Other", {"late"})
    assert second.head == world.head(BRANCH)
    assert len(world.forge.pull_requests().found) == 1


def test_nobody_elses_is_found(world: World) -> None:
    """Another branch, or another base, is another pull request."""
    proposed(world)
    assert world.forge.find_open("rollguard/other", "main") is None
    assert world.forge.find_open(BRANCH, "production") is None


def test_labels_of_others_stay(world: World) -> None:
    """A person's label survives an update, and so does what is not written."""
    opened = proposed(world, labels=frozenset({"rollguard"}))
    world.label(opened.number, "hold")
    updated = world.forge.update(opened.number, title="Promote two, please", labels=frozenset({"rollguard"}))
    assert updated.labels == {"rollguard", "hold"}
    assert (updated.title, updated.body) == ("Promote two, please", "What changes")


def test_hostile_words_arrive_as_they_are(world: World) -> None:
    """Nothing that a title or body holds breaks a request; escaping is done before, on purpose."""
    opened = proposed(world)
    title, body = 'Weiß "quoted" & <b> \\ % ? #1', "line\n\n```diff\n- a\n+ ä → \U0001f680\n```\n"
    updated = world.forge.update(opened.number, title=title, body=body)
    again = world.forge.pull_request(opened.number)
    assert (again.title, again.body.strip()) == (title, body.strip())
    assert updated.title == title


def test_closing_says_why_and_is_done_once(world: World) -> None:
    """A closed one stays closed, with one comment; it is no open one any more."""
    opened = proposed(world)
    closed = world.forge.close(opened.number, "Outdated: three is there.")
    assert closed.state is PullRequestState.CLOSED
    assert world.forge.close(opened.number, "Outdated: three is there.").state is PullRequestState.CLOSED
    assert [each for each in world.comments(opened.number) if "Outdated" in each] == [
        marked("closed", "Outdated: three is there.")
    ]
    assert world.forge.find_open(BRANCH, "main") is None


def test_what_is_merged_is_not_closed(world: World) -> None:
    """Closing comes too late, and says so."""
    opened = proposed(world)
    assert merged(world, MergeRequest(opened.number, opened.head)).result is MergeResult.MERGED
    with pytest.raises(ForgeRefused) as caught:
        world.forge.close(opened.number, "No.")
    assert caught.value.refusal is Refusal.CLOSED


def test_what_does_not_exist_is_unknown(world: World) -> None:
    """A number that nobody gave, and a branch that nobody made."""
    with pytest.raises(ForgeUnknown):
        world.forge.pull_request(4711)
    with pytest.raises(ForgeUnknown):
        world.forge.merge(MergeRequest(4711, UNKNOWN))
    with pytest.raises(ForgeUnknown):
        world.forge.branch_rules("no-such-branch")


def test_a_pull_request_from_no_branch_is_refused(world: World) -> None:
    """The branch was never pushed, or is gone again."""
    with pytest.raises(ForgeRefused) as caught:
        world.forge.open(PullRequestDraft("rollguard/nowhere", "main", "Title", "Body"))
    assert caught.value.refusal is Refusal.NO_BRANCH


def test_an_approval_is_bound_to_the_head_that_was_seen(world: World) -> None:
    """Approved by two, taken back by one's request for changes; a comment takes nothing back."""
    opened = proposed(world)
    world.review(opened.number, "bob", "approved")
    world.review(opened.number, "cat", "approved")
    reviews = world.forge.reviews(opened.number)
    assert {each.user for each in reviews} == {"bob", "cat"}
    assert {each.revision for each in reviews} == {opened.head}
    assert approvers(reviews, opened.head) == {"bob", "cat"}
    world.review(opened.number, "cat", "changes")
    reviews = world.forge.reviews(opened.number)
    assert approvers(reviews, opened.head) == {"bob"}
    assert ReviewState.CHANGES_REQUESTED in {each.state for each in reviews}


@pytest.mark.parametrize("protected", [True, False])
def test_an_approval_goes_with_a_new_commit(world: World, protected: bool) -> None:
    """Whether the forge dismisses it or not: it was for another head, and does not count for this one."""
    if protected:
        world.protect("main", approvals=1)
    opened = proposed(world)
    world.review(opened.number, "bob", "approved")
    head = world.commit(BRANCH, {"app.yaml": "image: evil\n"}, by="dan")
    world.settle(lambda: world.forge.pull_request(opened.number).head == head)
    assert approvers(world.forge.reviews(opened.number), head) == set()


def test_authors_are_named_by_the_forges_own_mapping(world: World) -> None:
    """A known email is a login; an unknown one is told as it is, since it may be anybody's."""
    known = world.commit("feature", {"a": "1"}, by="ann")
    unknown = world.commit("feature", {"a": "2"}, by="ann", email="stranger@elsewhere.example")
    found = world.forge.authors([known, unknown])
    assert found.logins == {"ann"}
    assert any("stranger@elsewhere.example" in each for each in found.unmapped)
    assert found.complete


def test_who_pushed_to_a_pull_request_is_told(world: World) -> None:
    """The bot opened it and dan pushed a commit that ann wrote: all three had a hand in it."""
    opened = proposed(world)
    head = world.commit(BRANCH, {"app.yaml": "image: three\n"}, by="dan", email="ann@example.com")
    world.settle(lambda: world.forge.pull_request(opened.number).head == head)
    world.settle(lambda: world.forge.pushers(opened.number).include("DAN"))
    found = world.forge.pushers(opened.number)
    assert {BOT, "ann", "dan"} <= found.logins
    assert found.complete


def test_the_newest_status_of_each_name_counts(world: World) -> None:
    """A check that failed and passed later has passed; saying the same twice is harmless."""
    head = world.head("main")
    assert world.forge.checks(head) == ()
    for state in (StatusState.PENDING, StatusState.PENDING, StatusState.FAILURE, StatusState.SUCCESS):
        world.forge.set_status(
            head, CommitStatus("rollguard/staging", state, "x" * 500, "https://rollguard.example/1")
        )
    world.forge.set_status(head, CommitStatus("tests", StatusState.PENDING))
    world.forge.set_status(head, CommitStatus("lint", StatusState.ERROR, "broken"))
    found = {each.name: each.state for each in world.forge.checks(head)}
    assert found == {
        "lint": CheckState.FAILED,
        "rollguard/staging": CheckState.PASSED,
        "tests": CheckState.PENDING,
    }


def test_the_expected_head_is_merged_and_told(world: World) -> None:
    """The merge is told with the base's new head, and asking again tells the same."""
    opened = proposed(world)
    request = MergeRequest(opened.number, opened.head, title="Promote two", message="Rollguard-Promotion: two")
    outcome = merged(world, request)
    assert (outcome.result, outcome.revision) == (MergeResult.MERGED, world.head("main"))
    assert world.forge.merge(request) == outcome
    found = world.forge.pull_request(opened.number)
    assert (found.state, found.merged_as) == (PullRequestState.MERGED, world.head("main"))
    assert world.forge.pull_requests().found == ()


def test_which_pull_request_brought_a_commit_in_is_told(world: World) -> None:
    """The merged one, for what its merge made; none for a commit that was pushed, or is only proposed."""
    pushed = world.commit("main", {"pushed.yaml": "x"}, by="ann")
    opened = proposed(world)
    assert world.forge.merged_by(pushed) is None
    assert world.forge.merged_by(opened.head) is None
    assert merged(world, MergeRequest(opened.number, opened.head)).result is MergeResult.MERGED
    found = world.forge.merged_by(world.head("main"))
    assert found is not None
    assert (found.number, found.state, found.head, found.base) == (
        opened.number,
        PullRequestState.MERGED,
        opened.head,
        "main",
    )
    assert world.forge.merged_by(pushed) is None


def test_squashing_makes_one_commit(world: World) -> None:
    """The way of merging is as asked for."""
    opened = proposed(world)
    world.commit(BRANCH, {"other.yaml": "x"}, by=BOT)
    world.settle(lambda: world.forge.pull_request(opened.number).head == world.head(BRANCH))
    outcome = merged(world, MergeRequest(opened.number, world.head(BRANCH), MergeMethod.SQUASH, "Promote two"))
    assert (outcome.result, outcome.revision) == (MergeResult.MERGED, world.head("main"))


def test_another_head_is_not_merged(world: World) -> None:
    """Somebody pushed after the judgement: Stale, and nothing happened."""
    opened, before = proposed(world), world.head("main")
    head = world.commit(BRANCH, {"app.yaml": "image: evil\n"}, by="dan")
    world.settle(lambda: world.forge.pull_request(opened.number).head == head)
    assert world.forge.merge(MergeRequest(opened.number, opened.head)).result is MergeResult.STALE
    assert world.head("main") == before


def test_a_push_between_the_look_and_the_merge_is_not_merged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forge itself compares the head: whoever pushes in the last moment makes it Stale."""
    opened, before = proposed(world), world.head("main")
    forge: Any = world.forge
    merge = forge._merge

    def pushed_meanwhile(request: MergeRequest, pull: PullRequest) -> MergeOutcome:
        monkeypatch.setattr(forge, "_merge", merge)
        head = world.commit(BRANCH, {"app.yaml": "image: evil\n"}, by="dan")
        world.settle(lambda: world.forge.pull_request(opened.number).head == head)
        made: MergeOutcome = merge(request, pull)
        return made

    monkeypatch.setattr(forge, "_merge", pushed_meanwhile)
    assert merged(world, MergeRequest(opened.number, opened.head)).result is MergeResult.STALE
    assert world.head("main") == before


def test_a_closed_one_is_not_merged(world: World) -> None:
    """Somebody closed it: Blocked, and nothing happened."""
    opened = proposed(world)
    world.forge.close(opened.number)
    outcome = world.forge.merge(MergeRequest(opened.number, opened.head))
    assert (outcome.result, outcome.block) == (MergeResult.BLOCKED, MergeBlock.CLOSED)


def test_what_is_in_no_queue_is_in_none(world: World) -> None:
    """Where the forge merges at once nothing waits in a queue, and leaving it does nothing."""
    opened = proposed(world)
    assert not world.forge.is_queued(opened.number)
    world.forge.leave_queue(opened.number)
    assert world.forge.pull_request(opened.number).open


def test_a_protected_branch_waits_for_reviews(world: World) -> None:
    """Without the review that the forge demands it is Blocked; with it, merged."""
    world.protect("main", approvals=1)
    opened = proposed(world)
    outcome = merged(world, MergeRequest(opened.number, opened.head))
    assert (outcome.result, outcome.block) == (MergeResult.BLOCKED, MergeBlock.REVIEWS)
    world.review(opened.number, "bob", "approved")
    assert merged(world, MergeRequest(opened.number, opened.head)).result is MergeResult.MERGED


def test_a_protected_branch_waits_for_checks(world: World) -> None:
    """Without the check that the forge demands it is Blocked; with it, merged."""
    world.protect("main", checks=("tests",))
    opened = proposed(world)
    outcome = merged(world, MergeRequest(opened.number, opened.head))
    assert (outcome.result, outcome.block) == (MergeResult.BLOCKED, MergeBlock.CHECKS)
    world.forge.set_status(opened.head, CommitStatus("tests", StatusState.SUCCESS))
    assert merged(world, MergeRequest(opened.number, opened.head)).result is MergeResult.MERGED


def test_a_conflict_is_not_merged(world: World) -> None:
    """Both sides changed one line; Gitea does not tell this from not having looked yet."""
    opened, ours = proposed(world), world.commit("main", {"app.yaml": "image: other\n"})
    outcome = world.forge.merge(MergeRequest(opened.number, opened.head))
    assert outcome.result is MergeResult.BLOCKED
    assert outcome.block in {MergeBlock.CONFLICT, MergeBlock.NOT_READY}
    assert world.head("main") == ours


def test_a_comment_is_written_once_and_brought_up_to_date(world: World) -> None:
    """The marker finds it again; another marker is another comment."""
    number = proposed(world).number
    for body in ("Waits for staging.", "Waits for staging.", "Staging is Healthy."):
        world.forge.comment(number, "promotion/checkout", body)
    world.forge.comment(number, "other", "Beside it.")
    found = world.comments(number)
    assert found == [marked("promotion/checkout", "Staging is Healthy."), marked("other", "Beside it.")]


def test_a_strangers_comment_with_our_marker_is_left_alone(world: World) -> None:
    """Whoever copies the marker could otherwise have us write into what they may change afterwards."""
    number = proposed(world).number
    forged = marked("promotion/checkout", "Approved, honest.")
    world.comment(number, "dan", forged)
    world.forge.comment(number, "promotion/checkout", "Waits for staging.")
    assert world.comments(number) == [forged, marked("promotion/checkout", "Waits for staging.")]


def test_a_marker_that_could_end_the_comment_is_refused(world: World) -> None:
    """Only plain words are hidden in HTML comments."""
    number = proposed(world).number
    with pytest.raises(ValueError, match="marker"):
        world.forge.comment(number, "a--><script>", "x")
    assert world.comments(number) == []


def test_members_of_a_team_are_known(world: World) -> None:
    """Logins are compared without case; a team that does not exist is an error, and not "no"."""
    team = world.team("bob", "cat")
    assert world.forge.is_member("bob", team)
    assert world.forge.is_member("BOB", team)
    assert not world.forge.is_member("dan", team)
    assert not world.forge.is_member("nobody-of-this-name", team)
    with pytest.raises(ForgeUnknown):
        world.forge.is_member("bob", team + "-elsewhere")


def test_triggers_find_pull_requests_by_label_and_branch(world: World) -> None:
    """All labels, and a pattern for the whole name of the head branch; closing removes."""
    numbers = {}
    for at, (branch, labels) in enumerate((("release/1", {"go", "x"}), ("release/2", {"x"}), ("feature/3", {"go"}))):
        world.commit(branch, {f"file-{at}": "x"})
        draft = PullRequestDraft(branch, "main", branch, "", frozenset(labels))
        numbers[branch] = world.forge.open(draft).number

    def branches(labels: frozenset[str] = frozenset(), pattern: str = ".*") -> set[str]:
        found = world.forge.pull_requests(labels, re.compile(pattern))
        assert found.complete
        return {each.head_branch for each in found.found}

    assert branches(frozenset({"go"})) == {"release/1", "feature/3"}
    assert branches(pattern="release/[0-9]+") == {"release/1", "release/2"}
    assert branches(pattern="release") == set()
    assert branches(frozenset({"go", "x"}), "release/.*") == {"release/1"}
    world.forge.close(numbers["release/1"])
    assert branches(frozenset({"go", "x"})) == set()


def test_many_are_read_page_by_page(world: World) -> None:
    """More pull requests and statuses than one page has are all there."""
    for at in range(55):
        world.forge.set_status(world.head("main"), CommitStatus(f"check-{at:02}", StatusState.SUCCESS))
    assert len(world.forge.checks(world.head("main"))) == 55


def test_what_a_branch_demands_is_told(world: World) -> None:
    """An open branch takes pushes; a protected one pull requests."""
    assert world.forge.branch_rules("main").way is RollbackPath.PUSH
    assert not world.forge.branch_rules("main").protected
    world.protect("main", approvals=2)
    rules = world.forge.branch_rules("main")
    assert (rules.protected, rules.push, rules.approvals) == (True, False, 2)
    assert rules.way is RollbackPath.PULL_REQUEST
    assert rules.dismisses_stale is not False  # which Gitea tells to administrators alone


def test_links_lead_to_the_repository(world: World) -> None:
    """People can follow them."""
    links = world.forge.links
    head = world.head("main")
    assert head in links.commit(head)
    assert links.compare(UNKNOWN, head).endswith(f"{UNKNOWN}...{head}")
    assert links.pull_request(7).endswith("/7")
    assert links.home.startswith("http")
