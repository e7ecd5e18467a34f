"""What happened between revisions: who is whose ancestor, and which commits touch what.

Invariant: commits are compared with their first parent. A merge counts where it stands on the branch's own line (its
first parents): there it brings in what it merged. A merge the other way, of the branch into a side line, brings the
branch nothing and is left out.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import bodies
from controller.core.application import Revision
from controller.core.git import CommitFacts

MOST_SUSPECTS = 500
MOST_NEWER = 500
MOST_FILES = 5_000
ROLLBACK_OF = "Rollguard-Rollback-Of"

_CANDIDATES = 5_000
"""So many commits after the live one, from the newest, are looked at for newer changes."""
_GRAPH_LIMIT = 1 << 28
_DIFF_LIMIT = 1 << 32
_COMMIT_LIMIT = 1 << 28
_TEXT = 300
_MOST_TRAILERS = 64
_TRAILER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,99})[ \t]*:[ \t]*(.*)")
_OWN_TRAILER = re.compile(r"(Rollguard-[A-Za-z-]{1,80})[ \t]*:[ \t]*(.*)", re.IGNORECASE)
_PERSON = re.compile(rb"(.*) (-?\d+) [+-]\d+")

Graph = dict[str, tuple[str, ...]]
"""Commits with their parents, children first."""


def is_ancestor(mirror: Mirror, ancestor: str, descendant: str) -> bool:
    """Whether a commit is another one or an ancestor of it; both must be here."""
    if ancestor == descendant:
        return True
    return mirror.git("merge-base", "--is-ancestor", ancestor, descendant, ok=(0, 1)).code == 0


@dataclass(frozen=True, slots=True)
class Kinship:
    """The part of the history in which some tips differ, from which their relations are read."""

    graph: Graph

    def reach(self, tip: str) -> frozenset[str]:
        """The commits of the graph that a tip contains, itself included."""
        seen: set[str] = set()
        waiting = [tip]
        while waiting:
            commit = waiting.pop()
            if commit in self.graph and commit not in seen:
                seen.add(commit)
                waiting.extend(self.graph[commit])
        return frozenset(seen)

    def contains(self, descendant: str, ancestor: str) -> bool:
        """Whether one of the tips contains another. A tip outside of the graph is common to all."""
        return ancestor == descendant or ancestor not in self.graph or ancestor in self.reach(descendant)

    def reaches(self, tip: str, edge: str) -> bool:
        """Whether a tip contains a commit at whose edge the graph ends."""
        return tip == edge or any(edge in self.graph[commit] for commit in self.reach(tip))

    def own_line(self, tip: str) -> list[str]:
        """The tip and its first parents, as far as the graph goes; then the first that lies outside of it."""
        line = [tip]
        while parents := self.graph.get(line[-1]):
            line.append(parents[0])
        return line

    def between(self, old: str, new: str) -> list[str]:
        """Commits in ``new`` and not in ``old`` that count as changes, newest first."""
        wanted, line = self.reach(new) - self.reach(old), frozenset(self.own_line(new))
        return [
            commit for commit in self.graph if commit in wanted and (commit in line or not self._is_merge(commit))
        ]

    def _is_merge(self, commit: str) -> bool:
        return len(self.graph[commit]) > 1


def kinship(mirror: Mirror, oldest: str, others: Collection[str]) -> Kinship:
    """The commits that ``oldest`` and the others do not all have in common; all must be here.

    Mostly ``oldest`` is in all others, and what it contains is what they have in common. Where it turns out not to be,
    that is looked for.
    """
    kin = Kinship(_graph(mirror, others, [oldest]))
    if all(kin.reaches(tip, oldest) for tip in others):
        return kin
    tips = sorted({oldest, *others})
    said = mirror.git("merge-base", "--octopus", "--all", *tips, ok=(0, 1))
    return Kinship(_graph(mirror, tips, said.out.decode().split()))


def _graph(mirror: Mirror, tips: Iterable[str], without: Iterable[str]) -> Graph:
    names = "".join(f"{name}\n" for name in (*tips, *(f"^{name}" for name in without))).encode()
    listed = mirror.git("rev-list", "--topo-order", "--parents", "--stdin", feed=names, limit=_GRAPH_LIMIT).out
    return {first: tuple(rest) for first, *rest in (line.split() for line in listed.decode().splitlines())}


@dataclass(slots=True)
class Change:
    """The files that one commit changes."""

    files: list[bytes] = field(default_factory=list)
    hit: bool = False
    """It changes one of the files that were asked for."""


class ChangeReader:
    """Reads ``diff-tree --stdin --raw -z`` as it comes, keeping at most some thousands of files of each commit.

    Raw records begin with a colon, so that no file's name can be taken for a commit's.
    """

    def __init__(self, leading: int = 0) -> None:
        self.changes: dict[str, Change] = {}
        self._leading = leading
        self._wanted: set[bytes] = set()
        self._rest = b""
        self._current = Change()
        self._name_follows = False

    def feed(self, piece: bytes) -> None:
        """Take in some output."""
        *tokens, self._rest = (self._rest + piece).split(b"\0")
        for token in tokens:
            if self._name_follows:
                self._file(token)
                self._name_follows = False
            elif token.startswith(b":"):
                self._name_follows = True
            else:
                self._current = self.changes.setdefault(token.decode(), Change())

    def _file(self, name: bytes) -> None:
        change = self._current
        if len(self.changes) <= self._leading:
            self._wanted.add(name)
        elif name in self._wanted:
            change.hit = True
        if len(change.files) < MOST_FILES:
            change.files.append(name)


def changes(
    mirror: Mirror, graph: Graph, commits: Sequence[str], paths: Sequence[str] = (), leading: int = 0
) -> ChangeReader:
    """What each commit changes against its first parent, within the paths if any are given.

    The files of the first ``leading`` commits, each of which changes something, are asked for of the others (``hit``).
    """
    reader = ChangeReader(leading)
    if commits:
        feed = "".join(f"{commit} {' '.join(graph[commit][:1])}".strip() + "\n" for commit in commits).encode()
        options = (
            "--stdin",
            "-r",
            "--root",
            "--raw",
            "-z",
            "--no-renames",
            "--no-ext-diff",
            "--ignore-submodules=none",
        )
        within = () if "" in paths else tuple(paths)
        mirror.git("diff-tree", *options, "--", *within, feed=feed, sink=reader.feed, limit=_DIFF_LIMIT)
    return reader


def touching(mirror: Mirror, graph: Graph, commits: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Those of the commits that touch the paths, in their order, cut to a bounded number.

    Cut, the oldest stays and so does each that carries a trailer of ours, since both are decided on.
    """
    touched = changes(mirror, graph, commits, paths).changes
    hits = [commit for commit in commits if commit in touched]
    if len(hits) <= MOST_SUSPECTS:
        return hits
    raw = bodies(mirror, hits, limit=_COMMIT_LIMIT)
    marked = [commit for commit in hits if b"\nrollguard-" in raw[commit].lower()]
    kept = set([hits[-1], *marked, *hits][:MOST_SUSPECTS])
    return [commit for commit in hits if commit in kept]


def suspects_and_newer(
    mirror: Mirror, kin: Kinship, between: Sequence[str], later: Sequence[str], paths: Sequence[str]
) -> tuple[tuple[CommitFacts, ...], tuple[CommitFacts, ...]]:
    """Facts of the commits of ``between`` that touch the paths, and of those of ``later`` that touch their files."""
    suspects = touching(mirror, kin.graph, between, paths)
    if not suspects:
        return (), ()
    after = list(later[:_CANDIDATES])
    read = changes(mirror, kin.graph, [*suspects, *after], leading=len(suspects)).changes
    newer = [commit for commit in after if commit in read and read[commit].hit][:MOST_NEWER]
    raw = bodies(mirror, [*suspects, *newer], limit=_COMMIT_LIMIT)
    return tuple(facts(c, raw[c], read[c].files) for c in suspects), tuple(
        facts(c, raw[c], read[c].files) for c in newer
    )


def commit_facts(mirror: Mirror, revision: Revision) -> CommitFacts:
    """One commit's facts; it must be here."""
    raw = bodies(mirror, [revision])[revision]
    graph: Graph = {revision: parents_of(raw)}
    changed = changes(mirror, graph, [revision]).changes.get(revision, Change())
    return facts(revision, raw, changed.files)


def parents_of(raw: bytes) -> tuple[str, ...]:
    """The parents that a commit object names."""
    header = raw.partition(b"\n\n")[0].split(b"\n")
    return tuple(line[7:].decode(errors="replace") for line in header if line.startswith(b"parent "))


def facts(revision: str, raw: bytes, files: Iterable[bytes]) -> CommitFacts:
    """Read a commit object. Its text is untrusted: decoded without failing, and cut."""
    header, _, message = raw.partition(b"\n\n")
    fields = {key: value for key, _, value in (line.partition(b" ") for line in reversed(header.split(b"\n")))}
    committer, at = _person(fields.get(b"committer", b""))
    text = message.decode(errors="replace")
    return CommitFacts(
        revision=Revision(revision),
        parents=tuple(Revision(parent) for parent in parents_of(raw)),
        author=_person(fields.get(b"author", b""))[0],
        committer=committer,
        at=at,
        subject=" ".join(text.lstrip("\n").partition("\n\n")[0].split())[:_TEXT],
        trailers=trailers(text),
        files=tuple(shown(name) for name in files),
    )


def trailers(message: str) -> tuple[tuple[str, str], ...]:
    """The trailers of a message's last paragraph, and lines of ours (``Rollguard-…:``) wherever they stand.

    A squash merge puts the messages of what it merged into the middle of its own: a hold in there still holds.
    """
    head, _, last = message.replace("\r\n", "\n").rstrip().rpartition("\n\n")
    scattered = [(m[1], m[2]) for line in head.split("\n") if (m := _OWN_TRAILER.fullmatch(line.strip()))]
    found = [*_unfolded(last), *scattered] if head else []
    found.sort(key=lambda item: not _is_ours(item[0]))
    return tuple((_spelled(key), value.strip()[:_TEXT]) for key, value in found[:_MOST_TRAILERS])


def _is_ours(key: str) -> bool:
    return key.lower().startswith("rollguard-")


def _spelled(key: str) -> str:
    """Trailers do not tell upper from lower case; ours are given one spelling."""
    return "-".join(part.capitalize() for part in key.split("-")) if _is_ours(key) else key


def _unfolded(paragraph: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in paragraph.split("\n"):
        if match := _TRAILER.fullmatch(line.rstrip()):
            found.append((match[1], match[2]))
        elif found and line.startswith((" ", "\t")):
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
    return found


def _person(value: bytes) -> tuple[str, float]:
    match = _PERSON.fullmatch(value)
    if not match:
        return value.decode(errors="replace")[:_TEXT], 0.0
    return match[1].decode(errors="replace")[:_TEXT], float(min(int(match[2][:16]), 1 << 40))


def shown(name: bytes) -> str:
    """A file's name as text; bytes that are no UTF-8 are written as escapes."""
    return name.decode(errors="backslashreplace")
