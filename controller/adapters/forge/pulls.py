"""Pull requests, people and statuses in the shapes that GitHub has and Gitea copies.

Invariant: a pull request without a number, a head and a base is a malformed answer; everything else may be missing.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from controller.adapters.forge.reading import (
    LONGEST_BODY,
    field,
    moment,
    number,
    objects,
    revision,
    some_revision,
    some_text,
    text,
    truth,
)
from controller.core.forge import Check, CheckState, Participants, PullRequest, PullRequestState

WEB_COMMITTERS = frozenset({"web-flow"})
"""Who commits what people do on a forge's pages: nobody."""


def read_pull(data: Any) -> PullRequest:
    """A pull request as GitHub and Gitea write it."""
    merged = truth(data, "merged") or bool(some_text(data, "merged_at"))
    return PullRequest(
        number=number(data, "number"),
        state=_state(some_text(data, "state"), merged=merged),
        title=some_text(data, "title"),
        body=some_text(data, "body", most=LONGEST_BODY),
        head_branch=text(data, "head", "ref"),
        head=revision(data, "head", "sha"),
        base=text(data, "base", "ref"),
        labels=frozenset(some_text(each, "name") for each in objects(data, "labels")) - {""},
        author=some_text(data, "user", "login"),
        url=some_text(data, "html_url"),
        fork=_place(data, "head") != _place(data, "base"),
        draft=bool(truth(data, "draft")),
        # GitHub fills this in before the merge too, with a trial's commit.
        merged_as=some_revision(data, "merge_commit_sha") if merged else None,
        updated_at=moment(data, "updated_at"),
    )


def read_status(data: Any) -> Check | None:
    """A commit status; None where it has no name."""
    name = some_text(data, "context")
    said = some_text(data, "state") or some_text(data, "status")
    states = {"success": CheckState.PASSED, "skipped": CheckState.PASSED, "pending": CheckState.PENDING}
    state = states.get(said, CheckState.FAILED)  # error, failure, and Gitea's warning
    return Check(name, state, some_text(data, "target_url"), moment(data, "updated_at")) if name else None


def participants_of(commits: Iterable[Any]) -> Participants:
    """Authors and committers of commits as the forges list them."""
    logins: set[str] = set()
    unmapped: set[str] = set()
    for commit in commits:
        for login, person in _hands(commit):
            if login:
                logins.add(login)
            else:
                unmapped.add(person)
    return Participants(frozenset(logins - WEB_COMMITTERS), frozenset(unmapped))


def _hands(commit: Any) -> Iterator[tuple[str, str]]:
    for role in ("author", "committer"):
        name, email = some_text(commit, "commit", role, "name"), some_text(commit, "commit", role, "email")
        yield some_text(commit, role, "login"), f"{name} <{email}>"


def _state(said: str, *, merged: bool) -> PullRequestState:
    if merged:
        return PullRequestState.MERGED
    return PullRequestState.OPEN if said == "open" else PullRequestState.CLOSED


def _place(data: Any, side: str) -> Any:
    return field(data, side, "repo", "id")
