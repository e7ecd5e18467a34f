"""Tells the guard which applications are promoted together, so that what restores one restores all of them.

Invariant: only what the pipeline may touch, and what is deployed from one branch, is joined: nobody's manifests are
restored for the sake of an application that has nothing to do with them.
"""

from collections.abc import Callable, Iterable

from controller.core.application import Application, ApplicationKey, Companion
from controller.core.git import same_branch
from controller.core.promotion.advance import groups_of
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.state import Rollout


class Grouping:
    """Knows the groups of all pipelines."""

    def __init__(
        self,
        rollouts: Callable[[], Iterable[Rollout]],
        rollout: Callable[[ApplicationKey], Rollout | None],
        tell: Callable[[ApplicationKey, tuple[Companion, ...]], object],
        may_promote: Callable[[ApplicationKey, Application], str],
    ) -> None:
        """``rollouts`` are all that the guard holds, ``rollout`` is one of them.

        ``tell`` says to the guard who an application's companions are now.

        ``may_promote`` says why a pipeline may not touch an application; empty: it may.
        """
        self._rollouts = rollouts
        self._rollout = rollout
        self._tell = tell
        self._may_promote = may_promote
        self._groups: tuple[tuple[ApplicationKey, tuple[ApplicationKey, ...]], ...] = ()
        """Each with the pipeline that declares it."""

    def declare(self, pipelines: Iterable[PromotionPipeline]) -> None:
        """Take the groups that are declared now, and tell them."""
        self._groups = tuple((each.key, group) for each in pipelines for group in groups_of(each))
        self._tell_news(self._rollouts())

    def tell(self, pipeline: ApplicationKey) -> None:
        """Tell it of a pipeline's applications anew: what they are deployed from may have changed."""
        keys = dict.fromkeys(key for each, group in self._groups if each == pipeline for key in group)
        self._tell_news(rollout for key in keys if (rollout := self._rollout(key)) is not None)

    def _tell_news(self, rollouts: Iterable[Rollout]) -> None:
        for each in rollouts:
            companions = self._companions(each.application)
            if companions != each.companions:
                self._tell(each.application.key, companions)

    def _companions(self, one: Application) -> tuple[Companion, ...]:
        found: dict[ApplicationKey, Companion] = {}
        for pipeline, group in self._groups:
            if one.key not in group or self._may_promote(pipeline, one):
                continue
            others = (rollout.application for key in group if (rollout := self._rollout(key)) is not None)
            for other in others:
                joined = other.key != one.key and same_branch(one.source, other.source)
                if joined and not self._may_promote(pipeline, other):
                    found[other.key] = Companion(other.key, other.source.paths)
        return tuple(found[key] for key in sorted(found, key=str))
