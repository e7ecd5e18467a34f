"""Addresses of a forge's pages, for people to follow.

Invariant: built from the settings' URL and checked names alone; nothing of it is asked for or followed by Rollguard.
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from controller.core.application import Revision


class ForgeKind(StrEnum):
    """What a forge runs, as the settings name it."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    """And Forgejo."""


@dataclass(frozen=True, slots=True)
class ForgeLinks:
    """Where one repository's pages are."""

    kind: ForgeKind
    home: str
    """The repository's own page, without a closing slash."""

    @classmethod
    def of(cls, kind: ForgeKind, root: str, project: str) -> "ForgeLinks":
        """Pages of ``project`` (``owner/name``; on GitLab with subgroups) below the forge's ``root``."""
        return cls(kind, f"{root.rstrip('/')}/{quote(project)}")

    @property
    def _below(self) -> str:
        return f"{self.home}/-" if self.kind is ForgeKind.GITLAB else self.home

    def commit(self, revision: Revision) -> str:
        """The page of a commit."""
        return f"{self._below}/commit/{quote(revision)}"

    def compare(self, old: Revision, new: Revision) -> str:
        """What lies between two commits."""
        return f"{self._below}/compare/{quote(old)}...{quote(new)}"

    def pull_request(self, number: int) -> str:
        """The page of a pull request."""
        name = {ForgeKind.GITHUB: "pull", ForgeKind.GITLAB: "merge_requests", ForgeKind.GITEA: "pulls"}[self.kind]
        return f"{self._below}/{name}/{number}"
