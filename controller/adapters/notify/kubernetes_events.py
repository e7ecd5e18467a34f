"""Tells each decision as an Event, beside the analysis, the policy or the pipeline that it is about.

Invariant: Events follow what was persisted, and nobody waits for them.
"""

from controller.adapters.kubernetes.events import EventRecorder, Told
from controller.adapters.kubernetes.names import analysis_object_name
from controller.adapters.kubernetes.resources import PROMOTION_PIPELINES, SLO_POLICIES, SYNC_ANALYSES, Resource
from controller.core.alerts import Alert
from controller.core.application import ApplicationKey
from controller.core.promotion.move import Move
from controller.core.state import Rollout
from controller.core.step import Step


class DecisionEvents:
    """Hears every step of every rollout, and every move of every pipeline."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def hear(self, step: Step, before: Rollout) -> None:
        """One step, and the rollout before it."""
        rollout = step.rollout
        analysis = rollout.analysis or before.analysis
        policy = analysis.policy_name if analysis is not None else rollout.policy_name
        namespace, slash, name = policy.partition("/")
        if not slash:
            return
        for alert in step.alerts:
            self._recorder.tell(_of_alert(alert, SLO_POLICIES, namespace, name))
        if analysis is None:
            return
        story = analysis_object_name(rollout.application.key.name, analysis.id)
        for sentence in step.said:
            self._recorder.tell(Told(SYNC_ANALYSES, namespace, story, rollout.phase.value, sentence))

    def moved(self, pipeline: ApplicationKey, move: Move) -> None:
        """One move of a pipeline."""
        for alert in move.alerts:
            self._recorder.tell(_of_alert(alert, PROMOTION_PIPELINES, pipeline.namespace, pipeline.name))
        for sentence in move.said:
            self._recorder.tell(Told(PROMOTION_PIPELINES, pipeline.namespace, pipeline.name, "Promotion", sentence))


def _of_alert(alert: Alert, about: Resource, namespace: str, name: str) -> Told:
    reason = alert.name.value.removeprefix("Rollguard")
    if alert.ended_at is not None:
        return Told(about, namespace, name, f"{reason}Over", f"over: {alert.summary}", action="Resolve")
    return Told(about, namespace, name, reason, f"{alert.summary}\n{alert.description}", "Warning", "Alert")
