"""Events of the cluster: what was decided, beside the objects that it is about.

Invariant: best effort. Nobody waits for an Event, none is told twice as a new one within minutes (it counts up instead),
and when more come than can be written the oldest waiting ones are dropped: alerts are what must arrive, not these.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import structlog

from controller.adapters.kubernetes import times
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import EVENTS, Resource
from controller.adapters.kubernetes.writer import Writer
from controller.ports.clock import Clock

MOST_WAITING = 1000
MOST_REMEMBERED = 4096
SERIES_SECONDS = 360.0
"""Two equal Events within this time are one series."""
LONGEST_NOTE = 1000
"""Bytes, as the API server counts them."""
LONGEST_REASON = 128

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened to one object."""

    resource: Resource
    namespace: str
    name: str
    reason: str
    """Upper camel case, for example ``RolledBack``."""
    note: str
    kind: Literal["Normal", "Warning"] = "Normal"
    action: str = "Decide"


@dataclass(slots=True)
class _Series:
    event: str
    count: int
    last: float
    """Monotonic seconds."""


class EventRecorder:
    """Writes Events in a thread of its own."""

    def __init__(self, api: Api, clock: Clock, instance: str, controller: str = "rollguard.dev/controller") -> None:
        """``instance`` names this process among several."""
        self._api = api
        self._clock = clock
        self._instance = _cut(instance, LONGEST_REASON)
        self._controller = controller
        self._waiting: deque[Told] = deque(maxlen=MOST_WAITING)
        self._series: OrderedDict[Told, _Series] = OrderedDict()
        self._writer = Writer("events", self._next, self._done)

    def tell(self, told: Told) -> None:
        """Take one in; returns at once."""
        with self._writer.changing():
            self._waiting.append(told)

    def start(self) -> None:
        """Begin to write."""
        self._writer.start()

    def stop(self, within: float = 1.0) -> None:
        """Write what waits, for at most ``within`` seconds."""
        self._writer.stop(within)

    def _next(self) -> Told | None:
        return self._waiting.popleft() if self._waiting else None

    def _done(self, told: Told) -> bool:
        """Write one; what fails is not tried again."""
        try:
            self._write(told)
        except KubernetesError as error:
            _log.debug("an Event was not written", object=f"{told.namespace}/{told.name}", why=str(error))
        return True

    def _write(self, told: Told) -> None:
        now = self._clock.monotonic()
        if self._counted_up(told, now):
            return
        digest = sha256(f"{told}{self._clock.now()!r}".encode(errors="replace")).hexdigest()[:16]
        name = f"{told.name[:200].rstrip('.-')}.{digest}"
        self._api.create(EVENTS, told.namespace, self._document(told, name))
        self._series[told] = _Series(name, 1, now)
        self._series.move_to_end(told)
        while len(self._series) > MOST_REMEMBERED:
            self._series.popitem(last=False)

    def _counted_up(self, told: Told, now: float) -> bool:
        """Whether it was told before within its time, and that Event is still there to count it."""
        known = self._series.get(told)
        if known is None or now - known.last >= SERIES_SECONDS:
            return False
        known.count, known.last = known.count + 1, now
        series = {"count": known.count, "lastObservedTime": self._time()}
        try:
            self._api.patch(EVENTS, told.namespace, known.event, {"series": series})
        except ApiNotFound:
            return False
        return True

    def _document(self, told: Told, name: str) -> Mapping[str, Any]:
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": name, "namespace": told.namespace},
            "eventTime": self._time(),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": _cut(told.action, LONGEST_REASON),
            "reason": _cut(told.reason, LONGEST_REASON),
            "regarding": {
                "apiVersion": told.resource.api_version,
                "kind": told.resource.kind,
                "namespace": told.namespace,
                "name": told.name,
            },
            "note": _cut(told.note, LONGEST_NOTE),
            "type": told.kind,
        }

    def _time(self) -> str:
        return times.written(self._clock.now())


def _cut(text: str, longest: int) -> str:
    """At most so many bytes of it, which may be fewer characters."""
    return text.encode(errors="replace")[:longest].decode(errors="ignore")
