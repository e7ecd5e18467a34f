"""A state machine drives the rollout through every order of events that Hypothesis can think of.

What must never happen: two restores of one decision; a restore without measured bad events, in Shadow mode or under the
brake; content in the branch that is not the target's; a state that does not survive being written and read; a loop that
never comes to rest. And what must happen: when all is well again, everything comes to an end and no alert is left open.
"""

from collections import Counter
from dataclasses import replace
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from controller.core.application import Application, ApplicationKey, Revision
from controller.core.concurrent import Breach, Neighbour, Onset
from controller.core.events import (
    Limits,
    PathProven,
    PauseFacts,
    PolicyChanged,
    RecentDecision,
    Released,
    RollbackRequested,
    SyncReported,
    TimePassed,
    World,
)
from controller.core.git import PushResult, RollbackPath
from controller.core.policy import Mode, PolicySpec
from controller.core.state import Origin, Phase, Rollout, Stage, dump_rollout, load_rollout
from tests.core.rollout.model import BOT, CART, SOURCE, Commit, Model, policy, revision

TICK = 60.0
WELL_AGAIN = 4 * 3600.0
ANN = "Ann <ann@example.com>"
FORGED = (("Rollguard-Rollback-Of", "a" * 40),)
HELD = (("Rollguard-Hold", "a migration ran"),)


MISHAPS = st.sampled_from(
    [
        *["nothing"] * 10,
        *("metrics: up", "metrics: down", "metrics: empty"),
        *(
            "git: up",
            "git: down",
            "git: denied",
            "git: read only",
            "git: reply lost",
            "git: push lost",
            "git: silent",
        ),
        *("branch: open", "branch: Protected", "branch: PushRule"),
        *("forge: up", "forge: down", "forge: reply lost", "forge: refuses"),
        *("brake: on", "brake: off"),
        *("administrator: Shadow", "administrator: Enforce"),
        *("policy: same", "policy: alert", "policy: shadow", "policy: broken"),
        *("race: revert", "race: unrelated"),
        *("restart", "others break", "neighbour breaks", "landed before the answer"),
    ]
)


PEOPLE = st.sampled_from(
    ["merge", "squash", "merge and more", "force", "rollback", "older", "release", "release all"]
)


def _others(now: float) -> tuple[RecentDecision, ...]:
    """Two unrelated deployments that break at the same moment: with a third one they trip the breaker."""
    names = ("search", "mail")
    keys = [ApplicationKey("shop", name) for name in names]
    return tuple(RecentDecision(key, (revision(f"{key} {now}"),), now, None) for key in keys)


def _neighbour(now: float) -> Neighbour:
    """Another application that was deployed a moment ago, and breaches since."""
    breach = Breach(revision(f"search {now}"), now - 60, 60.0, 60.0, Onset(now - 30, now), found_at=now)
    return Neighbour(ApplicationKey("shop", "search"), breach)


def _control(model: Model, room: str, what: str) -> None:
    """What operators do, and what other applications do, at one moment."""
    if room == "brake":
        model.world = replace(model.world, pause=PauseFacts(None, "drill", "ann") if what == "on" else None)
    elif room == "others break":
        model.world = replace(model.world, decisions=_others(model.now))
    elif room == "neighbour breaks":
        model.world = replace(model.world, neighbours=(_neighbour(model.now),))
    else:
        model.limits = Limits(maximum_mode=Mode(what)) if what else model.limits
        model.world = replace(model.world, limits=model.limits)
        model.restart()


class RolloutMachine(RuleBasedStateMachine):
    """People commit and deploy, things fail, processes die."""

    reached: ClassVar[Counter[str]] = Counter()
    """How many runs reached what: so that the search does not search in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.cart: Model | None = None
        self.number = 0
        self.reports: list[SyncReported] = []

    @initialize(
        action=st.sampled_from(["Rollback", "Rollback", "Rollback", "PullRequest", "Alert"]),
        quarantine=st.sampled_from(["Alert", "RestoreOnce"]),
        unhealthy=st.sampled_from(["Alert", "Rollback", "PullRequest"]),
        shared=st.sampled_from([None, None, None, "50%", "100%"]),
        breaks=st.sampled_from([True, True, False]),
        forge=st.sampled_from(["none", "up"]),
    )
    def begin(
        self, *, action: str, quarantine: str, unhealthy: str, shared: str | None, breaks: bool, forge: str = "none"
    ) -> None:
        """A guarded application with one good version; now and then another one reads the same paths."""
        self.declared = {
            "analysis": {"interval": "60s", "window": "20m"},
            "onBreach": {"action": action, "maxRollbacksPerDay": 4},
            "quarantine": quarantine,
            "onUnhealthy": {"action": unhealthy, "deadline": "5m"},
        }
        if shared is not None:
            self.declared["sharedPaths"] = {"action": "Rollback", "quorum": shared}
            self.cart = Model(branch=self.model.branch, rollout=Rollout(Application(CART, SOURCE)))
            self.cart.gone, self.cart.faulty = self.model.gone, self.model.faulty
            self.cart.pulls = self.model.pulls
            self.cart.peers, self.model.peers = [self.model], [self.cart]
        for model in self.models:
            model.forge = forge
            model.guard(self.spec())
        if breaks:
            self.break_it(share=0.3, before="nothing", minutes=3, after="nothing", author=ANN, again=False)

    @property
    def models(self) -> list[Model]:
        """The applications."""
        return [self.model] if self.cart is None else [self.model, self.cart]

    def spec(self, **changes: object) -> PolicySpec:
        """The policy with changes."""
        return policy(**(self.declared | changes))

    def pass_time(self, seconds: float) -> None:
        """Time passes for all."""
        for _ in range(max(1, round(seconds / TICK))):
            for model in self.models:
                model.pass_time(TICK, TICK)

    def deploy(self, what: Revision, phases: tuple[str, ...] = ("Started", "Healthy")) -> None:
        """The reconciler deploys a revision to all."""
        for model in self.models:
            model.runs = what
            for phase in phases:
                self.reports.append(SyncReported(what, phase, model.now))  # type: ignore[arg-type]
                model.take(self.reports[-1])

    # --- what happens --------------------------------------------------------------------------------------------

    @rule(
        share=st.sampled_from([0.2, 1.0]),
        before=MISHAPS,
        minutes=st.sampled_from([2, 3, 4, 12]),
        after=MISHAPS,
        author=st.sampled_from([ANN, BOT]),
        again=st.sampled_from([False, False, True]),
    )
    def break_it(self, *, share: float, before: str, minutes: int, after: str, author: str, again: bool) -> None:
        """Somebody deploys a version that breaks, or the one that broke last time; things happen, and time passes."""
        self.number += not again
        self.model.faulty[f"v{self.number}"] = share
        what = self.model.commit(f"v{self.number}", author=author)
        self.mishap(before)
        self.deploy(what)
        self.pass_time(60 * minutes)
        self.mishap(after)
        self.pass_time(60)

    @rule(minutes=st.sampled_from([1, 3, 10]))
    def land(self, minutes: int) -> None:
        """The head is deployed, and time passes."""
        self.deploy(self.model.branch[-1].revision)
        self.pass_time(60 * minutes)

    @rule(
        author=st.sampled_from([ANN, BOT]),
        kind=st.sampled_from(["good", "good", "faulty", "older", "same"]),
        trailers=st.sampled_from([(), (), FORGED, HELD]),
    )
    def commit(self, author: str, kind: str, trailers: tuple[tuple[str, str], ...]) -> None:
        """Somebody pushes a commit; now and then one that brings an older content back, or changes nothing here."""
        self.number += 1
        held = [each.holds for each in self.model.branch]
        name = {"older": held[self.number % len(held)], "same": held[-1]}.get(kind, f"v{self.number}")
        if kind == "faulty":
            self.model.faulty[name] = 0.3
        self.model.commit(name, author=author, trailers=trailers)

    @rule(
        back=st.sampled_from([0, 0, 0, 1, 2, 3]),
        phases=st.sampled_from(["SH", "SH", "SH", "S", "SF", "SFH", "F", "H"]),
        minutes=st.sampled_from([0, 1, 6]),
    )
    def sync(self, back: int, phases: str, minutes: int) -> None:
        """The reconciler deploys the head, or somebody an older revision; it may fail, or say only a part."""
        wanted = self.model.branch[-1 - min(back, len(self.model.branch) - 1)]
        names = {"S": "Started", "H": "Healthy", "F": "Failed"}
        self.deploy(wanted.revision, tuple(names[each] for each in phases))
        self.pass_time(60 * minutes)

    @rule(share=st.sampled_from([0.0, 0.02, 0.3]))
    def outage(self, share: float) -> None:
        """Something else breaks, or is mended."""
        for model in self.models:
            model.bad_share = share

    @rule(minutes=st.sampled_from([1, 5, 25, 70]))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.pass_time(60 * minutes)

    @rule(which=st.integers(0, 50))
    def report_again(self, which: int) -> None:
        """An old report comes again, out of order."""
        if self.reports:
            self.model.take(self.reports[which % len(self.reports)])

    @rule(
        kind=st.sampled_from(
            [
                *("merge", "squash", "merge and more", "close", "close"),
                *("force", "rollback", "older", "release", "release all"),
            ]
        )
    )
    def people(self, kind: str) -> None:
        """People merge, force, ask and release."""
        if kind in ("merge", "squash", "merge and more") and self.model.others:
            self.model.merge_offer(squashed=kind == "squash")
            if kind == "merge and more":
                self.number += 1
                self.model.commit(f"v{self.number}")
        if kind == "close":
            self.model.close_pull()
        if kind == "force":
            self.model.force(max(1, len(self.model.branch) - 1 - self.number % 3))
        if kind in ("rollback", "older"):
            to = self.model.branch[0].revision if kind == "older" else None
            self.model.take(RollbackRequested(to, "bob", "drill"))
        for model in self.models if kind.startswith("release") else ():
            known = model.rollout.known_bad
            model.take(Released(known[0].fingerprint if known and kind == "release" else "all", "bob"))

    @rule(kind=MISHAPS)
    def happen(self, kind: str) -> None:
        """Something happens outside."""
        self.mishap(kind)

    @rule()
    def calm(self) -> None:
        """Whatever was down is up."""
        for model in self.models:
            model.git = model.metrics = "up"
            model.limits, model.refuses, model.race, model.meanwhile = Limits(), None, None, None
            model.forge = "up" if model.forge != "none" else "none"
            model.world = World()
            model.take(TimePassed())

    def mishap(self, kind: str) -> None:
        """One of the things that can go wrong, or are done, while a restore is on its way."""
        room, _, what = kind.partition(": ")
        for model in self.models:
            if room in ("metrics", "git"):
                setattr(model, room, what)
            elif room == "forge":
                model.forge = what if model.forge != "none" else "none"
            elif room == "branch":
                model.refuses = PushResult(what) if what != "open" else None
                model.take(PathProven(RollbackPath.PUSH if what == "open" else RollbackPath.PULL_REQUEST))
            elif room == "policy":
                self.edit(model, what)
            elif room in ("brake", "administrator", "others break", "neighbour breaks", "restart"):
                _control(model, room, what)
        if room == "race":
            self.number += 1
            held = self.model.branch[0].holds if what == "revert" else self.model.branch[-1].holds
            self.model.race = Commit(revision(f"race {self.number}"), held)
        if room == "landed before the answer":
            self.model.meanwhile = self.land_at_once

    def edit(self, model: Model, what: str) -> None:
        """The owner edits the policy, or breaks it."""
        changes = {"alert": {"onBreach": {"action": "Alert"}}, "shadow": {"mode": "Shadow"}}.get(what, {})
        broken = what == "broken"
        model.take(
            PolicyChanged("checkout", None if broken else self.spec(**changes), "no such field" if broken else "")
        )

    def land_at_once(self) -> None:
        """The reconciler is faster than the answer to our push."""
        head = self.model.branch[-1].revision
        self.model.take(SyncReported(head, "Healthy", self.model.now), perform=False)

    # --- what always holds ---------------------------------------------------------------------------------------

    @invariant()
    def one_restore_a_decision(self) -> None:
        """No decision of Rollguard's own gets two commits into the branch, nor do two applications that share it."""
        pushed = {
            (each.decision, each.revision)
            for model in self.models
            for each in model.sent
            if each.automatic and each.branch == SOURCE.branch
        }
        twice = [name for name, count in Counter(name for name, _ in pushed).items() if count > 1]
        made = [each for model in self.models for each in model.sent if each.decision in twice]
        assert twice == [], (made, self.said())

    @invariant()
    def every_push_was_due(self) -> None:
        """Nothing is sent in Shadow mode or under the brake but for a person, and no verdict acts without bad events."""
        for each in (each for model in self.models for each in model.sent):
            assert each.holds == each.target_holds
            if each.automatic:
                assert not each.paused
                assert not each.shadow
            if each.origin is Origin.VERDICT:
                assert each.bad_measured >= 5

    @invariant()
    def one_pull_request_a_decision(self) -> None:
        """Of each decision one pull request is open at most; of two that share it, one for what it undoes."""
        for model in self.models:
            shared = self.cart is not None
            counted = Counter((each.decision, each.undoes if shared else "") for each in model.open_pulls())
            assert [name for name, count in counted.items() if count > 1] == [], self.said()

    @invariant()
    def the_state_survives_being_written(self) -> None:
        """Reading back what was written and writing it again gives the same."""
        for model in self.models:
            written = dump_rollout(model.rollout)
            again = load_rollout(written)
            assert dump_rollout(again) == written
            assert again.skeleton() == model.rollout.skeleton()

    @invariant()
    def what_is_bad_is_not_good(self) -> None:
        """No content is both what is gone back to and what was rolled back."""
        for model in self.models:
            good = model.rollout.good
            assert good is None or model.rollout.knows_bad(good.content) is None

    @invariant()
    def a_restore_has_a_phase(self) -> None:
        """While a restore is on its way the phase says so, or that its recovery is judged already."""
        for model in self.models:
            rollback = model.rollout.rollback
            if rollback is not None and rollback.in_flight:
                assert model.phase in (
                    Phase.ROLLING_BACK,
                    Phase.RESTORED,
                    Phase.LANDED,
                    Phase.RECOVERING,
                    Phase.DEPLOYING,
                )

    def teardown(self) -> None:
        """Everything is up, the head is deployed, the service is well: all ends, and nothing is left open."""
        if not self.model.stored:
            return
        self._count()
        self.model.faulty.clear()
        for model in self.models:
            model.git = model.metrics = "up"
            model.bad_share, model.refuses, model.race, model.meanwhile = 0.0, None, None, None
            model.limits, model.world = Limits(), World()
            model.forge = "up" if model.forge != "none" else "none"
            model.restart()
            model.take(PolicyChanged("checkout", self.spec()))
            model.take(PathProven(RollbackPath.PUSH))
            model.take(Released("all", "bob"))
        self.model.commit(self.model.branch[-1].holds)
        for _ in range(round(WELL_AGAIN / 1200)):
            self._merge_what_people_asked_for()
            self.deploy(self.model.branch[-1].revision)
            self.pass_time(1200)
            if all(model.phase is Phase.IDLE and not model.rollout.alerts for model in self.models):
                break
        for model in self.models:
            end = (model.phase, model.open_alerts(), model.rollout.rollback, model.rollout.unidentified)
            assert model.rollout.offers == ()
            assert model.open_pulls() == []
            assert end == (Phase.IDLE, set(), None, ()), (
                f"{end}: {[each for each in model.said if 'no sync' not in each][-12:]}"
            )

    def _merge_what_people_asked_for(self) -> None:
        """An offer that a person asked for waits for a person, however long."""
        for model in self.models:
            rollback = model.rollout.rollback
            if rollback is not None and rollback.offered and not rollback.automatic:
                self.model.others |= model.others
                self.model.merge_offer(rollback.branch)

    def said(self) -> list[str]:
        """The end of the story, for whoever reads why a run failed."""
        return [each for model in self.models for each in model.said if "no sync" not in each][-25:]

    def _count(self) -> None:
        seen = {"runs"}
        if any(model.sent for model in self.models):
            seen.add("sent anything")
        for model in self.models:
            seen |= {f"sent {each.origin.value}{'' if each.branch == 'main' else ' offer'}" for each in model.sent}
            seen |= {f"told {name}" for name in model.alerts()}
            seen |= {f"recovery {each.analysis.recovery}" for each in model.records if each.analysis.recovery}
            refused = model.rollout.rollback is not None and model.rollout.rollback.stage is Stage.REFUSED
            seen |= {"refused"} if refused else set()
        RolloutMachine.reached.update(seen)


FAST = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False
)


def test_every_order_of_events() -> None:
    """No order of events breaks what always holds, and when all is well again nothing is left open."""
    RolloutMachine.reached.clear()
    run_state_machine_as_test(RolloutMachine, settings=FAST)


def test_a_restore_that_is_forced_away_while_git_is_down_is_looked_for_again() -> None:
    """Whether the branch still holds a restore is asked until Git answers: else its deployment is waited for for ever."""
    machine = RolloutMachine()
    machine.begin(action="Rollback", quarantine="Alert", unhealthy="Alert", shared=None, breaks=True)
    machine.people(kind="force")
    machine.break_it(share=0.2, before="git: down", minutes=12, after="nothing", author=ANN, again=True)
    machine.teardown()
