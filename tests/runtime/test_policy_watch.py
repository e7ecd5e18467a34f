"""Policies while they change: an edit counts from the next chain, a broken one stops only itself and is told once."""

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from controller.core.alerts import Alert
from controller.core.application import Application, ApplicationKey
from controller.core.events import PolicyChanged
from controller.core.policy_matching import Conflict
from controller.ports.store import OutboxEntry, StoreUnavailable
from controller.runtime.policy_watch import POLL_SECONDS, BrokenPolicy, Policies, PolicyWatch
from tests.runtime.parts import CART, CHECKOUT, Bench, application, spec

GOOD = PolicyChanged("shop/checkout", spec())
BROKEN = BrokenPolicy("shop/checkout", "policies/checkout.yaml:7: spec.objectives[0].target: 200 is no per cent")


class Desk:
    """A watch on policies that a test declares."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.declared = Policies({})
        self.edits = 0
        self.loads = 0
        self.watch = self._watch()

    def _watch(self) -> PolicyWatch:
        return PolicyWatch(
            self.bench.reconciler,
            self.bench.store,
            signature=lambda: self.edits,
            load=self._load,
            clock=self.bench.clock,
            sinks=("people",),
            told=lambda: None,
        )

    def _load(self, applications: Sequence[Application]) -> Policies:
        self.loads += 1
        assert [each.key for each in applications] == list(self.bench.reconciler.keys())
        return self.declared

    def declare(self, *policies: PolicyChanged, broken: Sequence[BrokenPolicy] = ()) -> "Desk":
        """Somebody writes the directory; the watch finds it at its next poll."""
        keys = self.bench.reconciler.keys()
        named = {each.name: each for each in policies}
        self.declared = Policies({key: named[str(key)] for key in keys if str(key) in named}, broken)
        self.edits += 1
        self.bench.clock.advance(POLL_SECONDS)
        self.watch.poll()
        return self

    def restart(self) -> "Desk":
        """The process ends; another one begins with what is stored and declared."""
        made = Desk(self.bench.restart())
        made.declared = self.declared
        made.watch.poll()
        return made

    def alerts(self) -> list[tuple[str, bool]]:
        """Each stored alert's policy, and whether it is open, in order."""
        entries: list[OutboxEntry] = [self.bench.database.outbox[key] for key in sorted(self.bench.database.outbox)]
        return [(each.alert.policy, each.alert.ended_at is None) for each in entries]


def desk() -> Desk:
    """Two applications, of which checkout is guarded."""
    made = Desk(Bench([application(CHECKOUT), application(CART)]))
    made.bench.reconciler.resume()
    return made.declare(GOOD)


def test_the_directory_is_read_when_something_has_changed() -> None:
    """A poll without news reads nothing, and is not made more often than every five seconds."""
    watched = desk()
    assert watched.loads == 1
    for _ in range(20):
        watched.bench.clock.advance(1.0)
        assert not watched.watch.poll() or watched.loads == 1
    assert watched.loads == 1
    watched.edits += 1
    watched.bench.clock.advance(1.0)
    assert [watched.watch.poll() for _ in range(2)] in ([True, False], [False, False])
    watched.bench.clock.advance(POLL_SECONDS)
    watched.watch.poll()
    assert watched.loads == 2


def test_an_edit_counts_from_the_next_chain() -> None:
    """What is being judged keeps its policy; the next deployment after it is judged by the new one."""
    watched = desk()
    bench = watched.bench
    bench.report(bench.remote.head())
    bench.deploy("two")
    edited = PolicyChanged("shop/checkout", spec(mode="Shadow"))
    watched.declare(edited)
    assert bench.rollout().policy == edited.policy
    assert bench.rollout().analysis.policy == GOOD.policy  # type: ignore[union-attr]
    bench.pass_until(lambda: bench.rollout().analysis is None)
    bench.deploy("three")
    assert bench.rollout().analysis.policy == edited.policy  # type: ignore[union-attr]


def test_a_broken_policy_is_told_once_and_resolved_when_it_is_mended() -> None:
    """However often it is read, people hear of it once; mended, it is over and the application is guarded again."""
    watched = desk()
    for _ in range(3):
        watched.declare(broken=[BROKEN])
    assert watched.bench.rollout().policy is None
    assert BROKEN.message in watched.bench.rollout().policy_error
    told = watched.alerts()
    assert {policy for policy, _ in told} == {"shop/checkout"}
    opened = len(told)
    assert all(is_open for _, is_open in told)
    watched.declare(broken=[BROKEN])
    assert len(watched.alerts()) == opened
    watched.declare(GOOD)
    assert watched.bench.rollout().policy == GOOD.policy
    assert [is_open for _, is_open in watched.alerts()[opened:]] == [False] * opened
    assert watched.bench.rollout().alerts == ()


def test_what_was_told_before_a_restart_is_resolved_after_it() -> None:
    """Broken, restarted, still broken: not told again. Mended while nobody ran: told that it is over."""
    watched = desk().declare(broken=[BROKEN])
    opened = len(watched.alerts())
    again = watched.restart()
    assert len(again.alerts()) == opened
    again.declared = Policies({CHECKOUT: GOOD})
    last = again.restart()
    assert [is_open for _, is_open in last.alerts()[opened:]] == [False] * opened
    assert last.bench.rollout().policy == GOOD.policy


def test_a_policy_that_never_was_valid_is_told_too() -> None:
    """It names no application that was guarded by it before: people hear of it all the same, by its file or name."""
    nameless = BrokenPolicy("policies/new.yaml", "policies/new.yaml:3: no YAML: found a tab")
    watched = desk().declare(GOOD, broken=[nameless])
    assert watched.alerts() == [("policies/new.yaml", True)]
    assert watched.bench.rollout().policy == GOOD.policy
    again = watched.restart()
    assert again.alerts() == [("policies/new.yaml", True)]
    again.declare(GOOD)
    assert again.alerts()[1:] == [("policies/new.yaml", False)]


def test_a_poisonous_policy_among_a_hundred_stops_only_itself() -> None:
    """Ninety-nine are taken in as they are; one is told."""
    keys = [ApplicationKey("shop", f"app-{number}") for number in range(100)]
    watched = Desk(Bench([application(key) for key in keys]))
    good = [PolicyChanged(str(key), spec()) for key in keys[1:]]
    watched.declare(*good, broken=[BrokenPolicy(str(keys[0]), "window: 1e400 is no duration")])
    guarded = [rollout.application.key for rollout in watched.bench.reconciler.rollouts() if rollout.policy]
    assert guarded == keys[1:]
    assert watched.alerts() == [(str(keys[0]), True)]


def test_two_policies_on_one_application_judge_nothing_and_are_told() -> None:
    """A conflict: not guarded, told with both names; solved, it is guarded again and the alert is over."""
    watched = desk()
    bench = watched.bench
    bench.report(bench.remote.head())
    conflict = Conflict(CHECKOUT, ("shop/one", "shop/two"))
    watched.declared = Policies({CHECKOUT: PolicyChanged("", None, conflict.message)})
    watched.edits += 1
    bench.clock.advance(POLL_SECONDS)
    watched.watch.poll()
    bench.deploy("two")
    bench.metrics.share = 0.3
    bench.pass_time(600)
    assert bench.rollout().analysis is None
    assert bench.restores() == []
    assert bench.told() == ["RollguardPolicyInvalid"]
    said = newest(bench).summary
    assert said == f"shop/checkout is not guarded: {conflict.message}"
    watched.declare(GOOD)
    assert bench.rollout().alerts == ()
    assert newest(bench).ended_at is not None


def newest(bench: Bench) -> Alert:
    """What was stored for people last."""
    return bench.database.outbox[max(bench.database.outbox)].alert


def test_an_open_analysis_survives_the_loss_of_its_policy() -> None:
    """The policy is deleted, or broken, together with the bad release: what began is judged to its end."""
    for broken in ((), (BROKEN,)):
        watched = desk()
        bench = watched.bench
        bench.report(bench.remote.head())
        bench.deploy("two")
        watched.declare(broken=broken)
        bench.metrics.share = 0.3
        bench.pass_until(bench.restores)
        assert bench.rollout().policy is None


def test_what_the_store_refuses_is_read_again() -> None:
    """The edit could not be written: it is taken at the next poll, without another edit."""
    watched = desk()
    watched.bench.store.fail_with = StoreUnavailable("no space left on device")
    edited = PolicyChanged("shop/checkout", spec(mode="Shadow"))
    with capture_logs() as logs:
        watched.declare(edited, broken=[BrokenPolicy("shop/other", "no good")])
    assert {line["log_level"] for line in logs} == {"error"}
    assert watched.bench.rollout().policy == GOOD.policy
    watched.bench.store.fail_with = None
    watched.bench.clock.advance(POLL_SECONDS)
    watched.watch.poll()
    assert watched.bench.rollout().policy == edited.policy
    assert watched.alerts() == [("shop/other", True)]


def test_what_cannot_be_read_leaves_what_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading fails in a way that nobody foresaw: the next poll reads again, and the policies stay meanwhile."""
    watched = desk()
    monkeypatch.setattr(watched, "_load", lambda _: 1 / 0)
    watched.watch = watched._watch()
    with pytest.raises(ZeroDivisionError):
        watched.watch.poll()
    assert watched.bench.rollout().policy == GOOD.policy
