"""A listener that writes down what it hears, and lets tests wait for it."""

import threading
from collections.abc import Callable
from typing import TypeVar

from controller.core.application import Application, ApplicationKey
from controller.core.delivery import Delivery
from controller.ports.gitops import SyncReport

T = TypeVar("T")


class Heard:
    """Passes as ``controller.ports.gitops.Listener``."""

    def __init__(self) -> None:
        self._some = threading.Condition()
        self._applications: dict[ApplicationKey, Application] = {}
        self._deliveries: dict[ApplicationKey, list[Delivery]] = {}
        self._reports: list[SyncReport] = []
        self._gone: list[ApplicationKey] = []

    def found(self, application: Application) -> None:
        with self._some:
            self._applications[application.key] = application
            self._some.notify_all()

    def gone(self, application: ApplicationKey) -> None:
        with self._some:
            self._gone.append(application)
            self._some.notify_all()

    def reported(self, report: SyncReport) -> None:
        with self._some:
            self._reports.append(report)
            self._some.notify_all()

    def delivery(self, application: ApplicationKey, delivery: Delivery) -> None:
        with self._some:
            self._deliveries.setdefault(application, []).append(delivery)
            self._some.notify_all()

    def reports(self, key: ApplicationKey) -> list[SyncReport]:
        """What was reported of an application, in order."""
        with self._some:
            return [each for each in self._reports if each.application == key]

    def story(self, key: ApplicationKey) -> list[tuple[str, str]]:
        """Phase and revision of each report."""
        return [(each.phase.value, each.revision) for each in self.reports(key)]

    def await_report(self, key: ApplicationKey, phase: str, revision: str, deadline: float = 60.0) -> SyncReport:
        """Wait for a report."""

        def found() -> SyncReport | None:
            fitting = (each for each in self.reports(key) if (each.phase.value, each.revision) == (phase, revision))
            return next(fitting, None)

        return self._await(found, f"{phase} {revision} of {key}", lambda: self.story(key), deadline)

    def await_story(
        self, key: ApplicationKey, fits: Callable[[list[tuple[str, str]]], object], deadline: float = 60.0
    ) -> None:
        """Wait until what was reported of an application fits."""
        self._await(lambda: fits(self.story(key)) or None, f"a story of {key}", lambda: self.story(key), deadline)

    def await_delivery(
        self, key: ApplicationKey, fits: Callable[[Delivery], object], deadline: float = 60.0
    ) -> Delivery:
        """Wait until the last that was told of an application fits."""

        def found() -> Delivery | None:
            told = self._deliveries.get(key)
            return told[-1] if told and fits(told[-1]) else None

        return self._await(found, f"a delivery of {key}", lambda: self._deliveries.get(key), deadline)

    def last_delivery(self, key: ApplicationKey) -> Delivery:
        """What was told last."""
        with self._some:
            return self._deliveries[key][-1]

    def await_application(
        self, key: ApplicationKey, fits: Callable[[Application], object] = bool, deadline: float = 60.0
    ) -> Application:
        """Wait until an application was found that fits."""

        def found() -> Application | None:
            known = self._applications.get(key)
            return known if known is not None and fits(known) else None

        return self._await(found, f"{key}", lambda: self._applications.get(key), deadline)

    def await_gone(self, key: ApplicationKey, deadline: float = 60.0) -> None:
        """Wait until an application is gone."""
        self._await(lambda: key in self._gone or None, f"the end of {key}", lambda: self._gone, deadline)

    def _await(self, found: Callable[[], T | None], what: str, known: Callable[[], object], deadline: float) -> T:
        result: list[T] = []

        def there() -> bool:
            value = found()
            if value is not None:
                result.append(value)
            return bool(result)

        with self._some:
            if not self._some.wait_for(there, deadline):
                raise TimeoutError(f"waited {deadline:.0f} s for {what}; heard: {known()}")
        return result[0]
