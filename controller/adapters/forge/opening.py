"""Makes the forge of one repository, with its token from a file or from an App.

Invariant: the token is asked for at each request, goes to this forge alone, and is in no error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.forge.client import Authorise, ForgeClient, token_word
from controller.adapters.forge.gitea import GiteaForge
from controller.adapters.forge.github import GithubForge
from controller.adapters.forge.gitlab import GitlabForge
from controller.adapters.forge.place import authorised_by, github_roots, project_of
from controller.adapters.github_api import GithubDenied, GithubError
from controller.adapters.github_app import AppTokens, Installation, Scope
from controller.adapters.secret_file import SecretUnreadable, Seen, read_secret, unseen
from controller.core.forge_links import ForgeKind, ForgeLinks
from controller.ports.clock import Clock
from controller.ports.forge import Forge, ForgeDenied, ForgeUnavailable


@dataclass(frozen=True, slots=True)
class ForgeAccess:
    """How a repository's forge is reached: exactly one of a token file and an App."""

    kind: ForgeKind
    url: str
    """Root of the web service."""
    repository: str
    """The repository's URL, as Git has it."""
    token_file: Path | None = None
    app: Installation | None = None
    ca_file: Path | None = None
    seconds: float = 15.0
    """The total for one request."""


def open_forge(access: ForgeAccess, clock: Clock, seen: Seen = unseen) -> Forge:
    """The forge; nothing is asked yet. ``seen`` is told each token that is read, so that logs can mask it.

    Raises:
        ValueError: the repository's URL names no project of this forge, or there is no one way to log in.
    """
    project = project_of(access.kind, access.repository, access.url)
    links = ForgeLinks.of(access.kind, access.url, project)
    if access.kind is ForgeKind.GITEA:
        return GiteaForge(_client(f"{access.url}/api/v1", access, project, clock, seen), project, links)
    if access.kind is ForgeKind.GITLAB:
        return GitlabForge(_client(f"{access.url}/api", access, project, clock, seen), project, links)
    root, rest, graphql = github_roots(access.url, access.app.api_url if access.app else "")
    client = _client(root, access, project, clock, seen, accept="application/vnd.github+json")
    return GithubForge(client, project, links, rest=rest, graphql=graphql)


def _client(
    root: str, access: ForgeAccess, project: str, clock: Clock, seen: Seen, *, accept: str = "application/json"
) -> ForgeClient:
    authorise, renew = _login(access, project, clock, seen)
    return ForgeClient(
        root, authorise, clock, renew=renew, accept=accept, seconds=access.seconds, ca_file=access.ca_file
    )


def _login(access: ForgeAccess, project: str, clock: Clock, seen: Seen) -> tuple[Authorise, Callable[[], bool]]:
    if (access.token_file is None) == (access.app is None):
        raise ValueError("a forge is reached by exactly one of a token file and a GitHub App")
    if access.token_file is not None:
        return authorised_by(_from_file(access.token_file, seen), access.kind), _never
    root, rest, _ = github_roots(access.url, access.app.api_url if access.app else "")
    scope = Scope(root + rest, project.partition("/")[2])
    assert access.app is not None  # noqa: S101  one of the two is given
    tokens = AppTokens(scope, access.app, clock, timeout=access.seconds)
    return authorised_by(_from_app(tokens, seen), access.kind), tokens.renewed


def _from_file(path: Path, seen: Seen) -> Callable[[], str]:
    def token() -> str:
        try:
            return token_word(read_secret(path, seen))
        except SecretUnreadable as error:
            raise ForgeDenied(f"forge.tokenFile: {error}") from None

    return token


def _from_app(tokens: AppTokens, seen: Seen) -> Callable[[], str]:
    def token() -> str:
        try:
            word = tokens.token()
        except GithubDenied as error:
            raise ForgeDenied(f"forge.githubApp: {error}") from None
        except GithubError as error:
            raise ForgeUnavailable(str(error)) from None
        seen(word)
        return word

    return token


def _never() -> bool:
    """A token of a file is read anew each time."""
    return False
