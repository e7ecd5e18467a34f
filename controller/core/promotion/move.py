"""One move of a pipeline: its next state, what is to be done, and what people are told on the way.

Invariant: a move is a value. Raising an alert that is open, or resolving one that is not, changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from controller.core.alerts import Alert, AlertName
from controller.core.application import ApplicationKey
from controller.core.promotion.facts import Facts
from controller.core.promotion.intents import PromotionIntent
from controller.core.promotion.pipeline import PromotionPipeline, Stage, StageTarget
from controller.core.promotion.progress import Passage, Phase, Place, Progress


@dataclass(frozen=True, slots=True)
class Move:
    """A pipeline after a look at the facts, or after something was done."""

    pipeline: PromotionPipeline
    progress: Progress
    facts: Facts
    now: float
    intents: tuple[PromotionIntent, ...] = ()
    """To be done in order; at most one for each place."""
    alerts: tuple[Alert, ...] = ()
    said: tuple[str, ...] = ()
    """One human sentence for each thing decided."""

    def set(self, **changes: Any) -> "Move":
        """With fields of the progress replaced."""
        return replace(self, progress=replace(self.progress, **changes))

    def put(self, passage: Passage) -> "Move":
        """With a place's passage replaced."""
        return replace(self, progress=self.progress.with_passage(passage))

    def to(self, passage: Passage, phase: Phase, sentence: str = "", **changes: Any) -> "Move":
        """With a passage in another phase, and that said."""
        moved = self.put(passage.to(phase, self.now, sentence, **changes))
        if phase is passage.phase:
            return moved
        why = f": {sentence}" if sentence else ""
        return moved.say(f"{passage.version.name} in {passage.place} is {phase.value}{why}")

    def wait(self, passage: Passage, sentence: str) -> "Move":
        """With what a passage waits for."""
        return self if passage.sentence == sentence else self.put(replace(passage, sentence=sentence))

    def cannot(self, passage: Passage, sentence: str) -> "Move":
        """With a passage that cannot go on as it is: tried again later and later, and told."""
        failures = passage.failures + 1
        wait = min(600.0, 15.0 * 2.0 ** min(failures, 6))
        move = self.put(replace(passage, sentence=sentence, failures=failures, next_at=self.now + wait))
        summary = f"{self.pipeline.key}: {passage.version.name} cannot get into {passage.place}"
        return move.tell(AlertName.PROMOTION_FAILED, passage.place, summary, sentence)

    def intend(self, intent: PromotionIntent) -> "Move":
        """With something to be done."""
        return replace(self, intents=(*self.intents, intent))

    def say(self, sentence: str) -> "Move":
        """With a line for the log."""
        return replace(self, said=(*self.said, sentence))

    def tell(self, name: AlertName, place: Place, summary: str, description: str = "") -> "Move":
        """With an alert raised about a place, unless it is open already."""
        if self._open(name, place) is not None:
            return self
        alert = Alert(
            name=name,
            application=self.application(place),
            summary=summary,
            description=description or summary,
            started_at=self.now,
            policy=self._about(place),
            sinks=self.pipeline.spec.alerts,
        )
        told = self.set(alerts=(*self.progress.alerts, alert))
        return replace(told, alerts=(*self.alerts, alert))

    def resolve(self, name: AlertName, place: Place) -> "Move":
        """With an open alert about a place ended."""
        found = self._open(name, place)
        return self if found is None else self._end(found)

    def resolve_all_but(self, places: Iterable[Place]) -> "Move":
        """With the alerts about all other places ended: those are in the pipeline no more."""
        about = {self._about(each) for each in places}
        return self._end(*(each for each in self.progress.alerts if each.policy not in about))

    def _end(self, *over: Alert) -> "Move":
        if not over:
            return self
        left = self.set(alerts=tuple(each for each in self.progress.alerts if each not in over))
        return replace(left, alerts=(*self.alerts, *(replace(each, ended_at=self.now) for each in over)))

    def _open(self, name: AlertName, place: Place) -> Alert | None:
        wanted = (name, self._about(place))
        return next((each for each in self.progress.alerts if (each.name, each.policy) == wanted), None)

    def _about(self, place: Place) -> str:
        """By which alerts of a place are told from those of others."""
        return f"{self.pipeline.key}:{place}"

    def application(self, place: Place) -> ApplicationKey:
        """The application that is judged in a place."""
        return self.target(place).application.key(self.pipeline.key.namespace)

    def applications(self, place: Place) -> tuple[ApplicationKey, ...]:
        """All applications that one commit brings a version into, that one first."""
        return tuple(each.key(self.pipeline.key.namespace) for each in self.target(place).applications)

    def stage(self, place: Place) -> Stage:
        """A place's stage."""
        return next(each for each in self.pipeline.spec.stages if each.name == place.stage)

    def target(self, place: Place) -> StageTarget:
        """A place's target."""
        return next(each for each in self.stage(place).places if each.name == place.target)

    def stage_before(self, stage: Stage) -> Stage | None:
        """The stage that a version comes from; None: it is the first."""
        index = self.pipeline.spec.stages.index(stage)
        return self.pipeline.spec.stages[index - 1] if index else None


def places_of(pipeline: PromotionPipeline) -> tuple[Place, ...]:
    """All places of a pipeline, in order."""
    return tuple(Place(stage.name, target.name) for stage in pipeline.spec.stages for target in stage.places)
