"""Who works here: Dana writes, Lee approves, a continuous integration checks, and Rollguard has an account as they have.

Invariant: whatever they do is one request to Gitea with their own token, as their browser or program would send it.
"""

from dataclasses import dataclass
from typing import Any

from controller.demo.images import running
from controller.demo.manifest import ManifestError
from controller.demo.pipeline.gitea import OWNER, Gitea, Person

MANIFESTS, SOURCE = "manifests", "checkout"
CHECK = "ci/images"
ROLLGUARD_SCOPES = ("write:repository", "write:issue", "read:user")


@dataclass(frozen=True, slots=True)
class Checked:
    """What the continuous integration found."""

    passed: bool
    sentence: str


class People:
    """Their accounts."""

    def __init__(self, gitea: Gitea) -> None:
        self._gitea = gitea
        self.dana: Person = gitea.add("dana", "Dana Developer")
        self.lee: Person = gitea.add("lee", "Lee Lead")
        self.integration: Person = gitea.add("ci", "Continuous integration")
        self.rollguard: Person = gitea.add("rollguard", "Rollguard", ROLLGUARD_SCOPES)

    @property
    def all(self) -> tuple[Person, ...]:
        """Everybody."""
        return self.dana, self.lee, self.integration, self.rollguard

    def check(self, head: str, values: str) -> Checked:
        """The integration looks whether the image that a commit's values name is there, and reports on the commit."""
        try:
            found = Checked(True, f"the image of {running(values).version} is in the registry")
        except ManifestError as error:
            found = Checked(False, str(error))
        state = "success" if found.passed else "failure"
        body = {"state": state, "context": CHECK, "description": found.sentence[:200]}
        self._gitea.ask("POST", f"/repos/{OWNER}/{MANIFESTS}/statuses/{head}", body, self.integration)
        return found

    def values(self, head: str, path: str) -> str:
        """A file of the repository that is deployed, at a commit."""
        return self._gitea.text(f"/repos/{OWNER}/{MANIFESTS}/raw/{path}?ref={head}", self.integration)

    def approve(self, number: int, words: str) -> None:
        """Lee approves a pull request."""
        body = {"event": "APPROVED", "body": words}
        self._gitea.ask("POST", f"/repos/{OWNER}/{MANIFESTS}/pulls/{number}/reviews", body, self.lee)

    def pull_requests(self) -> list[dict[str, Any]]:
        """Those of the repository that is deployed, oldest first."""
        found = self._gitea.ask("GET", f"/repos/{OWNER}/{MANIFESTS}/pulls?state=all&limit=50", None, self.lee)
        return sorted(found, key=lambda each: int(each["number"]))
