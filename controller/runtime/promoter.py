"""Promotes: looks at each pipeline when something may be due, writes down what is decided, and only then does it.

Invariant: of one pipeline one look runs at a time, always in the same lane. What is done is derived from what has been
persisted; where it cannot be persisted the move never happened, and is derived again.
"""

import threading
from binascii import crc32
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import inf

import structlog

from controller.core.application import ApplicationKey
from controller.core.git import canonical_url
from controller.core.promotion.advance import look, stages_open, take
from controller.core.promotion.asking import take_vouched
from controller.core.promotion.choosing import is_news
from controller.core.promotion.facts import Facts, Found
from controller.core.promotion.move import Move
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Approval, Progress
from controller.core.promotion.vouched import news
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.ports.promotions import PipelineStore
from controller.ports.store import InboxEntry, StoreError
from controller.runtime.grouping import Grouping
from controller.runtime.lanes import Lanes
from controller.runtime.promotion_acts import Acting
from controller.runtime.promotion_facts import Gathering
from controller.runtime.promotion_keeping import Keeping
from controller.runtime.promotion_lines import BUSY_SECONDS, CALM_SECONDS, TOLD_EARLY, Line, pause, said_of
from controller.runtime.promotion_requests import answered
from controller.runtime.promotion_triggers import Triggers
from controller.runtime.protecting import Protecting

MOST_ROUNDS = 20
"""Looks in a row while each brings something to do."""
LANES = 16
"""Looks at once: a registry that hangs holds up one pipeline in so many."""

_log = structlog.get_logger(__name__)


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
        grouping: Grouping | None = None,
        approvals: Callable[[ApplicationKey], Sequence[Approval]] | None = None,
        moved: Callable[[ApplicationKey, Move], None] = lambda _pipeline, _move: None,
    ) -> None:
        """``told`` wakes the outbox; ``rollout`` is what the guard knows of an application.

        ``steps`` tells the guard which stage brings more steps into an application (empty: none does).
        ``approvals`` gives those of a pipeline that something vouches for: then no others count, and nobody gets round
        them. None: whoever may write the store is believed. ``moved`` hears of each move once it is persisted.
        """
        self._keeping = Keeping(store, clock, sinks=sinks, told=told, moved=moved)
        self._clock = clock
        self._lanes = lanes
        self._triggers = triggers
        self._gathering = gathering
        self._acting = acting
        self._rollout = rollout
        self._steps = steps
        self._protecting = protecting
        self._grouping = grouping
        self._approvals = approvals
        self._lines: dict[ApplicationKey, Line] = {}
        self._retired = False
        """Whether nothing is left open that was told of pipelines that are declared no more."""
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        """Who writes into a repository, by its canonical URL."""

    def declare(self, pipelines: Iterable[PromotionPipeline]) -> None:
        """Take what is declared now: new pipelines begin, changed ones go on by what they say now, others rest.

        Raises:
            StoreError: the store cannot be read.
        """
        declared = {each.key: each for each in pipelines}
        with self._lock:
            for key, pipeline in declared.items():
                line = self._lines.get(key)
                if line is None:
                    begun = self._keeping.line(pipeline)
                    self._lines |= {key: begun} if begun is not None else {}
                elif line.pipeline != pipeline:
                    line.pipeline, line.look_at, line.poll_at = pipeline, 0.0, 0.0
            gone = set(self._lines) - set(declared)
            for key in gone:
                del self._lines[key]
        if self._grouping is not None:
            self._grouping.declare(declared.values())
        self._retired = self._retired and not gone
        if not self._retired:
            self._keeping.retire(set(declared))
            self._retired = True

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
                    line.poll_at, line.look_at, line.sooner = 0.0, 0.0, TOLD_EARLY
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

    def _is_due(self, line: Line, now: float) -> bool:
        return now >= min(line.poll_at, line.look_at) or self._said(line) != line.seen

    def _said(self, line: Line) -> object:
        """All that a look depends on and that comes by itself: what the guard says, and approvals."""
        return self._given(line), said_of(line.pipeline, self._rollout)

    def _run(self, key: ApplicationKey) -> None:
        line = self._lines.get(key)
        if line is None:
            return
        try:
            self._look(line)
        except StoreError as error:
            _log.error("the store cannot be written; nothing is promoted before", pipeline=str(key), error=str(error))
            line.look_at = self._clock.monotonic() + BUSY_SECONDS
            self._keeping.read_again(line)
        except Exception:  # noqa: BLE001  a fault in one pipeline must not stop the others, nor be told twice a second
            _log.exception("a pipeline could not be looked at; the others go on", pipeline=str(key))
            line.look_at = self._clock.monotonic() + CALM_SECONDS

    def _given(self, line: Line) -> tuple[Approval, ...]:
        """Approvals that something vouches for, and that are not taken in yet."""
        if self._approvals is None:
            return ()
        return news(line.pipeline, line.progress, self._approvals(line.pipeline.key))

    def _take_given(self, line: Line) -> None:
        for each in self._given(line):
            move = Move(line.pipeline, line.progress, Facts(), self._clock.now())
            self._keeping.keep(line, take_vouched(move, each))

    def _look(self, line: Line) -> None:
        said, due = self._said(line), self._clock.monotonic() >= line.look_at
        stirred, line.seen, before = said != line.seen, said, line.progress
        self._take_asked(line)
        self._take_given(line)
        stirred = stirred or line.progress is not before
        found = self._found(line)
        if not due and not stirred and (found is None or not is_news(line.progress, found)):
            return  # nothing to decide: Git and the forge need not be asked
        line.look_at = inf
        _, move = self._decide(line, found)
        if move.intents:
            with self._turn(move):
                self._act_all(line)
        if self._protecting is not None:
            self._protecting.look(line.pipeline, lambda: line.progress, lambda move: self._keeping.keep(line, move))
        with self._lock:
            if line.look_at == inf:  # else somebody asked meanwhile to look again
                line.look_at = self._clock.monotonic() + pause(line.progress, self._clock.now())

    def _decide(self, line: Line, found: Found | None = None) -> tuple[Facts, Move]:
        facts = self._gathering.facts(line.pipeline, line.progress, found, self._clock.now())
        move = look(line.pipeline, line.progress, facts, self._clock.now())
        self._keeping.keep(line, move)
        self._tell_guard(line)
        return facts, move

    def _act_all(self, line: Line) -> None:
        """Look and act until there is nothing to do: on the head as it is now that it is this pipeline's turn."""
        for _ in range(MOST_ROUNDS):
            facts, move = self._decide(line)
            if not move.intents:
                return
            for intent in move.intents:
                event = self._acting.perform(intent)
                self._keeping.keep(line, take(line.pipeline, line.progress, facts, event, self._clock.now()))

    @contextmanager
    def _turn(self, move: Move) -> Iterator[None]:
        """One after another into one repository: a race of our own pipelines would rebuild each commit many times."""
        places = sorted({canonical_url(each.repository) for each in move.intents})
        with ExitStack() as turns:
            for place in places:
                with self._lock:
                    turn = self._turns.setdefault(place, threading.Lock())
                turns.enter_context(turn)
            yield

    def _tell_guard(self, line: Line) -> None:
        """Say of which stages more steps are to come, and what is promoted as one, before any of it is pushed."""
        if self._grouping is not None:
            self._grouping.tell(line.pipeline.key)
        for key, said in stages_open(line.pipeline, line.progress).items():
            rollout = self._rollout(key)
            if rollout is not None and rollout.stage_open != said:
                self._steps(key, said)

    def _found(self, line: Line) -> Found | None:
        now = self._clock.monotonic()
        if now < line.poll_at:
            return None
        with self._lock:
            pauses = (*line.sooner[:1], line.pipeline.spec.trigger.interval)
            line.poll_at, line.sooner = now + min(pauses), line.sooner[1:]
        return self._triggers.ask(line.pipeline, line.progress)

    def _take_asked(self, line: Line) -> None:
        with self._lock:
            asked = tuple(line.asked)
        for entry in asked:
            move = Move(line.pipeline, line.progress, Facts(), self._clock.now())
            move = answered(move, entry, believed=self._approvals is None)
            self._keeping.keep(line, move, consumed=(entry.id,))
            with self._lock:
                line.asked.remove(entry)
