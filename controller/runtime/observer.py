"""Looks: asks each metrics source for the ticks that are due, of all analyses in one batch.

Invariant: every source has a thread of its own, so one that hangs delays no other. A tick that failed is asked again
once the source answers; nothing is concluded from the wait.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf

import structlog

from controller.core.application import ApplicationKey
from controller.core.events import Observed
from controller.core.intents import DueTick, due_ticks
from controller.core.observation import Failed, MissingReason, Tick
from controller.core.prepared import Prepared, prepare
from controller.core.state import Analysis, Rollout
from controller.ports.clock import Clock
from controller.ports.metrics import MetricsError, MetricsSource
from controller.runtime.asked_ticks import AskedTick, Found, alike, apart, by_time, due_since, ticks_of
from controller.runtime.questions import Questions

SKEW_CHECK_SECONDS = 60.0
BEHIND_SECONDS = 5.0
"""How long one look asks for those that catch up: thousands that begin must not make the others late."""
HAND_IN_SECONDS = 5.0
"""A look that takes longer hands in what it has: a source that hangs must not keep back what is known."""

_log = structlog.get_logger(__name__)


class Observer:
    """Looks at one metrics source."""

    def __init__(
        self,
        name: str,
        source: MetricsSource,
        *,
        questions: Questions,
        clock: Clock,
        rollouts: Callable[[], Iterable[Rollout]],
        answer: Callable[[ApplicationKey, Observed], object],
        looked: Callable[[float], None] = lambda _: None,
    ) -> None:
        """``rollouts`` gives the state of all that may be analysed; those whose policy names this source are looked at.

        ``looked`` is told of each look how many seconds after its newest tick could be asked for it was over.
        """
        self.name = name
        self._source = source
        self._questions = questions
        self._clock = clock
        self._rollouts = rollouts
        self._answer = answer
        self._looked = looked
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._skew: str = ""
        self._skew_checked: float | None = None
        self._answered = True
        self._watched = 0
        """Analyses that ticks are asked for, at the last look."""
        self.looked_at = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"observer-{name}", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """Look at what is due now."""
        self._wake.set()

    def close(self) -> None:
        """Begin no look any more."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the look that is under way; returns whether it ended within ``timeout`` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                self.look()
            except Exception:  # noqa: BLE001  a source's thread outlives whatever a look does
                _log.exception("a look failed; its ticks are asked again", source=self.name)
            self.looked_at = self._clock.monotonic()

    def look(self) -> int:
        """Ask for all ticks that are due, and hand them in; returns how many were handed in."""
        handed = self._ask(again=False)
        if handed and self._answered:
            handed += self._ask(again=True)
        return handed

    def _ask(self, *, again: bool) -> int:
        asked = list(self._due(again=again))
        if not asked:
            return 0
        self._check_skew()
        current, behind = apart(asked)
        within = BEHIND_SECONDS if len({one.key for one in behind}) < self._watched else inf
        return self._ask_all(current, again=again) + self._ask_all(behind, again=again, within=within)

    def _ask_all(self, asked: list[AskedTick], *, again: bool, within: float = inf) -> int:
        """Ask oldest first, and hand in; what takes longer than ``within`` seconds is due again at the next look."""
        since = {} if again else due_since(asked)
        answers: list[tuple[AskedTick, Tick]] = []
        failed = total = 0
        begun = handed_at = self._clock.monotonic()
        for (at, interval), batch in sorted(by_time(asked).items()):
            if self._stopping.is_set() or self._clock.monotonic() - begun > within:
                break
            found = self._observe(batch, at, interval)
            failed += sum(isinstance(tick.observation, Failed) for _, tick in found)
            total += len(found)
            answers += found
            if self._clock.monotonic() - handed_at > HAND_IN_SECONDS:
                self._hand_in(answers, since)
                answers, handed_at = [], self._clock.monotonic()
        self._hand_in(answers, since)
        if total:
            self._answered = failed < total
        return total

    def _hand_in(self, answers: list[tuple[AskedTick, Tick]], since: Mapping[ApplicationKey, float]) -> None:
        """Hand each application its ticks, in time order."""
        ticks: dict[ApplicationKey, list[tuple[AskedTick, Tick]]] = {}
        for one, tick in answers:
            ticks.setdefault(one.key, []).append((one, tick))
        for part in alike(ticks.values()):
            for found, prepared in zip(part, self._prepared(part), strict=True):
                last = found[-1][0]
                self._answer(last.key, Observed(last.analysis.id, ticks_of(found), prepared))
                if since.get(last.key) == last.due.at + last.due.interval:
                    self._looked(self._clock.now() - since[last.key])

    def _prepared(self, part: Sequence[Found]) -> Sequence[Prepared | None]:
        """Weigh together; where one of them cannot be weighed, each is looked at alone, so that it stops no other."""
        try:
            return prepare([(found[-1][0].analysis, ticks_of(found)) for found in part], self._clock.now())
        except Exception:  # noqa: BLE001  whoever is at fault is told of by its own look
            _log.exception("looks could not be prepared together; each is taken alone", source=self.name)
            return [None] * len(part)

    def _due(self, *, again: bool) -> Iterable[AskedTick]:
        now, self._watched = self._clock.now(), 0
        for rollout in self._rollouts():
            analysis = rollout.analysis
            if analysis is None or analysis.policy.metrics != self.name:
                continue
            self._watched += analysis.reference is not None
            try:
                yield from self._asked(rollout, analysis, due_ticks(rollout, now, again=again))
            except Exception:  # noqa: BLE001  one application that cannot be asked must not stop the others
                _log.exception("what is due cannot be asked", application=str(rollout.application.key))

    def _asked(self, rollout: Rollout, analysis: Analysis, due: Iterable[DueTick]) -> list[AskedTick]:
        found = []
        for tick in due:
            questions = tuple((name, self._questions.of_tick(rollout, analysis, name)) for name in tick.objectives)
            found.append(AskedTick(rollout.application.key, analysis, tick, questions))
        return found

    def _observe(self, batch: list[AskedTick], at: float, interval: float) -> list[tuple[AskedTick, Tick]]:
        pairs = [(one, objective, question) for one in batch for objective, question in one.questions]
        if self._skew:
            failure = Failed(MissingReason.SKEWED_CLOCK, self._skew)
            return [(one, Tick(at, objective, failure)) for one, objective, _ in pairs]
        found = self._source.observe([question for _, _, question in pairs], at, interval)
        lost = Failed(MissingReason.MALFORMED, "the source gave no answer to this question")
        return [(one, Tick(at, objective, found.get(question.key, lost))) for one, objective, question in pairs]

    def _check_skew(self) -> None:
        """Compare clocks now and then: counts of the wrong seconds are no evidence."""
        now = self._clock.monotonic()
        due = self._skew_checked is None or now - self._skew_checked >= SKEW_CHECK_SECONDS
        if not due and not self._skew:
            return
        self._skew_checked = now
        try:
            before = self._clock.now()
            theirs = self._source.server_time()
            after = self._clock.now()
        except MetricsError:
            return
        away = theirs - (before + after) / 2
        tolerated = max(5.0, (after - before) / 2 + 5.0)
        skew = f"the metrics server's clock is {away:+.0f} s away from ours" if abs(away) > tolerated else ""
        if skew != self._skew:
            _log.warning(skew or "the clocks agree again", source=self.name)
        self._skew = skew
