"""Approvals of people, as objects of the cluster.

Invariant: nothing of an object is believed here that the admission policy of the chart has not compared with the request
that made it: user and groups. So these are watched only where the settings say that the policy is there.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.fields import mapping, moment, text, texts
from controller.adapters.kubernetes.resources import APPROVALS
from controller.adapters.kubernetes.watch import ListWatch
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Approval
from controller.core.revert import one_line
from controller.ports.clock import Clock

GivenApproval: TypeAlias = tuple[ApplicationKey, Approval]
"""The pipeline, and what was said."""


class ClusterApprovals:
    """All Approvals of some namespaces (none named: of the cluster), by pipeline."""

    def __init__(self, api: Api, namespaces: Sequence[str], clock: Clock) -> None:
        self._lock = threading.Lock()
        self._given: dict[ApplicationKey, dict[tuple[str, str], Approval]] = {}
        self._pipelines: dict[tuple[str, str], ApplicationKey] = {}
        self._watch: ListWatch[GivenApproval] = ListWatch(
            api,
            APPROVALS,
            namespaces=namespaces,
            keep=given_approval,
            changed=self._changed,
            clock=clock,
            name="approvals",
        )

    def start(self) -> None:
        """Begin to watch."""
        self._watch.start()

    def wait_listed(self, timeout: float) -> bool:
        """Whether all were listed once, within so many seconds."""
        return self._watch.wait_listed(timeout)

    def stop(self) -> None:
        """Stop."""
        self._watch.stop()

    def of(self, pipeline: ApplicationKey) -> Sequence[Approval]:
        """What was said about a pipeline, oldest first."""
        with self._lock:
            found = tuple(self._given.get(pipeline, {}).values())
        return sorted(found, key=lambda each: (each.at, each.user, each.stage, each.identity))

    def _changed(self, key: tuple[str, str], given: GivenApproval | None) -> None:
        with self._lock:
            before = self._pipelines.pop(key, None)
            if before is not None:
                self._given[before].pop(key, None)
            if given is not None:
                pipeline, approval = given
                self._pipelines[key] = pipeline
                self._given.setdefault(pipeline, {})[key] = approval


def given_approval(document: Mapping[str, Any]) -> GivenApproval | None:
    """Read one object; None where it says nothing that can count."""
    metadata, spec = mapping(document, "metadata"), mapping(document, "spec")
    pipeline = ApplicationKey(text(metadata, "namespace"), text(spec, "pipeline"))
    stage, version, user = (text(spec, name) for name in ("stage", "version", "user"))
    at = moment(metadata, "creationTimestamp")
    if not (pipeline.namespace and pipeline.name and stage and version and user and at is not None):
        return None
    return pipeline, Approval(
        stage, version, user, at, texts(spec, "groups"), one_line(text(spec, "bypassReason"), 500)
    )
