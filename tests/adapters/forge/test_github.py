"""What only GitHub has: commits by the forge, merge queues, check runs, Apps, and GraphQL errors with status 200."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.forge.client import Reply
from controller.adapters.forge.github_words import why_not_committed, why_not_merged
from controller.adapters.forge.opening import ForgeAccess, open_forge
from controller.adapters.forge.place import github_roots, project_of
from controller.adapters.github_app import Installation
from controller.core.application import Revision
from controller.core.forge import CheckState, PullRequestState
from controller.core.forge_links import ForgeKind
from controller.core.forge_writing import FileChange, ForgeCommit, MergeBlock, MergeRequest, MergeResult
from controller.core.git import PushResult
from controller.ports.forge import ForgeBusy, ForgeDenied, ForgeError, ForgeUnavailable, ForgeUnknown
from tests.adapters.forge.desks import BRANCH, ForgeDesk
from tests.fakes.forge_state import NAME, OWNER, Protection
from tests.fakes.manual_clock import ManualClock
from tests.servers.forge_api import ApiError, Call
from tests.servers.github import APP, INSTALLATION, GithubApi, make_app_key
from tests.servers.github_forge import GithubForgeApi, graphql_error, refusal
from tests.servers.receiver import Receiver, answer

UNKNOWN = Revision("1234567890" * 4)


class Told(GithubForgeApi):
    """A GitHub that may be told what GraphQL says."""

    said: Any = None
    """What GraphQL says in place of what it would."""

    def graphql(self, call: Call) -> Any:
        if self.said is not None and "mutation" in call.body["query"]:
            return self.said
        return super().graphql(call)


class Desk(ForgeDesk):
    api: Told

    def commit(self, branch: str = "main", *, head: Revision | None = None, **more: Any) -> ForgeCommit:
        changes = (FileChange("app.yaml", b"image: two\n"), FileChange("old.yaml", None))
        return ForgeCommit(branch, head or self.api.state.branches["main"], changes, "Promote two", "Because", **more)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(ForgeKind.GITHUB, Told(), tmp_path)
    with made.receiver:
        made.api.state.commit("main", {"app.yaml": "image: one\n", "old.yaml": "x"}, by="ann")
        yield made


def test_github_commits_on_the_expected_head(desk: Desk) -> None:
    """One mutation, with the expected head; the files are as asked for."""
    outcome = desk.forge().create_commit(desk.commit())
    assert outcome.result is PushResult.PUSHED
    assert outcome.revision == desk.api.state.branches["main"]
    assert dict(desk.api.state.commits[outcome.revision].files) == {"app.yaml": "image: two\n"}
    (call,) = desk.asked("POST", "/graphql")
    assert call.body["variables"]["input"]["message"] == {"headline": "Promote two", "body": "Because"}


def test_a_commit_on_another_head_is_stale(desk: Desk) -> None:
    """Somebody was faster; nothing happened."""
    before = desk.api.state.branches["main"]
    assert desk.forge().create_commit(desk.commit(head=UNKNOWN)).result is PushResult.STALE
    assert desk.api.state.branches["main"] == before


def test_a_protected_branch_takes_no_commit(desk: Desk) -> None:
    """Told apart from stale, so that a pull request is opened in its place."""
    desk.api.state.protection["main"] = Protection()
    assert desk.forge().create_commit(desk.commit()).result is PushResult.PROTECTED


def test_a_commit_whose_reply_is_lost_is_unclear(desk: Desk) -> None:
    """The caller fetches and looks; here nothing is sent twice."""
    desk.lose_replies("POST", "/graphql")
    assert desk.forge().create_commit(desk.commit()).result is PushResult.UNCLEAR
    assert len(desk.asked("POST", "/graphql")) == 1


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (graphql_error("RATE_LIMITED", "API rate limit exceeded"), ForgeBusy),
        (graphql_error("NOT_FOUND", "Could not resolve to a Repository"), ForgeUnknown),
        (graphql_error("FORBIDDEN", "Resource not accessible by integration"), ForgeDenied),
    ],
)
def test_errors_with_status_200_are_errors(desk: Desk, said: Any, kind: type[ForgeError]) -> None:
    """GraphQL says no with a success; after its rate limit nothing is sent for a while."""
    desk.api.said = said
    forge = desk.forge()
    with pytest.raises(kind):
        forge.create_commit(desk.commit())
    if kind is ForgeBusy:
        sent = len(desk.api.calls)
        with pytest.raises(ForgeBusy):
            forge.pull_request(1)
        assert len(desk.api.calls) == sent


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (graphql_error("UNPROCESSABLE", "Commits must have verified signatures."), PushResult.SIGNATURE),
        (graphql_error("UNPROCESSABLE", "Commit message must match a given regex pattern"), PushResult.PUSH_RULE),
        (graphql_error("FORBIDDEN", "Protected branch update failed for refs/heads/main."), PushResult.PROTECTED),
        (graphql_error("INTERNAL", "Something went wrong while executing your query."), PushResult.UNCLEAR),
        ({"data": {"createCommitOnBranch": None}}, PushResult.UNCLEAR),
        ({"something": "else"}, PushResult.UNCLEAR),
    ],
)
def test_refusals_of_a_commit_are_told_apart(desk: Desk, said: Any, result: PushResult) -> None:
    """Signature, push rule, protection; what cannot be read is Unclear, and never Pushed."""
    desk.api.said = said
    assert desk.forge().create_commit(desk.commit()).result is result


def test_a_merge_queue_takes_what_may_not_be_merged_directly(desk: Desk) -> None:
    """Merging into a branch with a queue is Queued, at the expected head; asking again is harmless."""
    desk.api.state.protection["main"] = Protection(queue=True)
    forge = desk.forge()
    opened = desk.proposed(forge)
    assert forge.merge(MergeRequest(opened.number, opened.head)).result is MergeResult.QUEUED
    assert forge.enqueue(opened.number, opened.head, jump=True).result is MergeResult.QUEUED
    assert forge.enqueue(opened.number, UNKNOWN).result is MergeResult.STALE
    assert forge.branch_rules("main").merge_queue
    assert forge.branch_rules("main").push is False


def test_a_place_in_the_queue_whose_reply_is_lost_is_found(desk: Desk) -> None:
    """There is a look, and it is there."""
    desk.api.state.protection["main"] = Protection(queue=True)
    forge = desk.forge()
    opened = desk.proposed(forge)
    desk.api.lose = lambda call: call.path.endswith("/graphql") and "mutation" in call.body["query"]
    assert forge.enqueue(opened.number, opened.head).result is MergeResult.QUEUED


def test_a_place_in_the_queue_is_told_and_left(desk: Desk) -> None:
    """Until it is merged or thrown out; leaving takes it out once, and nothing else."""
    desk.api.state.protection["main"] = Protection(queue=True)
    forge = desk.forge()
    opened = desk.proposed(forge)
    forge.merge(MergeRequest(opened.number, opened.head))
    assert forge.is_queued(opened.number)
    forge.leave_queue(opened.number)
    assert not forge.is_queued(opened.number)
    sent = len(desk.api.calls)
    forge.leave_queue(opened.number)
    assert len(desk.api.calls) == sent + 1
    forge.merge(MergeRequest(opened.number, opened.head))
    desk.api.state.merge_queued(opened.number)
    assert forge.pull_request(opened.number).state is PullRequestState.MERGED


def test_a_branch_without_a_queue_says_so(desk: Desk) -> None:
    """Blocked with GitHub's words."""
    forge = desk.forge()
    opened = desk.proposed(forge)
    outcome = forge.enqueue(opened.number, opened.head)
    assert (outcome.result, outcome.block) == (MergeResult.BLOCKED, MergeBlock.PROTECTED)
    assert "no merge queue" in outcome.message


def test_check_runs_and_statuses_are_one_list(desk: Desk) -> None:
    """A run that is not completed is pending; neutral and skipped pass, everything else has failed."""
    head = desk.api.state.branches["main"]
    ends = ["success", "neutral", "skipped", "failure", "cancelled", "timed_out", "action_required", "stale", None]
    desk.api.runs[head] = [
        {"name": str(end), "status": "completed", "conclusion": end, "completed_at": "2027-01-15T08:00:00Z"}
        for end in ends
    ] + [{"name": "slow", "status": "in_progress", "conclusion": None, "started_at": "2027-01-15T08:00:00Z"}]
    found = {each.name: each.state for each in desk.forge().checks(head)}
    passed = {name for name, state in found.items() if state is CheckState.PASSED}
    assert passed == {"success", "neutral", "skipped"}
    assert found["slow"] is CheckState.PENDING
    assert len(found) == len(ends) + 1


def test_who_pushed_is_incomplete_where_it_is_not_told(desk: Desk) -> None:
    """A token without that permission, and a fork: nobody may conclude that somebody did not push."""
    forge = desk.forge()
    opened = desk.proposed(forge)
    assert forge.pushers(opened.number).complete
    desk.api.activity = False
    assert not forge.pushers(opened.number).complete
    desk.api.activity = True
    desk.api.state.pulls[opened.number].fork = True
    assert not forge.pushers(opened.number).complete
    assert forge.find_open(BRANCH, "main") is None


def test_protection_that_is_hidden_is_not_taken_for_none(desk: Desk) -> None:
    """Only administrators see a classic one: for others only trying tells."""
    desk.api.state.protection["main"] = Protection(approvals=1)
    desk.api.administrator = False
    rules = desk.forge().branch_rules("main")
    assert (rules.protected, rules.push, rules.approvals, rules.way) == (True, None, None, None)


def test_a_dismissed_review_approves_nothing(desk: Desk) -> None:
    """GitHub forgets what it was."""
    desk.api.state.protection["main"] = Protection(approvals=1)
    forge = desk.forge()
    opened = desk.proposed(forge)
    desk.api.state.review(opened.number, "bob", "approved").dismissed = True
    (review,) = forge.reviews(opened.number)
    assert review.dismissed


@pytest.mark.parametrize(
    ("status", "said", "state", "result", "block"),
    [
        (409, "Head branch was modified. Review and try the merge again.", "", MergeResult.STALE, None),
        (405, "Base branch was modified. Review and try the merge again.", "", MergeResult.STALE, None),
        (405, "Pull Request is not mergeable", "dirty", MergeResult.BLOCKED, MergeBlock.CONFLICT),
        (405, "Pull Request is not mergeable", "unknown", MergeResult.BLOCKED, MergeBlock.NOT_READY),
        (405, "Squash merges are not allowed on this repository.", "clean", MergeResult.BLOCKED, MergeBlock.METHOD),
        (405, "Commits must have verified signatures.", "blocked", MergeResult.BLOCKED, MergeBlock.SIGNATURE),
        (405, "Something new", "blocked", MergeResult.BLOCKED, MergeBlock.PROTECTED),
        (403, "Resource not accessible by integration", "blocked", MergeResult.BLOCKED, MergeBlock.PROTECTED),
    ],
)
def test_refused_merges_are_told_apart(
    status: int, said: str, state: str, result: MergeResult, block: MergeBlock | None
) -> None:
    """By GitHub's words, and where they say too little by its state."""
    outcome = why_not_merged(Reply(status, None, said), state)
    assert (outcome.result, outcome.block) == (result, block)


def test_words_of_a_stale_commit_are_known() -> None:
    """As GitHub writes them."""
    said = 'Expected branch to point to "abc" but it did not. Pull and try again.'
    assert why_not_committed(said) is PushResult.STALE


def test_an_unreadable_answer_after_a_merge_is_looked_after(desk: Desk) -> None:
    """A proxy's page with status 200 is no merge."""
    forge = desk.forge()
    opened = desk.proposed(forge)
    page = answer(200, b"<html>", Content_Type="text/html")

    def fault(handler: Any, receiver: Receiver) -> None:
        if handler.command == "PUT":
            page(handler, receiver)
            return
        desk.api.fault = None
        desk.api(handler, receiver)
        desk.api.fault = fault

    desk.api.fault = fault
    assert forge.merge(MergeRequest(opened.number, opened.head)).result is MergeResult.UNCLEAR


def test_secondary_limits_are_kept(desk: Desk) -> None:
    """403 with those words is no missing permission."""
    raised: ApiError = refusal(403, "You have exceeded a secondary rate limit. Please wait a few minutes.")
    desk.api.fault = answer(403, json.dumps(raised.body).encode())
    with pytest.raises(ForgeBusy) as caught:
        desk.forge().pull_request(1)
    assert caught.value.retry_after == 60


def test_where_the_api_is() -> None:
    """GitHub's own, a data-residency host, an Enterprise Server, and one that is told."""
    assert github_roots("https://github.com") == ("https://api.github.com", "", "/graphql")
    assert github_roots("https://shop.ghe.com") == ("https://api.shop.ghe.com", "", "/graphql")
    assert github_roots("https://git.example.com:8443") == ("https://git.example.com:8443/api", "/v3", "/graphql")
    assert github_roots("https://github.com", "http://127.0.0.1:1/") == ("http://127.0.0.1:1", "", "/graphql")


@pytest.mark.parametrize(
    ("kind", "url", "forge", "project"),
    [
        (ForgeKind.GITHUB, "https://github.com/shop/manifests.git", "https://github.com", "shop/manifests"),
        (ForgeKind.GITHUB, "git@github.com:shop/manifests.git", "https://github.com", "shop/manifests"),
        (ForgeKind.GITEA, "ssh://git@git.example.com:2222/shop/m", "https://git.example.com", "shop/m"),
        (ForgeKind.GITEA, "https://example.com/git/shop/m.git", "https://example.com/git", "shop/m"),
        (ForgeKind.GITLAB, "https://git.example.com/a/b/c/d.git/", "https://git.example.com", "a/b/c/d"),
    ],
)
def test_a_project_is_what_the_repositorys_url_says(kind: ForgeKind, url: str, forge: str, project: str) -> None:
    """Over https and ssh, below a path, with GitLab's subgroups."""
    assert project_of(kind, url, forge) == project


@pytest.mark.parametrize(
    "url", ["file:///srv/a/b", "https://github.com/a", "https://github.com/a/b/c", "git@h:a/../b"]
)
def test_no_project_is_refused(url: str) -> None:
    """It would go into paths of the API."""
    with pytest.raises(ValueError, match="names no project"):
        project_of(ForgeKind.GITHUB, url, "https://github.com")


class AppAndForge:
    """GitHub with an App: mints tokens, and takes only the last."""

    def __init__(self, tokens: GithubApi, api: GithubForgeApi) -> None:
        self.tokens, self.api = tokens, api

    def __call__(self, handler: Any, receiver: Receiver) -> None:
        (self.tokens if "/app/installations/" in handler.path else self.api)(handler, receiver)


def test_an_app_speaks_with_tokens_that_are_minted(tmp_path: Path) -> None:
    """For this repository, with all that the installation may; a token that was revoked is replaced."""
    private, public = make_app_key()
    clock = ManualClock()
    minting = GithubApi(public, clock.now, ["ghs_canaryfirst", "ghs_canarysecond"])
    api = GithubForgeApi(token="ghs_canaryfirst")
    api.state.commit("main", {"a": "1"}, by="ann")
    with Receiver(AppAndForge(minting, api)) as receiver:
        app = Installation(APP, INSTALLATION, private.encode, receiver.url)
        access = ForgeAccess(ForgeKind.GITHUB, "https://github.com", f"https://github.com/{OWNER}/{NAME}", app=app)
        forge = open_forge(access, clock)
        assert not forge.branch_rules("main").protected
        assert json.loads(receiver.requests[0].body) == {"repositories": [NAME]}
        clock.advance(60)
        api.token = "ghs_canarysecond"
        assert not forge.branch_rules("main").protected
        assert minting.minted == 2


def test_an_app_that_may_not_is_told(tmp_path: Path) -> None:
    """A wrong key is the administrator's, and named; an API that is down is not."""
    private, public = make_app_key()
    clock = ManualClock()
    minting = GithubApi(public, clock.now, ["x"])
    with Receiver(minting) as receiver:
        wrong = Installation("999", INSTALLATION, private.encode, receiver.url)
        access = ForgeAccess(ForgeKind.GITHUB, "https://github.com", f"https://github.com/{OWNER}/{NAME}", app=wrong)
        with pytest.raises(ForgeDenied, match=r"forge\.githubApp"):
            open_forge(access, clock).pull_request(1)
        minting.fault = answer(500)
        right = Installation(APP, INSTALLATION, private.encode, receiver.url)
        access = ForgeAccess(ForgeKind.GITHUB, "https://github.com", f"https://github.com/{OWNER}/{NAME}", app=right)
        with pytest.raises(ForgeUnavailable):
            open_forge(access, clock).pull_request(1)


def test_one_way_to_log_in_is_needed(tmp_path: Path) -> None:
    """Neither, or both: refused at once."""
    access = ForgeAccess(ForgeKind.GITHUB, "https://github.com", f"https://github.com/{OWNER}/{NAME}")
    with pytest.raises(ValueError, match="exactly one"):
        open_forge(access, ManualClock())


def test_a_missing_token_file_is_named(desk: Desk, tmp_path: Path) -> None:
    """And used as soon as it is there."""
    forge = desk.forge()
    (tmp_path / "token").unlink()
    with pytest.raises(ForgeDenied, match=r"forge\.tokenFile"):
        forge.branch_rules("main")
    (tmp_path / "token").write_text(desk.api.token)
    assert not forge.branch_rules("main").protected
