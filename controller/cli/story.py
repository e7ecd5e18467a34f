"""The story of one analysis as data: what happened when, what was measured, what was decided and done.

Invariant: every number is one that was stored or is computed from what was stored; nothing is asked of a server.
"""

from dataclasses import dataclass
from typing import Any

from controller.cli.evidence_path import EvidencePath, evidence_path
from controller.cli.output import iso, short
from controller.cli.views import analysis_data, rollback_data
from controller.core.gauge_standing import limit_text
from controller.core.policy import Objective, PolicySpec
from controller.core.revert import before_text, measured_text
from controller.core.state import Analysis, AnalysisKind, Origin, Record, Rollback, Stage, Sync, Way
from controller.core.verdict import Judgement, ObjectiveJudgement
from controller.core.verdict_table import QUESTIONS, answers


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the timeline."""

    at: float
    what: str


def judgement_of(record: Record) -> Judgement | None:
    """What the decision was made on; where none was made, the newest look."""
    rollback = record.rollback
    if record.analysis.kind is AnalysisKind.DEPLOYMENT and rollback is not None and rollback.judgement is not None:
        return rollback.judgement
    return record.analysis.judgement


def timeline(record: Record) -> list[Happening]:
    """What happened, in order."""
    analysis = record.analysis
    found = [happening for sync in analysis.syncs for happening in _of_sync(sync.revision, sync)]
    if analysis.unhealthy_at is not None:
        found.append(Happening(analysis.unhealthy_at, "did not become healthy in time"))
    if analysis.passed_early_at is not None:
        found.append(Happening(analysis.passed_early_at, "passed early: what waits for it may go on"))
    if analysis.verdict_at is not None and analysis.verdict is not None:
        found.append(Happening(analysis.verdict_at, f"verdict: {analysis.verdict.value}"))
    if analysis.kind is AnalysisKind.DEPLOYMENT and record.rollback is not None:
        found += _of_rollback(record.rollback)
    if analysis.ended_at is not None:
        found.append(Happening(analysis.ended_at, analysis.outcome or "over"))
    return sorted(found, key=lambda each: each.at)


def _of_sync(revision: str, sync: Sync) -> list[Happening]:
    found = [Happening(sync.started_at, f"{short(revision)} is being deployed")]
    if sync.healthy_at is not None:
        found.append(Happening(sync.healthy_at, f"{short(revision)} is Healthy"))
    if sync.failed_at is not None:
        found.append(Happening(sync.failed_at, f"{short(revision)} failed: {sync.message}".rstrip(": ")))
    return found


def _of_rollback(rollback: Rollback) -> list[Happening]:
    who = f"{rollback.by} asks" if rollback.origin is Origin.PERSON else "it is decided"
    found = [Happening(rollback.decided_at, f"{who} to restore {short(rollback.target)}")]
    if rollback.done_at is None or rollback.stage is not Stage.DONE:
        return found
    number = rollback.pull_request
    offered = f"pull request {number} of branch {rollback.branch}" if number else f"branch {rollback.branch}"
    where = f"on {offered}, for a person to merge" if rollback.way is Way.PULL_REQUEST else "restored in Git"
    commit = f" by {short(rollback.revision)}" if rollback.revision is not None else ""
    return [*found, Happening(rollback.done_at, where + commit)]


def target_of(policy: PolicySpec, name: str) -> str:
    """An objective's declared target, as people write it."""
    declared = next((each for each in policy.objectives if each.name == name), None)
    return "–" if declared is None else _target(declared)


def _target(objective: Objective) -> str:
    if objective.indicator.events is not None:
        return f"{objective.indicator.events.max_per_hour:g} an hour"
    if objective.indicator.gauge is not None:
        return limit_text(objective.indicator.gauge)
    return "–" if objective.target is None else f"{objective.target:g} %"


def objective_data(policy: PolicySpec, found: ObjectiveJudgement) -> dict[str, Any]:
    """One objective's figures."""
    return {
        "objective": found.objective,
        "reason": found.reason.value,
        "sentence": found.sentence,
        "verdict": None if found.verdict is None else found.verdict.value,
        "target": target_of(policy, found.objective),
        "measured": measured_text(found),
        "before": before_text(found),
        "bad": found.bad,
        "total": found.total,
        "bad_since_start": found.bad_since_start,
        "limit": found.limit,
        "gauge": None if found.gauge is None else {"measured": found.gauge.measured, "before": found.gauge.before},
        "upper_bound": found.upper_bound,
        "detectable": found.detectable,
        "evidence": {
            "slo": found.log_e_slo,
            "baseline": found.log_e_baseline,
            "controls": found.log_e_controls,
            "pass": found.log_e_pass,
        },
        "ticks": {"measured": found.ticks_measured, "missing": found.ticks_missing},
    }


def story_data(record: Record) -> dict[str, Any]:
    """The whole story as JSON has it."""
    analysis, judgement = record.analysis, judgement_of(record)
    path = evidence_path(analysis)
    return {
        "application": str(record.application.key),
        "repository": record.application.source.repository,
        "branch": record.application.source.branch,
        "paths": list(record.application.source.paths),
        "analysis": analysis_data(analysis),
        "last_good": None if analysis.before is None else analysis.before.revision,
        "timeline": [{"at": iso(each.at), "what": each.what} for each in timeline(record)],
        "judgement": None if judgement is None else _judgement(analysis, judgement),
        "evidence_path": None if path is None else _path(path),
        "rollback": None if record.rollback is None else rollback_data(record.rollback),
    }


def _judgement(analysis: Analysis, judgement: Judgement) -> dict[str, Any]:
    return {
        "at": iso(judgement.at),
        "verdict": None if judgement.verdict is None else judgement.verdict.value,
        "reason": judgement.reason.value,
        "sentence": judgement.sentence,
        "answers": dict(zip(QUESTIONS, answers(judgement.reason), strict=True)),
        "objective": judgement.objective,
        "evidence": judgement.evidence,
        "threshold": judgement.threshold,
        "objectives": [objective_data(analysis.policy, each) for each in judgement.objectives],
    }


def _path(path: EvidencePath) -> dict[str, Any]:
    return {
        "of": path.title,
        "threshold": path.threshold,
        "reached_at": iso(path.reached_at),
        "at": [iso(each) for each in path.at],
        "ln_e": list(path.log_e),
    }
