"""Watches the declared policies: an edit takes effect from the next chain, a broken policy only stops itself.

Invariant: an application whose policy becomes broken keeps being judged by the frozen one where a chain is open; for
the next chain it counts as not guarded, and people are told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from controller.core.alerts import Alert, AlertName
from controller.core.application import Application, ApplicationKey
from controller.core.events import PolicyChanged
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.ports.store import Store, StoreError
from controller.runtime.reconciler import Reconciler

POLL_SECONDS = 5.0
APPLY_SECONDS = 20.0
"""A policy of thousands of applications is told to some of them, and to the others with the next poll: the loop goes on."""
LOOK_AHEAD = 86400.0
"""Seconds: longer than the outbox ever puts a delivery off."""

PIPELINE = "pipeline"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BrokenPolicy:
    """A policy that cannot be used."""

    name: str
    """``namespace/name``, or the file where the name is not known."""
    message: str
    what: str = "policy"
    """What it is called: policy, or pipeline."""


@dataclass(frozen=True, slots=True)
class Policies:
    """What the declared policies come to, and the pipelines that are declared beside them."""

    by_application: Mapping[ApplicationKey, PolicyChanged]
    """One for every application that a valid policy names; the others are not guarded."""
    broken: Sequence[BrokenPolicy] = ()
    pipelines: Sequence[PromotionPipeline] = ()


class PolicyWatch:
    """Reads the policies again when their source has changed."""

    def __init__(
        self,
        reconciler: Reconciler,
        store: Store,
        *,
        signature: Callable[[], object],
        load: Callable[[Sequence[Application]], Policies],
        clock: Clock,
        sinks: Sequence[str],
        told: Callable[[], None],
        promote: Callable[[Sequence[PromotionPipeline]], None] = lambda _pipelines: None,
    ) -> None:
        """``signature`` is cheap and differs when something changed; ``load`` reads and resolves all policies.

        ``promote`` takes the pipelines that are declared.
        """
        self._reconciler = reconciler
        self._store = store
        self._signature = signature
        self._load = load
        self._clock = clock
        self._sinks = tuple(sinks)
        self._told = told
        self._promote = promote
        self._seen: object = None
        self._next = 0.0
        self._open: dict[str, Alert] | None = None

    def poll(self) -> bool:
        """Read again if something changed; returns whether it did."""
        if self._clock.monotonic() < self._next:
            return False
        self._next = self._clock.monotonic() + POLL_SECONDS
        signature = self._signature()
        if signature == self._seen:
            return False
        policies = self._load([rollout.application for rollout in self._reconciler.rollouts()])
        if self._apply(policies) and self._tell(policies.broken) and self._promoted(policies.pipelines):
            self._seen = signature
        return True

    def _promoted(self, pipelines: Sequence[PromotionPipeline]) -> bool:
        try:
            self._promote(pipelines)
        except StoreError as error:
            _log.error("the progress of the pipelines could not be read yet", error=str(error))
            return False
        return True

    def _apply(self, policies: Policies) -> bool:
        broken = {each.name: each.message for each in policies.broken if each.what != PIPELINE}
        taken, until = True, self._clock.monotonic() + APPLY_SECONDS
        for rollout in self._reconciler.rollouts():
            if self._clock.monotonic() > until:
                return False
            event = policies.by_application.get(rollout.application.key) or _lost(rollout, broken)
            if _is_news(event, rollout):
                taken = self._reconciler.submit(rollout.application.key, event) and taken
        return taken

    def _tell(self, broken: Sequence[BrokenPolicy]) -> bool:
        """Tell of policies that are broken now, and of those that are not any more."""
        now = self._clock.now()
        try:
            known = self._open if self._open is not None else self._left_open()
            wanted = {_name(each): known.get(_name(each)) or _alert(each, now) for each in broken}
            news = [alert for name, alert in wanted.items() if name not in known]
            over = [replace(alert, ended_at=now) for name, alert in known.items() if name not in wanted]
            self._store.enqueue([(sink, alert) for alert in (*news, *over) for sink in self._sinks])
        except StoreError as error:
            _log.error("what is wrong with the policies could not be told yet", error=str(error))
            return False
        self._open = wanted
        for each in broken:
            if _name(each) not in known:
                _log.error(f"a {each.what} is invalid; the others go on", name=each.name, why=each.message)
        self._told()
        return True

    def _left_open(self) -> dict[str, Alert]:
        """Alerts about broken policies that an earlier process left open."""
        ahead = self._clock.now() + LOOK_AHEAD
        waiting = (entry.alert for sink in self._sinks for entry in self._store.outbox(sink, ahead, 10_000))
        return {
            alert.policy: alert
            for alert in waiting
            if alert.name is AlertName.POLICY_INVALID
            and alert.ended_at is None
            and not alert.analysis
            and alert.policy
        }


def _is_news(event: PolicyChanged, rollout: Rollout) -> bool:
    known = PolicyChanged(rollout.policy_name, rollout.policy, rollout.policy_error, rollout.policy_conflict)
    return event != known


def _lost(rollout: Rollout, broken: Mapping[str, str]) -> PolicyChanged:
    """What is left where no valid policy names the application: the reason stays with what was guarded before."""
    name = rollout.policy_name
    return PolicyChanged(name, None, broken[name]) if name in broken else PolicyChanged("", None)


def _name(broken: BrokenPolicy) -> str:
    """By which its alert is found again: a policy and a pipeline may have one name."""
    return broken.name if broken.what != PIPELINE else f"{PIPELINE}:{broken.name}"


def _alert(broken: BrokenPolicy, now: float) -> Alert:
    namespace, slash, name = broken.name.partition("/")
    key = ApplicationKey(namespace, name) if slash and name else ApplicationKey("", broken.name)
    done = "promoted" if broken.what == PIPELINE else "judged"
    return Alert(
        name=AlertName.POLICY_INVALID,
        application=key,
        summary=f"the {broken.what} {broken.name} is invalid: nothing is {done} by it",
        description=broken.message[:2000],
        started_at=now,
        policy=_name(broken),
    )
