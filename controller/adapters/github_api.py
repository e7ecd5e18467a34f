"""The request that a GitHub App needs: one bounded exchange, no redirects, no proxy, no cookies.

Invariant: an exchange ends at its total deadline and reads no more than its bound; a failure is a GithubError, and neither
it nor a log line has the JSON Web Token or the token that was minted, even where the server repeats them.

    GithubError
    ├── GithubDenied        the App cannot have a token
    └── GithubUnavailable   no answer that can be read
        └── RateLimited     later
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from controller.adapters.deadline import DeadlineAdapter, set_deadline, time_left
from controller.adapters.http_answers import (
    EXCHANGE_ERRORS,
    AnswerRefused,
    Trouble,
    read_body,
    trouble_of,
    verified_by,
)
from controller.adapters.server_words import shown

LARGEST_ANSWER = 256 * 1024
_CREATED = 201
_TOO_MANY = 429
_FORBIDDEN = 403
_SERVER_ERROR = 500
_LONGEST_PAUSE = 3600.0
_REFUSALS = {
    401: "GitHub does not accept the App's key: are appId and privateKey right, and is this machine's clock?",
    403: "GitHub forbids the installation's token: is the installation suspended?",
    404: "GitHub knows no such installation of the App: is installationId right?",
    422: "the App's installation has no access to this repository, or not the permission contents: write",
}


class GithubError(Exception):
    """No token; the text names no secret."""


class GithubDenied(GithubError):  # noqa: N818
    """GitHub refuses, or the App's key cannot be used."""


class GithubUnavailable(GithubError):  # noqa: N818
    """No answer that can be read."""


class RateLimited(GithubUnavailable):
    """GitHub wants to be left alone for so many seconds."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Minted:
    """An installation's token."""

    token: str = field(repr=False)
    expires_at: str
    """As GitHub writes it: ISO 8601."""


def api_root(origin: str) -> str:
    """Where the API of a server (``https://host:port``) is: GitHub's own, or a GitHub Enterprise Server's."""
    host = origin.partition("://")[2].lower()
    if host in ("github.com", "www.github.com"):
        return "https://api.github.com"
    return f"https://api.{host}" if host.endswith(".ghe.com") else f"{origin}/api/v3"


def mint(
    root: str,
    installation: str,
    repository: str,
    web_token: str,
    *,
    permissions: Mapping[str, str] | None,
    seconds: float,
    ca_file: Path | None = None,
) -> Minted:
    """Ask for a token for one repository (its name without the owner's), with these permissions or all that there are.

    Raises:
        RateLimited: later.
        GithubDenied: GitHub refuses.
        GithubUnavailable: no answer that can be read.
    """
    wanted: dict[str, Any] = {"repositories": [repository]}
    if permissions is not None:
        wanted["permissions"] = dict(permissions)
    url = f"{root}/app/installations/{installation}/access_tokens"
    status, headers, body = _exchange(url, wanted, web_token, seconds, ca_file)
    answer = _object(body)
    if status != _CREATED:
        raise _refusal(status, headers, shown(str(answer.get("message", "")), (web_token,)))
    token, expires_at = answer.get("token"), answer.get("expires_at")
    if not isinstance(token, str) or not token or not isinstance(expires_at, str):
        raise GithubUnavailable("GitHub's answer holds no token with the time of its end")
    return Minted(token, expires_at)


def _exchange(
    url: str, wanted: Mapping[str, Any], web_token: str, seconds: float, ca_file: Path | None
) -> tuple[int, Mapping[str, str], bytes]:
    set_deadline(seconds)
    headers = {
        "Accept": "application/vnd.github+json",
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {web_token}",
        "User-Agent": "rollguard",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    request = requests.Request("POST", url, headers=headers, json=wanted).prepare()
    verify, adapter = verified_by(ca_file), DeadlineAdapter()
    try:
        with adapter.send(request, stream=True, timeout=max(time_left(), 0.001), verify=verify) as response:
            return response.status_code, response.headers, read_body(response, LARGEST_ANSWER)
    except AnswerRefused as error:
        raise GithubUnavailable(f"GitHub's answer is {error}") from None
    except EXCHANGE_ERRORS as error:
        raise _failure(error, seconds) from None
    finally:
        adapter.close()


def _failure(error: Exception, seconds: float) -> GithubUnavailable:
    match trouble_of(error):
        case Trouble.TIMED_OUT:
            return GithubUnavailable(f"GitHub's API gave no whole answer within {seconds:g} s")
        case Trouble.TLS:
            return GithubUnavailable("the certificate of GitHub's API is not trusted: is caFile right?")
        case _:
            return GithubUnavailable(f"GitHub's API cannot be reached: {type(error).__name__}")


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(status: int, headers: Mapping[str, str], said: str) -> GithubError:
    """What an answer other than success means; ``said`` is safe to show."""
    told = f" ({said[:120]})" if said else ""
    limited = "secondary rate limit" in said.lower() or headers.get("x-ratelimit-remaining") == "0"
    if status == _TOO_MANY or (status == _FORBIDDEN and (limited or "retry-after" in headers)):
        return RateLimited(f"GitHub's API limits its rate{told}", _pause(headers))
    if status in _REFUSALS:
        return GithubDenied(_REFUSALS[status] + told)
    if 300 <= status < 400:  # noqa: PLR2004  redirects
        return GithubUnavailable("GitHub's API redirects, which is not followed: set githubApp.apiUrl")
    if status >= _SERVER_ERROR:
        return GithubUnavailable(f"GitHub's API answered {status}{told}")
    return GithubDenied(f"GitHub's API answered {status}{told}: is githubApp.apiUrl right?")


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds to leave GitHub alone: what it says, a minute where it says nothing, an hour at most."""
    after = headers.get("retry-after", "")
    return min(float(after), _LONGEST_PAUSE) if after.isdecimal() else 60.0
