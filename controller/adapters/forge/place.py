"""Which project of a forge a repository is, and how its API is reached.

Invariant: a project's name comes from the repository's URL in the settings, and goes into paths only percent-encoded.
"""

from collections.abc import Callable
from urllib.parse import quote, unquote, urlsplit

from controller.adapters.forge.client import Authorise
from controller.adapters.github_api import api_root
from controller.core.forge_links import ForgeKind
from controller.core.git import canonical_url

_OWNER_AND_NAME = 2


def project_of(kind: ForgeKind, repository_url: str, forge_url: str) -> str:
    """``owner/name`` (on GitLab ``group/subgroup/name``) of a repository in a forge, spelt as its URL does.

    Raises:
        ValueError: its URL names no project of this forge; the text does not repeat it.
    """
    path = _path(repository_url)
    root = urlsplit(forge_url).path.strip("/")
    if root and repository_url.startswith(("http://", "https://")):
        path = path.removeprefix(f"{root}/")
    parts = path.removesuffix(".git").split("/")
    enough = len(parts) >= _OWNER_AND_NAME if kind is ForgeKind.GITLAB else len(parts) == _OWNER_AND_NAME
    if not enough or not all(parts) or {".", ".."} & set(parts):
        raise ValueError("the repository's url names no project of its forge: write https://HOST/OWNER/NAME.git")
    return "/".join(parts)


def _path(url: str) -> str:
    if canonical_url(url).startswith("file://"):
        return ""
    path = urlsplit(url).path if "://" in url else url.partition(":")[2]
    return unquote(path).strip("/")


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def github_roots(forge_url: str, api_url: str = "") -> tuple[str, str, str]:
    """The API's root, and below it the paths of REST and GraphQL: GitHub's own differ from an Enterprise Server's."""
    root = api_url.rstrip("/")
    if not root:
        parts = urlsplit(forge_url)
        root = api_root(f"{parts.scheme}://{parts.netloc}")
    if root.endswith("/api/v3"):
        return root.removesuffix("/v3"), "/v3", "/graphql"
    return root, "", "/graphql"


def authorised_by(token: Callable[[], str], kind: ForgeKind) -> Authorise:
    """The header by which a forge takes a token, asked for anew at each request so that a rotated one counts at once."""
    name, prefix = {
        ForgeKind.GITHUB: ("Authorization", "Bearer "),
        ForgeKind.GITEA: ("Authorization", "token "),
        ForgeKind.GITLAB: ("PRIVATE-TOKEN", ""),
    }[kind]

    def authorise() -> tuple[dict[str, str], tuple[str, ...]]:
        word = token()
        return {name: prefix + word}, (word,)

    return authorise
