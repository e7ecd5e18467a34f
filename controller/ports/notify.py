"""The port to people: delivers one alert to one sink.

Invariant: delivering twice is harmless, losing is not. A sink never blocks longer than its own deadline.

    SinkError
    ├── SinkUnavailable   asking later may help: the outbox tries again
    └── SinkRefused       the sink's configuration or credentials are wrong: said, and tried again more slowly
"""

from typing import Protocol

from controller.core.alerts import Alert


class SinkError(Exception):
    """What went wrong in delivering; its text names no secret and is at most 300 characters."""

    def __init__(self, message: str) -> None:
        super().__init__(message[:300])


class SinkUnavailable(SinkError):  # noqa: N818  names of the port's tree
    """Asking later may help."""


class SinkRefused(SinkError):  # noqa: N818
    """The sink refuses what it was sent."""


class Sink(Protocol):
    """One place where people read."""

    @property
    def name(self) -> str:
        """Its name in the settings."""
        ...

    @property
    def repeat_every(self) -> float | None:
        """Seconds after which an open alert must be sent again (Alertmanager forgets); None: never."""
        ...

    def deliver(self, alert: Alert) -> None:
        """Deliver one alert; returns when the sink has accepted it."""
        ...
