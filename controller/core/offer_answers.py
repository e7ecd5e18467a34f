"""What the forge answers about the pull request of a restore.

Invariant: an answer about another pull request than the one that is waited for changes nothing. A forge that fails delays
only the pull request: the branch, and the alert about it, stay.
"""

from controller.core.alerts import AlertName
from controller.core.backoff import backoff
from controller.core.deciding import withdrawn
from controller.core.events import PullRequestClosed, PullRequestFailed, PullRequestOpened, PullRequestSeen
from controller.core.forge import PullRequestState
from controller.core.offer import Declined, Offer, OfferStage
from controller.core.offering import drop_offer, offer_of, set_offer, tell_offer
from controller.core.pushing import plight
from controller.core.revert import one_line
from controller.core.rollback import Rollback
from controller.core.step import Step

LOOK_EVERY = 60.0
"""Seconds between two looks at an open pull request."""
REFUSALS = 5
"""Times that a forge says no before it is believed: some know a branch only a little after its push."""
PATIENT_FROM = 10
LONGEST_WAIT = 600.0
MOST_DECLINED = 50


def take_opened(step: Step, event: PullRequestOpened) -> Step:
    """It is open: people get its number."""
    offer = offer_of(step.rollout, event.branch)
    if offer is None:
        return step
    if offer.stage is OfferStage.CLOSING:
        return set_offer(step, event.branch, number=event.number)
    step = set_offer(
        step,
        event.branch,
        stage=OfferStage.OPEN,
        number=event.number,
        next_at=step.now + LOOK_EVERY,
        failures=0,
        trouble="",
    )
    rollback = step.rollout.rollback
    if rollback is None or not rollback.offered or rollback.branch != event.branch:
        return step
    url = rollback.forge.pull_request(event.number) if rollback.forge is not None else ""
    step = step.set_rollback(pull_request=event.number, pull_request_url=url)
    return tell_offer(step).say(f"pull request {event.number} offers the restore").record()


def take_seen(step: Step, event: PullRequestSeen) -> Step:
    """How it stands: merged, it is deployed as any commit is; closed by somebody else, that is an answer."""
    offer = offer_of(step.rollout, event.branch)
    if offer is None or offer.stage is not OfferStage.OPEN or offer.number != event.number:
        return step
    if event.state is PullRequestState.OPEN:
        return set_offer(step, event.branch, next_at=step.now + LOOK_EVERY, failures=0, trouble="")
    step = drop_offer(step, event.branch)
    if event.state is PullRequestState.MERGED:
        return step.say(f"pull request {event.number} is merged; its deployment is waited for")
    return _declined(step, offer)


def _declined(step: Step, offer: Offer) -> Step:
    """Somebody closed it without merging: told once, and not asked again."""
    answers = (*step.rollout.declined, Declined(offer.decision_id, step.now))
    step = step.set(declined=answers[-MOST_DECLINED:])
    said = f"somebody closed pull request {offer.number} without merging it"
    rollback = step.rollout.rollback
    if rollback is None or not rollback.offered or rollback.branch != offer.branch:
        return step.say(said)
    return _tell_declined(withdrawn(step, said), rollback, said).record()


def _tell_declined(step: Step, rollback: Rollback, said: str) -> Step:
    key = step.rollout.application.key
    remedy = f"To have it restored all the same: `rollguard rollback {key}`, or merge branch {rollback.branch}."
    if not rollback.automatic:
        asked = f"{key}: the rollback that {rollback.by or 'a person'} asked for is not made: {said}"
        return step.tell_anew(AlertName.NOT_REVERTIBLE, asked, remedy)
    return step.tell_anew(AlertName.BREACHED, f"{key} {plight(rollback)}, and is not restored: {said}", remedy)


def take_closed(step: Step, event: PullRequestClosed) -> Step:
    """It is closed (or was merged before): done with."""
    offer = offer_of(step.rollout, event.branch)
    if offer is None or offer.stage is not OfferStage.CLOSING:
        return step
    step = drop_offer(step, event.branch)
    if event.number is None:
        return step
    became = "is merged" if event.state is PullRequestState.MERGED else f"is closed: {offer.why}"
    return step.say(f"pull request {event.number} {became}")


def take_offer_failure(step: Step, event: PullRequestFailed) -> Step:
    """The forge failed: tried again, later and later; what it says no to is given up after some tries."""
    offer = offer_of(step.rollout, event.branch)
    if offer is None:
        return step
    failures, said = offer.failures + 1, one_line(event.message, 300)
    over = event.useless or (event.refused and failures >= REFUSALS)
    if over and offer.stage is not OfferStage.OPEN:
        return _given_up(step, offer, said)
    wait = backoff(offer.branch, failures)
    wait = min(LONGEST_WAIT, wait * (1 if failures < PATIENT_FROM else PATIENT_FROM))
    next_at = max(step.now + wait, event.not_before)
    step = set_offer(step, offer.branch, failures=failures, trouble=said, next_at=next_at)
    if failures == 1:
        step = step.say(f"the forge fails: {said}")
    return tell_offer(step) if offer.stage is OfferStage.OPENING else step


def _given_up(step: Step, offer: Offer, said: str) -> Step:
    step = drop_offer(step, offer.branch)
    if offer.stage is OfferStage.CLOSING:
        return step.say(f"the pull request of branch {offer.branch} cannot be closed: {said}")
    step = step.say(f"the pull request of branch {offer.branch} cannot be opened: {said}")
    return tell_offer(step, said)
