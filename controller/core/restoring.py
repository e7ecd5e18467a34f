"""A restore before it is built: the facts are in, and what they come to is decided.

Invariant: every inspection moves the restore on, or names what it waits for and when to look again; none is repeated at
once without reason.
"""

from controller.core.alerts import AlertName
from controller.core.deciding import withdrawn
from controller.core.events import Inspected
from controller.core.git import RestoreFacts, canonical_url
from controller.core.guards import rule
from controller.core.landing import done, nothing_to_land, refuse
from controller.core.pushing import ATTEMPTS_BEFORE_ALERT, plight
from controller.core.recoveries import begin_recovery
from controller.core.revert import decision_id, ended
from controller.core.rollback import Obstacle, Rollback, Stage, Way
from controller.core.rulings import AlreadyDone, Proceed, Refuse, Retarget, Ruling, Wait, Withdraw
from controller.core.step import MadeDecision, Step
from controller.core.verdict import VerdictKind

MOST_SUSPECTS = 100
TOLD_AFTER = 300.0
"""Seconds after which people are told of a restore that waits without a person's doing."""


def take_inspection(step: Step, event: Inspected) -> Step:
    """Facts are in: decide."""
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage is not Stage.INSPECT:
        return step
    facts, request = event.facts, event.facts.request
    if (request.target, request.live) != (rollback.target, rollback.live):
        return step
    step = _note_facts(step, rollback, event)
    noted = step.rollout.rollback
    if noted is None:
        return step
    return _obey(step, noted, facts, rule(step.rollout, noted, facts, event.world, step.now))


def _note_facts(step: Step, rollback: Rollback, event: Inspected) -> Step:
    facts = event.facts
    step = _identified(step, rollback, facts).set_rollback(
        head=facts.head,
        suspects=facts.suspects[:MOST_SUSPECTS],
        target_content=facts.target_content if facts.target_known else rollback.target_content,
        restored_content=facts.restored_content,
        undone_beside=tuple(each.application for each in step.rollout.companions if facts.changes_in(each.paths)),
        subject_prefix=event.world.subject_prefix,
        signoff=event.world.signoff,
        forge=event.world.forge,
    )
    if rollback.failing in (Stage.BUILD, Stage.PUSH) or rollback.attempts >= ATTEMPTS_BEFORE_ALERT:
        return step
    step = step.set_rollback(failures=0, failing=None)
    return step.resolve(AlertName.ROLLBACK_FAILED, AlertName.NO_CREDENTIALS)


def _identified(step: Step, rollback: Rollback, facts: RestoreFacts) -> Step:
    """The decision gets its id at its first inspection, and counts from then for the breaker of all applications."""
    if rollback.decision_id:
        return step
    source = step.rollout.application.source
    oldest = facts.suspects[-1].revision if facts.suspects else None
    name = decision_id(canonical_url(source.repository), source.branch, source.paths, facts.target_content, oldest)
    step = step.set_rollback(decision_id=name)
    if not rollback.automatic:
        return step
    suspects = tuple(commit.revision for commit in facts.suspects)
    return step.decide(MadeDecision(name, suspects, rollback.decided_at))


def _obey(step: Step, rollback: Rollback, facts: RestoreFacts, ruling: Ruling) -> Step:
    step = _past_obstacles(step, ruling)
    match ruling:
        case Proceed():
            return _proceed(step, rollback, facts, ruling)
        case Wait():
            return _wait(step, rollback, ruling)
        case AlreadyDone():
            ours = facts.ours_in_branch[0] if facts.ours_in_branch else None
            return nothing_to_land(done(step, ours, step.rollout.application.source.branch, ruling.sentence))
        case Withdraw():
            return _withdraw(step, ruling)
        case Retarget():
            return step.set_rollback(live=ruling.live, next_at=step.now).say(ruling.sentence)
        case Refuse():
            return _refuse(step, rollback, ruling)


def _past_obstacles(step: Step, ruling: Ruling) -> Step:
    """What it does not wait for any more is over."""
    obstacle = ruling.obstacle if isinstance(ruling, Wait) else None
    if obstacle is not Obstacle.BUDGET:
        step = step.resolve(AlertName.BUDGET_USED_UP)
    if obstacle is not Obstacle.BREAKER:
        step = step.resolve(AlertName.BREAKER)
    breached = step.rollout.analysis is not None and step.rollout.analysis.verdict is VerdictKind.BREACHED
    return step.resolve(AlertName.HOLD) if breached and obstacle is not Obstacle.OTHER_DEPLOYMENT else step


def _proceed(step: Step, rollback: Rollback, facts: RestoreFacts, ruling: Proceed) -> Step:
    if rollback.way is Way.PUSH and ruling.way is Way.PULL_REQUEST:
        step = step.say(f"by pull request, not by push: {ruling.why_not_push}")
    return step.set_rollback(
        stage=Stage.BUILD,
        obstacle=None,
        obstacle_sentence="",
        way=ruling.way,
        why_not_push=ruling.why_not_push,
        parent=facts.request.live if ruling.conflicting else facts.head,
        tree=facts.plain_tree if ruling.conflicting else facts.tree,
    )


def _wait(step: Step, rollback: Rollback, ruling: Wait) -> Step:
    if rollback.obstacle is not ruling.obstacle:
        step = step.say(f"waiting: {ruling.sentence}")
    step = step.set_rollback(
        obstacle=ruling.obstacle, obstacle_sentence=ruling.sentence, next_at=step.now + ruling.retry_in
    )
    key = step.rollout.application.key
    by_hand = f"A person's `rollguard rollback {key}` goes ahead at once."
    evidence = rollback.judgement.sentence if rollback.judgement is not None else rollback.note
    if ruling.obstacle is Obstacle.BUDGET:
        return step.tell(AlertName.BUDGET_USED_UP, f"{key}: {ruling.sentence}", f"{evidence} {by_hand}")
    if ruling.obstacle is Obstacle.BREAKER:
        step = step.set_rollback(breaker=ruling.sentence)
        return step.tell(AlertName.BREAKER, f"{key}: held: {ruling.sentence}", f"{evidence} {by_hand}")
    if ruling.obstacle is Obstacle.OTHER_DEPLOYMENT:
        return _wait_for_others(step, rollback, ruling, evidence)
    if ruling.obstacle is Obstacle.SUPERSEDED and rollback.superseded_until is None:
        step = step.set_rollback(superseded_until=step.now + _supersede_wait(step))
    if ruling.obstacle is not Obstacle.PAUSED and step.now < rollback.decided_at + TOLD_AFTER:
        return step
    return step.tell(
        AlertName.BREACHED, f"{key} {plight(rollback)}; the restore waits: {ruling.sentence}", f"{evidence} {by_hand}"
    )


def _wait_for_others(step: Step, rollback: Rollback, ruling: Wait, evidence: str) -> Step:
    """People are told of each that may be the cause, and how to undo it."""
    if not ruling.rivals:
        return step
    key = step.rollout.application.key
    over_at = (rollback.rivals_over_at or step.now) if ruling.rivals_over else None
    step = step.set_rollback(rivals=ruling.rivals, rivals_over_at=over_at)
    names = ", ".join(str(each) for each in ruling.rivals)
    by_hand = " or ".join(f"`rollguard rollback {each}`" for each in (key, *ruling.rivals))
    return step.tell_anew(
        AlertName.HOLD,
        f"{key} breaks its SLO, and so does {names}, deployed at the same time: its restore is held",
        f"{ended(evidence)} {ended(ruling.sentence)} To decide it: {by_hand}, whichever is the cause. "
        f"If the other is undone and this breach outlasts it, {key} is restored without more ado.",
    )


def _supersede_wait(step: Step) -> float:
    analysis, policy = step.rollout.analysis, step.rollout.policy
    policy = analysis.policy if analysis is not None else policy
    return policy.on_breach.supersede_wait if policy is not None else 0.0


def _withdraw(step: Step, ruling: Withdraw) -> Step:
    step, analysis = withdrawn(step, ruling.sentence), step.rollout.analysis
    if not ruling.went_back or analysis is None or analysis.over:
        return step
    return begin_recovery(step, analysis.newest, behind=True)


def _refuse(step: Step, rollback: Rollback, ruling: Refuse) -> Step:
    key = step.rollout.application.key
    summary = f"{key} {plight(rollback)}, and cannot be restored"
    if not rollback.automatic:
        summary = f"{key}: the rollback that {rollback.by or 'a person'} asked for cannot be made"
    name = AlertName.ROLLBACK_INEFFECTIVE if ruling.cascade else AlertName.NOT_REVERTIBLE
    return refuse(step, summary, ruling.sentence, ruling.manual_step, name)
