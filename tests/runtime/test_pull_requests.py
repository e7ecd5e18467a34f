"""Pull requests of restores, through the executor and a forge: errors become events, and nothing is done twice."""

import pytest

from controller.core.application import Application, GitSource
from controller.core.events import (
    PullRequestClosed,
    PullRequestFailed,
    PullRequestOpened,
    RollbackRequested,
)
from controller.core.forge import PullRequest, PullRequestDraft, PullRequestState
from controller.core.git import PushResult
from controller.core.intents import ClosePullRequest, LookAtPullRequest, OpenPullRequest
from controller.core.state import Phase, Rollout
from controller.ports.forge import (
    ForgeBusy,
    ForgeDenied,
    ForgeError,
    ForgeMalformed,
    ForgeRefused,
    ForgeUnavailable,
    ForgeUnknown,
)
from controller.runtime.pull_requests import PullRequests
from tests.fakes.forge import InMemoryForge
from tests.fakes.forge_state import StoredPull
from tests.fakes.manual_clock import ManualClock
from tests.runtime.parts import CART, CHECKOUT, URL, Bench, application, spec

IDLE = Rollout(application())
OFFERS = {"action": "PullRequest"}


class BesideForge(InMemoryForge):
    """A forge that knows each branch that a pull request is opened from, as one with the repository in it does."""

    def _create(self, draft: PullRequestDraft) -> PullRequest:
        if draft.head_branch not in self.state.branches:
            self.state.commit(draft.head_branch, {"app.yaml": draft.head_branch}, by="rollguard")
        return super()._create(draft)


def beside() -> BesideForge:
    """A forge with a first commit."""
    forge = BesideForge()
    forge.state.commit("main", {"app.yaml": "one"}, by="ann")
    return forge


def pulls(bench: Bench) -> list[StoredPull]:
    """What is in the forge."""
    assert isinstance(bench.forge, InMemoryForge)
    return list(bench.forge.state.pulls.values())


def offered(forge: InMemoryForge | None = None) -> Bench:
    """A restore waits for a person, with a pull request."""
    bench = Bench(forge=forge or beside()).guard(spec(onBreach=OFFERS))
    bench.breach()
    bench.pass_until(lambda: pulls(bench))
    return bench


def test_the_pull_request_is_opened_from_the_branch_that_was_pushed() -> None:
    """In a lane of the forge's own, so that a forge that hangs delays no push."""
    bench = offered()
    pull = pulls(bench)[0]
    assert pull.head_branch in bench.remote.branches
    assert (pull.base, pull.labels, pull.title[:9]) == ("main", {"rollguard"}, "Roll back")
    assert f"forge:{URL}" in bench.lanes.made
    rollback = bench.rollout().rollback
    assert rollback is not None
    assert rollback.pull_request == pull.number
    assert bench.told().count("RollguardPullRequestOpened") == 1


def test_a_protected_branch_leads_to_a_pull_request() -> None:
    """The push is refused: the same restore on a branch of ours, with a pull request that says so."""
    bench = Bench(forge=beside()).guard()
    bench.remote.refuses = PushResult.PROTECTED
    bench.breach()
    bench.pass_until(lambda: pulls(bench))
    assert "refuses the push" in pulls(bench)[0].body


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_replies_that_are_lost_open_no_second(lost: int) -> None:
    """It was opened each time, and nobody heard."""
    forge = beside()
    forge.lost = lost
    bench = offered(forge)
    bench.pass_until(lambda: bench.rollout().rollback.pull_request is not None)  # type: ignore[union-attr]
    assert len(pulls(bench)) == 1


def test_a_restart_between_opening_and_its_answer_opens_no_second() -> None:
    """The next process finds in the store that it is to be opened, and the forge that it is."""
    bench = Bench(forge=beside()).guard(spec(onBreach=OFFERS))
    bench.breach(run=False)
    while not any("OpenPullRequest" in str(key) for _, key in bench.lanes.waiting()):
        assert bench.lanes.run(most=1)
    intent = next(each for each in bench.performed if isinstance(each, OpenPullRequest))
    assert bench.forge is not None
    bench.forge.open(intent.draft)
    again = bench.restart()
    again.pass_until(lambda: again.rollout().rollback.pull_request is not None)  # type: ignore[union-attr]
    assert len(pulls(again)) == 1
    assert again.told().count("RollguardPullRequestOpened") == 1


def test_a_forge_that_is_down_is_tried_again() -> None:
    """Down for an hour: one alert with the branch, some dozen tries, and one pull request in the end."""
    forge = beside()
    forge.down = ForgeUnavailable("connection refused")
    bench = Bench(forge=forge).guard(spec(onBreach=OFFERS))
    bench.breach()
    bench.pass_time(3600, 15)
    failed = [each for each in bench.answered if isinstance(each, PullRequestFailed)]
    assert 10 <= len(failed) <= 60
    assert bench.told().count("RollguardPullRequestOpened") == 1
    forge.down = None
    bench.pass_until(lambda: pulls(bench))
    assert bench.rollout().phase is Phase.AWAITING_MERGE


def test_a_process_that_does_not_lead_opens_nothing() -> None:
    """Leadership was lost after the push: the one that leads opens it."""
    bench = Bench(forge=beside()).guard(spec(onBreach=OFFERS))
    bench.breach(run=False)
    while not any("OpenPullRequest" in str(key) for _, key in bench.lanes.waiting()):
        assert bench.lanes.run(most=1)
    bench.leads = False
    bench.pass_time(30)
    assert pulls(bench) == []
    bench.leads = True
    bench.pass_until(lambda: pulls(bench))


def test_what_is_not_needed_any_more_is_closed_and_its_branch_stays() -> None:
    """The service recovers by itself."""
    bench = offered()
    bench.metrics.share = 0.0
    bench.pass_until(lambda: pulls(bench)[0].state == "closed")
    assert pulls(bench)[0].comments[0].body.splitlines()[-1].startswith("Closed by Rollguard: ")
    assert pulls(bench)[0].head_branch in bench.remote.branches
    bench.pass_until(lambda: bench.rollout().offers == ())


def test_a_person_who_closes_it_is_heard_once() -> None:
    """Looked at each minute: closed without a merge, it is told, and none is opened any more."""
    bench = offered()
    pulls(bench)[0].state = "closed"
    bench.pass_until(lambda: bench.rollout().declined)
    assert any(isinstance(each, LookAtPullRequest) for each in bench.performed)
    bench.pass_time(600)
    assert len(pulls(bench)) == 1
    assert bench.told().count("RollguardBreached") == 1
    bench.reconciler.submit(CHECKOUT, RollbackRequested(None, "bob", "it hurts"))
    bench.lanes.run()
    assert bench.restores()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ForgeUnavailable("x"), PullRequestFailed("b", "x")),
        (ForgeMalformed("x"), PullRequestFailed("b", "x")),
        (ForgeDenied("x"), PullRequestFailed("b", "x")),
        (ForgeError("x"), PullRequestFailed("b", "x")),
        (ForgeUnknown("x"), PullRequestFailed("b", "x", refused=True)),
        (ForgeRefused("x"), PullRequestFailed("b", "x", refused=True)),
        (ForgeBusy("x", 90.0), PullRequestFailed("b", "x", not_before=ManualClock().now() + 90)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_each_error_of_the_forge_is_an_event_of_its_own(error: ForgeError, expected: PullRequestFailed) -> None:
    """Whatever it says, whatever was asked."""
    forge = beside()
    forge.down = error
    performed = PullRequests(lambda _: forge, ManualClock(), lambda: True)
    for intent in (
        OpenPullRequest(URL, PullRequestDraft("b", "main", "t", "x")),
        LookAtPullRequest(URL, "b", 1),
        ClosePullRequest(URL, "d", "b", "main", 1, ""),
        ClosePullRequest(URL, "d", "b", "main", None, ""),
    ):
        assert performed.perform(IDLE, intent) == expected


def test_closing_finds_what_was_opened_and_not_heard_of() -> None:
    """The number is not known: the open one of the branch is closed; none is none; a merged one stays merged."""
    forge = beside()
    asked = PullRequests(lambda _: forge, ManualClock(), lambda: True)
    close = ClosePullRequest(URL, "d", "b", "main", None, "why")
    assert asked.perform(IDLE, close) == PullRequestClosed("b", None)
    assert asked.perform(IDLE, OpenPullRequest(URL, PullRequestDraft("b", "main", "t", "x"))) == PullRequestOpened(
        "b", 1
    )
    assert asked.perform(IDLE, close) == PullRequestClosed("b", 1)
    assert forge.pull_request(1).state is PullRequestState.CLOSED
    forge.state.commit("c", {"x": "1"}, by="rollguard")
    assert asked.perform(IDLE, OpenPullRequest(URL, PullRequestDraft("c", "main", "t", "x"))) != PullRequestOpened(
        "c", 1
    )
    number = max(forge.state.pulls)
    forge.state.merge(number, "ann")
    merged = ClosePullRequest(URL, "d", "c", "main", number, "why")
    assert asked.perform(IDLE, merged) == PullRequestClosed("c", number, PullRequestState.MERGED)


def test_applications_that_share_a_decision_share_its_pull_request() -> None:
    """Both read the same paths and both breach: one is opened; the last one that wants it no more closes it."""
    source = GitSource(URL, "main", ("apps/checkout",))
    bench = Bench([Application(CHECKOUT, source), Application(CART, source)], forge=beside())
    bench.guard(spec(onBreach=OFFERS))
    revision = bench.deploy("two")
    bench.report(revision, key=CART)
    bench.metrics.share = 0.3
    bench.pass_until(lambda: all(bench.rollout(key).offers for key in (CHECKOUT, CART)))
    bench.pass_time(120)
    offers = [bench.rollout(key).offers[0] for key in (CHECKOUT, CART)]
    assert len({each.decision_id for each in offers}) == 1
    assert len({each.branch for each in offers}) == 2
    assert [each.number for each in offers] == [pulls(bench)[0].number] * 2
    assert len(pulls(bench)) == 1
    bench.metrics.share = 0.0
    bench.pass_until(lambda: not bench.rollout(CHECKOUT).offers and not bench.rollout(CART).offers)
    assert pulls(bench)[0].state == "closed"
    assert len(pulls(bench)[0].comments) == 1


def test_without_a_forge_it_says_so() -> None:
    """The settings have changed since: asking again cannot help."""
    asked = PullRequests(lambda _: None, ManualClock(), lambda: True)
    found = asked.perform(IDLE, LookAtPullRequest(URL, "b", 1))
    assert isinstance(found, PullRequestFailed)
    assert found.useless
