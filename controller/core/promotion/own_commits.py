"""Which commits Rollguard has recorded as its own.

Invariant: told by what was persisted before a commit left, never by what a commit says of itself.
"""

from controller.core.application import Revision
from controller.core.git import BuiltCommit
from controller.core.promotion.progress import Progress


def own_commits(progress: Progress) -> frozenset[Revision]:
    """Commits that a pipeline's progress has recorded as Rollguard's own. What merged a pull request is not among them."""
    ways = (*progress.passages, *progress.ended)
    pushed = {each.revision for way in ways for each in way.commits}
    back = {each.revision for guarded in progress.guarded for each in guarded.putting_back}
    restores = {each for guarded in progress.guarded for each in guarded.restores}
    return frozenset(pushed | back | restores)


def commits_by_forge(progress: Progress) -> tuple[BuiltCommit, ...]:
    """Commits that a forge made, or was to make, under an id of its own: what has their parent and their files is ours."""
    ways = (*progress.passages, *progress.ended)
    return tuple(commit for each in ways if each.by_forge for commit in each.commits)
