"""Where a Kustomization's manifests live: the place in Git that a restore writes to, or why there is none.

Invariant: a branch is only named where Flux follows it; wherever that is not so, the sentence says what a person is to do.
"""

import posixpath

from controller.adapters.gitops.flux.seen import GIT, SeenGit, SeenKustomization
from controller.core.application import NO_BRANCH, Application, GitSource


def application_of(seen: SeenKustomization, git: SeenGit | None) -> Application:
    """What is to be guarded; ``git`` is its GitRepository, where there is one."""
    source, not_revertible = _place(seen, git)
    return Application(
        key=seen.key,
        source=source,
        labels=seen.labels,
        destination=seen.target_namespace or seen.key.namespace,
        not_revertible=not_revertible,
    )


def paths_of(seen: SeenKustomization) -> tuple[str, ...]:
    """What it reads, from the repository's root: its path, and the components that lie elsewhere; empty: outside of it."""
    own = _inside("", seen.path)
    if own is None:
        return ()
    components = (_inside(own, each) for each in seen.components if "://" not in each)
    found = sorted({own, *(each for each in components if each is not None)})
    return tuple(each for each in found if not any(each != other and _covers(other, each) for other in found))


def _place(seen: SeenKustomization, git: SeenGit | None) -> tuple[GitSource, str]:
    paths, where = paths_of(seen), "/".join(seen.source)
    if seen.source_kind != GIT:
        what = seen.source_kind or "source of no kind"
        sentence = (
            f"It deploys the {what} {where}, which no commit to a branch changes. "
            f"Set the last good tag or digest in the {what}."
        )
        return GitSource("", NO_BRANCH, ()), sentence
    if git is None or not git.url:
        missing = f"Its GitRepository {where} is not there, or may not be read. Create it, or correct spec.sourceRef."
        return GitSource("", NO_BRANCH, ()), missing
    if not git.branch:
        sentence = (
            f"Its GitRepository {where} follows {git.pinned}, which no commit to a branch moves. "
            f"Set spec.ref of the GitRepository to the last good version."
        )
        return GitSource(git.url, NO_BRANCH, paths, paths), sentence
    source = GitSource(git.url, git.branch, paths, paths)
    return (
        source,
        "" if paths else f"spec.path of the Kustomization {seen.key} leads out of the repository: correct it.",
    )


def _inside(root: str, written: str) -> str | None:
    """From the repository's root; Flux takes a leading slash as the root too. None where it leads out of it."""
    joined = written.lstrip("/") if not root or written.startswith("/") else posixpath.join(root, written)
    path = posixpath.normpath(joined or ".")
    if path == ".." or path.startswith("../"):
        return None
    return "" if path == "." else path


def _covers(outer: str, inner: str) -> bool:
    return not outer or inner.startswith(outer + "/")
