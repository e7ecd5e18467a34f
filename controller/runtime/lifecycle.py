"""Starting, beating and stopping, in the order in which nothing is lost.

Invariant: what is stopped first is what brings new work in; what is stopped last is what remembers. A stop gives every
part a bounded time, and what it leaves undone is done by the next start.
"""

import gc
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from controller.core.application import Application
from controller.core.state import Rollout
from controller.ports.gitops import ClusterSource, SyncSource
from controller.ports.store import Store, StoreError
from controller.runtime.discovery import Discovery
from controller.runtime.intake import Intake
from controller.runtime.lanes import Lanes
from controller.runtime.observer import Observer
from controller.runtime.outbox import Outbox
from controller.runtime.policy_watch import PolicyWatch
from controller.runtime.proofs import Proofs
from controller.runtime.reconciler import Reconciler
from controller.runtime.scheduler import Heartbeat
from controller.runtime.steady_clock import SteadyClock

BEAT_SECONDS = 1.0
LOOK_SECONDS = 0.5
PROOF_SECONDS = 60.0
TEND_SECONDS = 5.0
PROMOTE_SECONDS = 0.5
STUCK_SECONDS = 120.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a controller is made of."""

    applications: tuple[Application, ...]
    store: Store
    clock: SteadyClock
    reconciler: Reconciler
    intake: Intake
    policies: PolicyWatch
    proofs: Proofs
    observers: Sequence[Observer]
    outbox: Outbox
    sources: Sequence[SyncSource]
    lanes: Lanes
    serve: Callable[[], None]
    """Begin to answer HTTP."""
    unserve: Callable[[], None]
    begin: Callable[[], None] = lambda: None
    """Begin to watch what the parts need, before anything is read."""
    end: Callable[[], None] = lambda: None
    tend: Callable[[Iterable[Rollout]], None] = lambda _rollouts: None
    """Called every few seconds with all rollouts."""
    promote: Callable[[], None] = lambda: None
    """Called each second: looks at the pipelines that are due."""
    cluster: ClusterSource | None = None
    discovery: Discovery | None = None
    """Listens to ``cluster``."""


class Controller:
    """The whole loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._heartbeat = Heartbeat()
        self._beat_at = parts.clock.monotonic()
        self._started = False

    def start(self) -> None:
        """Read what was, begin, and go on where it was.

        Raises:
            StoreError: the store cannot be read.
            SyncSourceError: the cluster's applications cannot be listed.
        """
        parts = self._parts
        parts.begin()
        parts.reconciler.load(parts.applications)
        if parts.cluster is not None and parts.discovery is not None:
            for application in parts.cluster.discover():
                parts.discovery.found(application)
        parts.policies.poll()
        parts.outbox.start()
        parts.serve()
        for observer in parts.observers:
            observer.start()
        parts.intake.take()
        parts.reconciler.resume()
        for source in parts.sources:
            source.start(parts.intake.publish)
        if parts.cluster is not None and parts.discovery is not None:
            parts.cluster.watch(parts.discovery)
        self._schedule()
        self._started = True
        gc.freeze()  # what thousands of applications hold stays, and is not looked through for garbage again and again
        guarded = sum(rollout.policy is not None for rollout in parts.reconciler.rollouts())
        _log.info("guarding", applications=len(parts.reconciler.keys()), guarded=guarded)

    def _schedule(self) -> None:
        parts = self._parts
        self._heartbeat.every(BEAT_SECONDS, "beat", self._beat)
        self._heartbeat.every(LOOK_SECONDS, "look", self._look)
        self._heartbeat.every(BEAT_SECONDS, "inbox", parts.intake.poll)
        self._heartbeat.every(PROMOTE_SECONDS, "promotions", parts.promote)
        self._heartbeat.every(BEAT_SECONDS, "checkpoints", parts.reconciler.keep_looks)
        self._heartbeat.every(PROOF_SECONDS, "proofs", parts.proofs.prove)
        self._heartbeat.every(TEND_SECONDS, "tend", lambda: parts.tend(parts.reconciler.rollouts()))
        self._heartbeat.start()
        parts.proofs.prove()

    def _beat(self) -> None:
        try:
            self._parts.policies.poll()
        except Exception:  # noqa: BLE001  what is guarded stays guarded by what was read before
            _log.exception("the policies cannot be read; those that were read before stay in force")
        if self._parts.discovery is not None:
            self._parts.discovery.retry()
        self._parts.reconciler.tick()
        if not any(each.analysis or each.rollback or each.unidentified for each in self._parts.reconciler.busy()):
            self._parts.clock.settle()
        self._beat_at = self._parts.clock.monotonic()

    def _look(self) -> None:
        for observer in self._parts.observers:
            observer.wake()

    def alive(self) -> list[str]:
        """Why the loops do not turn; empty: they do."""
        away = self._parts.clock.monotonic() - self._beat_at
        return [f"the loop has not turned for {away:.0f} s"] if away > STUCK_SECONDS else []

    def ready(self) -> list[str]:
        """Why it cannot do its work; empty: it can."""
        if not self._started:
            return ["it is starting"]
        reasons = self.alive()
        try:
            self._parts.store.changed()
        except StoreError as error:
            reasons.append(f"the store cannot be read: {error}")
        return reasons

    def stop(self, within: float = 10.0) -> None:
        """Take nothing more in, finish what is under way, remember the rest; ``within`` seconds, and as many for sources."""
        parts = self._parts
        self._stop_sources(within)
        if self._started:
            self._heartbeat.stop()
        for observer in parts.observers:
            observer.close()
        parts.lanes.stop(within / 2)
        until = parts.clock.monotonic() + within / 4
        for observer in parts.observers:
            observer.join(max(0.0, until - parts.clock.monotonic()))
        parts.reconciler.checkpoint(within / 2)
        parts.outbox.stop(within / 4)
        parts.end()
        parts.unserve()
        parts.store.close()
        _log.info("stopped; what is open goes on at the next start")

    def _stop_sources(self, within: float) -> None:
        """All at once: each may have a running command to end, or hang in Git."""
        clock = self._parts.clock
        cluster = (self._parts.cluster,) if self._parts.cluster is not None else ()
        sources = (*self._parts.sources, *cluster)
        stops = [threading.Thread(target=source.stop, daemon=True) for source in sources]
        until = clock.monotonic() + within
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join(max(0.0, until - clock.monotonic()))
