"""Facts about a repository, as the guard asks for them and decides on them. No Git is run here.

Invariant: these are plain facts of one fetched head; a compare-and-swap push against that head makes them hold.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from controller.core.application import Content, GitSource, Revision
from controller.core.policy import Scope


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """One commit; text is as written, untrusted, cut to a bounded length."""

    revision: Revision
    parents: tuple[Revision, ...]
    author: str
    """``Name <email>``."""
    committer: str
    at: float
    """Committer time, Unix seconds."""
    subject: str
    trailers: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    """Files it changed (against its first parent), at most some thousands."""


@dataclass(frozen=True, slots=True, order=True)
class ManifestObject:
    """A Kubernetes object in a manifest file, as far as it can be read without rendering."""

    kind: str
    namespace: str
    name: str
    path: str
    hook: bool = False
    """Carries a Helm or Argo CD hook annotation."""


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What a restore is to do: bring ``paths`` back to ``target``, given that ``live`` is what is deployed."""

    branch: str
    paths: tuple[str, ...]
    target: Revision
    live: Revision
    scope: Scope = Scope.APPLICATION_PATHS
    ours: tuple[Revision, ...] = ()
    """Commits that were built for this decision before: is one of them in the branch?"""
    chain: tuple[Revision, ...] = ()
    """Revisions of the chain's syncs, oldest first: their contents are told."""
    together: tuple[str, ...] = ()
    """Paths of applications that are promoted with it: what the suspects changed there is undone as well."""


@dataclass(frozen=True, slots=True)
class RestoreFacts:
    """All that deciding on a restore needs to know of Git, at one fetched head."""

    request: RestoreRequest
    head: Revision
    target_known: bool
    live_known: bool
    target_before_live: bool
    """``target`` is an ancestor of ``live``."""
    live_in_branch: bool
    """``live`` is an ancestor of ``head``."""
    went_back: bool
    """``live`` is an ancestor of ``target``: somebody rolled back by hand."""
    suspects: tuple[CommitFacts, ...]
    """Commits of target..live that touch the paths, newest first."""
    newer: tuple[CommitFacts, ...]
    """Commits of live..head that touch a file which a suspect changed, newest first."""
    head_content: Content
    live_content: Content
    target_content: Content
    chain_contents: tuple[tuple[Revision, Content], ...]
    tree: str | None
    """The whole tree to commit on top of ``head``; None where the merge conflicts or cannot be made."""
    restored_content: Content | None
    """Content of the paths in ``tree``."""
    conflicts: tuple[str, ...] = ()
    """Paths that conflict."""
    removes: tuple[ManifestObject, ...] = ()
    """Objects in ``head`` that ``tree`` has no more."""
    touches: tuple[ManifestObject, ...] = ()
    """Objects whose file differs between ``head`` and ``tree`` (removed ones included)."""
    changed_files: tuple[str, ...] = ()
    """Files that differ between ``head`` and ``tree``."""
    unreadable: tuple[str, ...] = ()
    """Changed files whose objects cannot be enumerated (templates, broken YAML)."""
    ours_in_branch: tuple[Revision, ...] = ()
    plain_tree: str | None = None
    """The tree of ``live`` with the paths as at ``target``: what a pull request offers where the merge conflicts."""
    protected_restores: tuple[CommitFacts, ...] = ()
    """Suspects that are themselves restores (carry ``Rollguard-Rollback-Of``)."""

    def changes_in(self, paths: Iterable[str]) -> tuple[str, ...]:
        """The files within some paths that the restore changes."""
        folders = tuple(paths)
        return tuple(file for file in self.changed_files if any(within(file, folder) for folder in folders))

    @property
    def already_restored(self) -> bool:
        """The paths at the head are what the restore would make them, whoever did it."""
        return self.restored_content is not None and self.restored_content == self.head_content


@dataclass(frozen=True, slots=True)
class CommitIdentity:
    """Who commits."""

    name: str = "Rollguard"
    email: str = "rollguard@localhost"


@dataclass(frozen=True, slots=True)
class BuiltCommit:
    """A finished commit, kept byte for byte so that it can be pushed unchanged after a crash."""

    revision: Revision
    parent: Revision
    tree: str
    data: str
    """The commit object's bytes, Base64."""


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """A tree with some files exchanged, ready to be committed."""

    tree: str
    """The id of the whole tree; that of the revision's own where nothing changed."""
    changed: tuple[str, ...]
    """The files that are not as they were, sorted; none: there is nothing to commit."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of a repository, as its server tells it."""

    name: str
    revision: Revision
    """The commit that it names."""


class PushResult(StrEnum):
    """What became of a push."""

    PUSHED = "Pushed"
    STALE = "Stale"
    """The branch has moved: rebuild on the new head."""
    PROTECTED = "Protected"
    """The branch refuses pushes: pull request."""
    SIGNATURE = "Signature"
    """The server wants another signature: pull request."""
    PUSH_RULE = "PushRule"
    """A server-side hook or rule refuses the commit: pull request."""
    UNCLEAR = "Unclear"
    """The reply was lost: fetch and look."""


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """The result of a push and the server's words (untrusted, cut)."""

    result: PushResult
    message: str = ""


class RollbackPath(StrEnum):
    """Which way a restore can take into a repository."""

    PUSH = "Push"
    PULL_REQUEST = "PullRequest"
    NONE = "None"


@dataclass(frozen=True, slots=True)
class Rendered:
    """Manifests that a program wrote, made from others; as far as it has noted what they were made from."""

    repository: str = ""
    revision: str = ""


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WEB_USER = re.compile(r"(https?://)[^/@]*@")


def canonical_url(url: str) -> str:
    """One spelling for all URLs of one repository, as Argo CD compares them; holds no password.

    Lower case, without ``.git`` or a closing slash; ``git@host:path`` is ``ssh://git@host/path``. https and ssh stay
    different. Beyond Argo CD's rule, who logs in over http(s) is left out (a name, perhaps a password, and no part of
    the place), and the path of a local repository keeps its case, since file systems tell it apart.
    """
    text = url.strip()
    if text.startswith(("/", "file://")):
        return "file://" + text.removeprefix("file://").rstrip("/").removesuffix(".git").rstrip("/")
    if not _SCHEME.match(text):
        text = "ssh://" + text.replace(":", "/", 1)
    return _WEB_USER.sub(r"\1", text.lower().rstrip("/").removesuffix(".git").rstrip("/"), count=1)


def same_branch(one: GitSource, other: GitSource) -> bool:
    """Whether two applications are deployed from one branch of one repository, however its URL is spelled."""
    if one.branch != other.branch:
        return False
    return one.repository == other.repository or canonical_url(one.repository) == canonical_url(other.repository)


def within(path: str, folder: str) -> bool:
    """Whether a path is another one, or lies in it."""
    return folder in ("", path) or path.startswith(f"{folder}/")
