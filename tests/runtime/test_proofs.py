"""Which way is open into a repository: proven by day, told when it is lost, and when it is found again."""

import pytest
from structlog.testing import capture_logs

from controller.core.application import NO_BRANCH, Application, GitSource
from controller.core.events import PolicyChanged
from controller.core.git import PushResult, RollbackPath
from controller.ports.forge import ForgeBusy, ForgeDenied, ForgeError, ForgeUnavailable, ForgeUnknown
from controller.ports.repository import RepositoryDenied
from controller.runtime.open_ways import ForgeBeside
from controller.runtime.proofs import DAY, RETRY, RETRY_REFUSED, Proofs
from tests.fakes.forge import InMemoryForge
from tests.fakes.forge_state import Protection
from tests.fakes.repository import InMemoryRepository
from tests.runtime.parts import CART, CHECKOUT, URL, Bench, application, spec

LOST = "RollguardRollbackPathLost"


class Desk:
    """Proofs of a bench's repository."""

    def __init__(self, bench: Bench, beside: ForgeBeside | None = None) -> None:
        self.bench = bench
        repositories = {each.source.repository: InMemoryRepository(bench.remote) for each in bench.applications}
        self.proofs = Proofs(bench.reconciler, repositories, bench.lanes, bench.clock, lambda _: beside)  # type: ignore[arg-type]

    def prove(self, after: float = 0.0) -> None:
        """Time passes, the beat comes, and the lanes do what it asks."""
        self.bench.clock.advance(after)
        self.proofs.prove()
        self.bench.lanes.run()

    def open_alerts(self, key: object = CHECKOUT) -> list[str]:
        return [each.name.value for each in self.bench.rollout(key).alerts]  # type: ignore[arg-type]


@pytest.fixture
def dry_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The branches of all dry runs."""
    asked: list[str] = []
    original = InMemoryRepository.rollback_path

    def counted(self: InMemoryRepository, branch: str) -> RollbackPath:
        asked.append(branch)
        return original(self, branch)

    monkeypatch.setattr(InMemoryRepository, "rollback_path", counted)
    return asked


def test_a_way_is_proven_at_the_start_and_once_a_day(dry_runs: list[str]) -> None:
    """One dry run a day for each repository and branch, however many applications deploy from it; nothing is written."""
    desk = Desk(Bench([application(CHECKOUT), application(CART)]).guard())
    head = desk.bench.remote.head()
    for _ in range(24):
        desk.prove(after=3600)
    assert dry_runs == ["main"]
    desk.prove(after=3600)
    assert dry_runs == ["main", "main"]
    assert {each.rollback_path for each in desk.bench.reconciler.rollouts()} == {RollbackPath.PUSH}
    assert desk.bench.remote.head() == head
    assert desk.bench.remote.pushes == []


def test_a_way_that_is_lost_is_told_and_resolved_when_it_is_open_again() -> None:
    """The branch begins to refuse pushes: told at the next proof; opened again: over."""
    desk = Desk(Bench().guard())
    desk.prove()
    assert desk.open_alerts() == []
    desk.bench.remote.refuses = PushResult.PROTECTED
    desk.prove(after=DAY)
    assert desk.open_alerts() == [LOST]
    desk.prove(after=DAY)
    assert desk.bench.told() == [LOST]
    desk.bench.remote.refuses = None
    desk.prove(after=DAY)
    assert desk.open_alerts() == []


def test_what_no_commit_brings_back_is_not_tried(dry_runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chart no repository is asked; of a pinned application only whether it may be read, and that is told."""
    asked: list[str] = []
    monkeypatch.setattr(InMemoryRepository, "default_branch", lambda _: asked.append("read") or "main")
    fixed = "It is pinned: set targetRevision."
    chart = Application(CHECKOUT, GitSource("https://charts.example.com", NO_BRANCH, ()), not_revertible=fixed)
    pinned = Application(CART, GitSource(URL, NO_BRANCH, ("apps/cart",)), not_revertible=fixed)
    desk = Desk(Bench([chart, pinned]).guard())
    desk.prove()
    desk.prove(after=RETRY_REFUSED)
    assert (dry_runs, asked) == ([], ["read"])
    assert desk.open_alerts(CHECKOUT) == desk.open_alerts(CART) == []

    def denied(_: object) -> str:
        raise RepositoryDenied("403: the token has expired")

    monkeypatch.setattr(InMemoryRepository, "default_branch", denied)
    desk.prove(after=DAY)
    assert desk.open_alerts(CHECKOUT) == []
    assert desk.open_alerts(CART) == ["RollguardNoCredentials"]


def test_refused_credentials_are_a_lost_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that has run out is told by day, with the server's words."""

    def denied(*_: object) -> RollbackPath:
        raise RepositoryDenied("403: the token has expired")

    monkeypatch.setattr(InMemoryRepository, "rollback_path", denied)
    desk = Desk(Bench().guard())
    desk.prove()
    assert desk.open_alerts() == [LOST]
    assert desk.bench.rollout().rollback_path is RollbackPath.NONE
    assert "the token has expired" in desk.bench.rollout().alerts[0].description


def test_missing_credentials_are_told_once_and_looked_at_again(dry_runs: list[str]) -> None:
    """Nobody is let in: one alert, however often it is tried; mended, it is over within minutes, without a restart."""
    desk = Desk(Bench().guard())
    desk.bench.remote.denied = True
    for _ in range(5):
        desk.prove(after=RETRY_REFUSED)
    assert desk.bench.told() == [LOST]
    assert desk.bench.rollout().rollback_path is RollbackPath.NONE
    assert "no credentials are set" in desk.bench.rollout().alerts[0].description
    desk.bench.remote.denied = False
    desk.prove(after=RETRY_REFUSED)
    assert desk.open_alerts() == []
    assert desk.bench.told() == [LOST]


def test_a_repository_that_may_be_read_and_not_written_is_no_missing_credential(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A policy that only alerts needs to read alone: it is told where it may not even do that."""

    def denied(*_: object) -> RollbackPath:
        raise RepositoryDenied("403: read only")

    monkeypatch.setattr(InMemoryRepository, "rollback_path", denied)
    only_alerts = spec(onBreach={"action": "Alert"}, onUnhealthy={"action": "Alert"})
    desk = Desk(Bench().guard(only_alerts))
    desk.prove()
    assert desk.open_alerts() == []
    desk.bench.remote.denied = True
    desk.prove(after=RETRY_REFUSED)
    assert desk.open_alerts() == ["RollguardNoCredentials"]


def test_a_server_that_does_not_answer_is_no_lost_way(dry_runs: list[str]) -> None:
    """Down while it is asked: nobody is woken, and it is asked again after ten minutes."""
    desk = Desk(Bench().guard())
    desk.bench.remote.unavailable = True
    with capture_logs() as logs:
        desk.prove()
        desk.prove(after=RETRY / 2)
    assert [line["log_level"] for line in logs] == ["warning"]
    assert desk.open_alerts() == []
    desk.bench.remote.unavailable = False
    desk.prove(after=RETRY / 2)
    assert dry_runs == ["main", "main"]
    assert desk.bench.rollout().rollback_path is RollbackPath.PUSH


def test_what_asks_for_pull_requests_needs_no_push() -> None:
    """A protected branch is no loss to a policy that asks for pull requests, and one to a policy that pushes."""
    desk = Desk(Bench().guard(spec(onBreach={"action": "PullRequest"})), ForgeBeside(forge()))
    desk.bench.remote.refuses = PushResult.PROTECTED
    desk.prove()
    assert desk.open_alerts() == []
    desk.bench.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", spec()))
    desk.prove(after=60)
    assert desk.open_alerts() == [LOST]


def forge(**rules: object) -> InMemoryForge:
    """A forge around the repository, with a protected branch where rules are given."""
    made = InMemoryForge()
    made.state.commit("main", {"a": "1"}, by="ann")
    if rules:
        made.state.protection["main"] = Protection(**rules)  # type: ignore[arg-type]
    return made


def offering(beside: ForgeBeside | None) -> Desk:
    """The branch refuses pushes, and the policy asks for pull requests."""
    desk = Desk(Bench().guard(spec(onBreach={"action": "PullRequest"})), beside)
    desk.bench.remote.refuses = PushResult.PROTECTED
    desk.prove()
    return desk


def test_without_a_forge_a_refused_push_leaves_no_way() -> None:
    """Nobody could open the pull request: the alert says that the settings name no forge."""
    desk = offering(None)
    assert desk.open_alerts() == [LOST]
    assert "the settings name no forge" in desk.bench.rollout().alerts[0].description


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ForgeDenied("401: bad token"), "the forge refuses the token: 401: bad token"),
        (ForgeUnknown("404"), "the forge does not know the branch, or hides it from the token: 404"),
        (ForgeUnavailable("connection refused"), ""),
        (ForgeBusy("429", 60.0), ""),
        (ForgeError("something new"), ""),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_the_forge_says_of_our_token_counts_and_its_silence_does_not(error: ForgeError, words: str) -> None:
    """A token that it refuses leaves no way, and is looked at again within minutes; a forge that cannot tell is no loss."""
    silent = forge()
    silent.down = error
    desk = offering(ForgeBeside(silent))
    assert desk.open_alerts() == ([LOST] if words else [])
    if words:
        assert words in desk.bench.rollout().alerts[0].description
        silent.down = None
        desk.prove(after=RETRY)
        assert desk.open_alerts() == []


@pytest.mark.parametrize("same_user", [True, False])
def test_what_a_dry_run_cannot_see_the_forge_tells(same_user: bool) -> None:
    """The branch is protected and was not pushed to yet: told by day where Git and the forge know us as the same user."""
    desk = Desk(Bench().guard(), ForgeBeside(forge(push=False), same_user))
    desk.prove()
    assert desk.open_alerts() == ([LOST] if same_user else [])
    if same_user:
        assert "may not push to it" in desk.bench.rollout().alerts[0].description


def test_a_protected_branch_that_takes_our_pushes_is_no_loss() -> None:
    """The rules let our user push."""
    desk = Desk(Bench().guard(), ForgeBeside(forge(push=True, approvals=1), same_user=True))
    desk.prove()
    assert desk.open_alerts() == []


def test_an_application_that_is_admitted_later_is_told_the_days_proof(dry_runs: list[str]) -> None:
    """Its policy comes an hour after the proof of its repository: it need not wait until tomorrow."""
    bench = Bench([application(CHECKOUT), application(CART)])
    bench.guard()
    bench.reconciler.submit(CART, PolicyChanged("", None))
    bench.remote.refuses = PushResult.PROTECTED
    desk = Desk(bench)
    desk.prove()
    assert (desk.open_alerts(CHECKOUT), desk.open_alerts(CART)) == ([LOST], [])
    bench.reconciler.submit(CART, PolicyChanged("shop/cart", spec()))
    desk.prove(after=3600)
    assert desk.open_alerts(CART) == [LOST]
    assert dry_runs == ["main"]


def test_what_nobody_guards_is_not_asked(dry_runs: list[str]) -> None:
    """A repository without a policy gets no traffic from us."""
    bench = Bench()
    bench.reconciler.resume()
    desk = Desk(bench)
    desk.prove()
    assert dry_runs == []
    assert f"git:{URL}" not in bench.lanes.made
