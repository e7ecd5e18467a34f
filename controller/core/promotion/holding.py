"""What holds a version up now: the gates of its stage, and people's words.

Invariant: pure; before its commit and before its merge the same gates are asked, in the same order.
"""

from controller.core.promotion import gates
from controller.core.promotion.approvals import Agreement, agreement
from controller.core.promotion.facts import PullFacts
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Passage


def before_commit(move: Move, passage: Passage, *, by_pull_request: bool) -> gates.Gate | None:
    """What keeps it from being written; a pull request may be opened before its window and its approvals."""
    asked = _asked(move, passage)
    gate = gates.before_writing(asked, move.progress, move.facts) or _soak(move, passage)
    if gate is not None or by_pull_request:
        return gate
    gate = gates.before_landing(asked, move.facts)
    return gate or _approval_gate(agreed(move, passage))


def _asked(move: Move, passage: Passage) -> gates.Asked:
    return gates.Asked(move.stage(passage.place), move.target(passage.place), passage, move.now)


def _soak(move: Move, passage: Passage) -> gates.Gate | None:
    stage = move.stage(passage.place)
    before = move.stage_before(stage)
    if before is None or passage.requested_by or passage.step:
        return None
    done = move.progress.stage_passed(before.name, passage.version.identity)
    if done is None:
        return gates.Gate(gates.GateReason.SOAK, f"it must pass {before.name} first")
    return gates.soaking(stage, before, done.at, done.left_at, move.now)


def agreed(move: Move, passage: Passage) -> Agreement:
    """People's words; those for the first step hold for all of them."""
    rules = move.stage(passage.place).approvals
    if rules is None or passage.bypassed_by or passage.step:
        return Agreement(passage.approved_by)
    identity = passage.version.identity
    given = [
        each
        for each in move.progress.approvals
        if (each.stage, each.identity, each.bypass_reason) == (passage.place.stage, identity, "")
    ]
    by = passage.requested_by or passage.version.by
    return agreement(
        rules, given=given, triggered_by=by, facts=move.facts.at(passage.place), members=move.facts.members
    )


def _approval_gate(people: Agreement) -> gates.Gate | None:
    return gates.Gate(gates.GateReason.APPROVALS, people.missing) if people.missing else None


def before_merge(move: Move, passage: Passage, pull: PullFacts) -> tuple[gates.Gate | None, Agreement]:
    """What keeps its pull request from being merged, and who agrees with it."""
    asked, people = _asked(move, passage), agreed(move, passage)
    gate = gates.before_writing(asked, move.progress, move.facts)
    gate = gate or gates.before_landing(asked, move.facts) or _approval_gate(people)
    rule = asked.stage.merge_when
    if gate is None and rule is not None:
        gate = gates.checks(rule, pull)
    return gate, people
