"""A state machine drives the rollout through every order of events that Hypothesis can think of.

What must never happen: two restores of one decision, a restore without measured bad events, a restore of a version that
was good, a state that does not survive being written and read, a loop that never comes to rest.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.core.events import PauseFacts, Released, RollbackRequested, World
from controller.core.state import dump_rollout, load_rollout
from tests.core.rollout.model import Commit, Model, policy, revision


class RolloutMachine(RuleBasedStateMachine):
    """People commit and deploy, things fail, processes die."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.number = 0
        self.asked = False
        self.bad_since: float | None = None

    @initialize(
        action=st.sampled_from(["Rollback", "PullRequest", "Alert"]),
        quarantine=st.sampled_from(["Alert", "RestoreOnce"]),
        unhealthy=st.sampled_from(["Alert", "Rollback"]),
    )
    def begin(self, action: str, quarantine: str, unhealthy: str) -> None:
        """A guarded application with one good version."""
        self.unhealthy = unhealthy
        self.quarantine = quarantine
        self.model.guard(
            policy(
                onBreach={"action": action},
                quarantine=quarantine,
                onUnhealthy={"action": unhealthy, "deadline": "5m"},
            )
        )

    @rule(author=st.sampled_from(["Ann <ann@example.com>", "renovate[bot] <bot@example.com>"]), again=st.booleans())
    def commit(self, author: str, again: bool) -> None:
        """Somebody pushes a commit; now and then one that brings an older content back."""
        self.number += 1
        held = [each.holds for each in self.model.branch]
        self.model.commit(held[self.number % len(held)] if again else f"v{self.number}", author=author)

    @rule(back=st.integers(0, 3), healthy=st.booleans())
    def deploy(self, back: int, healthy: bool) -> None:
        """The reconciler deploys the head, or somebody an older revision."""
        wanted = self.model.branch[-1 - min(back, len(self.model.branch) - 1) if back > 1 else -1]
        (self.model.deployed if healthy else self.model.deploying)(wanted.revision)

    @rule(share=st.sampled_from([0.0, 0.0, 0.3, 1.0]))
    def behave(self, share: float) -> None:
        """The service begins to serve errors, or stops."""
        self.model.bad_share = share
        if share:
            self.bad_since = self.model.now

    @rule(seconds=st.sampled_from([30, 90, 150]), share=st.sampled_from([0.2, 1.0]))
    def break_it(self, seconds: int, share: float) -> None:
        """Somebody deploys a version that breaks, and time passes."""
        self.number += 1
        self.model.commit(f"v{self.number}")
        self.behave(share)
        self.model.sync_head()
        self.model.pass_time(seconds)

    @rule()
    def mend(self) -> None:
        """The head is deployed, and the service is well."""
        self.model.bad_share = 0.0
        self.model.sync_head()
        self.model.pass_time(120)

    @rule(state=st.sampled_from(["up", "up", "down", "empty"]))
    def metrics(self, state: str) -> None:
        """The metrics server goes and comes."""
        self.model.metrics = state

    @rule(state=st.sampled_from(["up", "up", "down", "denied", "reply lost", "push lost"]))
    def git(self, state: str) -> None:
        """Git goes and comes, or loses a reply."""
        self.model.git = state

    @rule(seconds=st.sampled_from([15, 60, 300, 1800]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.model.pass_time(seconds)

    @rule()
    def restart(self) -> None:
        """The process is killed and begins anew."""
        self.model.restart()

    @rule(paused=st.booleans())
    def brake(self, paused: bool) -> None:
        """Somebody pulls or releases the brake."""
        self.model.world = World(pause=PauseFacts(None, "drill", "ann") if paused else None)

    @rule(holds_old=st.booleans())
    def race(self, holds_old: bool) -> None:
        """The next push is raced by somebody else's commit."""
        self.number += 1
        held = self.model.branch[0].holds if holds_old else self.model.branch[-1].holds
        self.model.race = Commit(revision(f"race {self.number}"), held)

    @precondition(lambda self: self.number > 2)
    @rule()
    def person(self) -> None:
        """A person asks for a rollback."""
        self.asked = True
        self.model.take(RollbackRequested(None, "bob", "drill"))

    @rule()
    def release(self) -> None:
        """A person releases what was quarantined."""
        self.model.take(Released("all", "bob"))

    @invariant()
    def one_restore_a_decision(self) -> None:
        """No decision has two restores in the branch."""
        made = [each.ours for each in self.model.restores()]
        if not self.asked and self.quarantine == "Alert":
            assert len(made) == len(set(made)), made

    @invariant()
    def nothing_good_is_restored_over(self) -> None:
        """Without a single bad event, and with nothing unhealthy, nothing is ever pushed by itself."""
        may = self.asked or self.unhealthy == "Rollback" or self.quarantine == "RestoreOnce"
        if self.bad_since is None and not may:
            assert self.model.pushes == []

    @invariant()
    def the_state_survives_being_written(self) -> None:
        """Reading back what was written and writing it again gives the same."""
        written = dump_rollout(self.model.rollout)
        assert dump_rollout(load_rollout(written)) == written

    @invariant()
    def open_alerts_are_told_once(self) -> None:
        """No two open alerts have one identity."""
        identities = [(each.name, each.objective) for each in self.model.rollout.alerts]
        assert len(identities) == len(set(identities))


TestRolloutMachine = RolloutMachine.TestCase
TestRolloutMachine.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
