"""Whom GitLab knows: users behind commits, who pushed, who belongs to a group.

Invariant: a user is named only by GitLab's own mapping of a commit. Searching users by an email would find whoever writes
that email into their public name.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from controller.adapters.forge.client import ForgeClient
from controller.adapters.forge.place import segment
from controller.adapters.forge.reading import field, objects, some_text
from controller.core.application import Revision
from controller.core.forge import Participants
from controller.ports.forge import ForgeUnknown

_AT_ONCE = 20
_FIELDS = "author { username } authorName authorEmail committerName committerEmail"
_WITH_COMMITTER = f"committer {{ username }} {_FIELDS}"
_NOT_FOUND = 404


class GitlabPeople:
    """People around one project."""

    def __init__(self, client: ForgeClient, project: str) -> None:
        """``client`` speaks to ``/api``."""
        self._client = client
        self._project = project
        self._fields = _WITH_COMMITTER

    def of(self, revisions: Sequence[Revision]) -> Participants:
        """Authors and committers of commits."""
        found = Participants()
        for start in range(0, len(revisions), _AT_ONCE):
            for commit in self._commits(revisions[start : start + _AT_ONCE]):
                found |= _hands(commit)
        return found

    def pushed(self, path: str, branch: str) -> Participants:
        """Who pushed to a branch, as far back as GitLab remembers."""
        listed = self._client.pages(f"{path}/events", {"action": "pushed"})
        logins = {
            some_text(each, "author_username") or some_text(each, "author", "username")
            for each in listed.items
            if (some_text(each, "push_data", "ref"), some_text(each, "push_data", "ref_type")) == (branch, "branch")
        }
        return Participants(frozenset(logins - {""}), complete=listed.complete)

    def is_member(self, user: str, team: str) -> bool:
        """Whether a user is in a group, directly or through those above it."""
        path = f"/v4/groups/{segment(team)}"
        if self._client.get(path, {"with_projects": "false"}, allow={_NOT_FOUND}).status == _NOT_FOUND:
            raise ForgeUnknown(f"there is no group {team}, or the token may not see it")
        members = self._client.pages(f"{path}/members/all", {"query": user}).whole("members")
        return any(
            some_text(each, "username").casefold() == user.casefold() and some_text(each, "state") == "active"
            for each in members
        )

    def _commits(self, revisions: Sequence[Revision]) -> list[dict[str, Any]]:
        """One answer for some commits; those that are not told are unmapped, and so are users that are not told."""
        data = self._asked(revisions)
        if data is None and self._fields == _WITH_COMMITTER:
            self._fields = _FIELDS  # older than 18.6
            data = self._asked(revisions)
        repository = field(data, "project", "repository")
        return [
            found if isinstance(found := field(repository, f"c{at}"), dict) else {"authorName": each}
            for at, each in enumerate(revisions)
        ]

    def _asked(self, revisions: Sequence[Revision]) -> Any:
        parts = " ".join(
            f'c{at}: commit(ref: "{segment(each)}") {{ {self._fields} }}' for at, each in enumerate(revisions)
        )
        query = f"query($path: ID!) {{ project(fullPath: $path) {{ repository {{ {parts} }} }} }}"
        body = {"query": query, "variables": {"path": self._project}}
        reply = self._client.call("POST", "/graphql", body)
        return None if objects(reply.data, "errors") else field(reply.data, "data")


def _hands(commit: Any) -> Participants:
    logins: set[str] = set()
    unmapped: set[str] = set()
    for login, person in _roles(commit):
        if login:
            logins.add(login)
        else:
            unmapped.add(person)
    return Participants(frozenset(logins), frozenset(unmapped))


def _roles(commit: Any) -> Iterator[tuple[str, str]]:
    author = some_text(commit, "author", "username")
    email = some_text(commit, "authorEmail")
    yield author, f"{some_text(commit, 'authorName')} <{email}>"
    same = bool(email) and some_text(commit, "committerEmail") == email
    committer = some_text(commit, "committer", "username") or (author if same else "")
    yield committer, f"{some_text(commit, 'committerName')} <{some_text(commit, 'committerEmail')}>"
