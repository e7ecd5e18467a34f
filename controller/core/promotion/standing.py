"""How a stage's application stands, as far as a promotion needs to know it of the guard.

Invariant: only what the guard has shown counts: Healthy by its verdict, or the early pass of a deployment whose watch goes
on. What was adopted, presumed good or could not be judged lets nothing go on by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.core.analysis import Analysis, AnalysisKind, Standing
from controller.core.application import ApplicationKey, Revision
from controller.core.state import Rollout
from controller.core.verdict import VerdictKind


class Judged(StrEnum):
    """What the guard says of what is live."""

    UNKNOWN = "Unknown"
    """The application is not known, or nothing of it was seen yet."""
    UNGUARDED = "Unguarded"
    """No policy judges it."""
    DEPLOYING = "Deploying"
    ANALYSING = "Analysing"
    PASSED = "Passed"
    """Passed early; the watch goes on."""
    HEALTHY = "Healthy"
    NOT_SHOWN = "NotShown"
    """Adopted, presumed good, or inconclusive: nobody has shown that it keeps its SLO."""
    HELD = "Held"
    """It breaches, and the deployment is not shown to be the cause."""
    BREACHED = "Breached"
    UNHEALTHY = "Unhealthy"
    """It never became healthy."""
    RESTORING = "Restoring"
    """A restore is on its way, or its recovery is watched."""


GOOD = frozenset({Judged.PASSED, Judged.HEALTHY})
BAD = frozenset({Judged.BREACHED, Judged.UNHEALTHY})
_WORST_FIRST = (
    Judged.UNKNOWN,
    Judged.UNGUARDED,
    Judged.RESTORING,
    Judged.BREACHED,
    Judged.UNHEALTHY,
    Judged.HELD,
    Judged.DEPLOYING,
    Judged.ANALYSING,
    Judged.NOT_SHOWN,
    Judged.PASSED,
    Judged.HEALTHY,
)


@dataclass(frozen=True, slots=True)
class AppStanding:
    """An application, as the guard sees it."""

    application: ApplicationKey
    judged: Judged
    live: Revision | None = None
    """The newest revision that its deployer began to deploy."""
    since: float = 0.0
    """Since when it is so judged, Unix seconds."""
    sentence: str = ""
    """What the guard said last."""
    bad: tuple[Revision, ...] = ()
    """Revisions that were rolled back, or are to be."""
    paused: bool = False


def worst_of(standings: Sequence[AppStanding]) -> AppStanding | None:
    """Of several applications the one that a promotion waits for first; paused if any of them is."""
    if not standings:
        return None
    worst = min(standings, key=lambda each: _WORST_FIRST.index(each.judged))
    return replace(worst, paused=any(each.paused for each in standings))


def standing_of(rollout: Rollout, *, paused: bool = False) -> AppStanding:
    """How one application stands."""
    judged, since = _judged(rollout)
    live, analysis = rollout.live, rollout.analysis
    judgement = analysis.judgement if analysis is not None else None
    return AppStanding(
        application=rollout.application.key,
        judged=judged,
        live=live.revision if live is not None else None,
        since=since,
        sentence=rollout.policy_error or (judgement.sentence if judgement is not None else ""),
        bad=_bad(rollout),
        paused=paused,
    )


def _judged(rollout: Rollout) -> tuple[Judged, float]:
    """The first thing that can be said, and since when it holds."""
    analysis, live = rollout.analysis, rollout.live
    if rollout.policy is None and (analysis is None or analysis.over):
        return Judged.UNGUARDED, 0.0
    if live is None:
        return Judged.UNKNOWN, 0.0
    if rollout.unidentified:
        return Judged.DEPLOYING, rollout.unidentified[0].at
    if analysis is None or analysis.over:
        return _at_rest(rollout)
    return _restoring(rollout, analysis) or _watched(analysis)


def _restoring(rollout: Rollout, analysis: Analysis) -> tuple[Judged, float] | None:
    rollback = rollout.rollback
    if analysis.kind is AnalysisKind.RECOVERY or (rollback is not None and rollback.landing):
        return Judged.RESTORING, analysis.started_at
    if analysis.verdict is None and rollback is not None and rollback.in_flight:
        return Judged.RESTORING, rollback.decided_at
    return None


def _watched(analysis: Analysis) -> tuple[Judged, float]:
    if analysis.verdict is not None:
        return _BY_VERDICT[analysis.verdict], analysis.verdict_at or analysis.started_at
    if analysis.window_from is None:
        return Judged.DEPLOYING, analysis.newest.started_at
    if analysis.looks_held:
        return Judged.HELD, analysis.newest.started_at
    if analysis.passed_early_at is not None:
        return Judged.PASSED, analysis.passed_early_at
    judgement = analysis.judgement
    if judgement is not None and judgement.verdict is VerdictKind.HEALTHY:  # a step of a stage that has further ones
        return Judged.PASSED, judgement.at
    return Judged.ANALYSING, analysis.window_from


_BY_VERDICT = {
    VerdictKind.BREACHED: Judged.BREACHED,
    VerdictKind.UNHEALTHY: Judged.UNHEALTHY,
    VerdictKind.HOLD: Judged.HELD,
    VerdictKind.INCONCLUSIVE: Judged.NOT_SHOWN,
    VerdictKind.HEALTHY: Judged.HEALTHY,
}


def _at_rest(rollout: Rollout) -> tuple[Judged, float]:
    """Nothing is being judged: what is live is the last good version, or something that nobody vouches for."""
    live, good, analysis = rollout.live, rollout.good, rollout.analysis
    if live is not None and rollout.knows_bad(live.content) is not None:
        return Judged.BREACHED, live.since
    if analysis is not None and analysis.verdict in (VerdictKind.BREACHED, VerdictKind.UNHEALTHY):
        return _BY_VERDICT[analysis.verdict], analysis.verdict_at or 0.0
    if live is not None and good is not None and good.content == live.content:
        return (Judged.HEALTHY if good.standing is Standing.VERIFIED else Judged.NOT_SHOWN), good.at
    return Judged.NOT_SHOWN, live.since if live is not None else 0.0


def _bad(rollout: Rollout) -> tuple[Revision, ...]:
    known = [each.revision for each in rollout.known_bad]
    rollback, analysis = rollout.rollback, rollout.analysis
    if rollback is not None and rollback.automatic:
        known.append(rollback.live)
    if analysis is not None and analysis.verdict in (VerdictKind.BREACHED, VerdictKind.UNHEALTHY):
        known.extend(each.revision for each in analysis.syncs)
    return tuple(dict.fromkeys(known))
