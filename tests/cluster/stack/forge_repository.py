"""A repository of the forge, with a working copy of the tests beside it.

Commits are made by a real push of the owner, so hooks, protection and webhooks see them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.cluster.stack.processes import until
from tests.servers.git import run_git

if TYPE_CHECKING:
    from tests.cluster.stack.gitea import Gitea


class Repository:
    """A repository of an owner in the forge."""

    def __init__(self, forge: "Gitea", owner: str, name: str) -> None:
        self._forge = forge
        self.name = name
        self.path = f"/repos/{owner}/{name}"
        self.url = f"{forge.url}/{owner}/{name}.git"
        self._copy = forge.folder / "copies" / name
        run_git("init", "-q", "--initial-branch=main", str(self._copy))
        run_git("remote", "add", "origin", self.url_with(owner, forge.token), cwd=self._copy)

    def url_with(self, user: str, token: str) -> str:
        """Its address with a user's token in it, for a git of the tests' own."""
        return self.url.replace("http://", f"http://{user}:{token}@")

    def commit(
        self,
        files: Mapping[str, str | None],
        message: str = "Change things",
        branch: str = "main",
        author: str = "Ann Author <ann@example.com>",
    ) -> str:
        """Commit on top of the branch as it is in the forge, and push; None deletes a file. Returns the commit's id."""
        git = self._git
        if git("ls-remote", "origin", f"refs/heads/{branch}"):
            git("fetch", "-q", "origin", branch)
            git("checkout", "-q", "--force", "-B", branch, "FETCH_HEAD")
        else:
            git("checkout", "-q", "-B", branch)
        for path, text in files.items():
            if text is None:
                git("rm", "-q", path)
                continue
            (self._copy / path).parent.mkdir(parents=True, exist_ok=True)
            (self._copy / path).write_text(text)
            git("add", path)
        git(
            "-c",
            f"user.name={author.partition(' <')[0]}",
            "-c",
            f"user.email={author.partition('<')[2].rstrip('>')}",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            message,
        )
        git("push", "-q", "origin", branch)
        # The forge takes note of a push a little later; pull requests of an empty repository are refused.
        until(lambda: not self._forge.request("GET", self.path)["empty"], "the forge's note of the first push")
        return self.head(branch)

    def read(self, path: str, branch: str = "main") -> str:
        """A file's text, at a branch's head in the forge."""
        self._git("fetch", "-q", "origin", branch)
        return run_git("show", f"FETCH_HEAD:{path}", cwd=self._copy).decode()

    def head(self, branch: str = "main") -> str:
        """The id of a branch's head in the forge."""
        return self._git("ls-remote", "origin", f"refs/heads/{branch}").split()[0]

    def _git(self, *arguments: str) -> str:
        return run_git(*arguments, cwd=self._copy).decode().strip()

    def protect(self, branch: str = "main", **rule: Any) -> None:
        """Refuse pushes to a branch, or what else the rule says; pull requests stay possible."""
        self._forge.request(
            "POST", f"{self.path}/branch_protections", json={"rule_name": branch, "enable_push": False} | rule
        )

    def collaborator(self, user: str, permission: str = "write") -> None:
        """Let another user in."""
        self._forge.request("PUT", f"{self.path}/collaborators/{user}", json={"permission": permission})

    def webhook(self, url: str, secret: str = "", events: tuple[str, ...] = ("push",)) -> None:
        """Have the forge tell of events; ``url`` may be on loopback."""
        config = {"url": url, "content_type": "json", "secret": secret}
        body = {"type": "gitea", "active": True, "events": list(events), "config": config}
        self._forge.request("POST", f"{self.path}/hooks", json=body)

    def pull_requests(self, state: str = "open") -> list[dict[str, Any]]:
        """Its pull requests."""
        found: list[dict[str, Any]] = self._forge.request("GET", f"{self.path}/pulls", params={"state": state})
        return found

    def open_pull_request(self, head: str, title: str, base: str = "main") -> int:
        """Open a pull request; returns its number."""
        body = {"head": head, "base": base, "title": title}
        return int(self._forge.request("POST", f"{self.path}/pulls", json=body)["number"])

    def merge(self, number: int, how: str = "merge") -> None:
        """Merge a pull request: ``how`` is merge, squash or rebase."""
        self._forge.request("POST", f"{self.path}/pulls/{number}/merge", json={"Do": how, "force_merge": True})
