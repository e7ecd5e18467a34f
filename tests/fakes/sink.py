"""A sink that keeps what it was told, and fails as it is bidden; passes the sink contract."""

import threading
from collections import deque
from collections.abc import Callable

from controller.core.alerts import Alert, AlertName
from controller.core.application import ApplicationKey


def ignore(_alert: Alert) -> None:
    """Nothing more happens."""


class RecordingSink:
    """Accepts alerts, unless ``failures`` holds an error or ``down`` is set; ``hold`` makes it hang until it is cleared."""

    def __init__(
        self, name: str = "people", repeat_every: float | None = None, on_accept: Callable[[Alert], None] = ignore
    ) -> None:
        self._name = name
        self._repeat_every = repeat_every
        self._on_accept = on_accept
        self.accepted: list[Alert] = []
        self.attempts = 0
        self.failures: deque[Exception] = deque()
        self.down: Exception | None = None
        self.entered = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.changed = threading.Condition()

    @property
    def name(self) -> str:
        return self._name

    @property
    def repeat_every(self) -> float | None:
        return self._repeat_every

    def deliver(self, alert: Alert) -> None:
        self.attempts += 1
        self.entered.set()
        self.free.wait()
        if self.failures:
            raise self.failures.popleft()
        if self.down is not None:
            raise self.down
        self._on_accept(alert)
        with self.changed:
            self.accepted.append(alert)
            self.changed.notify_all()

    def wait_for(self, count: int, seconds: float = 20.0) -> list[Alert]:
        """What was accepted, once it is so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.accepted) >= count, seconds), self.accepted
            return list(self.accepted)


def an_alert(
    name: AlertName = AlertName.ROLLED_BACK,
    summary: str = "checkout was rolled back",
    *,
    started_at: float = 1_800_000_000.0,
    ended_at: float | None = None,
    objective: str = "availability",
    application: str = "checkout",
    description: str = "93.1 % good, 99.5 % wanted",
    links: tuple[tuple[str, str], ...] = (),
) -> Alert:
    """An alert with everything filled in."""
    return Alert(
        name=name,
        application=ApplicationKey("shop", application),
        summary=summary,
        description=description,
        started_at=started_at,
        ended_at=ended_at,
        policy="shop/checkout",
        objective=objective,
        analysis="a1b2c3d4",
        links=links,
    )
