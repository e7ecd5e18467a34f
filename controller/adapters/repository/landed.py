"""What landed on a branch: the commits of its own line that change some paths.

Invariant: a merge counts as one commit, at the moment when it was merged; what it brought from a side line was never
deployed by itself.
"""

from collections.abc import Sequence

from controller.adapters.repository.history import facts
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import bodies
from controller.core.application import Revision
from controller.core.git import CommitFacts

MOST_LANDED = 5000
_SKEW = 7 * 86400
"""Seconds that committers' clocks may be apart: so much further back it is looked for commits that are young enough."""
_LIST_LIMIT, _COMMIT_LIMIT = 1 << 26, 1 << 28


def landed(mirror: Mirror, head: Revision, paths: Sequence[str], since: float) -> tuple[CommitFacts, ...]:
    """The newest commits (5,000 at most) that change the paths and were made since then, oldest first, without files."""
    within = () if "" in paths else tuple(paths)
    options = ("--first-parent", f"--max-count={MOST_LANDED}", f"--max-age={max(0, int(since) - _SKEW)}")
    listed = mirror.git("rev-list", *options, head, "--", *within, limit=_LIST_LIMIT)
    names = listed.out.decode().split()[::-1]
    raw = bodies(mirror, names, limit=_COMMIT_LIMIT)
    found = (facts(name, raw[name], ()) for name in names)
    return tuple(each for each in found if each.at >= since)
