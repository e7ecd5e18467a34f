"""What there is to promote in a repository: tags of the server, and commits of a branch.

Invariant: names come from the server and are checked before anything is done with them; every list is bounded.
"""

import fnmatch
import re
from collections.abc import Iterable, Sequence

from controller.adapters.repository.history import facts
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import bodies
from controller.adapters.repository.references import is_tag
from controller.core.application import Revision
from controller.core.git import CommitFacts, Tag
from controller.ports.repository import InvalidReference

MOST_TAGS = 20_000
MOST_BRANCH_COMMITS = 500
MOST_BETWEEN = 5_000

_LONGEST_PATTERN = 240
_LIST_LIMIT, _COMMIT_LIMIT = 1 << 26, 1 << 28
_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\trefs/tags/([^\n]+?)(\^\{\})?")


def checked_pattern(pattern: str) -> str:
    """A pattern of tags' names. Raises InvalidReference."""
    if not pattern or len(pattern) > _LONGEST_PATTERN or not pattern.isprintable():
        raise InvalidReference(f"{pattern[:70]!r} is no pattern of tags: write for example v*")
    return pattern


def tags(mirror: Mirror, pattern: str) -> tuple[Tag, ...]:
    """Ask the server for its tags; one that names another tag is told by the commit behind it."""
    said = mirror.listed("--tags").out
    found: dict[str, Revision] = {}
    for line in said.split(b"\n"):
        match = _LINE.fullmatch(line)
        name = match[2].decode(errors="replace") if match else ""
        if match and is_tag(name) and fnmatch.fnmatchcase(name, pattern) and (match[3] or name not in found):
            found[name] = Revision(match[1].decode())
    if len(found) > MOST_TAGS:
        raise InvalidReference(f"more than {MOST_TAGS} tags match {pattern[:70]!r}: write a narrower pattern")
    return tuple(Tag(name, found[name]) for name in sorted(found))


def branch_commits(
    mirror: Mirror, head: Revision, since: Revision | None, paths: Sequence[str]
) -> tuple[CommitFacts, ...]:
    """The newest commits of the branch's own line that change the paths, oldest first. Both must be here."""
    options = ("--first-parent", f"--max-count={MOST_BRANCH_COMMITS}")
    return _listed(mirror, [*options, head, *([f"^{since}"] if since else [])], paths)


def commits_between(mirror: Mirror, old: Revision, new: Revision, paths: Sequence[str]) -> tuple[CommitFacts, ...]:
    """All commits of ``new`` that are not in ``old`` and change the paths, oldest first. Both must be here."""
    found = _listed(
        mirror, [f"--max-count={MOST_BETWEEN + 1}", "--full-history", "--topo-order", new, f"^{old}"], paths
    )
    if len(found) > MOST_BETWEEN:
        raise InvalidReference(f"more than {MOST_BETWEEN} commits lie between {old[:12]} and {new[:12]}")
    return found


def _listed(mirror: Mirror, options: Iterable[str], paths: Sequence[str]) -> tuple[CommitFacts, ...]:
    within = () if "" in paths else tuple(paths)
    listed = mirror.git("rev-list", *options, "--", *within, limit=_LIST_LIMIT)
    names = listed.out.decode().split()[::-1]
    raw = bodies(mirror, names, limit=_COMMIT_LIMIT)
    return tuple(facts(name, raw[name], ()) for name in names)
