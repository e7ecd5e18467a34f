"""A GitHub App's installation as a source of Git credentials: short-lived tokens, each for one repository.

Invariant: a token may write the contents of one repository and nothing else; it lies in a private file, and is in no
argument, environment, log or error.
"""

import threading

from controller.adapters.github_api import GithubDenied, GithubError
from controller.adapters.github_api import api_root as root_at
from controller.adapters.github_app import AppTokens, Installation, Scope
from controller.adapters.repository.credentials import GitCredentials
from controller.adapters.repository.private_files import PrivateFiles
from controller.adapters.repository.remote import Remote, parse_remote
from controller.ports.clock import Clock
from controller.ports.repository import RepositoryDenied, RepositoryUnavailable

__all__ = ["GithubAppTokens", "Installation", "api_root"]

_OWNER_AND_NAME = 2


class GithubAppTokens:
    """Tokens of an App for one repository, as Git takes them."""

    def __init__(
        self, url: str, installation: Installation, files: PrivateFiles, clock: Clock, *, timeout: float = 10.0
    ) -> None:
        """``url`` is the repository's; ``timeout`` seconds for one request."""
        self._remote = parse_remote(url)
        self._root = installation.api_url.rstrip("/") or api_root(self._remote)
        self._installation = installation
        self._files = files
        self._clock = clock
        self._timeout = timeout
        self._lock = threading.Lock()
        self._tokens: AppTokens | None = None

    def current(self) -> GitCredentials:
        """A token that is valid for some minutes more.

        Raises:
            RepositoryDenied: the App cannot have one.
            RepositoryUnavailable: GitHub does not answer, or limits the rate.
        """
        with self._lock:
            path = self._files.write(self._remote.canonical, "token", self._token().encode())
        return GitCredentials(token_file=path, ca_file=self._installation.ca_file)

    def renewed(self) -> bool:
        """The server refused the token: it is dropped, and another is minted, unless it was minted just now."""
        return self._tokens is not None and self._tokens.renewed()

    def _token(self) -> str:
        try:
            return self._source().token()
        except GithubDenied as error:
            raise RepositoryDenied(str(error)) from None
        except GithubError as error:
            raise RepositoryUnavailable(str(error)) from None

    def _source(self) -> AppTokens:
        if self._tokens is None:
            scope = Scope(self._root, _repository_name(self._remote), {"contents": "write"})
            self._tokens = AppTokens(scope, self._installation, self._clock, timeout=self._timeout)
        return self._tokens


def api_root(remote: Remote) -> str:
    """Where the API of a repository's server is."""
    return root_at(remote.origin)


def _repository_name(remote: Remote) -> str:
    origin = remote.origin
    parts = remote.url.removeprefix(origin).strip("/").removesuffix(".git").split("/")
    if not origin or len(parts) != _OWNER_AND_NAME or not all(parts):
        raise RepositoryDenied("a GitHub App needs a URL such as https://github.com/OWNER/REPOSITORY")
    return parts[1]
