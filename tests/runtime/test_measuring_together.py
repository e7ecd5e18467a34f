"""References of several applications at once: they share questions, and none pays for what another brings with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from controller.core.application import ApplicationKey
from controller.core.events import Event, ReferenceFailed, ReferenceMeasured
from controller.core.evidence import History
from controller.core.intents import Measure
from controller.core.observation import MissingReason
from controller.core.policy import PolicySpec
from controller.core.state import Rollout
from controller.ports.metrics import MetricsError, MetricsUnavailable, Question
from controller.runtime import references
from controller.runtime.measuring import MOST_TOGETHER, Measuring
from controller.runtime.questions import Questions
from tests.fakes.manual_clock import ManualClock
from tests.runtime.parts import QueuedLanes, ScriptedMetrics, application, spec

UNTIL = 1_800_000_000.0


@dataclass
class Company(ScriptedMetrics):
    """Notes who is asked about together; whoever is asked about with ``poison`` gets its failure."""

    poison: str = ""
    failure: MetricsError = field(default_factory=lambda: MetricsUnavailable(MissingReason.TIMED_OUT, "too slow"))
    together: list[list[str]] = field(default_factory=list)

    def histories(
        self, questions: Sequence[Question], start: float, end: float, step: float
    ) -> Mapping[str, History | MetricsError]:
        applications = list(dict.fromkeys(each.key.split("/")[1] for each in questions))
        self.together.append(applications)
        if self.poison in applications:
            return dict.fromkeys((each.key for each in questions), self.failure)
        return super().histories(questions, start, end, step)


class Waiting:
    """Applications that wait for their references."""

    def __init__(self, metrics: ScriptedMetrics) -> None:
        self.lanes = QueuedLanes()
        self.answered: list[tuple[str, Event]] = []
        self._measuring = Measuring({"default": metrics}, Questions(""), self.lanes, self._answer)  # type: ignore[arg-type]

    def _answer(self, key: ApplicationKey, event: Event) -> None:
        self.answered.append((key.name, event))

    def wait(self, *names: str, until: float = UNTIL, policy: PolicySpec | None = None) -> "Waiting":
        """They wait, in this order."""
        for name in names:
            rollout = Rollout(application(ApplicationKey("shop", name)))
            self._measuring.submit(rollout, Measure(f"{name}-1", policy or spec(), until, ()))
        return self

    def measured(self) -> dict[str, bool]:
        """Let all be measured; who got a reference, by name."""
        self.answered.clear()
        self.lanes.run()
        return {name: isinstance(event, ReferenceMeasured) for name, event in self.answered}


@pytest.fixture
def company() -> Company:
    return Company(ManualClock(UNTIL + 60))


def test_all_that_wait_are_asked_about_together(company: Company) -> None:
    """Three applications that began in one tick: one question about each stretch of time, one answer to each."""
    waiting = Waiting(company).wait("a", "b", "c")
    assert waiting.measured() == {"a": True, "b": True, "c": True}
    assert company.together == [["a", "b", "c"]] * len(company.together)
    assert len(waiting.answered) == 3


def test_chains_that_began_in_other_ticks_are_asked_about_apart(company: Company) -> None:
    """Their steps are not the same, and none is counted by another one's steps."""
    waiting = Waiting(company).wait("a").wait("b", until=UNTIL - 20)
    assert waiting.measured() == {"a": True, "b": True}
    assert all(len(each) == 1 for each in company.together)
    references = {n: each.reference for n, each in waiting.answered if isinstance(each, ReferenceMeasured)}
    assert {name: each.until for name, each in references.items()} == {"a": UNTIL, "b": UNTIL - 20}


def test_so_many_at_once_and_no_more(company: Company) -> None:
    """A crowd is measured in groups, each application once."""
    names = [f"app-{number}" for number in range(2 * MOST_TOGETHER + 1)]
    assert Waiting(company).wait(*names).measured() == dict.fromkeys(names, True)
    assert max(map(len, company.together)) == MOST_TOGETHER


def test_what_is_wanted_twice_is_measured_once(company: Company) -> None:
    """The intent is handed out with every beat; it waits only once, and the newest holds."""
    waiting = Waiting(company).wait("a", "b").wait("a", "b")
    assert waiting.measured() == {"a": True, "b": True}
    assert len(waiting.answered) == 2


def test_who_failed_in_company_is_asked_alone_the_next_time(company: Company) -> None:
    """One poisonous application: the others have their references at the second try, and it fails by itself."""
    company.poison = "bad"
    waiting = Waiting(company).wait("a", "bad", "c")
    assert waiting.measured() == {"a": False, "bad": False, "c": False}
    failed = [event for _, event in waiting.answered if isinstance(event, ReferenceFailed)]
    assert [each.message for each in failed] == ["TimedOut: too slow"] * 3
    company.together.clear()
    assert waiting.wait("a", "bad", "c", "new").measured() == {"a": True, "bad": False, "c": True, "new": True}
    assert all(len(each) == 1 for each in company.together)


def test_nobody_is_to_blame_where_nobody_answers(company: Company) -> None:
    """The source is away: when it is back, all are asked about together again."""
    company.poison, company.failure = "a", MetricsUnavailable(MissingReason.UNREACHABLE, "no connection")
    waiting = Waiting(company).wait("a", "b")
    assert waiting.measured() == {"a": False, "b": False}
    company.poison = ""
    company.together.clear()
    assert waiting.wait("a", "b").measured() == {"a": True, "b": True}
    assert company.together[0] == ["a", "b"]


def test_a_fault_in_one_applications_past_is_told_of_it_alone(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Building one reference fails in an unforeseen way: the other is there, and the fault is no silence."""
    build = references.build_reference

    def built(policy: PolicySpec, *found: object, **more: object) -> object:
        if policy.analysis.minimum_bad_events == 7:
            raise ZeroDivisionError
        return build(policy, *found, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(references, "build_reference", built)
    odd = spec(analysis={"interval": "15s", "minimumBadEvents": 7})
    waiting = Waiting(company).wait("a").wait("odd", policy=odd)
    assert waiting.measured() == {"a": True, "odd": False}
    (told,) = [event for _, event in waiting.answered if isinstance(event, ReferenceFailed)]
    assert told.message == "a fault in Rollguard: ZeroDivisionError"
