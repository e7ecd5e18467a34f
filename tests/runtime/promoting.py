"""A promoter in memory: its facts and what it does are a ``World``'s, its lanes run when the test says."""

from collections.abc import Callable, Sequence

from controller.core.application import ApplicationKey
from controller.core.promotion.facts import Facts, Found
from controller.core.promotion.intents import PromotionEvent, PromotionIntent
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Approval, Progress
from controller.ports.promotions import PipelineStore
from controller.runtime.promoter import Promoter
from tests.core.promotion.world import World
from tests.fakes.manual_clock import ManualClock
from tests.runtime.parts import QueuedLanes

Approvals = Callable[[ApplicationKey], Sequence[Approval]]


class Promoting:
    """One process that promotes; another one on the same store is what comes after it."""

    def __init__(
        self,
        store: PipelineStore,
        world: World | None = None,
        approvals: Approvals | None = None,
        declared: Sequence[PromotionPipeline] | None = None,
    ) -> None:
        self.world = world or World()
        self.clock = ManualClock()
        self.lanes = QueuedLanes()
        self.said: list[str] = []
        self.promoter = Promoter(
            store,
            self.clock,
            self.lanes,  # type: ignore[arg-type]
            triggers=self,  # type: ignore[arg-type]
            gathering=self,  # type: ignore[arg-type]
            acting=self,  # type: ignore[arg-type]
            sinks=("on-call",),
            told=lambda: None,
            rollout=lambda _key: None,
            steps=lambda _key, _stage: None,
            approvals=approvals,
            moved=lambda _key, move: self.said.extend(move.said),
        )
        self.promoter.declare([self.world.pipeline] if declared is None else declared)

    @property
    def progress(self) -> Progress:
        """How far the pipeline is."""
        ((_, progress),) = self.promoter.pipelines()
        return progress

    def turn(self) -> None:
        """One beat, and all that comes of it."""
        self.promoter.beat()
        self.lanes.run()

    def ask(self, _pipeline: PromotionPipeline, _progress: Progress) -> Found:
        """What the trigger says."""
        return Found(self.world.versions)

    def facts(self, _pipeline: PromotionPipeline, progress: Progress, _found: Found | None, _now: float) -> Facts:
        """What there is to know."""
        self.world.progress = progress
        return self.world.facts()

    def perform(self, intent: PromotionIntent) -> PromotionEvent:
        """Do what was decided."""
        self.world.progress = self.progress
        return self.world.perform(intent)
