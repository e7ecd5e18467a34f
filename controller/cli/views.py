"""An application's state in the words of the command line: the same facts for text and for JSON.

Invariant: what is shown is what is stored; a state that cannot be read is shown as such and hides no other.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from controller.cli.output import iso, lasted, moment, short
from controller.cli.pause import applies
from controller.core.alerts import Alert, AlertName
from controller.core.application import ApplicationKey
from controller.core.policy import Mode
from controller.core.state import Analysis, Phase, Rollback, Rollout, Stage, Way, load_rollout
from controller.ports.store import Pause, StoredRollout


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds beside the phase."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class View:
    """One application as it is shown."""

    key: ApplicationKey
    rollout: Rollout | None
    """None: nothing of it was seen yet, or its state cannot be read."""
    conditions: tuple[Condition, ...]

    @property
    def phase(self) -> str:
        """How far the guard is with it."""
        return self.rollout.phase.value if self.rollout is not None else "–"

    @property
    def so_far(self) -> str:
        """The verdict so far, in one sentence."""
        analysis = self.rollout.analysis if self.rollout is not None else None
        if analysis is None:
            return ""
        return _so_far(analysis)


def view_of(
    key: ApplicationKey, stored: StoredRollout | None, pauses: Iterable[Pause], now: float, maximum: Mode
) -> View:
    """How an application is, from what is stored of it. ``now`` is Unix seconds."""
    held = [Condition("Paused", paused_sentence(each)) for each in pauses if applies(each, key, now)]
    if stored is None:
        unseen = Condition("NotSeen", "nothing of it was deployed since it is declared")
        return View(key, None, (*held, unseen))
    try:
        rollout = load_rollout(stored.body)
    except ValueError as error:
        return View(key, None, (*held, Condition("Unreadable", f"its state cannot be read: {error}")))
    return View(key, rollout, (*held, *_conditions(rollout, now, maximum)))


def paused_sentence(pause: Pause) -> str:
    """Until when, by whom and why."""
    end = "until it is resumed" if pause.until is None else f"until {moment(pause.until)}"
    scope = "every application is paused" if pause.application is None else "paused"
    return f"{scope} {end} by {pause.by}: {pause.reason}"


def _conditions(rollout: Rollout, now: float, maximum: Mode) -> list[Condition]:
    found: list[Condition] = []
    if rollout.policy_error:
        found.append(Condition("PolicyInvalid", rollout.policy_error))
    elif rollout.policy is None:
        found.append(Condition("NotGuarded", "no policy matches it"))
    elif Mode.SHADOW in (rollout.policy.mode, maximum):
        found.append(Condition("Shadow", "judged and reported; nothing is changed"))
    if rollout.policy is not None and rollout.not_revertible:
        found.append(Condition("NotRevertible", rollout.not_revertible))
    if rollout.frozen:
        found.append(Condition("Frozen", f"nothing is restored until a person acts: {rollout.frozen}"))
    if rollout.analysis is not None:
        found += _of_analysis(rollout.analysis, rollout.alerts, now)
    if rollout.rollback is not None and rollout.rollback.stage not in (Stage.DONE, Stage.WITHDRAWN):
        found += _of_rollback(rollout.rollback)
    if rollout.phase is Phase.RESTORED and rollout.rollback is not None:
        found.append(Condition("NotDeployed", _not_deployed(rollout.rollback)))
    if rollout.unidentified:
        waiting = ", ".join(short(each.revision) for each in rollout.unidentified)
        found.append(Condition("WaitingForGit", f"what {waiting} deploys is not known yet"))
    return found


def _of_analysis(analysis: Analysis, alerts: Collection[Alert], now: float) -> list[Condition]:
    found: list[Condition] = []
    if analysis.reference is None:
        tried = f", tried {analysis.reference_failures} times" if analysis.reference_failures else ""
        found.append(Condition("NoBaseline", f"the time before is being measured{tried}"))
    judgement = analysis.judgement
    if judgement is not None and judgement.blind:
        found.append(Condition("Blind", judgement.sentence))
    if any(each.name is AlertName.HOLD for each in alerts):
        found.append(Condition("Held", "it breaches its SLO, and the deployment is not shown to be the cause"))
    if any(each.name is AlertName.TRAFFIC_LOST for each in alerts):
        found.append(Condition("TrafficLost", "since the deployment hardly any of its traffic is left"))
    if analysis.passed_early_at is not None:
        found.append(Condition("PassedEarly", f"since {moment(analysis.passed_early_at)}; the watch goes on"))
    if analysis.deadline is not None and analysis.verdict is None and analysis.deadline > now:
        found.append(Condition("Watching", f"for {lasted(analysis.deadline - now)} more"))
    return found


def _of_rollback(rollback: Rollback) -> list[Condition]:
    if rollback.obstacle is not None:
        return [Condition(f"Waiting{rollback.obstacle.value}", rollback.obstacle_sentence)]
    if rollback.stage is Stage.REFUSED:
        return [
            Condition(
                "NotRestored", rollback.obstacle_sentence or "it must not be restored by Rollguard; see the alert"
            )
        ]
    return []


def _not_deployed(rollback: Rollback) -> str:
    """What a restore in Git waits for: until then the bad version goes on serving."""
    what = "the restore" if rollback.revision is None else f"the restore {short(rollback.revision)}"
    since = "" if rollback.done_at is None else f" since {moment(rollback.done_at)}"
    return f"{what} is in Git{since}, and waits to be deployed"


def _so_far(analysis: Analysis) -> str:
    if analysis.outcome:
        return analysis.outcome
    given = analysis.recovery or analysis.verdict
    if analysis.judgement is None:
        return f"{given}" if given is not None else "no look yet"
    return f"{given or 'undecided'}: {analysis.judgement.sentence}"


def data_of(view: View) -> dict[str, Any]:
    """An application as JSON has it."""
    shown: dict[str, Any] = {
        "application": str(view.key),
        "phase": None if view.rollout is None else view.phase,
        "conditions": [{"name": each.name, "sentence": each.sentence} for each in view.conditions],
    }
    if view.rollout is None:
        return shown
    rollout = view.rollout
    return shown | {
        "policy": rollout.policy_name or None,
        "mode": None if rollout.policy is None else rollout.policy.mode.value,
        "live": None
        if rollout.live is None
        else {"revision": rollout.live.revision, "since": iso(rollout.live.since)},
        "last_good": None
        if rollout.good is None
        else {
            "revision": rollout.good.revision,
            "standing": rollout.good.standing.value,
            "at": iso(rollout.good.at),
        },
        "analysis": None if rollout.analysis is None else analysis_data(rollout.analysis),
        "rollback": None if rollout.rollback is None else rollback_data(rollout.rollback),
        "rollback_path": None if rollout.rollback_path is None else rollout.rollback_path.value,
        "known_bad": len(rollout.known_bad),
        "alerts": [alert_data(each) for each in rollout.alerts],
    }


def analysis_data(analysis: Analysis) -> dict[str, Any]:
    """An analysis in a few fields; ``explain`` has the rest."""
    judgement = analysis.judgement
    return {
        "id": analysis.id,
        "kind": analysis.kind.value,
        "policy": analysis.policy_name,
        "revisions": [each.revision for each in analysis.syncs],
        "started_at": iso(analysis.started_at),
        "deadline": iso(analysis.deadline),
        "ended_at": iso(analysis.ended_at),
        "verdict": None if analysis.verdict is None else analysis.verdict.value,
        "verdict_at": iso(analysis.verdict_at),
        "recovery": None if analysis.recovery is None else analysis.recovery.value,
        "outcome": analysis.outcome or None,
        "reason": None if judgement is None else judgement.reason.value,
        "sentence": None if judgement is None else judgement.sentence,
        "objective": None if judgement is None else judgement.objective,
        "evidence": None if judgement is None else judgement.evidence,
        "threshold": None if judgement is None else judgement.threshold,
    }


def rollback_data(rollback: Rollback) -> dict[str, Any]:
    """A restore, and how far it is."""
    return {
        "origin": rollback.origin.value,
        "stage": rollback.stage.value,
        "way": rollback.way.value,
        "why_not_push": rollback.why_not_push or None,
        "undoes": rollback.live,
        "target": rollback.target,
        "decision": rollback.decision_id or None,
        "decided_at": iso(rollback.decided_at),
        "waits_for": None if rollback.obstacle is None else rollback.obstacle.value,
        "sentence": rollback.obstacle_sentence or None,
        "by": rollback.by or None,
        "note": rollback.note or None,
        "commit": rollback.revision,
        "branch": rollback.branch or None,
        "pull_request": rollback.pull_request,
        "pull_request_url": rollback.pull_request_url or None,
        "done_at": iso(rollback.done_at),
        "suspects": [
            {"revision": each.revision, "author": each.author, "subject": each.subject, "at": iso(each.at)}
            for each in rollback.suspects
        ],
    }


def rollback_sentence(rollback: Rollback) -> str:
    """A restore, and how far it is, in one sentence."""
    what = f"{short(rollback.live)} back to {short(rollback.target)}"
    if rollback.stage is Stage.DONE:
        by = f" by {short(rollback.revision)}" if rollback.revision is not None else ", by somebody else's commit"
        if rollback.way is Way.PULL_REQUEST and rollback.pull_request is not None:
            where = f"pull request {rollback.pull_request} ({rollback.pull_request_url})"
            return f"{what}: {where}, to be merged by a person ({rollback.why_not_push})"
        if rollback.way is Way.PULL_REQUEST:
            return f"{what}: on branch {rollback.branch}, to be merged by a person ({rollback.why_not_push})"
        return f"{what}: restored in Git{by}"
    if rollback.obstacle is not None:
        return f"{what}: waits ({rollback.obstacle.value}): {rollback.obstacle_sentence}"
    return f"{what}: {rollback.stage.value}" + (
        f": {rollback.obstacle_sentence}" if rollback.obstacle_sentence else ""
    )


def alert_data(alert: Alert) -> dict[str, Any]:
    """An open alert."""
    return {
        "name": alert.name.value,
        "severity": alert.severity.value,
        "objective": alert.objective or None,
        "since": iso(alert.started_at),
        "summary": alert.summary,
    }
