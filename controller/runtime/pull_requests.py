"""Opens, looks at and closes the pull requests of restores.

Invariant: a forge's error becomes an event of its own, never a guess. Nothing is opened or closed by a process that does not
lead. Doing a thing twice is as doing it once: the port sees to that. Applications that share a decision share its pull
request: the first opens it, and the last that does not want it any more closes it.
"""

from collections.abc import Callable, Iterable

from controller.core.events import (
    Event,
    PullRequestClosed,
    PullRequestFailed,
    PullRequestOpened,
    PullRequestSeen,
)
from controller.core.forge import PullRequest, PullRequestState
from controller.core.intents import ClosePullRequest, ForgeIntent, LookAtPullRequest, OpenPullRequest
from controller.core.offering import shared_number, wanted_elsewhere
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.ports.forge import Forge, ForgeBusy, ForgeError, ForgeRefused, ForgeUnknown, Refusal

FindForge = Callable[[str], Forge | None]
"""The forge around a repository, by its URL; None: the settings name none."""


def no_forge(url: str) -> None:  # noqa: ARG001  as FindForge has it
    """Where the settings name no forge."""
    return


class PullRequests:
    """The pull requests of all applications."""

    def __init__(
        self,
        forge: FindForge,
        clock: Clock,
        leads: Callable[[], bool],
        rollouts: Callable[[], Iterable[Rollout]] = tuple,
    ) -> None:
        """``rollouts`` gives every application's state."""
        self._rollouts = rollouts
        self._forge = forge
        self._clock = clock
        self._leads = leads

    def perform(self, rollout: Rollout, intent: ForgeIntent) -> Event | None:
        """Do one thing; None: it is to be asked again, since another process leads."""
        if not self._leads():
            return None
        branch = intent.draft.head_branch if isinstance(intent, OpenPullRequest) else intent.branch
        try:
            forge = self._forge(intent.repository)
            if forge is None:
                return PullRequestFailed(branch, "the settings name no forge for the repository", useless=True)
            return self._shared(rollout, intent) or _performed(forge, intent)
        except ForgeBusy as error:
            return PullRequestFailed(branch, str(error), not_before=self._clock.now() + error.retry_after)
        except ForgeError as error:
            return PullRequestFailed(branch, str(error), refused=isinstance(error, ForgeRefused | ForgeUnknown))

    def _shared(self, rollout: Rollout, intent: ForgeIntent) -> Event | None:
        """What another application's pull request for the same decision makes needless; lanes do one thing at a time."""
        match intent:
            case OpenPullRequest():
                number = shared_number(self._rollouts(), rollout)
                return PullRequestOpened(intent.draft.head_branch, number) if number is not None else None
            case ClosePullRequest():
                key, decision = rollout.application.key, intent.decision_id
                wanted = wanted_elsewhere(self._rollouts(), key, decision, intent.number)
                return PullRequestClosed(intent.branch, None) if wanted else None
            case LookAtPullRequest():
                return None


def _performed(forge: Forge, intent: ForgeIntent) -> Event:
    match intent:
        case OpenPullRequest():
            return PullRequestOpened(intent.draft.head_branch, forge.open(intent.draft).number)
        case LookAtPullRequest():
            return PullRequestSeen(intent.branch, intent.number, forge.pull_request(intent.number).state)
        case ClosePullRequest():
            return _closed(forge, intent)


def _closed(forge: Forge, intent: ClosePullRequest) -> Event:
    found: PullRequest | None = None
    number = intent.number
    if number is None:
        found = forge.find_open(intent.branch, intent.base)
        number = found.number if found is not None else None
    if number is None:
        return PullRequestClosed(intent.branch, None)
    try:
        return PullRequestClosed(intent.branch, number, forge.close(number, intent.comment).state)
    except ForgeRefused as error:
        if error.refusal is not Refusal.CLOSED:
            raise
        return PullRequestClosed(intent.branch, number, PullRequestState.MERGED)
