"""Tells each decision as an Event, beside the analysis and the policy that it is about.

Invariant: Events follow what was persisted, and nobody waits for them.
"""

from controller.adapters.kubernetes.events import EventRecorder, Told
from controller.adapters.kubernetes.names import analysis_object_name
from controller.adapters.kubernetes.resources import SLO_POLICIES, SYNC_ANALYSES
from controller.core.alerts import Alert
from controller.core.state import Rollout
from controller.core.step import Step


class DecisionEvents:
    """Hears every step of every rollout."""

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
            self._recorder.tell(_of_alert(alert, namespace, name))
        if analysis is None:
            return
        story = analysis_object_name(rollout.application.key.name, analysis.id)
        for sentence in step.said:
            self._recorder.tell(Told(SYNC_ANALYSES, namespace, story, rollout.phase.value, sentence))


def _of_alert(alert: Alert, namespace: str, policy: str) -> Told:
    reason = alert.name.value.removeprefix("Rollguard")
    if alert.ended_at is not None:
        return Told(SLO_POLICIES, namespace, policy, f"{reason}Over", f"over: {alert.summary}", action="Resolve")
    return Told(SLO_POLICIES, namespace, policy, reason, f"{alert.summary}\n{alert.description}", "Warning", "Alert")
