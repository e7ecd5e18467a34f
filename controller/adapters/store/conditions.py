"""How an application and an analysis stand, as conditions that ``kubectl wait`` and ``kubectl describe`` know.

    GuardedApplication
        Ready         True: a policy guards it, and what the policy asks for could be done.
        RollbackPath  True: a restore can be pushed (Push) or offered (PullRequest). False: None, NotRevertible.
                      Unknown: not proven yet.
        Conflict      True: several policies would guard it, so none does.
        Analysing     True: a deployment, or a restore's, is being judged.
    SyncAnalysis
        Complete      True: nothing more comes of it.
        Healthy       True: it is shown to keep its SLO. False: it breaks it, or never became healthy.
        Breached      True: the deployment is found to break the SLO.
        Restored      True: the branch holds what was good before. Only there once a restore was decided.

Invariant: pure. Those of an analysis follow from its record alone, times too; those of an application are as of the last
step that was written.
"""

from collections.abc import Mapping
from typing import Any

from controller.adapters.kubernetes import times
from controller.adapters.kubernetes.conditions import Condition, Truth, written_since
from controller.core.alerts import AlertName
from controller.core.analysis import Analysis, AnalysisKind
from controller.core.asking import needed_path
from controller.core.git import RollbackPath
from controller.core.policy import Mode
from controller.core.recovery import RecoveryKind
from controller.core.revert import one_line
from controller.core.rollback import Rollback, Stage
from controller.core.state import Record, Rollout
from controller.core.verdict import VerdictKind

_LONGEST_TEXT = 500
_UNDECIDED = "Undecided"
_WAYS = (AlertName.ROLLBACK_PATH_LOST, AlertName.NO_CREDENTIALS)


def of_application(rollout: Rollout) -> tuple[Condition, ...]:
    """How an application stands."""
    return (_ready(rollout), _rollback_path(rollout), _conflict(rollout), _analysing(rollout))


def of_analysis(record: Record) -> list[dict[str, Any]]:
    """How an analysis stands, each with the time from which it holds."""
    analysis, rollback = record.analysis, record.rollback
    found = [_complete(record), _healthy(analysis), _breached(analysis)]
    if rollback is not None:
        found.append(_restored(rollback))
    return [written_since(each, times.written_to_the_second(at)) for each, at in found]


def _condition(kind: str, status: Truth, reason: str, message: str) -> Condition:
    return Condition(kind, status, reason, one_line(message, _LONGEST_TEXT))


def _ready(rollout: Rollout) -> Condition:
    policy = rollout.policy
    if rollout.policy_error:
        reason = "Conflict" if rollout.policy_conflict else "PolicyInvalid"
        return _condition("Ready", "False", reason, rollout.policy_error)
    if policy is None:
        return _condition("Ready", "False", "NotGuarded", "no policy matches it")
    unable = _unable(rollout) if needed_path(policy) is not None else None
    if unable is not None:
        return _condition("Ready", "False", *unable)
    if policy.mode is Mode.SHADOW:
        said = f"{rollout.policy_name} judges and reports; nothing is changed"
        return _condition("Ready", "True", "Shadow", said)
    return _condition("Ready", "True", "Guarding", f"{rollout.policy_name} guards it")


def _unable(rollout: Rollout) -> tuple[str, str] | None:
    """Why nothing could be restored although the policy asks for it: reason and sentence."""
    if rollout.not_revertible:
        return "NotRevertible", rollout.not_revertible
    if rollout.frozen:
        return "Frozen", f"nothing is restored until a person acts: {rollout.frozen}"
    if rollout.rollback_path is RollbackPath.NONE:
        return "NoRollbackPath", _no_path(rollout)
    if rollout.good is None:
        return "NoGoodVersion", "no version is known yet that a restore could bring back"
    return None


def _rollback_path(rollout: Rollout) -> Condition:
    kind, path = "RollbackPath", rollout.rollback_path
    if rollout.not_revertible:
        return _condition(kind, "False", "NotRevertible", rollout.not_revertible)
    if path is RollbackPath.NONE:
        return _condition(kind, "False", path.value, _no_path(rollout))
    if path is RollbackPath.PULL_REQUEST:
        said = f"{rollout.application.source.branch} refuses pushes: a restore is offered to people on a branch"
        return _condition(kind, "True", path.value, said)
    if path is RollbackPath.PUSH:
        return _condition(kind, "True", path.value, f"a restore can be pushed to {rollout.application.source.branch}")
    said = "which way a restore can take was not proven when this was written; the policy's condition is newer"
    return _condition(kind, "Unknown", "NotProven", said)


def _no_path(rollout: Rollout) -> str:
    told = (each.description for each in rollout.alerts if each.name in _WAYS)
    return ". ".join(["the credentials do not allow a restore to be written", *list(told)[:1]])


def _conflict(rollout: Rollout) -> Condition:
    if rollout.policy_conflict:
        return _condition("Conflict", "True", "Conflict", rollout.policy_error)
    return _condition("Conflict", "False", "NoConflict", "not more than one policy guards it")


def _analysing(rollout: Rollout) -> Condition:
    analysis, phase = rollout.analysis, rollout.phase.value
    if analysis is None or analysis.over:
        return _condition("Analysing", "False", phase, "no deployment is being judged")
    what = "the restore" if analysis.kind is AnalysisKind.RECOVERY else "the deployment"
    said = f"{what} of {analysis.newest.revision[:12]} is being judged: SyncAnalysis of {analysis.id}"
    return _condition("Analysing", "True", phase, said)


_Since = tuple[Condition, float]
"""A condition, and since when its status is so."""


def _complete(record: Record) -> _Since:
    analysis = record.analysis
    if analysis.ended_at is not None:
        given = analysis.recovery or analysis.verdict
        reason = given.value if given is not None else "Ended"
        return _condition("Complete", "True", reason, analysis.outcome), analysis.ended_at
    shown = Rollout(record.application, analysis=analysis, rollback=record.rollback)
    return _condition("Complete", "False", shown.phase.value, _so_far(analysis)), analysis.started_at


def _so_far(analysis: Analysis) -> str:
    return analysis.judgement.sentence if analysis.judgement is not None else "no look yet"


_HEALTHY: Mapping[str, Truth] = {
    VerdictKind.HEALTHY: "True",
    VerdictKind.BREACHED: "False",
    VerdictKind.HOLD: "False",
    VerdictKind.UNHEALTHY: "False",
    RecoveryKind.RECOVERED: "True",
    RecoveryKind.INEFFECTIVE: "False",
}
"""What is not here is not known."""
_BREACHED: Mapping[str, Truth] = {
    VerdictKind.BREACHED: "True",
    VerdictKind.HEALTHY: "False",
    VerdictKind.HOLD: "False",
    RecoveryKind.RECOVERED: "False",
}


def _healthy(analysis: Analysis) -> _Since:
    found, since = _of_verdict("Healthy", analysis, _HEALTHY)
    if analysis.unhealthy_at is None or found.status == "True":
        return found, since
    if found.reason == _UNDECIDED:
        message = analysis.newest.message or "it has not become healthy in time"
        return _condition("Healthy", "False", VerdictKind.UNHEALTHY.value, message), analysis.unhealthy_at
    return found, min(since, analysis.unhealthy_at) if found.status == "False" else since


def _breached(analysis: Analysis) -> _Since:
    return _of_verdict("Breached", analysis, _BREACHED)


def _of_verdict(kind: str, analysis: Analysis, truths: Mapping[str, Truth]) -> _Since:
    """What the verdict says; a verdict that tells nothing of it leaves it as it was from the beginning."""
    given = analysis.recovery or analysis.verdict
    reason = given.value if given is not None else _UNDECIDED
    found = _condition(kind, truths.get(reason, "Unknown"), reason, _so_far(analysis))
    told = found.status != "Unknown" and analysis.verdict_at is not None
    return found, analysis.verdict_at if told and analysis.verdict_at is not None else analysis.started_at


def _restored(rollback: Rollback) -> _Since:
    if rollback.stage is Stage.DONE and rollback.was_restored and rollback.done_at is not None:
        said = f"the branch holds again what {rollback.target[:12]} deployed"
        return _condition("Restored", "True", "Done", said), rollback.done_at
    said = rollback.obstacle_sentence or rollback.why_not_push or rollback.note or "it is on its way into Git"
    if rollback.offered:
        where = rollback.pull_request_url or rollback.branch
        return _condition("Restored", "False", "AwaitingMerge", f"on {where}: {said}"), rollback.decided_at
    reason = rollback.obstacle.value if rollback.obstacle is not None else rollback.stage.value
    return _condition("Restored", "False", reason, said), rollback.decided_at
