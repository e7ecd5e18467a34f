"""Deployments that a pipeline reports by itself (``rollguard report-deployed``, ``POST /hooks/deployed``).

Invariant: nothing runs here. Reports reach the store's inbox by the command or the hook, and whoever deploys looks at
Git when its own trigger says so.
"""

from controller.core.application import ApplicationKey
from controller.ports.gitops import Publish


class ReportedDeployments:
    """A source of syncs that is told, and never looks."""

    def start(self, publish: Publish) -> None:
        """Nothing to watch."""

    def refresh(self, application: ApplicationKey) -> None:
        """Nothing to wake: a push to Git is what triggers the pipeline."""

    def stop(self) -> None:
        """Nothing to stop."""
