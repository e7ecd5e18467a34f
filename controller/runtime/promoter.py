"""Promotes: looks at each pipeline when something may be due, writes down what is decided, and only then does it.

Invariant: of one pipeline one look runs at a time, always in the same lane. What is done is derived from what has been
persisted; where it cannot be persisted the move never happened, and is derived again.
"""

import threading
from binascii import crc32
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from controller.core.application import ApplicationKey
from controller.core.promotion.advance import look, stages_open, take
from controller.core.promotion.asking import approve, freeze, promote, thaw
from controller.core.promotion.choosing import is_news
from controller.core.promotion.facts import Facts, Found
from controller.core.promotion.move import Move
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Approval, Phase, Progress, dump_progress, load_progress
from controller.core.promotion.vouched import news
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.ports.inbox import InboxBodyError
from controller.ports.promotion_inbox import (
    ApproveCommand,
    FreezeCommand,
    PromoteCommand,
    load_promotion_command,
)
from controller.ports.promotions import PipelineChange, PipelineStore
from controller.ports.store import InboxEntry, StoreError
from controller.runtime.lanes import Lanes
from controller.runtime.promotion_acts import Acting
from controller.runtime.promotion_facts import Gathering
from controller.runtime.promotion_triggers import Triggers
from controller.runtime.protecting import Protecting

MOST_ROUNDS = 20
"""Looks in a row while each brings something to do."""
BUSY_SECONDS = 5.0
"""How often a pull request, or a write that failed, is looked at."""
CALM_SECONDS = 30.0
"""How often something is looked at that the guard, a window or a person holds up."""
IDLE_SECONDS = 600.0
"""How often a pipeline is looked at in which nothing is on its way: what changes is heard of before."""

LANES = 16
"""Looks at once: a registry that hangs holds up one pipeline in so many."""

_VOUCH = "in a cluster an approval is an object of kind Approval"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Line:
    """One pipeline in memory."""

    pipeline: PromotionPipeline
    progress: Progress
    version: int
    poll_at: float = 0.0
    """When the trigger is next due, on the monotonic clock."""
    look_at: float = 0.0
    asked: list[InboxEntry] = field(default_factory=list)
    seen: object = None
    """What the guard said of its applications at the last look."""


class Promoter:
    """Holds every pipeline's progress, and is the only one that changes it."""

    def __init__(
        self,
        store: PipelineStore,
        clock: Clock,
        lanes: Lanes,
        *,
        triggers: Triggers,
        gathering: Gathering,
        acting: Acting,
        sinks: Sequence[str],
        told: Callable[[], None],
        rollout: Callable[[ApplicationKey], Rollout | None],
        steps: Callable[[ApplicationKey, str], object],
        protecting: Protecting | None = None,
        approvals: Callable[[ApplicationKey], Sequence[Approval]] | None = None,
        moved: Callable[[ApplicationKey, Move], None] = lambda _pipeline, _move: None,
    ) -> None:
        """``told`` wakes the outbox; ``rollout`` is what the guard knows of an application.

        ``steps`` tells the guard which stage brings more steps into an application (empty: none does).
        ``approvals`` gives those of a pipeline that something vouches for: then no others count, and nobody gets round
        them. None: whoever may write the store is believed. ``moved`` hears of each move once it is persisted.
        """
        self._store = store
        self._clock = clock
        self._lanes = lanes
        self._triggers = triggers
        self._gathering = gathering
        self._acting = acting
        self._sinks = tuple(sinks)
        self._told = told
        self._rollout = rollout
        self._steps = steps
        self._protecting = protecting
        self._approvals = approvals
        self._moved = moved
        self._lines: dict[ApplicationKey, _Line] = {}
        self._lock = threading.Lock()

    def declare(self, pipelines: Iterable[PromotionPipeline]) -> None:
        """Take what is declared now: new pipelines begin, changed ones go on by what they say now, others rest.

        Raises:
            StoreError: the progress of one cannot be read.
            StateTooNew: it was written by a newer Rollguard.
        """
        declared = {each.key: each for each in pipelines}
        with self._lock:
            for key, pipeline in declared.items():
                line = self._lines.get(key)
                if line is None:
                    self._lines[key] = self._begun(pipeline)
                elif line.pipeline != pipeline:
                    line.pipeline, line.look_at, line.poll_at = pipeline, 0.0, 0.0
            for key in set(self._lines) - set(declared):
                del self._lines[key]

    def _begun(self, pipeline: PromotionPipeline) -> _Line:
        stored = self._store.pipeline(pipeline.key)
        if stored is None:
            return _Line(pipeline, Progress(pipeline.key), 0)
        return _Line(pipeline, load_progress(stored.body), stored.version)

    def pipelines(self) -> tuple[tuple[PromotionPipeline, Progress], ...]:
        """Every pipeline with its progress now."""
        with self._lock:
            return tuple((each.pipeline, each.progress) for each in self._lines.values())

    def ask(self, entry: InboxEntry) -> bool:
        """Take in what a person asked of a pipeline; False: there is no such pipeline."""
        with self._lock:
            line = self._lines.get(entry.application)
            if line is None:
                return False
            if all(each.id != entry.id for each in line.asked):
                line.asked.append(entry)
                line.look_at = 0.0
        self.beat()
        return True

    def hint(
        self,
        asks: Callable[[PromotionPipeline], bool],
        looks: Callable[[PromotionPipeline], bool] = lambda _pipeline: False,
    ) -> None:
        """Somebody says that something is new: ask some pipelines' triggers at once, and look at the stages of others."""
        with self._lock:
            for line in self._lines.values():
                if asks(line.pipeline):
                    line.poll_at = line.look_at = 0.0
                elif looks(line.pipeline):
                    line.look_at = 0.0
        self.beat()

    def beat(self) -> None:
        """Look at what is due, each pipeline in its lane; returns at once."""
        now = self._clock.monotonic()
        with self._lock:
            due = [key for key, line in self._lines.items() if self._is_due(line, now)]
        for key in due:
            lane = crc32(str(key).encode()) % LANES
            self._lanes.lane(f"promotion:{lane}").submit(key, lambda key=key: self._run(key))  # type: ignore[misc]

    def _is_due(self, line: _Line, now: float) -> bool:
        return now >= min(line.poll_at, line.look_at) or self._said(line) != line.seen

    def _said(self, line: _Line) -> object:
        """What the guard says of the pipeline's applications, as far as a look depends on it."""
        found: list[object] = [self._given(line)]
        for stage in line.pipeline.spec.stages:
            for target in stage.places:
                rollout = self._rollout(target.application.key(line.pipeline.key.namespace))
                if rollout is None:
                    continue
                live, analysis, rollback = rollout.live, rollout.analysis, rollout.rollback
                found.append(
                    (
                        live.revision if live is not None else None,
                        rollout.policy is None,
                        rollout.good.at if rollout.good is not None else None,
                        (analysis.id, analysis.verdict, analysis.passed_early_at, analysis.over, len(analysis.syncs))
                        if analysis is not None
                        else None,
                        rollback.stage if rollback is not None else None,
                        bool(rollout.unidentified),
                    )
                )
        return tuple(found)

    def _run(self, key: ApplicationKey) -> None:
        line = self._lines.get(key)
        if line is None:
            return
        try:
            self._look(line)
        except StoreError as error:
            _log.error("the store cannot be written; nothing is promoted before", pipeline=str(key), error=str(error))
            line.look_at = self._clock.monotonic() + BUSY_SECONDS
            self._read_again(line)

    def _read_again(self, line: _Line) -> None:
        try:
            stored = self._store.pipeline(line.pipeline.key)
        except StoreError:
            return
        if stored is not None:
            line.progress, line.version = load_progress(stored.body), stored.version
        else:  # somebody deleted it: what is known is written anew
            line.version = 0

    def _given(self, line: _Line) -> tuple[Approval, ...]:
        """Approvals that something vouches for, and that are not taken in yet."""
        if self._approvals is None:
            return ()
        return news(line.pipeline, line.progress, self._approvals(line.pipeline.key))

    def _take_given(self, line: _Line) -> None:
        for each in self._given(line):
            move = Move(line.pipeline, line.progress, Facts(), self._clock.now())
            self._keep(line, approve(move, each.stage, each.identity, each.user, each.groups))

    def _look(self, line: _Line) -> None:
        said, due = self._said(line), self._clock.monotonic() >= line.look_at
        stirred, line.seen, before = said != line.seen, said, line.progress
        self._take_asked(line)
        self._take_given(line)
        stirred = stirred or line.progress is not before
        found = self._found(line)
        if not due and not stirred and (found is None or not is_news(line.progress, found)):
            return  # nothing to decide: Git and the forge need not be asked
        for _ in range(MOST_ROUNDS):
            facts = self._gathering.facts(line.pipeline, line.progress, found, self._clock.now())
            move = look(line.pipeline, line.progress, facts, self._clock.now())
            self._keep(line, move)
            self._tell_guard(line)
            found = None
            if not move.intents:
                break
            self._act(line, facts, move)
        if self._protecting is not None:
            self._protecting.look(line.pipeline, lambda: line.progress, lambda move: self._keep(line, move))
        pause = _pause(line.progress, self._clock.now())
        locked = any(stage.locked for stage in line.pipeline.spec.stages)
        line.look_at = self._clock.monotonic() + (min(pause, CALM_SECONDS) if locked else pause)

    def _tell_guard(self, line: _Line) -> None:
        """Say of which stages more steps are to come, before any of them is pushed."""
        for key, said in stages_open(line.pipeline, line.progress).items():
            rollout = self._rollout(key)
            if rollout is not None and rollout.stage_open != said:
                self._steps(key, said)

    def _act(self, line: _Line, facts: Facts, move: Move) -> None:
        for intent in move.intents:
            event = self._acting.perform(intent)
            self._keep(line, take(line.pipeline, line.progress, facts, event, self._clock.now()))

    def _found(self, line: _Line) -> Found | None:
        now = self._clock.monotonic()
        if now < line.poll_at:
            return None
        line.poll_at = now + line.pipeline.spec.trigger.interval
        return self._triggers.ask(line.pipeline, line.progress)

    def _take_asked(self, line: _Line) -> None:
        with self._lock:
            asked = tuple(line.asked)
        for entry in asked:
            move = Move(line.pipeline, line.progress, Facts(), self._clock.now())
            move = _answered(move, entry, believed=self._approvals is None)
            self._keep(line, move, consumed=(entry.id,))
            with self._lock:
                line.asked.remove(entry)

    def _keep(self, line: _Line, move: Move, consumed: tuple[int, ...] = ()) -> None:
        """Write down what was decided; nothing where nothing has changed."""
        if move.progress == line.progress and not move.alerts and not consumed:
            return
        sinks = self._sinks
        alerts = tuple(
            (sink, alert) for alert in move.alerts for sink in sinks if not alert.sinks or sink in alert.sinks
        )
        key = line.pipeline.key
        change = PipelineChange(key, line.version, dump_progress(move.progress), alerts, consumed, move.progress)
        line.version = self._store.commit_pipeline(change)
        line.progress = move.progress
        for sentence in move.said:
            _log.info(sentence, pipeline=str(key))
        if alerts:
            self._told()
        self._moved(key, move)


def _pause(progress: Progress, now: float) -> float:
    """Seconds until the next look, where nothing is heard before."""
    busy = (Phase.PROPOSED, Phase.WRITING)
    waits = [each for each in progress.passages if each.open]
    if not waits:
        return IDLE_SECONDS
    if any(each.phase in busy for each in waits):
        soonest = min((each.next_at - now for each in waits if each.next_at > now), default=BUSY_SECONDS)
        return min(BUSY_SECONDS, max(0.2, soonest))
    return CALM_SECONDS


def _answered(move: Move, entry: InboxEntry, *, believed: bool) -> Move:
    """``believed``: who is named as asking is taken to be the one who asks."""
    try:
        command = load_promotion_command(entry.body)
    except InboxBodyError as error:
        return move.say(f"something that was asked cannot be read: {error}")
    bypasses = isinstance(command, PromoteCommand) and bool(command.bypass_reason)
    if not believed and (bypasses or isinstance(command, ApproveCommand)):
        return move.say(f"{command.by} is said to approve or to bypass, and nothing vouches for that: {_VOUCH}")
    match command:
        case PromoteCommand():
            return promote(move, command.stage, command.version, command.by, command.bypass_reason)
        case ApproveCommand():
            return approve(move, command.stage, command.version, command.by, command.groups)
        case FreezeCommand():
            return freeze(move, command.by, command.stage, command.until, command.reason)
        case _:
            return thaw(move, command.by, command.stage)
