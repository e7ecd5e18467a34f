"""Listens to a source of deployments, and waits for what it tells."""

import threading
from collections.abc import Callable

from controller.core.application import Application, ApplicationKey
from controller.core.delivery import Delivery
from controller.ports.gitops import SyncReport
from tests.cluster.stack.processes import until


class Ear:
    """Passes as ``controller.ports.gitops.Listener``; keeps what it hears of one application, in order."""

    def __init__(self, key: ApplicationKey) -> None:
        self.key = key
        self.applications: list[Application] = []
        self.reports: list[SyncReport] = []
        self.deliveries: list[Delivery] = []
        self.lost = threading.Event()

    def found(self, application: Application) -> None:
        if application.key == self.key:
            self.applications.append(application)

    def gone(self, application: ApplicationKey) -> None:
        if application == self.key:
            self.lost.set()

    def reported(self, report: SyncReport) -> None:
        if report.application == self.key:
            self.reports.append(report)

    def delivery(self, application: ApplicationKey, delivery: Delivery) -> None:
        if application == self.key:
            self.deliveries.append(delivery)

    def heard(self) -> list[tuple[str, str]]:
        """Phases and revisions."""
        return [(each.phase.value, each.revision) for each in self.reports]

    def await_report(self, phase: str, revision: str, deadline: float = 90.0) -> SyncReport:
        """Wait until this was told."""
        until(lambda: (phase, revision) in self.heard(), f"{phase} {revision}; heard {self.heard()}", deadline)
        return next(each for each in self.reports if (each.phase.value, each.revision) == (phase, revision))

    def await_delivery(self, holds: Callable[[Delivery], object], deadline: float = 60.0) -> Delivery:
        """Wait until the newest delivery is one of which this holds."""
        return until(
            lambda: next((each for each in self.deliveries[-1:] if holds(each)), None), "a delivery", deadline
        )
