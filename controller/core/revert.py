"""What a restore is called and what its commit says.

Invariant: the decision's id depends on what is restored where, and on the oldest suspect; a chain that grows keeps it.
The commit's message depends on the decision alone, so that building it again gives the same commit.
"""

import re
from collections.abc import Iterable
from hashlib import sha256

from controller.core.application import ApplicationKey, Content, Revision
from controller.core.gauge_standing import limit_text
from controller.core.state import Origin, Rollback, Rollout
from controller.core.verdict import Judgement, ObjectiveJudgement, Reason

ROLLBACK_OF = "Rollguard-Rollback-Of"
RESTORES = "Rollguard-Restores"
ANALYSIS = "Rollguard-Analysis"
DECISION = "Rollguard-Decision"
HOLD = "Rollguard-Hold"

MOST_SUSPECTS_NAMED = 20
_SUBJECT_LENGTH = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def decision_id(
    repository: str, branch: str, paths: Iterable[str], target: Content, oldest_suspect: Revision | None
) -> str:
    """SHA-256 over what identifies a decision; ``repository`` is its canonical URL. Hex, 64 digits."""
    parts = [repository, branch, *sorted(paths), *(f"{path}={oid}" for path, oid in target.objects)]
    parts.append(oldest_suspect or "")
    return sha256("\0".join(parts).encode()).hexdigest()


def restore_branch(application: ApplicationKey, commit: Revision) -> str:
    """Name of the branch that offers a restore to people."""
    name = re.sub(r"[^a-z0-9-]+", "-", application.name.lower()).strip("-")[:60] or "application"
    return f"rollguard/restore-{name}-{commit[:12]}"


def one_line(text: str, length: int = 120) -> str:
    """Untrusted text as one line without control characters, cut to ``length``."""
    line = _CONTROL.sub(" ", text).strip()
    return line if len(line) <= length else line[: length - 1] + "…"


def ended(text: str) -> str:
    """A text that another sentence follows."""
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def in_short(rollback: Rollback) -> str:
    """A restore's evidence, target and suspects, as alerts tell them."""
    undone = ", ".join(f"{commit.revision[:12]} ({one_line(commit.subject, 60)})" for commit in rollback.suspects[:5])
    evidence = rollback.judgement.sentence if rollback.judgement is not None else rollback.note
    beside = ", ".join(map(str, rollback.undone_beside))
    parts = (
        ended(evidence),
        f"Restores {rollback.target[:12]}.",
        f"Undone: {undone}." if undone else "",
        f"Promoted together with it, and undone as well: {beside}." if beside else "",
    )
    return " ".join(part for part in parts if part)


def percent(share: float) -> str:
    """A share as people write it: 0.9312 → ``93.1 %``; near the ends more digits are kept."""
    value = 100 * share
    from_the_end = min(abs(value), abs(100 - value))
    digits = next((number for number, least in ((1, 1.0), (2, 0.1)) if from_the_end >= least), 3)
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def _share_good(objective: ObjectiveJudgement) -> str:
    return percent(1 - objective.bad / objective.total) if objective.total else "–"


def measured_text(objective: ObjectiveJudgement) -> str:
    """What was measured: a share of good events, a count of events, a gauge's level; or that nothing came any more."""
    if objective.reason is Reason.TRAFFIC_LOST:
        return "traffic lost"
    if objective.gauge is not None:
        return _level(objective.gauge.measured)
    return _share_good(objective) if objective.total else f"{objective.bad:g} events"


def target_text(rollout: Rollout, objective: str) -> str:
    """The declared target of an objective, as people write it."""
    policy = rollout.analysis.policy if rollout.analysis is not None else rollout.policy
    for each in policy.objectives if policy is not None else ():
        if each.name == objective and each.target is not None:
            return f"{each.target:g} %"
        if each.name == objective and each.indicator.events is not None:
            return f"{each.indicator.events.max_per_hour:g} an hour"
        if each.name == objective and each.indicator.gauge is not None:
            return limit_text(each.indicator.gauge)
    return "–"


def before_text(objective: ObjectiveJudgement) -> str:
    """What was measured before."""
    if objective.gauge is not None:
        return _level(objective.gauge.before)
    if not objective.baseline_total:
        return "–"
    return percent(1 - objective.baseline_bad / objective.baseline_total)


def _level(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def subject(rollout: Rollout, rollback: Rollback) -> str:
    """The commit's subject without the configured prefix."""
    begin = f"Roll back {rollout.application.key.name} to {rollback.target[:7]}"
    if rollback.origin is Origin.PERSON:
        note = f": {one_line(rollback.note, 60)}" if rollback.note else f": asked for by {one_line(rollback.by, 40)}"
        return begin + note
    if rollback.origin is Origin.UNHEALTHY:
        return f"{begin}: {rollback.live[:7]} never became healthy"
    if rollback.origin is Origin.QUARANTINE:
        return f"{begin}: known-bad content came back"
    worst = _worst(rollback.judgement)
    if worst is None:
        return begin
    if worst.reason is Reason.TRAFFIC_LOST:
        return f"{begin}: {worst.objective} lost its traffic"
    return f"{begin}: {worst.objective} {measured_text(worst)} against {target_text(rollout, worst.objective)}"


def _worst(judgement: Judgement | None) -> ObjectiveJudgement | None:
    if judgement is None:
        return None
    named = [each for each in judgement.objectives if each.objective == judgement.objective]
    return named[0] if named else None


def figures_table(rollout: Rollout, judgement: Judgement) -> str:
    """The table objective | target | measured | before."""
    rows = [("objective", "target", "measured", "before")]
    rows.extend(
        (each.objective, target_text(rollout, each.objective), measured_text(each), before_text(each))
        for each in judgement.objectives
    )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def commit_message(rollout: Rollout, rollback: Rollback) -> str:
    """The whole message: subject, what was deployed, the figures, the suspects, trailers."""
    application = rollout.application
    paragraphs = [rollback.subject_prefix + subject(rollout, rollback), _story(rollout, rollback)]
    if rollback.judgement is not None and rollback.origin is Origin.VERDICT:
        paragraphs.append(figures_table(rollout, rollback.judgement))
    if rollback.suspects:
        paragraphs.append(_suspects(rollback))
    analysis = rollout.analysis.id if rollout.analysis is not None else "none"
    trailers = [
        *(f"{ROLLBACK_OF}: {commit.revision}" for commit in rollback.suspects[:MOST_SUSPECTS_NAMED]),
        f"{RESTORES}: {rollback.target}",
        f"{ANALYSIS}: {application.key}/{analysis}",
        f"{DECISION}: {rollback.decision_id}",
    ]
    if not rollback.suspects:
        trailers.insert(0, f"{ROLLBACK_OF}: {rollback.live}")
    if rollback.signoff:
        trailers.append(f"Signed-off-by: {rollback.signoff}")
    paragraphs.append("\n".join(trailers))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _story(rollout: Rollout, rollback: Rollback) -> str:
    where = ", ".join(path or "the whole repository" for path in rollout.application.source.paths)
    what = f"{rollback.live[:12]} was deployed to {rollout.application.key}."
    cause = {
        Origin.VERDICT: f" {ended(rollback.judgement.sentence)}" if rollback.judgement is not None else "",
        Origin.UNHEALTHY: f" It never became healthy: {one_line(rollback.note, 200)}" if rollback.note else "",
        Origin.QUARANTINE: " It brings back what was rolled back before.",
        Origin.PERSON: f" {one_line(rollback.by, 80)} asked for the rollback: {one_line(rollback.note, 200)}"
        if rollback.note
        else f" {one_line(rollback.by, 80)} asked for the rollback.",
    }[rollback.origin]
    names = ", ".join(map(str, rollback.undone_beside))
    beside = f"\nWhat was promoted together with it is undone as well: {names}." if names else ""
    return f"{what}{cause}\nThis restores {where} as at {rollback.target[:12]}; later changes elsewhere stay.{beside}"


def _suspects(rollback: Rollback) -> str:
    named = [
        f"- {commit.revision[:12]} {one_line(commit.subject, _SUBJECT_LENGTH)}"
        for commit in rollback.suspects[:MOST_SUSPECTS_NAMED]
    ]
    left = len(rollback.suspects) - len(named)
    more = [f"- and {left} more"] if left > 0 else []
    return "\n".join(["Undone:", *named, *more])
