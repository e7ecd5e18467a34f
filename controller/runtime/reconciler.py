"""The loop's heart: an event goes into ``advance``, what it decides is written down, and only then is anything done.

Invariant: for one application events are taken one after another. Intents are derived from what has been persisted; if
it cannot be persisted, the step never happened, and its cause comes again (the inbox entry stays, the tick is asked
again, the push is looked for). Of what an earlier process left nothing is performed before ``resume``: it is in doubt.
A fault in one application's state stops no other application.
"""

from collections.abc import Callable, Iterable, Sequence

import structlog

from controller.core.application import Application, ApplicationKey, GitSource
from controller.core.events import ApplicationChanged, Event, Limits, Restarted, TimePassed
from controller.core.intents import Identify, Intent, pending
from controller.core.rollout import advance
from controller.core.state import Rollout, load_rollout
from controller.core.step import Step
from controller.ports.clock import Clock
from controller.ports.store import (
    Store,
    StoredRollout,
    StoreError,
)
from controller.runtime.held_rollouts import Held, HeldRollouts, is_urgent
from controller.runtime.persisting import Persisting

CHECKPOINT_SECONDS = 120.0
MOST_CHECKPOINTS = 10
"""In a beat: what they cost the store stays bounded, however many are looked at. What is not written is asked again."""
MOST_PATIENT = 500
"""Of applications that are only looked at (or are to be identified), for how many time passes with each beat."""

_log = structlog.get_logger(__name__)


class Reconciler:
    """Holds every application's rollout, and is the only one that changes them."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        limits: Limits,
        sinks: Sequence[str],
        perform: Callable[[Rollout, Intent], None],
        told: Callable[[], None],
        watch: Callable[[Step, Rollout], None] | None = None,
    ) -> None:
        """``perform`` hands an intent to its lane and returns at once; ``told`` wakes the outbox.

        ``watch`` is told of each step with the rollout before it (for telemetry).
        """
        self._store = store
        self._clock = clock
        self._limits = limits
        self._perform = perform
        self._watch = watch
        self._held = HeldRollouts()
        self._persisting = Persisting(store, self._held, sinks=sinks, told=told)
        self._stored: dict[ApplicationKey, StoredRollout] = {}
        """What was read at the start, of applications that have not come up yet."""
        self._turn = 0

    @property
    def generation(self) -> int:
        """Another number whenever another application is held, or one is declared otherwise."""
        return self._held.generation

    def load(self, applications: Iterable[Application]) -> None:
        """Read what was stored about these applications, and begin anew with those that were never seen.

        Raises:
            StoreError: the store cannot be read.
            StateTooNew: it was written by a newer Rollguard.
        """
        stored = {each.application: each for each in self._store.rollouts()}
        now = self._clock.now()
        for application in applications:
            self._begin(application, stored.pop(application.key, None), now)
        self._stored = stored

    def _begin(self, application: Application, stored: StoredRollout | None, now: float) -> Held:
        """Hold an application, as it was stored; what was in flight is in doubt until ``resume``."""
        rollout = load_rollout(stored.body) if stored is not None else Rollout(application)
        version = stored.version if stored is not None else 0
        held = Held(rollout, version, now, in_doubt=stored is not None)
        self._held.add(application.key, held)
        if rollout.application != application:
            self.submit(application.key, ApplicationChanged(application))
        return held

    def guard(self, application: Application) -> bool:
        """Hold an application that has come up, or take what is declared otherwise of one; False: it must come again."""
        held = self._held.find(application.key)
        if held is not None:
            if held.declared == application:
                return True
            held.declared = application
            self._held.generation += 1
            return self.submit(application.key, ApplicationChanged(application))
        try:
            stored = self._stored.pop(application.key, None) or self._store.rollout(application.key)
        except StoreError as error:
            _log.error("the state could not be read", application=str(application.key), error=str(error))
            return False
        held = self._begin(application, stored, self._clock.now())
        held.declared, held.in_doubt = application, False
        return self.submit(application.key, Restarted()) if stored is not None else True

    def source(self, key: ApplicationKey) -> GitSource | None:
        """Where an application's manifests were when it was last held, in this process or the one before."""
        held, stored = self._held.find(key), self._stored.get(key)
        if held is not None:
            return held.rollout.application.source
        return load_rollout(stored.body).application.source if stored is not None else None

    def release(self, key: ApplicationKey) -> None:
        """An application is there no more. What is stored of it stays, should it come back."""
        self._held.remove(key)

    def keys(self) -> tuple[ApplicationKey, ...]:
        """The guarded applications."""
        return tuple(key for key, _ in self._held.all())

    def rollout(self, key: ApplicationKey) -> Rollout:
        """One application's state now.

        Raises:
            KeyError: it is not held.
        """
        held = self._held.find(key)
        if held is None:
            raise KeyError(key)
        return held.rollout

    def find(self, key: ApplicationKey) -> Rollout | None:
        """One application's state now; None: it is not held."""
        held = self._held.find(key)
        return held.rollout if held is not None else None

    def rollouts(self) -> tuple[Rollout, ...]:
        """Every application's state now."""
        return tuple(held.rollout for _, held in self._held.all())

    def busy(self) -> tuple[Rollout, ...]:
        """The state of every application that is looked at, restored, offered something, or not identified yet."""
        return tuple(held.rollout for _, held in self._held.busy())

    def resume(self) -> None:
        """Go on after a start: what was in flight is in doubt, and is looked at first."""
        for key, held in self._held.all():
            held.in_doubt = False
            self.submit(key, Restarted())

    def tick(self) -> None:
        """Let time pass for whatever waits for it, and hand out what is due; of very many, in turns."""
        patient = []
        for key, held in self._held.busy():
            if is_urgent(held.rollout):
                self.submit(key, TimePassed())
            elif held.rollout.analysis is not None or held.rollout.unidentified:
                patient.append(key)
        begin = self._turn if self._turn < len(patient) else 0
        for key in patient[begin : begin + MOST_PATIENT]:
            self.submit(key, TimePassed())
        self._turn = begin + MOST_PATIENT

    def submit(self, key: ApplicationKey, event: Event, consumed: Sequence[int] = ()) -> bool:
        """Take one event in. ``consumed`` are inbox entries that are done with once it is persisted.

        Returns whether it was persisted or needed not be; False where the store refused: it must come again.
        """
        return self._submit(key, event, consumed, write=True)

    def note(self, key: ApplicationKey, event: Event) -> bool:
        """Take one event in unless something must be written for it: then False, nothing has changed, and nobody waited."""
        return self._submit(key, event, (), write=False)

    def _submit(self, key: ApplicationKey, event: Event, consumed: Sequence[int], *, write: bool) -> bool:
        held = self._held.find(key)
        if held is None:
            return False
        try:
            return self._take(held, event, consumed, write=write)
        except Exception:  # noqa: BLE001  a fault in one application must not stop the loop for the others
            _log.exception(
                "an event could not be taken in; the others go on", application=str(key), kind=type(event).__name__
            )
            return False

    def current(self, key: ApplicationKey, intent: Intent) -> tuple[Rollout, Intent] | None:
        """An intent that has waited for its turn, as it follows from the state now; None: it is no longer wanted."""
        held = self._held.find(key)
        if held is None:
            return None
        with held.lock:
            rollout = held.rollout
            intents = pending(rollout, self._clock.now(), self._limits.verdict_max_age)
        return next(((rollout, each) for each in intents if _is_same(each, intent)), None)

    def _take(self, held: Held, event: Event, consumed: Sequence[int], *, write: bool) -> bool:
        if not held.lock.acquire(blocking=write):
            return False
        try:
            now = self._clock.now()
            before = held.rollout
            step = advance(before, event, now, self._limits)
            if not self._persisting.persist(held, step, consumed, write=write):
                return False
            self._report(before, step)
            intents = pending(held.rollout, now, self._limits.verdict_max_age)
            rollout = held.rollout
        finally:
            held.lock.release()
        for intent in intents if not held.in_doubt else ():
            self._perform(rollout, intent)
        return True

    def keep_looks(self) -> None:
        """Write down the looks of the analyses that were not written for longest; the looks do not wait for it."""
        due = [(key, held) for key, held in self._held.busy() if self._is_due(held)]
        for key, held in sorted(due, key=lambda each: each[1].saved_at)[:MOST_CHECKPOINTS]:
            with held.lock:
                if self._is_due(held) and self._held.find(key) is held:
                    self._persisting.commit(held, Step(held.rollout, self._clock.now()))

    def _is_due(self, held: Held) -> bool:
        return held.rollout.analysis is not None and self._clock.now() - held.saved_at >= CHECKPOINT_SECONDS

    def checkpoint(self, within: float) -> None:
        """Write down what is only in memory, before the process ends; what takes longer is asked of the metrics again."""
        until = self._clock.monotonic() + within
        for _, held in self._held.busy():
            if self._clock.monotonic() > until:
                _log.info("not every look was written down; the next start asks for them again")
                return
            with held.lock:
                if held.rollout.analysis is not None:
                    self._persisting.commit(held, Step(held.rollout, self._clock.now()))

    def _report(self, before: Rollout, step: Step) -> None:
        key = str(step.rollout.application.key)
        analysis = step.rollout.analysis.id if step.rollout.analysis is not None else None
        for sentence in step.said:
            _log.info(sentence, application=key, analysis=analysis, phase=step.rollout.phase.value)
        if self._watch is not None:
            self._watch(step, before)


def _is_same(one: Intent, other: Intent) -> bool:
    """Whether both ask for the same; a later one may be fresher, or built on another head."""
    if isinstance(one, Identify) and isinstance(other, Identify):
        return one.revision == other.revision
    return type(one) is type(other)
