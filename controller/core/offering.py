"""The pull requests of a restore: wanted, told, and given up.

Invariant: whether one is wanted follows from the restore alone, looked at after every event: what is offered on a branch of
ours has one where there is a forge, and one whose restore went another way, or is not wanted any more, is closed with the
reason. Nobody waits for the forge to be told that a person is needed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from controller.core.alerts import AlertName
from controller.core.application import ApplicationKey
from controller.core.offer import Offer, OfferStage
from controller.core.revert import in_short
from controller.core.rollback import Rollback
from controller.core.state import Rollout
from controller.core.step import Step

TOLD_WITHOUT_IT = 30.0
"""Seconds that people wait for the pull request's number before they are told of the branch alone."""


def begin_offer(step: Step) -> Step:
    """The restore is on a branch of ours: have a pull request opened where there is a forge, and tell people."""
    rollout, rollback = step.rollout, step.rollout.rollback
    if rollback is None:
        return step
    found = offer_of(rollout, rollback.branch)
    if found is not None and found.stage is not OfferStage.CLOSING:
        return tell_offer(step) if found.number is not None else step
    if rollback.forge is None or was_declined(rollout, rollback):
        return tell_offer(step)
    source = rollout.application.source
    made = Offer(rollback.decision_id, source.repository, rollback.branch, source.branch, step.now)
    others = tuple(each for each in rollout.offers if each.branch != rollback.branch)
    return step.set(offers=(*others, made))


def offer_of(rollout: Rollout, branch: str) -> Offer | None:
    """The pull request of a branch of ours, as far as it is known."""
    return next((each for each in rollout.offers if each.branch == branch), None)


def was_declined(rollout: Rollout, rollback: Rollback) -> bool:
    """Whether somebody has closed a pull request of this decision; what a person asks for later is a new wish."""
    return any(
        each.decision_id == rollback.decision_id and (rollback.automatic or each.at > rollback.decided_at)
        for each in rollout.declined
    )


def shared_number(rollouts: Iterable[Rollout], rollout: Rollout) -> int | None:
    """The pull request that another application has open for the same decision, and that undoes the same revision.

    Who reads the same paths shares it.
    """
    mine = rollout.rollback
    for each in rollouts:
        other = each.rollback
        if mine is None or other is None or each.application.key == rollout.application.key or not other.offered:
            continue
        found = offer_of(each, other.branch)
        alike = (other.decision_id, other.live) == (mine.decision_id, mine.live)
        if alike and found is not None and found.stage is OfferStage.OPEN:
            return found.number
    return None


def wanted_elsewhere(rollouts: Iterable[Rollout], key: ApplicationKey, decision_id: str, number: int | None) -> bool:
    """Whether another application still has this pull request open."""
    others = (offer for each in rollouts if each.application.key != key for offer in each.offers)
    wanted = (decision_id, number, OfferStage.OPEN)
    return number is not None and any((each.decision_id, each.number, each.stage) == wanted for each in others)


def set_offer(step: Step, branch: str, **changes: Any) -> Step:
    """With fields of one pull request replaced."""
    return step.set(
        offers=tuple(replace(each, **changes) if each.branch == branch else each for each in step.rollout.offers)
    )


def drop_offer(step: Step, branch: str) -> Step:
    """With one pull request forgotten: it is merged or closed."""
    return step.set(offers=tuple(each for each in step.rollout.offers if each.branch != branch))


def close_offers(step: Step, why: str) -> Step:
    """Have every pull request closed that is not being closed already."""
    if all(each.stage is OfferStage.CLOSING for each in step.rollout.offers):
        return step
    return step.set(offers=tuple(_closing(each, why, step.now) for each in step.rollout.offers))


def _closing(offer: Offer, why: str, now: float) -> Offer:
    if offer.stage is OfferStage.CLOSING:
        return offer
    return replace(offer, stage=OfferStage.CLOSING, why=why, next_at=now, failures=0, trouble="")


def tend_offers(step: Step) -> Step:
    """After every event: what is not wanted is to be closed, and people are told in time."""
    if not step.rollout.offers:
        return step
    kept = tuple(_tended(step.rollout, each, step.now) for each in step.rollout.offers)
    if kept != step.rollout.offers:
        step = step.set(offers=kept)
    late = any(each.stage is OfferStage.OPENING for each in _overdue(step))
    return tell_offer(step) if late else step


def _tended(rollout: Rollout, offer: Offer, now: float) -> Offer:
    why = _needless(rollout.rollback, offer)
    return _closing(offer, why, now) if why else offer


def _needless(rollback: Rollback | None, offer: Offer) -> str:
    """Why a pull request is not wanted any more; empty: it is, or that is being found out."""
    if rollback is None:
        return "it is not needed any more"
    if rollback.decision_id != offer.decision_id:
        return "another rollback takes its place"
    if rollback.in_flight:
        return ""
    if not rollback.offered:
        return "it is not needed any more"
    return "" if rollback.branch == offer.branch else f"branch {rollback.branch} takes its place"


def _overdue(step: Step) -> Iterator[Offer]:
    return (each for each in step.rollout.offers if step.now >= each.begun_at + TOLD_WITHOUT_IT)


def tell_offer(step: Step, unopened: str = "") -> Step:
    """Tell people of the restore that waits for them. ``unopened``: why there is no pull request, and will be none."""
    rollback = step.rollout.rollback
    if rollback is None or not rollback.offered:
        return step
    found = offer_of(step.rollout, rollback.branch)
    source, key = step.rollout.application.source, step.rollout.application.key
    begin = f"{in_short(rollback)}\nNot pushed to {source.branch}: {rollback.why_not_push}.\n"
    links = [("branch", rollback.branch), ("repository", source.repository)]
    if found is not None and found.number is not None and rollback.forge is not None:
        url = rollback.forge.pull_request(found.number)
        return step.tell_anew(
            AlertName.PULL_REQUEST_OPENED,
            f"{key}: pull request {found.number} restores it, and waits for a person",
            f"{begin}Look at it, and merge it: {url}",
            links=(("pull_request", url), *links),
        )
    return step.tell_anew(
        AlertName.PULL_REQUEST_OPENED,
        f"{key}: a restore waits for a person on branch {rollback.branch}",
        f"{begin}Look at it with `git log -p {source.branch}..origin/{rollback.branch}`, and merge it."
        f"{_no_pull_request(step.rollout, rollback, found, unopened)}",
        links=links,
    )


def _no_pull_request(rollout: Rollout, rollback: Rollback, found: Offer | None, unopened: str) -> str:
    if unopened:
        return f"\nIts pull request cannot be opened: {unopened}"
    if found is not None:
        said = f": {found.trouble}" if found.trouble else ""
        return f"\nIts pull request is not open yet, and is tried again{said}"
    if rollback.forge is not None and was_declined(rollout, rollback):
        return "\nNo pull request is opened: somebody has closed one of this decision without merging it."
    return ""
