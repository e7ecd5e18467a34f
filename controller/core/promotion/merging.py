"""Brings a version's open pull request to its end: merged, put into the forge's queue, or closed.

Invariant: only our own head is merged, and only while no gate is closed: what the forge is to merge by itself is taken back
once one is.
"""

from dataclasses import replace

from controller.core.promotion import gates
from controller.core.promotion.approvals import Agreement
from controller.core.promotion.facts import PlaceFacts, PullFacts
from controller.core.promotion.holding import before_merge
from controller.core.promotion.intents import ClosePull, LeaveQueue, MergePull
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Passage, Phase
from controller.core.promotion.statuses import due, waits_or_may, was_stopped
from controller.core.promotion.wording import merge_message, title


def bring_in(move: Move, passage: Passage, pull: PullFacts) -> Move:
    """Merge it, once nothing holds it up any more."""
    if pull.request.head != passage.pull_head:
        return move.wait(passage, f"somebody pushed to pull request {pull.request.number}: people merge it")
    gate, agreed = before_merge(move, passage, pull)
    status = due(move, passage, pull, waits_or_may(passage, gate))
    if status is not None and gate is None:
        return move.intend(status)  # before its merge: the branch may demand it
    after = _merged_or_waits(move, passage, pull, gate, agreed)
    return after if status is None or after.intents != move.intents else after.intend(status)


def _merged_or_waits(
    move: Move, passage: Passage, pull: PullFacts, gate: gates.Gate | None, agreed: Agreement
) -> Move:
    stage, facts = move.stage(passage.place), move.facts.at(passage.place)
    if passage.queued == pull.request.head:
        return _queued(move, passage, pull, gate)
    if gate is not None:
        return move.wait(passage, f"pull request {pull.request.number}: {gate.sentence}")
    if stage.merge_when is None and stage.approvals is None and not passage.bypassed_by:
        return move.wait(passage, f"pull request {pull.request.number} waits for a person to merge it")
    approved = replace(passage, approved_by=agreed.by)
    message = merge_message(move, approved)
    number, head = pull.request.number, pull.request.head
    return move.put(approved).intend(
        MergePull(passage.place, facts.repository, number, head, title(move, passage), message)
    )


def _queued(move: Move, passage: Passage, pull: PullFacts, gate: gates.Gate | None) -> Move:
    """The forge merges it when its turn comes, unless it has thrown it out, or a gate was closed since."""
    name = f"pull request {pull.request.number}"
    if not pull.queued:
        why = f"{name} is not in the merge queue any more: it is put there again, unless somebody closes it"
        return move.cannot(replace(passage, queued=None), why)
    if gate is not None and gate.reason is not gates.GateReason.CHECKS:
        leave = LeaveQueue(passage.place, move.facts.at(passage.place).repository, pull.request.number)
        return move.wait(passage, f"{name}: {gate.sentence}").intend(leave)
    return move.wait(passage, f"{name} is in the merge queue")


def withdraw(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    """Its pull request goes: the version was stopped in an earlier stage."""
    stopped = move.progress.is_stopped(passage.version.identity)
    why = f"{passage.version.name} was stopped in {stopped.place}: {stopped.sentence}" if stopped is not None else ""
    pull = facts.pull
    if passage.pull_number is None or pull is None or not pull.request.open:
        return move.to(passage, Phase.STOPPED, why)
    status = due(move, passage, pull, was_stopped(why))
    return move.intend(status or ClosePull(passage.place, facts.repository, passage.pull_number, why))
