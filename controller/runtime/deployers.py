"""Asks what deploys an application to look at Git, to end a sync, or to begin one.

Invariant: nothing is ended or begun by a process that does not lead; what could not be asked is answered as not done,
so that it is asked again after its pause.
"""

from collections.abc import Callable, Mapping

import structlog

from controller.core.application import ApplicationKey
from controller.core.events import Event, OperationEnded, Refreshed, SyncAsked
from controller.core.intents import AskForSync, EndOperation, Intent
from controller.core.state import Rollout
from controller.ports.gitops import ClusterSource, SyncSource, SyncSourceError

_log = structlog.get_logger(__name__)


class Deployers:
    """Whoever deploys each application."""

    def __init__(
        self, sources: Mapping[ApplicationKey, SyncSource | ClusterSource], leads: Callable[[], bool]
    ) -> None:
        self._sources = sources
        self._leads = leads

    def perform(self, rollout: Rollout, intent: Intent) -> Event | None:
        """Do what is asked for; None: it is to be asked again."""
        try:
            match intent:
                case EndOperation():
                    return OperationEnded(intent.revision, self._end(rollout, intent))
                case AskForSync():
                    return SyncAsked(intent.revision, self._sync(rollout, intent))
                case _:
                    return self._refresh(rollout)
        except SyncSourceError as error:
            return _not_asked(rollout, intent, error)

    def _end(self, rollout: Rollout, intent: EndOperation) -> bool:
        cluster = self._cluster(rollout)
        return cluster is not None and cluster.terminate(rollout.application.key, intent.revision)

    def _sync(self, rollout: Rollout, intent: AskForSync) -> bool:
        cluster = self._cluster(rollout)
        return cluster is not None and cluster.sync(rollout.application.key, intent.revision, intent.reason)

    def _cluster(self, rollout: Rollout) -> ClusterSource | None:
        source = self._sources.get(rollout.application.key)
        return source if isinstance(source, ClusterSource) and self._leads() else None

    def _refresh(self, rollout: Rollout) -> Event:
        source = self._sources.get(rollout.application.key)
        if source is not None:
            source.refresh(rollout.application.key)
        return Refreshed()


def _not_asked(rollout: Rollout, intent: Intent, error: SyncSourceError) -> Event | None:
    key = str(rollout.application.key)
    _log.warning("the deployer could not be asked; it is asked again", application=key, error=str(error))
    if isinstance(intent, EndOperation):
        return OperationEnded(intent.revision, ended=False)
    return SyncAsked(intent.revision, asked=False) if isinstance(intent, AskForSync) else None
