"""The loop's heart: an event goes into ``advance``, what it decides is written down, and only then is anything done.

Invariant: for one application events are taken one after another. Intents are derived from what has been persisted; if
it cannot be persisted, the step never happened, and its cause comes again (the inbox entry stays, the tick is asked
again, the push is looked for). Of what an earlier process left nothing is performed before ``resume``: it is in doubt.
A fault in one application's state stops no other application.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from controller.core.alerts import Alert
from controller.core.application import Application, ApplicationKey, GitSource
from controller.core.events import ApplicationChanged, Event, Limits, Restarted, TimePassed
from controller.core.intents import Identify, Intent, pending
from controller.core.rollout import advance
from controller.core.state import Record, Rollout, Stage, dump_record, dump_rollout, load_rollout
from controller.core.step import Step
from controller.ports.clock import Clock
from controller.ports.store import (
    AnalysisRecord,
    Change,
    Decision,
    PreconditionFailed,
    Store,
    StoredRollout,
    StoreError,
)

CHECKPOINT_SECONDS = 120.0
MOST_CHECKPOINTS = 10
"""In a beat: what they cost the store stays bounded, however many are looked at. What is not written is asked again."""
MOST_PATIENT = 500
"""Of applications that are only looked at (or are to be identified), for how many time passes with each beat."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Held:
    """One application in memory."""

    rollout: Rollout
    version: int
    saved_at: float
    in_doubt: bool
    """Left by an earlier process, and not resumed yet."""
    declared: Application | None = None
    """The application as its source last declared it."""
    trouble: str = ""
    """Why its state could not be written last, as the log says; with each event it would be said again."""
    lock: threading.RLock = field(default_factory=threading.RLock)


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
        self._sinks = tuple(sinks)
        self._perform = perform
        self._told = told
        self._watch = watch
        self._held: dict[ApplicationKey, _Held] = {}
        self._busy: dict[ApplicationKey, _Held] = {}
        """Of those, the ones with something under way: few of thousands."""
        self._stored: dict[ApplicationKey, StoredRollout] = {}
        """What was read at the start, of applications that have not come up yet."""
        self._turn = 0
        self.generation = 0
        """Another number whenever another application is held, or one is declared otherwise."""

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

    def _begin(self, application: Application, stored: StoredRollout | None, now: float) -> None:
        """Hold an application, as it was stored; what was in flight is in doubt until ``resume``."""
        rollout = load_rollout(stored.body) if stored is not None else Rollout(application)
        version = stored.version if stored is not None else 0
        held = _Held(rollout, version, now, in_doubt=stored is not None)
        self._held[application.key] = held
        self._set(held, rollout)
        self.generation += 1
        if rollout.application != application:
            self.submit(application.key, ApplicationChanged(application))

    def guard(self, application: Application) -> bool:
        """Hold an application that has come up, or take what is declared otherwise of one; False: it must come again."""
        held = self._held.get(application.key)
        if held is not None:
            if held.declared == application:
                return True
            held.declared = application
            self.generation += 1
            return self.submit(application.key, ApplicationChanged(application))
        try:
            stored = self._stored.pop(application.key, None) or self._store.rollout(application.key)
        except StoreError as error:
            _log.error("the state could not be read", application=str(application.key), error=str(error))
            return False
        self._begin(application, stored, self._clock.now())
        self._held[application.key].declared = application
        self._held[application.key].in_doubt = False
        return self.submit(application.key, Restarted()) if stored is not None else True

    def source(self, key: ApplicationKey) -> GitSource | None:
        """Where an application's manifests were when it was last held, in this process or the one before."""
        held, stored = self._held.get(key), self._stored.get(key)
        if held is not None:
            return held.rollout.application.source
        return load_rollout(stored.body).application.source if stored is not None else None

    def release(self, key: ApplicationKey) -> None:
        """An application is there no more. What is stored of it stays, should it come back."""
        if self._held.pop(key, None) is not None:
            self._busy.pop(key, None)
            self.generation += 1

    def keys(self) -> tuple[ApplicationKey, ...]:
        """The guarded applications."""
        return tuple(self._held)

    def rollout(self, key: ApplicationKey) -> Rollout:
        """One application's state now."""
        return self._held[key].rollout

    def find(self, key: ApplicationKey) -> Rollout | None:
        """One application's state now; None: it is not held."""
        held = self._held.get(key)
        return held.rollout if held is not None else None

    def rollouts(self) -> tuple[Rollout, ...]:
        """Every application's state now."""
        return tuple(held.rollout for held in tuple(self._held.values()))

    def busy(self) -> tuple[Rollout, ...]:
        """The state of every application that is looked at, restored, offered something, or not identified yet."""
        return tuple(held.rollout for held in tuple(self._busy.values()))

    def resume(self) -> None:
        """Go on after a start: what was in flight is in doubt, and is looked at first."""
        for key, held in tuple(self._held.items()):
            held.in_doubt = False
            self.submit(key, Restarted())

    def tick(self) -> None:
        """Let time pass for whatever waits for it, and hand out what is due; of very many, in turns."""
        patient = []
        for key, held in tuple(self._busy.items()):
            if _is_urgent(held.rollout):
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
        held = self._held.get(key)
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
        held = self._held.get(key)
        if held is None:
            return None
        with held.lock:
            rollout = held.rollout
            intents = pending(rollout, self._clock.now(), self._limits.verdict_max_age)
        return next(((rollout, each) for each in intents if _is_same(each, intent)), None)

    def _take(self, held: _Held, event: Event, consumed: Sequence[int], *, write: bool) -> bool:
        if not held.lock.acquire(blocking=write):
            return False
        try:
            now = self._clock.now()
            before = held.rollout
            step = advance(before, event, now, self._limits)
            if not self._persist(held, step, consumed, write=write):
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
        due = [each for each in tuple(self._busy.values()) if self._is_due(each)]
        for held in sorted(due, key=lambda each: each.saved_at)[:MOST_CHECKPOINTS]:
            with held.lock:
                if self._is_due(held) and self._held.get(held.rollout.application.key) is held:
                    self._commit(held, Step(held.rollout, self._clock.now()), ())

    def _is_due(self, held: _Held) -> bool:
        return held.rollout.analysis is not None and self._clock.now() - held.saved_at >= CHECKPOINT_SECONDS

    def checkpoint(self, within: float) -> None:
        """Write down what is only in memory, before the process ends; what takes longer is asked of the metrics again."""
        until = self._clock.monotonic() + within
        for held in tuple(self._busy.values()):
            if self._clock.monotonic() > until:
                _log.info("not every look was written down; the next start asks for them again")
                return
            with held.lock:
                if held.rollout.analysis is not None:
                    self._commit(held, Step(held.rollout, self._clock.now()), ())

    def _persist(self, held: _Held, step: Step, consumed: Sequence[int], *, write: bool) -> bool:
        news = consumed or step.alerts or step.records or step.decisions
        begun = held.version > 0 or _is_begun(step.rollout)
        changed = held.version == 0 or not step.rollout.lasts_as(held.rollout)
        if news or (begun and changed and _is_guarded(step.rollout)):
            return write and self._commit(held, step, consumed)
        self._set(held, step.rollout)
        return True

    def _set(self, held: _Held, rollout: Rollout) -> None:
        """Its state is this now."""
        held.rollout, key = rollout, rollout.application.key
        if self._held.get(key) is not held:
            return  # it was released meanwhile
        if _is_busy(rollout):
            self._busy[key] = held
        else:
            self._busy.pop(key, None)

    def _commit(self, held: _Held, step: Step, consumed: Sequence[int]) -> bool:
        key = step.rollout.application.key
        try:
            held.version = self._store.commit(self._change(held, step, consumed))
        except PreconditionFailed as error:
            self._say(held, key, "another process has written this application's state; reading it again", error)
            self._reload(held, key, error)
            return False
        except StoreError as error:
            self._say(held, key, "the state could not be written; nothing is done before it is", error)
            return False
        self._set(held, step.rollout)
        held.saved_at, held.trouble = step.now, ""
        if step.alerts:
            self._told()
        return True

    def _say(self, held: _Held, key: ApplicationKey, what: str, error: StoreError) -> None:
        """Say once what is wrong, until something else is or it is written."""
        if held.trouble != what:
            _log.error(what, application=str(key), error=str(error))
        held.trouble = what

    def _reload(self, held: _Held, key: ApplicationKey, cause: StoreError) -> None:
        try:
            stored = self._store.rollout(key)
        except StoreError as error:
            _log.error("the state could not be read", application=str(key), error=str(error), cause=str(cause))
            return
        if stored is not None:
            held.version = stored.version
            self._set(held, load_rollout(stored.body))
        else:  # somebody has deleted it: what is known here is written anew
            held.version = 0

    def _change(self, held: _Held, step: Step, consumed: Sequence[int]) -> Change:
        key = step.rollout.application.key
        return Change(
            application=key,
            expected_version=held.version,
            body=dump_rollout(step.rollout),
            analyses=tuple(_record(record) for record in step.records),
            alerts=tuple((sink, alert) for alert in step.alerts for sink in self._addressees(alert)),
            consumed=tuple(consumed),
            rollout=step.rollout,
            at=step.now,
            decisions=tuple(
                Decision(
                    id=f"{made.id}@{key}",
                    application=key,
                    key=_decision_key(step.rollout),
                    suspects=made.suspects,
                    decided_at=made.decided_at,
                    pushed_at=made.pushed_at,
                )
                for made in step.decisions
            ),
        )

    def _addressees(self, alert: Alert) -> tuple[str, ...]:
        """The alert's own sinks; all of them where it names none, or only unknown ones: alerts fail open."""
        named = tuple(sink for sink in alert.sinks if sink in self._sinks)
        return named or self._sinks

    def _report(self, before: Rollout, step: Step) -> None:
        key = str(step.rollout.application.key)
        analysis = step.rollout.analysis.id if step.rollout.analysis is not None else None
        for sentence in step.said:
            _log.info(sentence, application=key, analysis=analysis, phase=step.rollout.phase.value)
        if self._watch is not None:
            self._watch(step, before)


def _record(record: Record) -> AnalysisRecord:
    analysis = record.analysis
    verdict = analysis.recovery.value if analysis.recovery else analysis.verdict.value if analysis.verdict else ""
    return AnalysisRecord(
        id=analysis.id,
        application=record.application.key,
        started_at=analysis.started_at,
        ended_at=analysis.ended_at,
        revision=analysis.newest.revision,
        verdict=verdict,
        body=dump_record(record),
    )


def _is_guarded(rollout: Rollout) -> bool:
    """Whether its state must survive: of what no policy names, what is live is told again after a start."""
    known = rollout.policy is not None or rollout.policy_name or rollout.policy_error
    begun = rollout.analysis or rollout.rollback or rollout.known_bad or rollout.alerts or rollout.offers
    return bool(known or begun)


def _is_begun(rollout: Rollout) -> bool:
    """Whether there is something to lose: of what a cluster has, policies and deployments are told again after a start.

    Thousands come up at once at a first start: each is written once it is known what it runs.
    """
    opened = rollout.analysis or rollout.rollback or rollout.known_bad or rollout.alerts or rollout.offers
    return not rollout.application.is_found or rollout.live is not None or bool(opened)


def _is_same(one: Intent, other: Intent) -> bool:
    """Whether both ask for the same; a later one may be fresher, or built on another head."""
    if isinstance(one, Identify) and isinstance(other, Identify):
        return one.revision == other.revision
    return type(one) is type(other)


def _decision_key(rollout: Rollout) -> str:
    source = rollout.application.source
    return "\0".join((source.repository, source.branch, *source.paths))


def _is_busy(rollout: Rollout) -> bool:
    """Whether something is under way, or told of until it is over."""
    opened = rollout.analysis is not None or rollout.rollback is not None or bool(rollout.unidentified)
    return opened or _is_urgent(rollout)


def _is_urgent(rollout: Rollout) -> bool:
    """Whether a restore, its pull request or a sync is under way, which goes on with each second."""
    under_way = rollout.rollback is not None and rollout.rollback.stage not in (Stage.REFUSED, Stage.WITHDRAWN)
    return rollout.resync_wanted or bool(rollout.offers) or under_way
