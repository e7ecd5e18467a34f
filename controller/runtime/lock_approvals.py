"""Whether a commit that changes locked configuration has its stage's approvals.

Invariant: fails closed. What counts is what the forge itself has recorded: the pull request that brought the commit in, with
approvals of its very head; or a person's word for this very commit. A forge that does not answer leaves it unknown.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from controller.core.application import Revision
from controller.core.forge import Participants, PullRequest
from controller.core.promotion.approvals import agreement
from controller.core.promotion.facts import PlaceFacts, PullFacts
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Guarded, Place
from controller.core.promotion.protection import Standing
from controller.ports.forge import Forge, ForgeError, ForgeUnknown
from controller.runtime.promotion_facts import PromotionPorts


@dataclass(frozen=True, slots=True)
class LockApprovals:
    """Asks about one place's branch."""

    ports: PromotionPorts
    move: Move
    place: Place
    repository: str
    branch: str

    def standing(self, revision: Revision) -> tuple[Standing, str]:
        """Whether it may, and why not."""
        try:
            return self._approval(revision)
        except (ForgeError, ValueError) as error:
            return Standing.UNKNOWN, f"whether it was approved cannot be told: {error}"

    def _approval(self, revision: Revision) -> tuple[Standing, str]:
        stage, forge = self.move.stage(self.place), self.ports.forge(self.repository)
        pull = forge.merged_by(revision) if forge is not None else None
        if pull is not None and pull.base != self.branch:
            pull = None
        if pull is not None and self._is_ours(pull):
            return Standing.OURS, ""
        if stage.approvals is None:
            return Standing.UNAPPROVED, "the stage names nobody who could approve it: only promotions may change it"
        given = tuple(
            each for each in self.move.progress.approvals if (each.stage, each.identity) == (stage.name, revision)
        )
        if pull is None and not given:
            return Standing.UNAPPROVED, "it came by no pull request"
        facts = self._people(forge, pull, revision)
        members = _members(forge, stage.approvals.from_, facts)
        agreed = agreement(stage.approvals, given=given, triggered_by="", facts=facts, members=members)
        return (Standing.UNAPPROVED, agreed.missing) if agreed.missing else (Standing.APPROVED, "")

    def _people(self, forge: Forge | None, pull: PullRequest | None, revision: Revision) -> PlaceFacts:
        """Who wrote, pushed and reviewed."""
        if forge is None:
            unknown = "the settings name no forge that knows who wrote it"
            return PlaceFacts(self.place, authors=Participants(complete=False), authors_unknown=unknown)
        if pull is None:
            return PlaceFacts(self.place, authors=forge.authors([revision]), authors_unknown="")
        reviewed, authors = PullFacts(pull, forge.reviews(pull.number)), forge.pushers(pull.number)
        return PlaceFacts(self.place, pull=reviewed, authors=authors, authors_unknown="")

    def _is_ours(self, pull: PullRequest) -> bool:
        """Whether it is a promotion's own pull request, with the head that Rollguard pushed."""
        ways = (*self.move.progress.passages, *self.move.progress.ended)
        return any(
            each.pull_number == pull.number and each.pull_head == pull.head and each.place == self.place
            for each in ways
        )

    def given_since(self, guarded: Guarded) -> frozenset[Revision]:
        """Open offences that somebody has approved by name since."""
        named = {each.identity for each in self.move.progress.approvals if each.stage == self.place.stage}
        asked = [each.revision for each in guarded.offences if each.revision in named]
        found = set()
        for revision in asked:
            try:
                standing, _ = self._approval(revision)
            except (ForgeError, ValueError):
                continue
            if standing is Standing.APPROVED:
                found.add(revision)
        return frozenset(found)


def _members(forge: Forge | None, teams: Iterable[str], facts: PlaceFacts) -> dict[str, frozenset[str]]:
    """For each team those of the reviewers who are in it."""
    users = {each.user.casefold() for each in facts.pull.reviews if each.user} if facts.pull is not None else set()
    if forge is None:
        return {}
    return {team: frozenset(user for user in users if _is_member(forge, user, team)) for team in teams}


def _is_member(forge: Forge, user: str, team: str) -> bool:
    try:
        return user != team.casefold() and forge.is_member(user, team)
    except ForgeUnknown:
        return False
