"""What is written down of a step, when, and what becomes of it where it cannot be.

Invariant: what must last holds only once it is written; where the store refuses, nothing has changed. Numbers of single
looks are asked again after a start and need no write.
"""

from collections.abc import Callable, Sequence

import structlog

from controller.core.alerts import addressed
from controller.core.application import ApplicationKey
from controller.core.state import Record, Rollout, dump_record, dump_rollout, load_rollout
from controller.core.step import Step
from controller.ports.store import AnalysisRecord, Change, Decision, PreconditionFailed, Store, StoreError
from controller.runtime.held_rollouts import Held, HeldRollouts

_log = structlog.get_logger(__name__)


class Persisting:
    """Writes steps; whoever calls holds the lock of the application."""

    def __init__(self, store: Store, held: HeldRollouts, *, sinks: Sequence[str], told: Callable[[], None]) -> None:
        """``sinks`` get each alert that names none; ``told`` wakes the outbox."""
        self._store = store
        self._held = held
        self._sinks = tuple(sinks)
        self._told = told

    def persist(self, held: Held, step: Step, consumed: Sequence[int], *, write: bool) -> bool:
        """Make a step hold, once it is written where it must last; False: it never happened.

        Without ``write``, what would have to be written never happened either.
        """
        news = consumed or step.alerts or step.records or step.decisions
        begun = held.version > 0 or _is_begun(step.rollout)
        changed = held.version == 0 or not step.rollout.lasts_as(held.rollout)
        if news or (begun and changed and _is_guarded(step.rollout)):
            return write and self.commit(held, step, consumed)
        self._held.set(held, step.rollout)
        return True

    def commit(self, held: Held, step: Step, consumed: Sequence[int] = ()) -> bool:
        """Write a step; whether it was written. One that another process was ahead of is given up, and theirs holds."""
        key = step.rollout.application.key
        try:
            held.version = self._store.commit(self._change(held, step, consumed))
        except PreconditionFailed as error:
            self._say(held, key, "another process has written this application's state; reading it again", error)
            self._reload(held, key)
            return False
        except StoreError as error:
            self._say(held, key, "the state could not be written; nothing is done before it is", error)
            return False
        self._held.set(held, step.rollout)
        held.saved_at = step.now
        held.troubles.clear()
        if step.alerts:
            self._told()
        return True

    def _say(self, held: Held, key: ApplicationKey, what: str, error: StoreError) -> None:
        """Say each thing that is wrong once, until its state is written."""
        if what not in held.troubles:
            _log.error(what, application=str(key), error=str(error))
        held.troubles.add(what)

    def _reload(self, held: Held, key: ApplicationKey) -> None:
        try:
            stored = self._store.rollout(key)
        except StoreError as error:
            self._say(held, key, "the state could not be read", error)
            return
        if stored is not None:
            held.version = stored.version
            self._held.set(held, load_rollout(stored.body))
        else:  # somebody has deleted it: what is known here is written anew
            held.version = 0

    def _change(self, held: Held, step: Step, consumed: Sequence[int]) -> Change:
        key = step.rollout.application.key
        return Change(
            application=key,
            expected_version=held.version,
            body=dump_rollout(step.rollout),
            analyses=tuple(_record(record) for record in step.records),
            alerts=addressed(step.alerts, self._sinks),
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


def _decision_key(rollout: Rollout) -> str:
    source = rollout.application.source
    return "\0".join((source.repository, source.branch, *source.paths))
