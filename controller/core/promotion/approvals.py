"""Whether enough people have agreed, and which of them count.

Invariant: fails closed. A review counts only for the head that it was given for, which is Rollguard's own commit: what
anybody else pushed to it is not merged at all. Who wrote or triggered the version does not count unless the owner says so;
who asks for changes holds it up. Nobody counts twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.core.forge import Review, ReviewState, approvers
from controller.core.promotion.facts import PlaceFacts, PullFacts
from controller.core.promotion.pipeline import Approvals
from controller.core.promotion.progress import Approval

Members = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What people's words come to."""

    by: tuple[str, ...]
    """Who counts, sorted."""
    missing: str = ""
    """What is missing, as one sentence; empty: nothing is."""


def agreement(
    rules: Approvals, *, given: Iterable[Approval], triggered_by: str, facts: PlaceFacts, members: Members
) -> Agreement:
    """Count approvals.

    Args:
        rules: what the owner asks for.
        given: approvals by name of this version in this stage.
        triggered_by: who set the version on its way; empty: nobody did by hand.
        facts: the place, with its pull request and with who wrote the version.
        members: users of each team that ``rules`` names, in lower case.
    """
    pull = facts.pull
    groups = {each.user.casefold(): each.groups for each in given}
    words = set(groups) | (approvers(pull.reviews, pull.request.head) if pull is not None else frozenset())
    may = {user for user in words if _may(user, groups.get(user, ()), rules, members)}
    refusing = sorted(user for user in _refusing(pull) if _may(user, (), rules, members))
    if refusing:
        return Agreement((), f"{listed(refusing)} asked for changes")
    own = _own(facts, triggered_by) if rules.not_author else frozenset()
    counted = tuple(sorted(may - own))
    unknown = _unknown(facts) if rules.not_author else ""
    return Agreement(counted, unknown or _missing(rules, counted, sorted(may & own)))


def _refusing(pull: PullFacts | None) -> frozenset[str]:
    last: dict[str, Review] = {}
    for review in sorted(pull.reviews if pull is not None else (), key=lambda each: each.at):
        if review.state is not ReviewState.COMMENTED and review.user:
            last[review.user.casefold()] = review
    refusing = (
        user for user, each in last.items() if each.state is ReviewState.CHANGES_REQUESTED and not each.dismissed
    )
    return frozenset(refusing)


def _may(user: str, groups: Iterable[str], rules: Approvals, members: Members) -> bool:
    if not rules.from_ or user in {each.casefold() for each in rules.from_}:
        return True
    return any(group in rules.from_ for group in groups) or any(
        user in members.get(team, frozenset()) for team in rules.from_
    )


def _own(facts: PlaceFacts, triggered_by: str) -> frozenset[str]:
    return frozenset(each.casefold() for each in (*facts.authors.logins, triggered_by) if each)


def _unknown(facts: PlaceFacts) -> str:
    """Why somebody who approves may be an author all the same."""
    if facts.authors_unknown:
        return f"who wrote this version cannot be told: {facts.authors_unknown}"
    if facts.authors.unmapped:
        strangers = listed(sorted(facts.authors.unmapped)[:3])
        return f"the forge knows no user for {strangers}, who may be one of those who approve"
    if not facts.authors.complete:
        return "the forge does not tell all who wrote this version"
    return ""


def _missing(rules: Approvals, counted: tuple[str, ...], own: list[str]) -> str:
    left = rules.minimum - len(counted)
    if left <= 0:
        return ""
    whom = f" from {listed(rules.from_)}" if rules.from_ else ""
    more, several = " more" if counted else "", left > 1
    said = f"{left}{more} approval{'s' if several else ''}{whom} {'are' if several else 'is'} missing"
    return f"{said}; {listed(own)} wrote or triggered it and cannot approve it" if own else said


def listed(names: Iterable[str]) -> str:
    """Names as a sentence has them."""
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
