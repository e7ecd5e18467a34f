"""What all forges do alike: doing a thing twice is as doing it once, and a lost reply is looked after.

Invariant: nothing is opened, merged or written without having looked first; after an unclear reply there is a look and no
second try.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace

from controller.core.application import Revision
from controller.core.forge import PullRequest, PullRequestDraft, PullRequestState
from controller.core.forge_links import ForgeLinks
from controller.core.forge_writing import MergeBlock, MergeOutcome, MergeRequest, MergeResult
from controller.core.markdown import carries, marked
from controller.ports.forge import ForgeError, ForgeMalformed, ForgeRefused, ForgeUnavailable, Refusal

CLOSING = "closed"
"""The marker of the comment that says why a pull request was closed."""
MOST_REVISIONS = 250


@dataclass(frozen=True, slots=True)
class Note:
    """A comment on a pull request."""

    id: int
    author: str
    body: str


class JointForge(ABC):
    """The parts of ``controller.ports.forge.Forge`` that do not depend on the forge."""

    def __init__(self, links: ForgeLinks) -> None:
        self._links = links
        self._login = ""

    @property
    def links(self) -> ForgeLinks:
        """Where the repository's pages are."""
        return self._links

    @abstractmethod
    def pull_request(self, number: int) -> PullRequest:
        """One pull request as it is now."""

    @abstractmethod
    def find_open(self, head_branch: str, base: str) -> PullRequest | None:
        """The open pull request between two branches of this repository."""

    @abstractmethod
    def _create(self, draft: PullRequestDraft) -> PullRequest:
        """Open it; ForgeRefused with ALREADY_EXISTS where one is open."""

    @abstractmethod
    def _edit(self, number: int, title: str | None, body: str | None) -> PullRequest:
        """Write what is not None."""

    @abstractmethod
    def _add_labels(self, number: int, labels: frozenset[str]) -> None:
        """Put labels on it, making those that do not exist."""

    @abstractmethod
    def _shut(self, number: int) -> PullRequest:
        """Close it without merging."""

    @abstractmethod
    def _merge(self, request: MergeRequest, pull: PullRequest) -> MergeOutcome:
        """Merge it; whatever the forge says no to is an outcome."""

    @abstractmethod
    def _notes(self, number: int) -> Iterable[Note]:
        """Its comments, oldest first."""

    @abstractmethod
    def _write_note(self, number: int, note: Note | None, body: str) -> None:
        """Write a comment anew, or over an earlier one."""

    @abstractmethod
    def _asked_who(self) -> str:
        """Ask for the login that the token belongs to."""

    def _me(self) -> str:
        """The login that the token belongs to, asked once."""
        self._login = self._login or self._asked_who()
        return self._login

    def open(self, draft: PullRequestDraft) -> PullRequest:
        """Open a pull request, or bring the one up to date that is open already."""
        found = self.find_open(draft.head_branch, draft.base) or self._opened(draft)
        return self._brought_to(found, draft.title, draft.body, draft.labels)

    def update(
        self, number: int, *, title: str | None = None, body: str | None = None, labels: frozenset[str] = frozenset()
    ) -> PullRequest:
        """Write its title or body where they differ, and add labels."""
        return self._brought_to(self.pull_request(number), title, body, labels)

    def close(self, number: int, comment: str = "") -> PullRequest:
        """Close it without merging, saying why."""
        pull = self.pull_request(number)
        if pull.state is PullRequestState.MERGED:
            raise ForgeRefused(f"pull request {number} is merged already", Refusal.CLOSED)
        if not pull.open:
            return pull
        if comment:
            self.comment(number, CLOSING, comment)
        return self._shut(number)

    def comment(self, number: int, marker: str, body: str) -> None:
        """Write a comment, or bring the own earlier one with this marker up to date."""
        text = marked(marker, body)
        me = self._me().casefold()
        own = [each for each in self._notes(number) if each.author.casefold() == me and carries(each.body, marker)]
        if not own or not _same(own[0].body, text):
            self._write_note(number, own[0] if own else None, text)

    def merge(self, request: MergeRequest) -> MergeOutcome:
        """Merge it, if its head is what is expected; a lost reply is looked after."""
        pull = self.pull_request(request.number)
        settled = settled_already(pull, request.expected_head)
        if settled is not None:
            return settled
        try:
            return self._merge(request, pull)
        except ForgeUnavailable as error:
            if not error.unclear:
                raise
            return self._looked(request, str(error))
        except ForgeMalformed as error:
            return self._looked(request, str(error))

    def is_queued(self, number: int) -> bool:  # noqa: ARG002
        """A forge that merges at once has no queue."""
        return False

    def leave_queue(self, number: int) -> None:  # noqa: B027  there is nothing to do
        """A forge that merges at once has no queue."""

    def _looked(self, request: MergeRequest, said: str) -> MergeOutcome:
        try:
            pull = self.pull_request(request.number)
        except ForgeError:
            return MergeOutcome(MergeResult.UNCLEAR, message=said)
        return settled_already(pull, request.expected_head) or MergeOutcome(MergeResult.UNCLEAR, message=said)

    def _opened(self, draft: PullRequestDraft) -> PullRequest:
        try:
            return self._create(draft)
        except ForgeError as error:
            if not _perhaps_there(error):
                raise
            found = self.find_open(draft.head_branch, draft.base)
            if found is None:
                raise
            return found

    def _brought_to(
        self, pull: PullRequest, title: str | None, body: str | None, labels: frozenset[str]
    ) -> PullRequest:
        new_title = title if title is not None and not _same(title, pull.title) else None
        new_body = body if body is not None and not _same(body, pull.body) else None
        if new_title is not None or new_body is not None:
            pull = self._edit(pull.number, new_title, new_body)
        missing = labels - pull.labels
        if missing:
            self._add_labels(pull.number, missing)
        return replace(pull, labels=pull.labels | missing)


def settled_already(pull: PullRequest, expected: Revision) -> MergeOutcome | None:
    """What is known of a merge before it is asked for; None: it may be asked for."""
    if pull.head != expected:
        return MergeOutcome(MergeResult.STALE, message=f"its head is {pull.head[:12]}")
    if pull.state is PullRequestState.MERGED:
        return MergeOutcome(MergeResult.MERGED, pull.merged_as)
    if not pull.open:
        return MergeOutcome(
            MergeResult.BLOCKED, block=MergeBlock.CLOSED, message="it was closed without being merged"
        )
    return None


def blocked(block: MergeBlock, message: str = "") -> MergeOutcome:
    """The forge does not merge."""
    return MergeOutcome(MergeResult.BLOCKED, block=block, message=message)


def _perhaps_there(error: ForgeError) -> bool:
    if isinstance(error, ForgeUnavailable):
        return error.unclear
    if isinstance(error, ForgeRefused):
        return error.refusal is Refusal.ALREADY_EXISTS
    return isinstance(error, ForgeMalformed)


def _same(one: str, other: str) -> bool:
    """Whether two texts are the same but for how a forge stores line ends and blanks around them."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
