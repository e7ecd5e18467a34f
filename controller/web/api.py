"""``GET /api/v1/rollouts``: how every application is at this moment, from memory, as one JSON document.

The store has the evidence only as of its last checkpoint; whoever wants to follow an analysis live asks here.

Invariant: nothing is changed and nothing secret is told (no repository URL, no metrics URL); an answer holds at most
``MOST_ROLLOUTS`` applications and says how many were left out.
"""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from controller.core.panels import Panel
from controller.core.policy import Objective, PolicySpec
from controller.core.state import Analysis, AnalysisKind, Rollback, Rollout
from controller.core.verdict import ObjectiveJudgement
from controller.core.verdict_table import QUESTIONS, answers

MOST_ROLLOUTS = 500
MOST_REQUESTS = 2


def rollouts_route(rollouts: Callable[[], Iterable[Rollout]]) -> Route:
    """The route; ``?application=NAMESPACE/NAME`` asks for one. An unknown application is an empty list."""
    limiter = CapacityLimiter(MOST_REQUESTS)

    async def endpoint(request: Request) -> Response:
        only = request.query_params.get("application", "")
        return JSONResponse(await run_sync(lambda: document(rollouts(), only), limiter=limiter))

    return Route("/api/v1/rollouts", endpoint, methods=["GET"])


def document(rollouts: Iterable[Rollout], only: str = "") -> dict[str, Any]:
    """The whole answer; ``only`` names one application, empty means all."""
    asked = sorted(
        (each for each in rollouts if only in ("", str(each.application.key))), key=lambda each: each.application.key
    )
    shown = asked[:MOST_ROLLOUTS]
    return {"rollouts": [_rollout(each) for each in shown], "left_out": len(asked) - len(shown)}


def _rollout(rollout: Rollout) -> dict[str, Any]:
    live, good = rollout.live, rollout.good
    return {
        "application": str(rollout.application.key),
        "phase": rollout.phase.value,
        "policy": rollout.policy_name or None,
        "policy_error": rollout.policy_error or None,
        "live": None if live is None else {"revision": live.revision, "since": _iso(live.since)},
        "last_good": None
        if good is None
        else {"revision": good.revision, "standing": good.standing.value, "at": _iso(good.at)},
        "analysis": None if rollout.analysis is None else _analysis(rollout.analysis),
        "rollback": None if rollout.rollback is None else _rollback(rollout.rollback),
        "frozen": rollout.frozen or None,
        "alerts": [
            {
                "name": each.name.value,
                "severity": each.severity.value,
                "objective": each.objective or None,
                "since": _iso(each.started_at),
                "summary": each.summary,
            }
            for each in rollout.alerts
        ],
    }


def _analysis(analysis: Analysis) -> dict[str, Any]:
    judgement = analysis.judgement
    evidence, threshold = _question(analysis)
    return {
        "id": analysis.id,
        "kind": analysis.kind.value,
        "revision": analysis.newest.revision,
        "started_at": _iso(analysis.started_at),
        "healthy_at": _iso(analysis.newest.healthy_at),
        "deadline": _iso(analysis.deadline),
        "passed_early_at": _iso(analysis.passed_early_at),
        "verdict": None if analysis.verdict is None else analysis.verdict.value,
        "recovery": None if analysis.recovery is None else analysis.recovery.value,
        "verdict_at": _iso(analysis.verdict_at),
        "looked_at": None if judgement is None else _iso(judgement.at),
        "reason": None if judgement is None else judgement.reason.value,
        "sentence": None if judgement is None else judgement.sentence,
        "answers": None if judgement is None else dict(zip(QUESTIONS, answers(judgement.reason), strict=True)),
        "evidence": evidence,
        "threshold": threshold,
        "objectives": _objectives(analysis.policy, () if judgement is None else judgement.objectives),
    }


def _question(analysis: Analysis) -> tuple[float | None, float | None]:
    """Evidence and threshold of what is asked, as natural logarithms.

    Of a deployment it is asked whether it breaches its SLO; of a restore, whether every objective is kept again, where
    the weakest counts.
    """
    if analysis.judgement is None:
        return None, None
    if analysis.kind is AnalysisKind.DEPLOYMENT or analysis.evidence is None:
        return _number(analysis.judgement.evidence), _number(analysis.judgement.threshold)
    kept = [each.kept()[1] for each in Panel.of(analysis.policy, analysis.evidence).deciding]
    return _number(min(kept, default=0.0)), -math.log(analysis.policy.analysis.false_pass_rate)


def _objectives(policy: PolicySpec, found: Iterable[ObjectiveJudgement]) -> list[dict[str, Any]]:
    declared = {each.name: each for each in policy.objectives}
    return [_objective(declared[each.objective], each) for each in found if each.objective in declared]


def _objective(declared: Objective, found: ObjectiveJudgement) -> dict[str, Any]:
    return {
        "name": found.objective,
        "reason": found.reason.value,
        "gauge": None if found.gauge is None else {"measured": found.gauge.measured, "before": found.gauge.before},
        "target": declared.target,
        "bad": found.bad,
        "total": found.total,
        "baseline_bad": found.baseline_bad,
        "baseline_total": found.baseline_total,
        "log_e_slo": _number(found.log_e_slo),
        "log_e_baseline": _number(found.log_e_baseline),
        "log_e_controls": _number(found.log_e_controls),
        "log_e_pass": _number(found.log_e_pass),
    }


def _rollback(rollback: Rollback) -> dict[str, Any]:
    return {
        "origin": rollback.origin.value,
        "stage": rollback.stage.value,
        "way": rollback.way.value,
        "undoes": rollback.live,
        "target": rollback.target,
        "decided_at": _iso(rollback.decided_at),
        "waits_for": None if rollback.obstacle is None else rollback.obstacle.value,
        "sentence": rollback.obstacle_sentence or None,
        "commit": rollback.revision,
        "done_at": _iso(rollback.done_at),
    }


def _number(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _iso(at: float | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
