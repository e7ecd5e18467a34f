"""A repository in memory: the port to Git for unit tests, held to the same contract as the real one.

Trees are mappings of path to bytes. Merges go by whole files: two different changes of one file conflict.
"""

import base64
import difflib
import fnmatch
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from controller.adapters.repository.editing import LARGEST_FILE, checked_bodies, checked_files, cut
from controller.adapters.repository.history import ROLLBACK_OF, trailers
from controller.adapters.repository.inputs import inputs_of
from controller.adapters.repository.manifests import guessed, is_manifest, read_manifest
from controller.adapters.repository.push import check_drops_nothing
from controller.adapters.repository.references import checked_branch, checked_paths, checked_revision, covers
from controller.adapters.repository.rendered import rendered_from
from controller.adapters.repository.versions import MOST_BRANCH_COMMITS, checked_pattern
from controller.core.application import Content, Revision
from controller.core.git import (
    BuiltCommit,
    CommitFacts,
    CommitIdentity,
    ManifestObject,
    PushOutcome,
    PushResult,
    Rendered,
    RestoreFacts,
    RestoreRequest,
    RollbackPath,
    Tag,
    WrittenFiles,
)
from controller.core.policy import Scope
from controller.ports.repository import InvalidReference, RepositoryDenied, RepositoryUnavailable, RevisionUnknown

Tree = Mapping[str, bytes]
AUTHOR = "Ann Author <ann@example.com>"


@dataclass(frozen=True)
class Commit:
    """A commit as it is kept."""

    parents: tuple[str, ...]
    tree: str
    author: str
    message: str
    at: float


@dataclass
class InMemoryRemote:
    """The server and everybody who commits to it; its fields make it misbehave."""

    branch: str = "main"
    unavailable: bool = False
    """Every call fails as if the network were down."""
    denied: bool = False
    """Lets nobody in."""
    refuses: PushResult | None = None
    """What pushes to the main branch are answered."""
    loses_reply: bool = False
    """The next push is taken, and its answer is lost."""
    before_push: Callable[[], object] | None = None
    """Called once, just before the next push reaches the server."""
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pushes: list[str] = field(default_factory=list)
    """Each revision that a push brought in."""

    def __post_init__(self) -> None:
        self.commits: dict[str, Commit] = {}
        self.trees: dict[str, Tree] = {_oid("tree", {}): {}}
        self._clock = 1_700_000_000.0
        self.lock = threading.RLock()

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        message: str = "Change things",
        *,
        branch: str | None = None,
        author: str = AUTHOR,
        trailers: Sequence[tuple[str, str]] = (),
        parents: Sequence[str] | None = None,
        at: float | None = None,
    ) -> str:
        """Commit on top of a branch, or on ``parents``; the branch is moved to it, whatever it was."""
        name = branch or self.branch
        if trailers:
            message += "\n\n" + "\n".join(f"{key}: {value}" for key, value in trailers)
        self._clock = at if at is not None else self._clock + 60
        if parents is None:
            parents = [self.branches[name]] if name in self.branches else []
        tree = dict(self.tree(parents[0])) if parents else {}
        for path, content in files.items():
            tree = {each: data for each, data in tree.items() if not covers(path, each)}
            if content is not None:
                tree[path] = content.encode() if isinstance(content, str) else content
        made = self.write(Commit(tuple(parents), self.keep(tree), author, message, self._clock))
        self.branches[name] = made
        return made

    def merge(self, other: str, files: Mapping[str, str | bytes | None], message: str = "Merge") -> str:
        """A merge of a commit into the main branch; ``files`` are what it changes against the branch."""
        return self.commit(files, message, parents=[self.head(), other])

    def head(self, branch: str | None = None) -> str:
        """The branch's head."""
        return self.branches[branch or self.branch]

    def move(self, branch: str, revision: str) -> None:
        """Move a branch by force."""
        self.branches[branch] = revision

    def tag(self, name: str, revision: str, *, annotated: bool = False) -> None:
        """Make or move a tag."""
        self.tags[name] = revision

    def files(self, revision: str | None = None) -> dict[str, bytes]:
        """All files at a revision (the head)."""
        return dict(self.tree(revision or self.head()))

    def log(self, branch: str | None = None) -> list[str]:
        """The branch's commits, newest first."""
        reached = self.reach(self.head(branch))
        return [revision for revision in reversed(self.commits) if revision in reached]

    def commit_facts(self, revision: str) -> CommitFacts:
        """One commit's facts."""
        commit = self.commits[revision]
        before = self.tree(commit.parents[0]) if commit.parents else {}
        return CommitFacts(
            Revision(revision),
            tuple(Revision(parent) for parent in commit.parents),
            commit.author,
            commit.author,
            commit.at,
            " ".join(commit.message.partition("\n\n")[0].split()),
            trailers(commit.message),
            tuple(_differing(before, self.tree(revision))),
        )

    def write(self, commit: Commit, revision: str | None = None) -> str:
        """Keep a commit."""
        name = revision or _oid("commit", repr((len(self.commits), commit)).encode())
        self.commits[name] = commit
        return name

    def keep(self, tree: Tree) -> str:
        """Keep a tree; returns its id."""
        name = _oid("tree", tree)
        self.trees[name] = dict(tree)
        return name

    def tree(self, revision: str) -> Tree:
        """The files of a commit."""
        return self.trees[self.commits[revision].tree]

    def reach(self, revision: str) -> set[str]:
        """A commit and all that it contains."""
        seen: set[str] = set()
        waiting = [revision]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(self.commits[name].parents)
        return seen


@dataclass
class InMemoryRepository:
    """Implements ``Repository`` on a remote in memory."""

    remote: InMemoryRemote = field(default_factory=InMemoryRemote)

    def fetch(self, branch: str) -> Revision:
        checked_branch(branch)
        self._network()
        if branch not in self.remote.branches:
            raise RevisionUnknown(f"the repository has no branch {branch}")
        return Revision(self.remote.branches[branch])

    def content(self, revision: Revision, paths: Sequence[str]) -> Content:
        self._require(revision)
        return _content(self.remote.tree(revision), checked_paths(paths))

    def inputs(self, revision: Revision, paths: Sequence[str]) -> tuple[str, ...]:
        self._require(revision)
        tree = self.remote.tree(revision)
        return inputs_of(lambda files: [tree.get(file) for file in files], checked_paths(paths))

    def inputs_of_each(self, revision: Revision, sets: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
        return tuple(self.inputs(revision, paths) for paths in sets)

    def rendered_from(self, revision: Revision, paths: Sequence[str]) -> Rendered | None:
        self._require(revision)
        tree = self.remote.tree(revision)
        return rendered_from(lambda files: [tree.get(file) for file in files], checked_paths(paths))

    def default_branch(self) -> str:
        self._network()
        if self.remote.branch not in self.remote.branches:
            raise RevisionUnknown("the repository's HEAD names no branch")
        return self.remote.branch

    def is_ancestor(self, ancestor: Revision, descendant: Revision) -> bool:
        self._require(ancestor)
        self._require(descendant)
        return ancestor in self.remote.reach(descendant)

    def commit(self, revision: Revision) -> CommitFacts:
        self._require(revision)
        return self.remote.commit_facts(revision)

    def inspect(self, request: RestoreRequest) -> RestoreFacts:
        checked_paths(request.paths)
        if request.together:
            checked_paths(request.together)
        for revision in (request.target, request.live, *request.ours, *request.chain):
            checked_revision(revision)
        with self.remote.lock:
            return _Inspection(self.remote, request, self.fetch(request.branch)).facts()

    def build(self, *, parent: Revision, tree: str, message: str, identity: CommitIdentity, at: float) -> BuiltCommit:
        self._require(parent)
        checked_revision(tree)
        if tree not in self.remote.trees:
            raise RevisionUnknown(f"{tree} is not here")
        commit = Commit((parent,), tree, f"{identity.name} <{identity.email}>", message, float(int(at)))
        data = json.dumps([commit.parents, tree, commit.author, message, commit.at]).encode()
        revision = Revision(_oid("commit", data))
        self.remote.write(commit, revision)
        return BuiltCommit(revision, parent, tree, base64.b64encode(data).decode())

    def push(
        self, commit: BuiltCommit, branch: str, expected: Revision | None, *, replaces: bool = False
    ) -> PushOutcome:
        data = base64.b64decode(commit.data)
        if _oid("commit", data) != checked_revision(commit.revision):
            raise InvalidReference("the bytes kept have another id")
        check_drops_nothing(commit, branch, expected, replaces=replaces)
        self._network()
        if self.remote.before_push is not None:
            act, self.remote.before_push = self.remote.before_push, None
            act()
        with self.remote.lock:
            return self._receive(commit, data, branch, expected)

    def export(self, revision: Revision, paths: Sequence[str], destination: Path) -> None:
        self._require(revision)
        destination.mkdir(parents=True, exist_ok=True)
        if any(destination.iterdir()):
            raise InvalidReference("the folder for the export is not empty")
        for path, data in _within(self.remote.tree(revision), checked_paths(paths)).items():
            (destination / path).parent.mkdir(parents=True, exist_ok=True)
            (destination / path).write_bytes(data)

    def rollback_path(self, branch: str) -> RollbackPath:
        self.fetch(branch)
        return (
            RollbackPath.PULL_REQUEST if self.remote.refuses and branch == self.remote.branch else RollbackPath.PUSH
        )

    def files(self, revision: Revision, paths: Sequence[str]) -> dict[str, bytes | None]:
        wanted = checked_files(paths)
        self._require(revision)
        tree = self.remote.tree(revision)
        _only_files(tree, wanted)
        if any(len(tree.get(path, b"")) > LARGEST_FILE for path in wanted):
            raise InvalidReference("a file is larger than may be read")
        return {path: tree.get(path) for path in wanted}

    def write(self, revision: Revision, files: Mapping[str, bytes], *, create: bool = False) -> WrittenFiles:
        wanted = checked_bodies(files)
        self._require(revision)
        tree = self.remote.tree(revision)
        _only_files(tree, list(wanted))
        if not create and not wanted.keys() <= tree.keys():
            raise InvalidReference("there is no such file")
        after = {**tree, **wanted}
        return WrittenFiles(self.remote.keep(after), tuple(_differing(tree, after)))

    def tags(self, pattern: str = "*") -> tuple[Tag, ...]:
        checked_pattern(pattern)
        self._network()
        names = sorted(name for name in self.remote.tags if fnmatch.fnmatchcase(name, pattern))
        return tuple(Tag(name, Revision(self.remote.tags[name])) for name in names)

    def branch_commits(self, branch: str, since: Revision | None, paths: Sequence[str]) -> tuple[CommitFacts, ...]:
        wanted = checked_paths(paths)
        name: str = self.fetch(branch)
        if since is not None:
            self._require(since)
        known = self.remote.reach(since) if since is not None else set()
        line: list[str] = []
        while name and name not in known:
            line.append(name)
            name = next(iter(self.remote.commits[name].parents), "")
        return self._touching(line[::-1], wanted)[-MOST_BRANCH_COMMITS:]

    def commits_between(self, old: Revision, new: Revision, paths: Sequence[str]) -> tuple[CommitFacts, ...]:
        wanted = checked_paths(paths)
        self._require(new)
        self._require(old)
        within = self.remote.reach(new) - self.remote.reach(old)
        return self._touching([revision for revision in self.remote.commits if revision in within], wanted)

    def conflicts(self, commit: Revision, onto: Revision) -> tuple[str, ...]:
        checked_revision(onto)
        self._require(commit)
        self._require(onto)
        parent = next(iter(self.remote.commits[commit].parents))
        before, after, there = (self.remote.tree(each) for each in (parent, commit, onto))
        return tuple(_three_way(before, there, after)[1])

    def diff(self, revision: Revision, tree: str) -> str:
        checked_revision(tree)
        self._require(revision)
        if tree not in self.remote.trees:
            raise RevisionUnknown("the tree is not here")
        before, after = self.remote.tree(revision), self.remote.trees[tree]
        return cut("".join(_diff(path, before.get(path), after.get(path)) for path in _differing(before, after)))

    def _touching(self, commits: Iterable[str], paths: Sequence[str]) -> tuple[CommitFacts, ...]:
        facts = [self.remote.commit_facts(revision) for revision in commits]
        return tuple(
            replace(each, files=())
            for each in facts
            if any(covers(path, file) for path in paths for file in each.files)
        )

    def _network(self) -> None:
        if self.remote.unavailable:
            raise RepositoryUnavailable("could not resolve host git.example.com")
        if self.remote.denied:
            raise RepositoryDenied("no credentials are set for this repository")

    def _require(self, revision: str) -> None:
        checked_revision(revision)
        self._network()
        if revision not in self.remote.commits:
            raise RevisionUnknown(f"{revision} is not in the repository")

    def _receive(self, commit: BuiltCommit, data: bytes, branch: str, expected: Revision | None) -> PushOutcome:
        there = self.remote.branches.get(branch)
        lost, self.remote.loses_reply = self.remote.loses_reply, False
        if there == commit.revision:
            return PushOutcome(PushResult.PUSHED, "[up to date]")
        if there != expected:
            return PushOutcome(PushResult.STALE, "[rejected] (stale info)")
        if self.remote.refuses and branch == self.remote.branch:
            return PushOutcome(self.remote.refuses, "[remote rejected] (refused)")
        parents, tree, author, message, at = json.loads(data)
        self.remote.write(Commit(tuple(parents), tree, author, message, at), commit.revision)
        self.remote.branches[branch] = commit.revision
        self.remote.pushes.append(commit.revision)
        return PushOutcome(PushResult.UNCLEAR, "the reply was lost") if lost else PushOutcome(PushResult.PUSHED)


class _Inspection:
    def __init__(self, remote: InMemoryRemote, request: RestoreRequest, head: Revision) -> None:
        self.remote, self.request, self.head = remote, request, head
        self.paths = checked_paths(request.paths)
        self.known = {
            name for name in (request.target, request.live, *request.chain, *request.ours) if self._has(name)
        }

    def facts(self) -> RestoreFacts:
        request, head = self.request, self.head
        target_known, live_known = request.target in self.known, request.live in self.known
        both = target_known and live_known
        suspects = self._touching(self._between(request.target, request.live)) if both else []
        touched = {file for commit in suspects for file in commit.files}
        later = self._between(request.live, head) if both else []
        newer = [facts for facts in map(self.remote.commit_facts, later) if touched & set(facts.files)]
        before = self._files(head)
        after, conflicts = self._merged(suspects, request.together) if both else (None, [])
        if both and after is None and request.together:
            after, conflicts = self._merged(suspects, ())
        changed = [] if after is None else _differing(before, after)
        was, becomes, unreadable = _objects(before, after or {}, changed)
        return RestoreFacts(
            request=request,
            head=head,
            target_known=target_known,
            live_known=live_known,
            target_before_live=both and request.target in self._reach(request.live),
            live_in_branch=live_known and request.live in self._reach(head),
            went_back=both and request.live != request.target and request.live in self._reach(request.target),
            suspects=tuple(suspects),
            newer=tuple(newer),
            head_content=_content(before, self.paths),
            live_content=_content(self._files(request.live), self.paths),
            target_content=_content(self._files(request.target), self.paths),
            chain_contents=tuple((c, _content(self._files(c), self.paths)) for c in request.chain if c in self.known),
            tree=None if after is None else self.remote.keep(after),
            restored_content=None if after is None else _content(after, self.paths),
            conflicts=tuple(conflicts),
            removes=tuple(sorted(was - becomes)),
            touches=tuple(sorted(was | becomes)),
            changed_files=tuple(changed),
            unreadable=tuple(unreadable),
            ours_in_branch=tuple(c for c in request.ours if c in self.known and c in self._reach(head)),
            plain_tree=self.remote.keep(self._synthetic()) if both and after is None else None,
            protected_restores=tuple(c for c in suspects if any(key == ROLLBACK_OF for key, _ in c.trailers)),
        )

    def _has(self, revision: str) -> bool:
        return revision in self.remote.commits

    def _reach(self, revision: str) -> set[str]:
        return self.remote.reach(revision)

    def _files(self, revision: str) -> Tree:
        return self.remote.tree(revision) if self._has(revision) else {}

    def _between(self, old: str, new: str) -> list[str]:
        wanted = self._reach(new) - self._reach(old)
        line, name = set(), new
        while name:
            line.add(name)
            name = next(iter(self.remote.commits[name].parents), "")
        newest_first = [revision for revision in reversed(self.remote.commits) if revision in wanted]
        return [c for c in newest_first if len(self.remote.commits[c].parents) < 2 or c in line]

    def _touching(self, commits: Iterable[str]) -> list[CommitFacts]:
        facts = [self.remote.commit_facts(revision) for revision in commits]
        return [each for each in facts if any(covers(path, file) for path in self.paths for file in each.files)]

    def _synthetic(self) -> dict[str, bytes]:
        live, target = self._files(self.request.live), self._files(self.request.target)
        inside = _within(target, self.paths)
        outside = {path: data for path, data in live.items() if path not in _within(live, self.paths)}
        return outside | inside

    def _reverted(
        self, tree: dict[str, bytes], suspects: Sequence[CommitFacts], paths: Sequence[str] = ("",)
    ) -> tuple[dict[str, bytes] | None, list[str]]:
        for suspect in suspects:
            before = self._files(suspect.parents[0]) if suspect.parents else {}
            base, theirs = _within(self._files(suspect.revision), paths), _within(before, paths)
            after, conflicts = _three_way(base, tree, theirs)
            if conflicts:
                return None, conflicts
            tree = after
        return tree, []

    def _wanted(
        self, suspects: Sequence[CommitFacts], together: Sequence[str]
    ) -> tuple[dict[str, bytes] | None, list[str]]:
        if self.request.scope is Scope.COMMITS:
            return self._reverted(dict(self._files(self.request.live)), suspects)
        return self._reverted(self._synthetic(), suspects, together) if together else (self._synthetic(), [])

    def _merged(
        self, suspects: Sequence[CommitFacts], together: Sequence[str]
    ) -> tuple[dict[str, bytes] | None, list[str]]:
        wanted, conflicts = self._wanted(suspects, together)
        if wanted is None:
            return None, conflicts
        head = self._files(self.head)
        merged, conflicts = _three_way(self._files(self.request.live), head, wanted)
        for path in {*_differing(head, merged), *conflicts}:
            if _is_policy(path, head.get(path, merged.get(path, b""))):
                merged.pop(path, None)
                merged |= {path: head[path]} if path in head else {}
        left = [path for path in conflicts if not _is_policy(path, head.get(path, b""))]
        return (None, left) if left else (merged, [])


def _three_way(base: Tree, ours: Tree, theirs: Tree) -> tuple[dict[str, bytes], list[str]]:
    merged, conflicts = dict(ours), []
    for path in _differing(base, theirs):
        mine, before, wanted = ours.get(path), base.get(path), theirs.get(path)
        if mine not in (before, wanted):
            conflicts.append(path)
        elif wanted is None:
            merged.pop(path, None)
        else:
            merged[path] = wanted
    return merged, sorted(conflicts)


def _only_files(tree: Tree, paths: Sequence[str]) -> None:
    """Neither a folder at a path, nor a file where a folder must be."""
    for path in paths:
        if any(name.startswith(f"{path}/") or path.startswith(f"{name}/") for name in tree):
            raise InvalidReference(f"{path!r} is no file")


def _diff(path: str, before: bytes | None, after: bytes | None) -> str:
    def lines(body: bytes | None) -> list[str]:
        return (body or b"").decode(errors="replace").splitlines(keepends=True)

    names = ("/dev/null" if before is None else f"a/{path}", "/dev/null" if after is None else f"b/{path}")
    return "".join(difflib.unified_diff(lines(before), lines(after), *names))


def _differing(before: Tree, after: Tree) -> list[str]:
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def _within(tree: Tree, paths: Sequence[str]) -> dict[str, bytes]:
    return {name: data for name, data in tree.items() if any(covers(path, name) for path in paths)}


def _content(tree: Tree, paths: Sequence[str]) -> Content:
    return Content(tuple((path, _at(tree, path)) for path in paths))


def _at(tree: Tree, path: str) -> str:
    if path in tree:
        return _oid("blob", tree[path])
    inside = _within(tree, [path])
    if not inside and path:
        return ""
    return _oid("tree", {name[len(path) + 1 if path else 0 :]: data for name, data in inside.items()})


def _oid(kind: str, value: bytes | Tree) -> str:
    body = value if isinstance(value, bytes) else repr(sorted(value.items())).encode()
    return hashlib.sha1(kind.encode() + b"\0" + body).hexdigest()


def _is_policy(path: str, body: bytes) -> bool:
    manifest = read_manifest(path, body) if is_manifest(path) else None
    return manifest is not None and manifest.own


def _objects(
    before: Tree, after: Tree, changed: Sequence[str]
) -> tuple[set[ManifestObject], set[ManifestObject], list[str]]:
    sides: list[set[ManifestObject]] = [set(), set()]
    unreadable = []
    for path in changed:
        if not is_manifest(path):
            continue
        for side, tree in zip(sides, (before, after), strict=True):
            if path in tree:
                manifest = read_manifest(path, tree[path])
                side.update(manifest.objects if manifest else guessed(path, tree[path]))
                unreadable += [] if manifest or path in unreadable else [path]
    return sides[0], sides[1], unreadable
