"""A real Gitea: the contract of all forges, and its webhooks."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from queue import Queue
from typing import Any
from uuid import uuid4

import pytest
import requests

from controller.adapters.forge.opening import ForgeAccess, open_forge
from controller.adapters.forge.webhooks import ForgeWebhooks, WebhookRefused
from controller.app.clocks import SystemClock
from controller.core.application import Revision
from controller.core.forge import PullRequestDraft
from controller.core.forge_links import ForgeKind
from controller.core.forge_writing import MergeRequest, MergeResult
from controller.core.git import canonical_url
from controller.core.hints import HintKind, RepositoryHint
from controller.core.markdown import marked
from controller.ports.forge import Forge, ForgeDenied, ForgeUnavailable
from controller.web.forge_hook import ForgeHook, ForgeSender, forge_route
from tests.cluster.stack.forge_repository import Repository
from tests.cluster.stack.gitea import OWNER, Gitea
from tests.cluster.stack.processes import until
from tests.contracts.test_forge_contract import *  # noqa: F403  the whole suite
from tests.contracts.test_forge_contract import BRANCH
from tests.fakes.forge_state import BOT
from tests.servers.git import run_git
from tests.servers.receiver import Receiver, answer
from tests.web.serving import serving

PEOPLE = ("ann", "bob", "cat", "dan", BOT)
EVENTS = {"approved": "APPROVED", "changes": "REQUEST_CHANGES", "comment": "COMMENT"}


@dataclass
class GiteaWorld:
    """Everybody else, through Gitea's API and real pushes of their own."""

    forge: Forge
    gitea: Gitea
    repository: Repository
    tokens: dict[str, str]
    copy: Path

    def commit(self, branch: str, files: dict[str, str | None], *, by: str = "ann", email: str = "") -> Revision:
        remote = self.repository.url_with(by, self.tokens[by])
        self._on_top(branch, remote)
        for path, text in files.items():
            (self.copy / path).write_text(text or "")
            self._git("add", path)
        who = ["-c", f"user.name={by}", "-c", f"user.email={email or f'{by}@example.com'}"]
        self._git(*who, "commit", "-q", "-m", "Change things")
        self._git("push", "-q", remote, f"HEAD:refs/heads/{branch}")
        return self.head(branch)

    def _on_top(self, branch: str, remote: str) -> None:
        there = self._git("ls-remote", remote, f"refs/heads/{branch}")
        self._git("fetch", "-q", remote, branch if there else "main")
        self._git("checkout", "-q", "--force", "--detach", "FETCH_HEAD")

    def _git(self, *arguments: str) -> str:
        return run_git(*arguments, cwd=self.copy).decode().strip()

    def head(self, branch: str) -> Revision:
        return Revision(self.repository.head(branch))

    def _ask(self, method: str, path: str, by: str = OWNER, **body: Any) -> Any:
        return self.gitea.request(method, f"{self.repository.path}{path}", self.tokens[by], json=body)

    def review(self, number: int, user: str, state: str) -> None:
        self._ask("POST", f"/pulls/{number}/reviews", user, event=EVENTS[state], body="As I see it.")

    def label(self, number: int, name: str) -> None:
        made = self._ask("POST", "/labels", name=name, color="#112233")
        self._ask("POST", f"/issues/{number}/labels", labels=[made["id"]])

    def protect(self, branch: str, *, approvals: int = 0, checks: tuple[str, ...] = ()) -> None:
        self.repository.protect(
            branch,
            required_approvals=approvals,
            dismiss_stale_approvals=True,
            enable_status_check=bool(checks),
            status_check_contexts=list(checks),
        )

    def comment(self, number: int, user: str, body: str) -> None:
        self._ask("POST", f"/issues/{number}/comments", user, body=body)

    def comments(self, number: int) -> list[str]:
        found = self.gitea.request("GET", f"{self.repository.path}/issues/{number}/comments")
        return [each["body"] for each in found]

    def team(self, *members: str) -> str:
        organisation = f"org-{uuid4().hex[:8]}"
        self.gitea.request("POST", "/orgs", json={"username": organisation})
        self._team(organisation, "leads", *members, BOT)  # only its members may see who is in a team
        return f"{organisation}/leads"

    def _team(self, organisation: str, name: str, *members: str) -> None:
        body = {"name": name, "permission": "read", "units": ["repo.code"]}
        made = self.gitea.request("POST", f"/orgs/{organisation}/teams", json=body)
        for each in members:
            self.gitea.request("PUT", f"/teams/{made['id']}/members/{each}")

    def settle(self, attempt: Callable[[], bool]) -> None:
        until(attempt, "the forge's note of it")


@pytest.fixture(scope="session")
def tokens(gitea: Gitea) -> dict[str, str]:
    """A token of each person, and the bot's."""
    return {OWNER: gitea.token} | {name: gitea.create_user(name, gitea.password) for name in PEOPLE}


@pytest.fixture
def world(gitea: Gitea, tokens: dict[str, str], tmp_path: Path) -> Iterator[GiteaWorld]:
    """A repository of the owner's that all may write to."""
    repository = gitea.create_repository(f"forge-{uuid4().hex[:8]}")
    for name in PEOPLE:
        repository.collaborator(name)
    repository.commit({"app.yaml": "image: one\n"}, "Deploy one")
    copy = tmp_path / "copy"
    run_git("init", "-q", str(copy))
    yield GiteaWorld(forge_of(gitea, repository, tokens[BOT], tmp_path), gitea, repository, tokens, copy)
    shutil.rmtree(copy)


def forge_of(gitea: Gitea, repository: Repository, token: str, folder: Path) -> Forge:
    """The adapter with a token."""
    file = folder / "forge-token"
    file.write_text(token)
    access = ForgeAccess(ForgeKind.GITEA, gitea.url, repository.url, token_file=file)
    return open_forge(access, SystemClock())


def test_a_token_that_is_wrong_is_denied_and_not_told(world: GiteaWorld, tmp_path: Path) -> None:
    """The real server's refusal: no word of the token."""
    forge = forge_of(world.gitea, world.repository, "canary0123456789", tmp_path)
    with pytest.raises(ForgeDenied) as caught:
        forge.pull_requests()
    assert "canary" not in str(caught.value)


def hooks(folder: Path, secret: str) -> ForgeWebhooks:
    file = folder / f"hook-{secret}"
    file.write_text(secret)
    return ForgeWebhooks(ForgeKind.GITEA, file, SystemClock())


def test_webhooks_are_genuine_and_hint_at_what_happened(world: GiteaWorld, tmp_path: Path) -> None:
    """A push, a pull request and a review as a real Gitea delivers them; another secret is refused, a repeat counts once."""
    right, wrong = hooks(tmp_path, "right"), hooks(tmp_path, "wrong")
    with Receiver() as receiver:
        world.repository.webhook(receiver.url, "right", ("push", "create", "pull_request", "pull_request_review"))
        world.commit(BRANCH, {"app.yaml": "image: two\n"}, by=BOT)
        opened = world.forge.open(PullRequestDraft(BRANCH, "main", "Promote two", "Body"))
        world.review(opened.number, "bob", "approved")
        found: list[RepositoryHint] = []
        seen = 0

        def told() -> bool:
            nonlocal seen
            for each in receiver.requests[seen:]:
                seen += 1
                with pytest.raises(WebhookRefused):
                    wrong.take(each.headers, each.body)
                hint = right.take(each.headers, each.body)
                assert right.take(each.headers, each.body) is None
                found.extend([hint] if hint else [])
            return {HintKind.PUSH, HintKind.PULL_REQUEST, HintKind.REVIEW} <= {each.kind for each in found}

        until(told, "three deliveries")
    assert all(canonical_url(world.repository.url) in each.repositories for each in found)
    push = next(each for each in found if each.kind is HintKind.PUSH)
    review = next(each for each in found if each.kind is HintKind.REVIEW)
    assert push.branch == BRANCH
    assert (review.number, review.branch) == (opened.number, BRANCH)
    assert all(json.loads(each.body) for each in receiver.requests)


class LosingReplies:
    """Passes requests on to Gitea; the replies to those of a method whose path ends so are lost, as often as is said."""

    def __init__(self, gitea: Gitea) -> None:
        self.gitea = gitea
        self.method = self.ending = ""
        self.left = 0

    def lose(self, method: str, ending: str, times: int = 1) -> None:
        self.method, self.ending, self.left = method, ending, times

    def __call__(self, handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        sent = receiver.requests[-1]
        headers = {name: value for name, value in sent.headers.items() if name not in {"host", "content-length"}}
        with requests.Session() as session:
            session.trust_env = False
            got = session.request(
                sent.method, self.gitea.url + sent.path, headers=headers, data=sent.body, timeout=30
            )
        if self.left and sent.method == self.method and sent.path.partition("?")[0].endswith(self.ending):
            self.left -= 1
            handler.close_connection = True
            handler.connection.close()
            return
        passed_on = {name: got.headers[name] for name in ("Link", "X-Total-Count") if name in got.headers}
        answer(got.status_code, got.content, **passed_on)(handler, receiver)


def test_a_reply_that_is_lost_is_looked_after(world: GiteaWorld, tmp_path: Path) -> None:
    """Opened, commented and merged by a real Gitea, each reply lost: one of each, and told."""
    losing = LosingReplies(world.gitea)
    with Receiver(losing) as receiver:
        file = tmp_path / "relayed-token"
        file.write_text(world.tokens[BOT])
        repository = world.repository.url.replace(world.gitea.url, receiver.url)
        forge = open_forge(ForgeAccess(ForgeKind.GITEA, receiver.url, repository, token_file=file), SystemClock())
        world.commit(BRANCH, {"app.yaml": "image: two\n"}, by=BOT)
        losing.lose("POST", "/pulls")
        opened = forge.open(PullRequestDraft(BRANCH, "main", "Promote two", "Body"))
        losing.lose("POST", "/comments")
        with pytest.raises(ForgeUnavailable):
            forge.comment(opened.number, "promotion/checkout", "Waits.")
        forge.comment(opened.number, "promotion/checkout", "Waits.")
        # Gitea first looks whether it can be merged at all: what is lost is the reply to the merge itself.
        until(
            lambda: world.gitea.request("GET", f"{world.repository.path}/pulls/{opened.number}")["mergeable"], "that"
        )
        losing.lose("POST", "/merge")
        outcome = forge.merge(MergeRequest(opened.number, opened.head))
    assert (outcome.result, outcome.revision) == (MergeResult.MERGED, world.head("main"))
    assert len(world.repository.pull_requests("all")) == 1
    assert world.comments(opened.number) == [marked("promotion/checkout", "Waits.")]
    assert losing.left == 0


def test_a_push_reaches_the_hook_of_the_controller(world: GiteaWorld, tmp_path: Path) -> None:
    """Gitea posts to /hooks/forge: with the right secret the push is heard once, with another one it is refused."""
    (tmp_path / "secret").write_text("right")
    place = canonical_url(world.repository.url)
    webhooks = ForgeWebhooks(ForgeKind.GITEA, tmp_path / "secret", SystemClock())
    heard: Queue[RepositoryHint] = Queue()
    hook = ForgeHook([ForgeSender(ForgeKind.GITEA, frozenset({place}), webhooks)], heard.put, SystemClock())
    with serving(forge_route(hook)) as server:
        world.repository.webhook(f"{server.url}/hooks/forge", "wrong")
        world.repository.webhook(f"{server.url}/hooks/forge", "right")
        world.commit("main", {"a.yaml": "x"})
        hint = heard.get(timeout=60)
    assert (hint.kind, hint.branch) == (HintKind.PUSH, "main")
    assert place in hint.repositories
    assert heard.empty()
