"""Gather the facts on which a restore is decided, and plan its tree, in the object database alone.

The plan is a set of changes to files: within the paths from the live to the target's (``ApplicationPaths``), or what
reverting each suspect, newest first, does to the live tree (``Commits``). They are brought into the head three-way,
with the live tree as the base. So a later change of somebody else survives, what the suspects added goes, and where
both changed the same lines there is a conflict, never a loss. Planning again after the restore changes nothing.

Of applications that are promoted together with this one, what the suspects did there is undone in the same commit; what
others have changed there since stays, and holds up nothing.

Invariant: with ``ApplicationPaths`` no file outside of the paths (and of those promoted together) changes, and policies
stay as the head has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_changes

from controller.adapters.repository.changes import FileChange, compare
from controller.adapters.repository.history import (
    MOST_SUSPECTS,
    ROLLBACK_OF,
    kinship,
    shown,
    suspects_and_newer,
)
from controller.adapters.repository.impact import Impact, Reader, assess, without_policies
from controller.adapters.repository.merge import apply
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import Ask, contents_of, look, place, store
from controller.adapters.repository.references import (
    checked_branch,
    checked_paths,
    checked_revision,
    covers,
    outermost,
)
from controller.core.application import Content, Revision
from controller.core.git import CommitFacts, RestoreFacts, RestoreRequest
from controller.core.policy import Scope

_MOST_CONFLICTS = 200


def checked_request(request: RestoreRequest) -> RestoreRequest:
    """The request with everything in it checked, its paths sorted. Raises InvalidReference."""
    checked_branch(request.branch)
    for revision in (request.target, request.live, *request.ours, *request.chain):
        checked_revision(revision)
    together = checked_paths(request.together) if request.together else ()
    return with_changes(request, paths=checked_paths(request.paths), together=together)


def inspect(mirror: Mirror, request: RestoreRequest) -> RestoreFacts:
    """Fetch, then gather everything; a target or live revision that cannot be had is told, not raised."""
    head = mirror.fetch(request.branch)
    here = _known(mirror, request)
    target_known, live_known = request.target in here, request.live in here
    if not (target_known and live_known):
        return _without_plan(mirror, request, head, here)
    return _Inspection(mirror, request, head, here).facts()


def _known(mirror: Mirror, request: RestoreRequest) -> frozenset[Revision]:
    """The revisions that are here; what was live once is fetched where it is missing, our own commits are not."""
    fetched = (request.target, request.live, *request.chain)
    asked = list(dict.fromkeys((*fetched, *request.ours)))
    present = zip(asked, mirror.has(*asked), strict=True)
    return frozenset(
        revision for revision, here in present if here or (revision in fetched and mirror.bring(revision))
    )


class _Inspection:
    """One look at a repository, at one fetched head."""

    def __init__(self, mirror: Mirror, request: RestoreRequest, head: Revision, here: frozenset[Revision]) -> None:
        self._mirror, self._request, self._head = mirror, request, head
        self._ours = [revision for revision in request.ours if revision in here]
        self._chain = [revision for revision in request.chain if revision in here]
        self._reader = Reader(mirror)
        self._kin = kinship(mirror, request.target, [head, request.live, *self._ours])
        roots = [head, request.live, request.target]
        names = [Ask(place(root, "")) for root in roots]
        self._contents, trees = contents_of(mirror, [*roots, *self._chain], request.paths, names)
        self._head_tree, self._live_tree, self._target_tree = (tree.oid if tree else "" for tree in trees)

    def facts(self) -> RestoreFacts:
        request, kin, head = self._request, self._kin, self._head
        between, later = kin.between(request.target, request.live), kin.between(request.live, head)
        suspects, newer = suspects_and_newer(self._mirror, kin, between, later, request.paths)
        plan = self._plan(suspects, request.together)
        if plan.tree is None and request.together:
            plan = self._plan(suspects, ())
        head_content, live_content, target_content, *chain = self._contents
        return RestoreFacts(
            request=request,
            head=head,
            target_known=True,
            live_known=True,
            target_before_live=kin.contains(request.live, request.target),
            live_in_branch=kin.contains(head, request.live),
            went_back=request.live != request.target and kin.contains(request.target, request.live),
            suspects=suspects,
            newer=newer,
            head_content=head_content,
            live_content=live_content,
            target_content=target_content,
            chain_contents=tuple(zip(self._chain, chain, strict=True)),
            tree=plan.tree,
            plain_tree=self._plain_tree() if plan.tree is None else None,
            restored_content=plan.content,
            conflicts=plan.conflicts,
            removes=plan.impact.removes,
            touches=plan.impact.touches,
            changed_files=plan.impact.files,
            unreadable=plan.impact.unreadable,
            ours_in_branch=tuple(ours for ours in self._ours if kin.contains(head, ours)),
            protected_restores=tuple(c for c in suspects if any(key == ROLLBACK_OF for key, _ in c.trailers)),
        )

    def _plan(self, suspects: Sequence[CommitFacts], together: Sequence[str]) -> "_Plan":
        """The tree to commit; ``together``: paths in which the suspects' own changes are undone beside."""
        if self._request.scope is Scope.COMMITS:
            wanted = self._reverted(self._live_tree, suspects)
        elif together:
            restored = apply(self._mirror, self._live_tree, self._restored())
            wanted = self._reverted(restored.tree, suspects, outermost(together))
        else:
            wanted = self._restored()
        if isinstance(wanted, _Plan):
            return wanted
        wanted = without_policies(self._mirror, self._head_tree, wanted, self._reader)
        merged = apply(self._mirror, self._head_tree, wanted)
        if merged.conflicts:
            return _Plan(conflicts=_names(merged.conflicts))
        changes = compare(self._mirror, self._head_tree, merged.tree)
        outside = [change.path for change in changes if not self._may_change(shown(change.path))]
        if outside:
            return _Plan(conflicts=_names(outside))
        content = self._contents[0] if merged.tree == self._head_tree else self._content_of(merged.tree)
        return _Plan(merged.tree, content, impact=assess(self._mirror, self._head_tree, changes, self._reader))

    def _restored(self) -> Sequence[FileChange]:
        """From the live to the target's files, within the paths."""
        return compare(self._mirror, self._live_tree, self._target_tree, outermost(self._request.paths))

    def _plain_tree(self) -> str | None:
        """The live tree with the paths as at the target, its policies as they are; None where it cannot be made."""
        wanted = without_policies(self._mirror, self._live_tree, self._restored(), self._reader)
        made = apply(self._mirror, self._live_tree, wanted)
        return None if made.conflicts else made.tree

    def _reverted(
        self, tree: str, suspects: Sequence[CommitFacts], paths: Sequence[str] = ("",)
    ) -> "Sequence[FileChange] | _Plan":
        """What is in the tree with each suspect on the branch's own line reverted within the paths, newest first.

        No plan where the target is not on that line.
        """
        line = self._kin.own_line(self._request.live)
        if self._request.target not in line or len(suspects) >= MOST_SUSPECTS:
            return _Plan()
        for suspect in suspects:
            if suspect.revision in line:
                undone = apply(self._mirror, tree, self._undoing(suspect, paths))
                if undone.conflicts:
                    return _Plan(conflicts=_names(undone.conflicts))
                tree = undone.tree
        return compare(self._mirror, self._live_tree, tree)

    def _undoing(self, suspect: CommitFacts, paths: Sequence[str]) -> Sequence[FileChange]:
        names = [suspect.revision, *suspect.parents[:1]]
        trees = [found.oid if found else "" for found in look(self._mirror, [Ask(place(name, "")) for name in names])]
        if not suspect.parents:
            trees += store(self._mirror, "tree", [b""], like=suspect.revision)
        return compare(self._mirror, trees[0], trees[1], paths)

    def _content_of(self, tree: str) -> Content:
        return contents_of(self._mirror, [tree], self._request.paths)[0][0]

    def _may_change(self, path: str) -> bool:
        own = (*self._request.paths, *self._request.together)
        return self._request.scope is Scope.COMMITS or any(covers(outer, path) for outer in own)


def _names(paths: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(shown(path) for path in sorted(paths)[:_MOST_CONFLICTS])


@dataclass(frozen=True, slots=True)
class _Plan:
    tree: str | None = None
    content: Content | None = None
    conflicts: tuple[str, ...] = ()
    impact: Impact = field(default_factory=Impact)


def _without_plan(mirror: Mirror, request: RestoreRequest, head: Revision, here: frozenset[Revision]) -> RestoreFacts:
    """What can be told where the target or the live revision is not to be had."""
    chain = [revision for revision in request.chain if revision in here]
    ours = [revision for revision in request.ours if revision in here]
    known = list(dict.fromkeys([head, *(here & {request.live, request.target}), *chain]))
    contents = dict(zip(known, contents_of(mirror, known, request.paths)[0], strict=True))
    nothing = Content(tuple((path, "") for path in request.paths))
    kin = kinship(mirror, head, [*known, *ours])
    return RestoreFacts(
        request=request,
        head=head,
        target_known=request.target in here,
        live_known=request.live in here,
        target_before_live=False,
        live_in_branch=request.live in here and kin.contains(head, request.live),
        went_back=False,
        suspects=(),
        newer=(),
        head_content=contents[head],
        live_content=contents.get(request.live, nothing),
        target_content=contents.get(request.target, nothing),
        chain_contents=tuple((revision, contents[revision]) for revision in chain),
        tree=None,
        restored_content=None,
        ours_in_branch=tuple(revision for revision in ours if kin.contains(head, revision)),
    )
