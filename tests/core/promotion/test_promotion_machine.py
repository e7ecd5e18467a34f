"""Random lives of a pipeline: whatever people, forges and guards do, what must never happen does not happen."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.core.forge import Participants, PullRequestState
from controller.core.forge_writing import ForgeCommits
from controller.core.git import PushOutcome, PushResult
from controller.core.promotion.intents import (
    CommitByForge,
    CommitPushed,
    Failed,
    PromotionEvent,
    PromotionIntent,
    PushCommit,
)
from controller.core.promotion.move import places_of
from controller.core.promotion.progress import Freeze, Place, Request
from controller.core.promotion.standing import Judged
from tests.core.promotion.world import World, version

STAGES = ("dev", "staging", "production")


class Unruly(World):
    """A world in which replies are lost, servers are away, and others push in between."""

    trouble = ""

    def perform(self, intent: PromotionIntent) -> PromotionEvent:
        trouble, self.trouble = self.trouble, ""
        if trouble == "away":
            return Failed(intent.place, "the server is away")
        if trouble == "race" and isinstance(intent, PushCommit | CommitByForge):
            self.branches["main"] = replace(self.branches["main"], head=self._revision())
            self.trees[self.branches["main"].head] = self.branches["main"].fields
        event = super().perform(intent)
        if trouble == "lost" and isinstance(event, CommitPushed):
            return replace(event, outcome=PushOutcome(PushResult.UNCLEAR))
        return Failed(intent.place, "the reply was lost") if trouble == "lost" else event


class Lives(RuleBasedStateMachine):
    """One pipeline's life."""

    @initialize(how=st.sampled_from(ForgeCommits))
    def begin(self, how: ForgeCommits) -> None:
        self.world = Unruly()
        self.world.authors = Participants()
        self.world.forge_commits = how
        self.newest = 1
        self.passed: dict[str, set[str]] = {stage: set() for stage in STAGES}
        self.bad: set[str] = set()
        self.asked: set[tuple[str, str]] = set()
        self.written: set[tuple[str, str]] = set()
        """Stage and tag of what we brought into the branch."""
        self.frozen = False

    def look(self) -> None:
        """Look and act to the end, and note what came into the branch meanwhile."""
        before = {stage: self.world.holds(stage) for stage in STAGES}
        pushed = len(self.world.pushed)
        self.world.wait(700.0)
        self.world.run(40)
        for stage in STAGES:
            after = self.world.holds(stage)
            if after == before[stage]:
                continue
            assert not self.frozen, f"{after} went into {stage} although the line was stopped"
            assert after not in self.bad or (stage, after) in self.asked, f"{after} is bad, and went into {stage}"
            if stage != "dev" and (stage, after) not in self.asked:
                earlier = STAGES[STAGES.index(stage) - 1]
                assert after in self.passed[earlier], f"{after} went into {stage} and had not passed {earlier}"
            assert (stage, after) not in self.written or (stage, after) in self.asked, (
                f"{after} came twice into {stage}"
            )
            self.written.add((stage, after))
            self.asked.discard((stage, after))
        assert len(self.world.pushed) - pushed <= 12

    @rule()
    def a_new_version(self) -> None:
        self.newest += 1
        self.world.versions = tuple(version(number) for number in range(self.newest, 0, -1))
        self.look()

    @rule(stage=st.sampled_from(STAGES), judged=st.sampled_from([Judged.PASSED, Judged.HEALTHY, Judged.NOT_SHOWN]))
    def found_good(self, stage: str, judged: Judged) -> None:
        place = Place(stage)
        self.world.deploy(place)
        tag = next(iter(self.world.live[place][1].values()))
        if self.world.live[place][0] in self.world.bad.get(place, ()):
            return
        self.world.judge(judged, place)
        passage = self.world.progress.passage(place)
        if judged is not Judged.NOT_SHOWN and passage is not None and passage.version.tag == tag:
            self.passed[stage].add(tag)
        self.look()

    @rule(stage=st.sampled_from(STAGES))
    def found_bad(self, stage: str) -> None:
        """The guard finds what is live bad, and restores the branch as the guard does."""
        place = Place(stage)
        self.world.deploy(place)
        passage = self.world.progress.passage(place)
        self.look()
        tag = next(iter(self.world.live[place][1].values()))
        self.world.judge(Judged.BREACHED, place)
        if passage is not None and passage.version.tag == tag and self.world.live[place][0] in self._deployed(place):
            self.bad.add(tag)
            for passed in self.passed.values():
                passed.discard(tag)
        self.look()
        self.world.commit(**{stage: "v1.0.0"})
        self.world.deploy(place)
        self.world.judge(Judged.NOT_SHOWN, place)
        self.look()

    def _deployed(self, place: Place) -> tuple[str, ...]:
        passage = self.world.progress.passage(place)
        return passage.deployed if passage is not None else ()

    @rule()
    def all_is_deployed(self) -> None:
        self.world.deploy()
        self.look()

    @rule(stage=st.sampled_from(STAGES))
    def a_person_reverts(self, stage: str) -> None:
        self.world.commit(**{stage: "v1.0.0"})
        self.look()

    @rule(user=st.sampled_from(["alice", "mallory"]))
    def a_review(self, user: str) -> None:
        for number, pull in self.world.pulls.items():
            if pull.open:
                self.world.approve(number, user)
        self.look()

    @rule(merged=st.booleans())
    def a_person_ends_a_pull_request(self, merged: bool) -> None:
        pull = next((each for each in self.world.pulls.values() if each.open), None)
        if pull is None or self.frozen:
            return
        if merged:
            stage = next(each for each in STAGES if pull.head_branch.endswith(each))
            tag = self.world.branches[pull.head_branch].fields[self.world.fields(Place(stage))[0]]
            self.asked.add((stage, tag))
            self.world.merge(pull.number)
        else:
            self.world.pulls[pull.number] = replace(pull, state=PullRequestState.CLOSED)
        self.look()

    @rule(trouble=st.sampled_from(["away", "lost", "race"]))
    def trouble(self, trouble: str) -> None:
        self.world.trouble = trouble
        self.look()
        self.world.trouble = ""

    @rule()
    def a_merge_queue(self) -> None:
        """There is one from now on, or none any more."""
        self.world.queues = not self.world.queues
        self.look()

    @rule(merges=st.booleans())
    def the_queue_moves(self, merges: bool) -> None:
        """It merges the first in it, or throws it out."""
        if not self.world.queue:
            return
        number = min(self.world.queue)
        self.world.queue.discard(number)
        pull = self.world.pulls[number]
        if merges and pull.open:
            stage = next(each for each in STAGES if pull.head_branch.endswith(each))
            tag = self.world.branches[pull.head_branch].fields[self.world.fields(Place(stage))[0]]
            before = self.world.holds(stage)
            assert not self.frozen, "it stayed in the queue although the line was stopped"
            assert tag not in self.bad or (stage, tag) in self.asked
            self.world.merge(number)
            if before != tag:
                self.written.add((stage, tag))
                self.asked.discard((stage, tag))
        self.look()

    @rule()
    def statuses_are_refused(self) -> None:
        """By the forge, or no longer: nothing waits for them."""
        self.world.no_status = "" if self.world.no_status else "the token may not"
        self.look()

    @rule()
    def signatures_are_demanded(self) -> None:
        """Of commits that are pushed to the branch, or no longer."""
        self.world.unsigned ^= {"main"}
        self.look()

    @rule()
    def the_line_is_stopped(self) -> None:
        freeze = () if self.frozen else (Freeze("dora", self.world.now),)
        self.world.progress = replace(self.world.progress, freezes=freeze)
        self.frozen = not self.frozen
        self.look()

    @precondition(lambda self: not self.frozen)
    @rule(stage=st.sampled_from(STAGES), number=st.integers(1, 5))
    def a_person_promotes(self, stage: str, number: int) -> None:
        wanted = self.world.progress.version(version(number).identity)
        if wanted is None:
            return
        self.asked.add((stage, wanted.tag))
        stopped = tuple(each for each in self.world.progress.stopped if each.identity != wanted.identity)
        self.bad.discard(wanted.tag)
        request = Request(stage, wanted.identity, "dora", self.world.now)
        self.world.progress = replace(self.world.progress, requests=(request,), stopped=stopped)
        self.look()

    @invariant()
    def one_pull_request_a_place(self) -> None:
        heads = [each.head_branch for each in getattr(self, "world", World()).pulls.values() if each.open]
        assert len(heads) == len(set(heads))

    @invariant()
    def nothing_is_forgotten(self) -> None:
        if not hasattr(self, "world"):
            return
        places = [each.place for each in self.world.progress.passages]
        assert len(places) == len(set(places))
        assert set(places) <= set(places_of(self.world.pipeline))


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
