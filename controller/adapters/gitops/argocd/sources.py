"""Where an Application's manifests live: the place in Git that a restore writes to, or why there is none.

Only what moves with a branch can be brought back by a commit to it. Of several sources the one that moves is guarded;
pinned ones beside it (a chart of a fixed version with its values in Git) do not change by themselves.

Invariant: a branch is only named where a commit to it is deployed; wherever that is not certain, the sentence says what a
person is to do instead.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from controller.adapters.gitops.argocd.application import Hydrator, SeenApplication, SourceSpec, What
from controller.adapters.gitops.argocd.paths import outermost, own_paths, referenced_paths
from controller.core.application import NO_BRANCH, Application, Content, GitSource, Revision

DEFAULT_BRANCH = "HEAD"
"""The repository's default branch; whoever guards it looks it up."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PINNED = re.compile(r"[0-9a-fA-F]{7,64}|refs/(?!heads/).*")
_VERSION = re.compile(r"v?\d+(\.(\d+|[xX*])){0,2}([-+][0-9A-Za-z.+-]*)?")
_RANGE = re.compile(r"[\^~<>=!]|.*[*\s,|]|[xX]$")
_RELEASE = re.compile(r"(sha256:)?[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}")
_OPEN = re.compile(r"(^|\.)[xX](\.|$)")
"""A version that stands for several."""
_SCP = re.compile(r"(?P<user>[^/@:]+@)?(?P<host>[^/:]+):(?P<path>[^/].*|/.*)")


@dataclass(frozen=True, slots=True)
class _Place:
    source: GitSource
    not_revertible: str = ""


def application_of(seen: SeenApplication) -> Application:
    """What is to be guarded."""
    place = _hydrated(seen) if seen.hydrator is not None else _declared(seen)
    return Application(
        key=seen.key,
        source=place.source,
        labels=seen.labels,
        destination=seen.destination,
        not_revertible=place.not_revertible,
    )


def guarded_revision(seen: SeenApplication, source: GitSource, what: What) -> Revision | None:
    """The commit of the guarded source that a deployment deploys; None where it is none, or not known yet.

    Of manifests that were rendered it is the rendered commit: the memory knows which one it was made of. Of charts and
    artifacts it is their version.
    """
    if not source.in_git:
        return _version(seen, what)
    for index, revision in enumerate(what.revisions):
        repository = what.repositories[index] if index < len(what.repositories) else ""
        ours = seen.hydrator is not None or same_repository(repository) == same_repository(source.repository)
        if ours and _may_move(seen, source, what, index) and _COMMIT.fullmatch(revision):
            return Revision(revision)
    return None


def content_of(source: GitSource, what: What) -> Content | None:
    """What a deployment of charts deploys; None of what lies in Git: that knows it better."""
    return None if source.in_git else Content((("sources", _fingerprint(what)),))


def _version(seen: SeenApplication, what: What) -> Revision | None:
    """Versions of the charts, and what tells their settings apart, which the Application itself holds."""
    released = what.repositories and len(what.revisions) == len(what.repositories)
    if not released or not seen.sources or any(is_in_git(each) for each in seen.sources):
        return None
    if not all(_is_release(each) for each in what.revisions):
        return None
    return Revision(f"{','.join(what.revisions)}@{_fingerprint(what)[:7]}")


def _is_release(version: str) -> bool:
    """Whether it is the version of one release: no range, and no commit of a source that has gone since."""
    return bool(_RELEASE.fullmatch(version)) and not _OPEN.search(version) and not _COMMIT.fullmatch(version)


def _fingerprint(what: What) -> str:
    """The same for the same versions of the same charts with the same settings."""
    return sha256("\0".join((*what.repositories, *what.revisions, what.digest)).encode()).hexdigest()


def is_in_git(source: SourceSpec) -> bool:
    """Whether a source is a Git repository: neither a chart of a registry nor an artifact."""
    return not source.chart and not source.repository.startswith("oci://")


def _may_move(seen: SeenApplication, source: GitSource, what: What, index: int) -> bool:
    """Whether it is the revision of the guarded branch, where a pinned source of the same repository stands beside it."""
    if len(seen.sources) <= 1 or len(what.revisions) != len(seen.sources):
        return True
    return source.branch == NO_BRANCH or branch_of(seen.sources[index].target) == source.branch


def branch_of(target: str) -> str | None:
    """The branch that a ``targetRevision`` names; None: a tag, a commit or a version."""
    name = target.strip().removeprefix("refs/heads/")
    if not name or name == DEFAULT_BRANCH:
        return DEFAULT_BRANCH
    if name != target.strip():
        return name
    pinned = _PINNED.fullmatch(name) or _VERSION.fullmatch(name) or _RANGE.match(name)
    return None if pinned else name


@lru_cache(maxsize=4096)
def same_repository(url: str) -> str:
    """A spelling in which two URLs are equal when Argo CD takes them for the same; https and ssh stay different."""
    lowered = url.strip().lower()
    if "://" not in lowered and (match := _SCP.fullmatch(lowered)):
        lowered = f"ssh://{match['user'] or ''}{match['host']}/{match['path'].lstrip('/')}"
    return lowered.removesuffix("/").removesuffix(".git")


def _hydrated(seen: SeenApplication) -> _Place:
    """Rendered manifests are written anew with each commit to the dry source: only that can be restored."""
    hydrator = seen.hydrator
    if hydrator is None:
        return _declared(seen)
    dry = hydrator.dry
    if hydrator.staging:
        return _staged(seen, hydrator)
    return _of_place(seen, [dry], [dry])


def _staged(seen: SeenApplication, hydrator: Hydrator) -> _Place:
    """Somebody merges what was rendered: which dry commit a deployed one was made of is not known; it is judged itself."""
    dry, wet = hydrator.dry, SourceSpec(hydrator.dry.repository, hydrator.path, f"refs/heads/{hydrator.branch}")
    sentence = (
        f"It deploys what is rendered from {dry.path or '/'} of {dry.repository} ({dry.target or DEFAULT_BRANCH}) to the "
        f"branch {hydrator.staging}, once somebody has merged that into {hydrator.branch}. Revert the commit where it is "
        f"rendered from, then merge {hydrator.staging} into {hydrator.branch}."
    )
    place = _of_place(seen, [wet], [wet])
    return _Place(place.source, place.not_revertible or sentence)


def _declared(seen: SeenApplication) -> _Place:
    git = [each for each in seen.sources if is_in_git(each)]
    moving = [each for each in git if branch_of(each.target) is not None]
    if not git:
        return _nowhere(seen)
    if not moving:
        return _pinned(seen, git[0])
    return _of_place(seen, moving, seen.sources)


def _of_place(
    seen: SeenApplication, moving: list[SourceSpec], every: tuple[SourceSpec, ...] | list[SourceSpec]
) -> _Place:
    """The place of the first source that moves, with all that is read there."""
    first = moving[0]
    branch = branch_of(first.target)
    if branch is None:
        return _pinned(seen, first)
    here = [each for each in moving if _is_same_place(each, first)]
    paths = [path for each in here for path in own_paths(seen, each)]
    refs = {each.ref for each in here if each.ref}
    paths += [path for each in every for ref in refs for path in referenced_paths(seen, each, ref)]
    found = outermost(paths)
    source = GitSource(first.repository, branch, found, found)
    if len(here) < len(moving):
        return _Place(source, _several(seen, moving))
    if not found:
        return _Place(
            source, f"No path of {first.repository} is named by {_where(seen)}: there is nothing to restore."
        )
    if _is_plugged(seen, here) and not seen.generate_paths:
        return _Place(source, _plugin(seen))
    return _Place(source)


def _is_same_place(one: SourceSpec, other: SourceSpec) -> bool:
    same = same_repository(one.repository) == same_repository(other.repository)
    return same and branch_of(one.target) == branch_of(other.target)


def _is_plugged(seen: SeenApplication, sources: list[SourceSpec]) -> bool:
    return any(each.plugin for each in sources) or (seen.plugin and len(seen.sources) <= 1)


def _nowhere(seen: SeenApplication) -> _Place:
    """Charts of a registry only, or nothing at all."""
    first = seen.sources[0] if seen.sources else SourceSpec("")
    if not first.repository:
        return _Place(GitSource("", "", ()), f"{_where(seen)} names no source of manifests.".capitalize())
    what = f"the chart {first.chart}" if first.chart else "an OCI artifact"
    sentence = (
        f"It deploys {what} {first.target or 'latest'} from {first.repository}, which no commit to a branch changes. "
        f"Set targetRevision to the last good version in {_where(seen)}."
    )
    return _Place(GitSource(first.repository, NO_BRANCH, ()), sentence)


def _pinned(seen: SeenApplication, source: SourceSpec) -> _Place:
    paths = outermost(own_paths(seen, source))
    like = f" If {source.target} is a branch, write refs/heads/{source.target}." if _is_like(source.target) else ""
    sentence = (
        f"It is pinned: its targetRevision is {source.target}, which no commit to a branch moves. "
        f"Set it to the last good version in {_where(seen)}.{like}"
    )
    return _Place(GitSource(source.repository, NO_BRANCH, paths, paths), sentence)


def _is_like(target: str) -> bool:
    """Whether it may be a branch all the same, such as ``4.x``."""
    return bool(_VERSION.fullmatch(target))


def _several(seen: SeenApplication, moving: list[SourceSpec]) -> str:
    places = dict.fromkeys(f"{each.repository} ({branch_of(each.target)})" for each in moving)
    return (
        f"It deploys from several places that change on their own: {', '.join(places)}. "
        f"Revert the commit in the one that broke it; to have it done, keep all but one pinned in {_where(seen)}."
    )


def _plugin(seen: SeenApplication) -> str:
    return (
        "Its manifests are made by a plugin, and what that reads is not known. Revert the commit by hand, or say what it "
        f"reads in the annotation argocd.argoproj.io/manifest-generate-paths of {_where(seen)}."
    )


def _where(seen: SeenApplication) -> str:
    """Where the Application itself is written."""
    if seen.generator:
        return f"the ApplicationSet {seen.generator}"
    own = f"the Application {seen.key}"
    return f"{own}, which the Application {seen.parent} deploys" if seen.parent else own
