"""Pipelines of a cluster: which are declared, there and in a directory, and how each of the cluster's stands.

Invariant: a pipeline that is declared in both places is broken in both: nothing is promoted by either.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from controller.adapters.policies.cluster import ClusterDeclarations, DeclaredPipeline
from controller.adapters.policies.pipeline_standing import PipelineStanding, pipeline_standing
from controller.app.policies import read_pipelines
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Progress
from controller.ports.clock import Clock
from controller.runtime.policy_watch import PIPELINE, BrokenPolicy

PipelineOffer = Callable[[Mapping[str, tuple[DeclaredPipeline, PipelineStanding]]], None]


class DeclaringPipelines:
    """Reads pipelines, and tells how they stand."""

    def __init__(
        self,
        declared: ClusterDeclarations[PromotionPipeline],
        directory: Path | None,
        offer: PipelineOffer,
        clock: Clock,
    ) -> None:
        """``directory`` holds further pipelines; ``offer`` takes how all of the cluster's stand."""
        self._declared = declared
        self._directory = directory
        self._offer = offer
        self._clock = clock
        self._in_force: Sequence[DeclaredPipeline] = ()
        self._twins: frozenset[str] = frozenset()

    def signature(self) -> object:
        """Another value whenever one of the cluster's has changed."""
        return self._declared.signature()

    def read(self) -> tuple[list[PromotionPipeline], list[BrokenPolicy]]:
        """All that can be used, and those that cannot."""
        self._in_force = self._declared.declared()
        files, broken = read_pipelines(self._directory) if self._directory is not None else ([], [])
        found = [each.declared for each in self._in_force if each.declared is not None]
        self._twins = frozenset(str(each.key) for each in found) & {str(each.key) for each in files}
        broken += [
            BrokenPolicy(each.name, each.message, PIPELINE) for each in self._in_force if each.declared is None
        ]
        broken += [BrokenPolicy(name, _TWIN, PIPELINE) for name in sorted(self._twins)]
        return [each for each in (*found, *files) if str(each.key) not in self._twins], broken

    def tend(self, held: Iterable[tuple[PromotionPipeline, Progress]]) -> None:
        """Tell how each pipeline of the cluster stands now, with how far those are that are promoted by."""
        known = {str(pipeline.key): (pipeline, progress) for pipeline, progress in held}
        now = self._clock.now()
        self._offer(
            {
                each.name: (
                    each,
                    pipeline_standing(
                        each.message or (_TWIN if each.name in self._twins else ""), known.get(each.name), now
                    ),
                )
                for each in self._in_force
            }
        )


_TWIN = "metadata.name: it is declared in a file of the policies' directory too; rename one"
