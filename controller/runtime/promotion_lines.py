"""A pipeline in memory, and when it is to be looked at again.

Invariant: what a look depends on and that changes by itself is either heard of (``said_of``) or looked at again in time
(``pause``).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from controller.core.application import ApplicationKey
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Passage, Phase, Progress
from controller.core.state import Rollout
from controller.ports.store import InboxEntry

BUSY_SECONDS = 5.0
"""How often a write that failed is looked at."""
SOONEST_PULL, LATEST_PULL = 15.0, 300.0
"""How often an open pull request is looked at, without a webhook: the longer it waits for people, the more seldom. Each
look is some requests to a forge, whose hourly limit many pull requests share."""
CALM_SECONDS = 30.0
"""How often something is looked at that the guard, a window or a person holds up."""
HEARD_SECONDS = 600.0
"""How often a pipeline is looked at in which nothing is on its way, or waits for the guard alone: what changes is heard of
before. A look costs a fetch, and a thousand pipelines share a core."""
TOLD_EARLY = (1.0, 4.0)
"""Seconds after which a trigger is asked again that was said to have something new: Docker's registry, for one, tells of a
tag just before it lists it."""
_JUDGED = (Phase.DEPLOYING, Phase.JUDGING)


@dataclass(slots=True)
class Line:
    """One pipeline in memory."""

    pipeline: PromotionPipeline
    progress: Progress
    version: int
    poll_at: float = 0.0
    """When the trigger is next due, on the monotonic clock."""
    look_at: float = 0.0
    """The same for its stages; infinity while they are looked at."""
    sooner: tuple[float, ...] = ()
    """Pauses before the trigger is asked again, in place of its interval."""
    asked: list[InboxEntry] = field(default_factory=list)
    seen: object = None
    """What the guard said of its applications at the last look."""


def said_of(
    pipeline: PromotionPipeline, rollout_of: Callable[[ApplicationKey], Rollout | None]
) -> tuple[object, ...]:
    """What the guard says of the pipeline's applications, as far as a look depends on it."""
    keys = (
        each.key(pipeline.key.namespace)
        for stage in pipeline.spec.stages
        for target in stage.places
        for each in target.applications
    )
    return tuple(_said(rollout) for key in keys if (rollout := rollout_of(key)) is not None)


def _said(rollout: Rollout) -> tuple[object, ...]:
    live, good, analysis, rollback = rollout.live, rollout.good, rollout.analysis, rollout.rollback
    judged: tuple[object, ...] = ()
    if analysis is not None:
        judgement = analysis.judgement
        judged = (
            analysis.id,
            analysis.verdict,
            analysis.passed_early_at,
            analysis.over,
            len(analysis.syncs),
            judgement.verdict if judgement is not None else None,
        )
    return (
        live.revision if live is not None else None,
        rollout.policy is None,
        good.at if good is not None else None,
        judged,
        rollback.stage if rollback is not None else None,
        bool(rollout.unidentified),
    )


def pause(progress: Progress, now: float) -> float:
    """Seconds until the next look, where nothing is heard before."""
    waits = [_pause(each, now) for each in progress.passages if each.open]
    calm = CALM_SECONDS if progress.guarded else HEARD_SECONDS  # nobody but a look sees who changes what is locked
    return min([calm, *waits])


def _pause(passage: Passage, now: float) -> float:
    if passage.next_at > now:
        return max(0.2, passage.next_at - now)
    if passage.phase is Phase.WRITING:
        return BUSY_SECONDS
    if passage.phase is Phase.PROPOSED:
        return min(LATEST_PULL, max(SOONEST_PULL, (now - passage.phase_at) / 10))
    return HEARD_SECONDS if passage.phase in _JUDGED else CALM_SECONDS
